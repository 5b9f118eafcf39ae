#include "drivers/network/dnsmasq_config.hpp"
#include "drivers/network/firewall.hpp"
#include "drivers/network/lease_file.hpp"
#include "drivers/network/network_driver.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace lodge;
using namespace lodge::drivers;
namespace fs = std::filesystem;

static const xml::Network& example() {
    static const auto network = xml::parse_network(R"(
<network ipv6='yes'><name>n1</name><bridge name='virbr5'/><domain name='x.y' localOnly='yes'/><mtu size='1400'/>
  <forward mode='nat' dev='eth1'><nat ipv6='yes'><address start='1.2.3.4' end='1.2.3.9'/></nat></forward>
  <dns forwardPlainNames='no'>
    <forwarder domain='a.b' addr='1.1.1.1'/><forwarder addr='8.8.8.8'/><forwarder domain='c.d'/>
    <txt name='q' value='v'/>
    <srv service='a' protocol='tcp' domain='dd' target='tt' port='5' priority='6' weight='7'/>
    <host ip='10.1.1.1'><hostname>q</hostname><hostname>q2</hostname></host>
  </dns>
  <ip address='10.1.1.1' prefix='24' localPtr='yes'><tftp root='/tmp'/>
    <dhcp><range start='10.1.1.2' end='10.1.1.30'><lease expiry='5'/></range>
      <host mac='52:54:0:1:2:A' ip='10.1.1.9' name='foo'/><bootp file='x' server='10.1.1.3'/></dhcp></ip>
  <ip family='ipv6' address='fd00:1::1' prefix='64' localPtr='yes'>
    <dhcp><range start='fd00:1::5' end='fd00:1::9'/></dhcp></ip>
  <route address='10.2.0.0' prefix='16' gateway='10.1.1.4' metric='4'/>
</network>)");
    return network;
}

TEST_CASE("dnsmasq's configuration is libvirt's, line by line") {
    const auto files = dnsmasq_files(NetworkPaths{}, example());
    CHECK(dnsmasq_conf(example(), files) == R"(##WARNING:  THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
##OVERWRITTEN AND LOST.  Changes to this configuration should be made using:
##    virsh net-edit n1
## or other application using the libvirt API.
##
strict-order
server=/a.b/1.1.1.1
server=8.8.8.8
server=/c.d/#
no-resolv
local=/x.y/
domain=x.y
expand-hosts
local=/1.1.10.in-addr.arpa/
local=/0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa/
domain-needed
local=//
pid-file=/run/libvirt/network/n1.pid
except-interface=lo
bind-dynamic
interface=virbr5
txt-record=q,v
srv-host=_a._tcp.dd,tt,5,6,7
enable-tftp
tftp-root=/tmp
dhcp-range=10.1.1.2,10.1.1.30,255.255.255.0,5m
dhcp-no-override
dhcp-authoritative
dhcp-boot=x,,10.1.1.3
dhcp-range=fd00:1::5,fd00:1::9,64
dhcp-lease-max=34
dhcp-hostsfile=/var/lib/libvirt/dnsmasq/n1.hostsfile
addn-hosts=/var/lib/libvirt/dnsmasq/n1.addnhosts
dhcp-option=option:mtu,1400
enable-ra
)");
    CHECK(dnsmasq_hosts(example()) == "52:54:0:1:2:A,10.1.1.9,foo\n");
    CHECK(dnsmasq_additional_hosts(example()) == "10.1.1.1\tq\tq2\t\n");
}

TEST_CASE("the packet filter of a network is one replacement of one table") {
    CHECK(firewall_rules(example()) == R"(add table inet lodge_virbr5
delete table inet lodge_virbr5
table inet lodge_virbr5 {
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "virbr5" oifname "virbr5" accept comment "guests among themselves"
    iifname "eth1" oifname "virbr5" ip daddr 10.1.1.0/24 ct state established,related accept
    iifname "virbr5" oifname "eth1" ip saddr 10.1.1.0/24 accept
    iifname "eth1" oifname "virbr5" ip6 daddr fd00:1::/64 ct state established,related accept
    iifname "virbr5" oifname "eth1" ip6 saddr fd00:1::/64 accept
    oifname "virbr5" reject
    iifname "virbr5" reject
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.1.1.0/24 ip daddr 224.0.0.0/24 return
    ip saddr 10.1.1.0/24 ip daddr 255.255.255.255 return
    ip saddr 10.1.1.0/24 ip daddr != 10.1.1.0/24 oifname "eth1" meta l4proto { tcp, udp } snat ip to 1.2.3.4-1.2.3.9:1024-65535
    ip saddr 10.1.1.0/24 ip daddr != 10.1.1.0/24 oifname "eth1" snat ip to 1.2.3.4-1.2.3.9
    ip6 saddr fd00:1::/64 ip6 daddr ff02::/16 return
    ip6 saddr fd00:1::/64 ip6 daddr != fd00:1::/64 oifname "eth1" meta l4proto { tcp, udp } masquerade to :1024-65535
    ip6 saddr fd00:1::/64 ip6 daddr != fd00:1::/64 oifname "eth1" masquerade
  }
}
)");
    CHECK(firewall_rules(example(), TableThere::no).starts_with("create table inet lodge_virbr5\ntable inet lodge_virbr5 {\n"));
    auto open = example();
    open.forward->mode = xml::ForwardMode::open;
    CHECK(firewall_rules(open).empty());
    CHECK(firewall_rules(open, TableThere::no).empty());
    auto hostile = example();
    hostile.bridge->name = "x\"; flush ruleset; #";
    CHECK_THROWS_AS(firewall_rules(hostile), rpc::Error);
}

TEST_CASE("the leases helper keeps what dnsmasq tells it") {
    const fs::path folder = fs::temp_directory_path() / fmt::format("lodge-leases-{}", getpid());
    fs::create_directories(folder);
    const auto file = (folder / "virbr0.status").string();
    std::map<std::string, std::string> variables = {{"LODGE_LEASE_FILE", file}, {"DNSMASQ_LEASE_EXPIRES", "4102444800"}};
    const auto call = [&](std::vector<std::string> words) {
        std::string out;
        const auto env = [&](const char* name) { return variables.contains(name) ? variables[name].c_str() : nullptr; };
        REQUIRE(lease_helper(words, env, out) == 0);
        return out;
    };
    CHECK(call({"init"}).empty());
    variables["DNSMASQ_CLIENT_ID"] = "01:52:54:00:00:00:01";
    call({"add", "52:54:00:00:00:01", "192.168.122.5", "one"});
    variables.erase("DNSMASQ_CLIENT_ID");
    call({"add", "52:54:00:00:00:02", "192.168.122.6"});
    variables["DNSMASQ_SERVER_DUID"] = "00:01:00:01";
    variables["DNSMASQ_IAID"] = "77";
    variables["DNSMASQ_MAC"] = "52:54:00:00:00:03";
    call({"add", "00:04:aa", "fd00::7", "six"});
    call({"arp-add", "52:54:00:00:00:02", "192.168.122.6"});
    CHECK(call({"init"}) == "4102444800 52:54:00:00:00:01 192.168.122.5 one 01:52:54:00:00:00:01\n"
                            "4102444800 52:54:00:00:00:02 192.168.122.6 * *\n"
                            "duid 00:01:00:01\n"
                            "4102444800 77 fd00::7 six 00:04:aa\n");
    call({"del", "52:54:00:00:00:02", "192.168.122.6"});
    const auto leases = read_leases(file);
    REQUIRE(leases.size() == 2);
    CHECK(leases[1].mac == "52:54:00:00:00:03");
    std::ofstream(file) << "{broken";
    CHECK_THROWS_AS(read_leases(file), rpc::Error);
    fs::remove_all(folder);
}

// The corpus has libvirt's files as a sorted set of lines, without comments, and with paths and domains of other options hidden
// as PATH.
static std::vector<std::string> comparable(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line.starts_with("#") || line.starts_with("pid-file=")) continue;
        if (const auto slash = line.find("=/"); slash != std::string::npos) line = line.substr(0, slash) + "=PATH";
        lines.push_back(line);
    }
    std::ranges::sort(lines);
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
    return lines;
}

static std::vector<std::string> lines(const nlohmann::json& json, const char* name) {
    return json.value(name, std::vector<std::string>{});
}

TEST_CASE("dnsmasq's files of the corpus", "[corpus]") {
    const char* corpus = std::getenv("LODGE_CORPUS");
    if (!corpus) {
        WARN("skipped: LODGE_CORPUS does not name the corpus");
        return;
    }
    int all = 0;
    for (const char* folder : {"networkxml2confdata", "networkxml2firewalldata", "networkxml2xmlin", "networkxml2xmlout"}) {
        for (const auto& entry : fs::directory_iterator(fs::path(corpus) / folder)) {
            const auto path = entry.path().string();
            if (!path.ends_with(".start.value.json")) continue;
            const auto wanted = nlohmann::json::parse(std::ifstream(path))["dnsmasq"];
            std::ostringstream text;
            text << std::ifstream(path.substr(0, path.size() - 17) + ".in.xml").rdbuf();
            auto network = xml::parse_network(text.str());
            if (network.has_own_bridge() && network.bridge->name.empty()) network.bridge->name = "virbr0";
            INFO(path);
            REQUIRE(needs_dnsmasq(network) == (wanted.contains("conf") && !wanted["conf"].empty()));
            if (!needs_dnsmasq(network)) continue;
            ++all;
            CHECK(comparable(dnsmasq_conf(network, dnsmasq_files(NetworkPaths{}, network))) == lines(wanted, "conf"));
            CHECK(comparable(dnsmasq_hosts(network)) == lines(wanted, "dhcp-hostsfile"));
            CHECK(comparable(dnsmasq_additional_hosts(network)) == lines(wanted, "addn-hosts"));
        }
    }
    CHECK(all > 30);
}
