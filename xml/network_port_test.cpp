#include "tests/catch.hpp"
#include "xml/network_port.hpp"

using namespace lodge;
using rpc::Code;

TEST_CASE("random network ports survive writing and reading") {
    xml::Random random(20261125);
    for (int i = 0; i < 300; ++i) {
        const auto text = xml::format(xml::random_value<xml::NetworkPort>(random), "networkport");
        INFO(text);
        CHECK(xml::format(xml::parse<xml::NetworkPort>(text, "networkport"), "networkport") == text);
    }
}

static const std::string start = "<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid><owner><name>o</name>"
                                 "<uuid>3d3a2e7d-4a7d-4b1e-9b6a-0fbb0fbf2f6d</uuid></owner><mac address='52:54:0:a:b:c'/>";

static std::string completed(const std::string& more, const std::string& network) {
    auto port = xml::parse_network_port(start + more + "</networkport>");
    xml::complete_network_port(port, xml::parse_network("<network><name>n</name>" + network + "</network>"));
    const auto text = xml::format_network_port(port);
    CHECK(xml::format_network_port(xml::parse_network_port(text)) == text);
    return text;
}

TEST_CASE("a network decides how its ports are plugged") {
    CHECK(completed("<group>g</group>", "<bridge name='virbr7' macTableManager='libvirt'/><port isolated='yes'/>"
                                        "<portgroup name='g'><bandwidth><inbound average='7'/></bandwidth></portgroup>") ==
          R"(<networkport>
  <uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid>
  <owner>
    <name>o</name>
    <uuid>3d3a2e7d-4a7d-4b1e-9b6a-0fbb0fbf2f6d</uuid>
  </owner>
  <group>g</group>
  <mac address='52:54:00:0a:0b:0c'/>
  <bandwidth>
    <inbound average='7'/>
  </bandwidth>
  <port isolated='yes'/>
  <plug type='network' bridge='virbr7' macTableManager='libvirt'/>
</networkport>
)");
    const auto has = [&](const std::string& network, const char* plug) {
        INFO(network);
        CHECK(completed("", network).find(plug) != std::string::npos);
    };
    has("<forward mode='bridge'/><bridge name='br0'/>", "<plug type='bridge' bridge='br0'/>");
    has("<forward mode='vepa'><interface dev='eth7'/></forward>", "<plug type='direct' dev='eth7' mode='vepa'/>");
    has("<forward mode='hostdev' managed='yes'><address type='pci' domain='0' bus='3' slot='1' function='2'/></forward>",
        "<address domain='0x0000' bus='0x03' slot='0x01' function='0x2'/>");
}

TEST_CASE("broken network ports are refused") {
    const auto refused = [](const std::string& text, Code code) {
        INFO(text);
        try {
            xml::parse_network_port(text);
            FAIL_CHECK("accepted");
        } catch (const rpc::Error& error) {
            CHECK(error.code() == code);
        }
    };
    refused("<networkport/>", Code::internal_error);
    refused("<networkport><uuid>x</uuid></networkport>", Code::internal_error);
    refused(start + "<plug type='bridge'/></networkport>", Code::xml_error);
    refused(start + "<plug type='x'/></networkport>", Code::xml_error);
    refused(start + "<plug type='hostdev-pci'/></networkport>", Code::xml_error);
    CHECK_THROWS_AS(completed("<virtualport type='openvswitch'/>", "<bridge name='b'/>"), rpc::Error);
}
