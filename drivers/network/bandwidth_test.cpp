#include "drivers/network/bandwidth.hpp"
#include "tests/catch.hpp"
#include "xml/network.hpp"

using namespace lodge;
using namespace lodge::drivers;

TEST_CASE("bandwidth becomes one batch for tc") {
    const auto network = xml::parse_network("<network><name>n</name><bandwidth><inbound average='1000' peak='2000' burst='1024'/>"
                                            "<outbound average='300'/></bandwidth></network>");
    CHECK(
        bandwidth_batch("virbr1", *network.bandwidth) ==
        "qdisc add dev virbr1 root handle 1: htb default 1\n"
        "class add dev virbr1 parent 1: classid 1:1 htb rate 1000kbps ceil 2000kbps burst 1024kb\n"
        "qdisc add dev virbr1 ingress\n"
        "filter add dev virbr1 parent ffff: protocol all u32 match u32 0 0 police rate 300kbps burst 300kb mtu 64kb drop flowid "
        ":1\n");
    CHECK(bandwidth_batch("virbr1", {}).empty());
    CHECK(shared_bandwidth_batch("virbr1", *network.bandwidth)
              .starts_with("qdisc add dev virbr1 root handle 1: htb default 2\n"
                           "class add dev virbr1 parent 1: classid 1:1 htb rate 1000kbps ceil 2000kbps burst 1024kb\n"
                           "class add dev virbr1 parent 1:1 classid 1:2 htb rate 1000kbps ceil 2000kbps\n"));
}

TEST_CASE("a promise takes from what all others share") {
    xml::BandwidthRate limit;
    limit.average = xml::Rate{1000};
    const Promise promise{10, *xml::MacAddress::parse("52:54:00:0a:0b:0c"), 300};
    const std::string filter = "filter add dev br parent 1: protocol all prio 10 u32 match u16 0x5254 0xffff at -14 "
                               "match u32 0x000a0b0c 0xffffffff at -12 flowid 1:a\n";
    CHECK(promise_batch("br", limit, promise, 700) ==
          "class add dev br parent 1:1 classid 1:a htb rate 300kbps ceil 1000kbps\n" + filter +
              "class change dev br parent 1:1 classid 1:2 htb rate 300kbps ceil 1000kbps\n");
    limit.peak = xml::Rate{2000};
    CHECK(promise_batch("br", limit, promise, 2000).ends_with("classid 1:2 htb rate 1kbps ceil 2000kbps\n"));
}
