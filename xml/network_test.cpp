#include "tests/catch.hpp"
#include "xml/interface.hpp"
#include "xml/network.hpp"

using namespace lodge;
using Command = xml::NetworkUpdateCommand;
using Section = xml::NetworkUpdateSection;

TEST_CASE("random networks and interfaces survive writing and reading") {
    xml::Random random(20261121);
    for (int i = 0; i < 300; ++i) {
        const auto network = xml::random_value<xml::Network>(random);
        const auto text = xml::format(network, "network");
        xml::ReadOptions options;
        options.live = true;
        CHECK(xml::format(xml::parse<xml::Network>(text, "network", options), "network") == text);
    }
}

TEST_CASE("addresses are written in their normal form") {
    CHECK(xml::IpAddress("2001:DB8:0:0::1").text() == "2001:db8::1");
    CHECK_FALSE(xml::IpAddress("300.1.1.1").valid());
    CHECK(xml::IpAddress("300.1.1.1").text() == "300.1.1.1");
    CHECK(xml::IpAddress("192.168.122.77").network(24).text() == "192.168.122.0");
    CHECK(xml::IpAddress("192.168.122.77").broadcast(24).text() == "192.168.122.255");
    CHECK(xml::IpAddress("255.255.240.0").as_netmask() == 20U);
    CHECK_FALSE(xml::IpAddress("255.0.255.0").as_netmask());
    CHECK(xml::IpAddress::netmask_v4(20).text() == "255.255.240.0");
    CHECK(xml::range_size(xml::IpAddress("10.0.0.1"), xml::IpAddress("10.0.1.0")) == 256U);
    CHECK_FALSE(xml::range_size(xml::IpAddress("10.0.0.2"), xml::IpAddress("10.0.0.1")));
    CHECK(xml::MacAddress::parse("52:54:0:a:B:cc")->text() == "52:54:00:0a:0b:cc");
    for (const char* bad :
         {"", "52:54:00:0a:0b", "52:54:00:0a:0b:cc:", "52-54-00-0a-0b-cc", "zz:54:00:0a:0b:cc", "525:4:00:0a:0b:cc"})
        CHECK_FALSE(xml::MacAddress::parse(bad));
}

TEST_CASE("virNetworkUpdate changes one part or nothing") {
    auto network = xml::parse_network("<network><name>n</name><forward mode='nat'/><ip address='10.1.1.1' prefix='24'>"
                                      "<dhcp><range start='10.1.1.10' end='10.1.1.20'/></dhcp></ip></network>");
    const auto update = [&](Command command, Section section, const char* text, int parent = -1) {
        xml::update_network(network, command, section, parent, text);
    };
    update(Command::add_last, Section::ip_dhcp_host, "<host mac='52:54:00:00:00:01' ip='10.1.1.5'/>");
    update(Command::modify, Section::ip_dhcp_host, "<host mac='52:54:00:00:00:01' ip='10.1.1.6' name='six'/>");
    CHECK(network.ips[0].dhcp->hosts[0].ip.text() == "10.1.1.6");
    update(Command::add_first, Section::ip_dhcp_range, "<range start='10.1.1.30' end='10.1.1.40'/>");
    CHECK(network.ips[0].dhcp->ranges[0].start.text() == "10.1.1.30");
    update(Command::add_last, Section::dns_host, "<host ip='10.1.1.7'><hostname>seven</hostname></host>");
    update(Command::add_last, Section::port_group, "<portgroup name='g' default='yes'/>");
    const auto before = xml::format_network(network);

    const auto refused = [&](rpc::Code code, Command command, Section section, const char* text, int parent = -1) {
        INFO(text);
        try {
            update(command, section, text, parent);
            FAIL_CHECK("accepted");
        } catch (const rpc::Error& error) {
            CHECK(error.code() == code);
        }
        CHECK(xml::format_network(network) == before);
    };
    using rpc::Code;
    refused(Code::operation_invalid, Command::add_last, Section::ip_dhcp_host, "<host mac='52:54:00:00:00:01' ip='10.1.1.8'/>");
    refused(Code::operation_invalid, Command::add_last, Section::ip_dhcp_host, "<host mac='52:54:00:00:00:02' ip='10.1.1.9'/>",
            4);
    refused(Code::operation_unsupported, Command::modify, Section::ip_dhcp_range, "<range start='10.1.1.30' end='10.1.1.41'/>");
    refused(Code::internal_error, Command::add_last, Section::ip_dhcp_range, "<host mac='52:54:00:00:00:02'/>");
    refused(Code::operation_invalid, Command::add_last, Section::dns_host,
            "<host ip='10.1.1.8'><hostname>seven</hostname></host>");
    refused(Code::operation_unsupported, Command::modify, Section::bridge, "<bridge name='x'/>");
    refused(Code::operation_invalid, Command::add_last, Section::port_group, "<portgroup name='h' default='yes'/>");
    refused(Code::operation_invalid, Command::delete_, Section::dns_txt, "<txt name='nobody'/>");
    update(Command::delete_, Section::dns_host, "<host ip='10.1.1.7'/>");
    CHECK_FALSE(network.dns);
}
