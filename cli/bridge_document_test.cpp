#include "cli/bridge_document.hpp"
#include "cli/xml_query.hpp"
#include "tests/catch.hpp"

using namespace lodge::cli;

namespace {
constexpr const char* device = R"(<interface type='ethernet' name='eth0'><start mode='onboot'/><protocol family='ipv4'>
<ip address='192.0.2.1' prefix='24'/></protocol><link speed='1000' state='up'/><mac address='52:54:00:00:00:01'/></interface>)";
}

TEST_CASE("a bridge takes the addresses, the device keeps its MAC") {
    auto text = bridge_document(device, "eth0", "br0", true, 2);
    auto document = parse_document(text, "bridge");
    CHECK(document.select_node("/interface[@type='bridge'][@name='br0']/protocol/ip[@address='192.0.2.1']"));
    CHECK(document.select_node("/interface/bridge[@stp='on'][@delay='2']/interface[@type='ethernet'][@name='eth0']/mac"));
    CHECK_FALSE(document.select_node("//link"));
    CHECK_FALSE(document.select_node("/interface/mac"));
    CHECK_THROWS(bridge_document(text, "br0", "br1", true, 0));
    CHECK_THROWS(bridge_document(device, "eth1", "br0", true, 0));
}

TEST_CASE("unbridging gives the device its addresses back") {
    auto member = member_document(bridge_document(device, "eth0", "br0", false, 0), "br0");
    CHECK(member.name == "eth0");
    auto document = parse_document(member.xml, "device");
    CHECK(document.select_node("/interface[@type='ethernet'][@name='eth0']/protocol/ip[@address='192.0.2.1']"));
    CHECK(document.select_node("/interface/mac[@address='52:54:00:00:00:01']"));
    CHECK_FALSE(document.select_node("//bridge"));
    CHECK_THROWS(member_document(device, "eth0"));
    CHECK_THROWS(member_document("<interface type='bridge' name='br0'><bridge/></interface>", "br0"));
}
