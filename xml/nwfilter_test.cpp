#include "tests/catch.hpp"
#include "tests/corpus.hpp"
#include "xml/nwfilter.hpp"

using namespace lodge;
using rpc::Code;

TEST_CASE("random filters and bindings survive writing and reading") {
    xml::Random random(20261125);
    for (int i = 0; i < 300; ++i) {
        const auto filter = xml::format(xml::random_value<xml::Filter>(random), "filter");
        INFO(filter);
        CHECK(xml::format(xml::parse<xml::Filter>(filter, "filter", {.checked = true, .where = {}}), "filter") == filter);
        const auto binding = xml::format(xml::random_value<xml::FilterBinding>(random), "filterbinding");
        CHECK(xml::format(xml::parse<xml::FilterBinding>(binding, "filterbinding"), "filterbinding") == binding);
    }
}

static std::string normal_rule(const std::string& inner, const char* attributes = "action='drop' direction='in'") {
    const auto text =
        xml::format_filter(xml::parse_filter(fmt::format("<filter name='n'><rule {}>{}</rule></filter>", attributes, inner)));
    const auto start = text.find('\n') + 1;
    return text.substr(start, text.rfind("</filter>") - start);
}
static std::string normal(const std::string& inner) {
    auto text = normal_rule(inner);
    text = text.substr(text.find('\n') + 5);
    return text.substr(0, text.rfind("  </rule>"));
}

TEST_CASE("values of rules come out in libvirt's spelling") {
    CHECK(normal("<mac protocolid='2048' srcmacaddr='1:2:3:4:5:6'/>") ==
          "<mac srcmacaddr='01:02:03:04:05:06' protocolid='ipv4'/>\n");
    CHECK(normal("<mac protocolid='0x9000'/>") == "<mac protocolid='0x9000'/>\n");
    CHECK(normal("<arp opcode='0x2' gratuitous='nonsense'/>") == "<arp opcode='Reply' gratuitous='false'/>\n");
    CHECK(normal("<ip protocol='17' srcipmask='255.255.0.0' dscp='0x3f'/>") ==
          "<ip srcipmask='16' protocol='udp' dscp='0x3f'/>\n");
    CHECK(normal("<tcp state='related, new' flags='ack,SYN/syn' srcipaddr='$IP[ @1 ]'/>") ==
          "<tcp srcipaddr='$IP[@1]' state='NEW,RELATED' flags='SYN,ACK/SYN'/>\n");
    CHECK(normal("<udp srcipaddr='$IP[@0]' state='none,new'/>") == "<udp srcipaddr='$IP' state='NONE'/>\n");
    CHECK(normal("<udp ipset='s'/>") == "<udp ipset='s' ipsetflags='src'/>\n");
    CHECK(normal("<all ipset='s' ipsetflags='SRC,dst'/>") == "<all ipset='s' ipsetflags='src,dst'/>\n");
    CHECK(normal("<vlan vlanid='0xfff' encap-protocol='ARP'/>") == "<vlan vlanid='0xfff' encap-protocol='arp'/>\n");
    CHECK(normal("<icmp/>") == "<icmp/>\n");
    CHECK(normal_rule("", "action='drop' direction='inout' priority='5000' statematch='FALSE'") ==
          "  <rule action='drop' direction='inout' priority='500' statematch='false'/>\n");
}

TEST_CASE("elements of a rule are joined, and split by their sign") {
    CHECK(normal("<ip match='no' srcipaddr='10.0.0.1'/><ip dstipaddr='10.0.0.2'/><tcp/>") ==
          "<ip match='no' srcipaddr='10.0.0.1'/>\n    <ip dstipaddr='10.0.0.2'/>\n");
    // The end of a range takes the sign of its beginning.
    CHECK(normal("<tcp match='no' srcportstart='1'/><tcp srcportend='2'/>") ==
          "<tcp match='no' srcportstart='1' srcportend='2'/>\n");
}

TEST_CASE("what is no filter is refused in libvirt's words") {
    const auto refused = [](const std::string& text, Code code, const char* words) {
        INFO(text);
        try {
            xml::parse_filter(text);
            FAIL_CHECK("accepted");
        } catch (const rpc::Error& error) {
            CHECK(error.code() == code);
            CHECK(error.from() == rpc::From::nwfilter);
            CHECK(error.message().find(words) != std::string::npos);
        }
    };
    refused("<filter/>", Code::internal_error, "filter has no name");
    refused("<filter name='n' priority='x'/>", Code::invalid_arg, "Could not parse chain priority 'x'");
    refused("<filter name='n' chain='mac' priority='1001'/>", Code::invalid_arg, "outside valid range");
    refused("<filter name='n' chain='arp-much-too-long'/>", Code::invalid_arg, "longer than 12 characters");
    refused("<filter name='n' chain='arp/'/>", Code::invalid_arg, "invalid characters");
    refused("<filter name='n' chain='tcp'/>", Code::invalid_arg, "Invalid chain name 'tcp'");
    refused("<filter name='n'><uuid>x</uuid></filter>", Code::xml_error, "malformed uuid element");
    const auto rule = [](const std::string& inner) {
        return "<filter name='n'><rule action='drop' direction='in'>" + inner + "</rule></filter>";
    };
    refused("<filter name='n'><rule direction='in'/></filter>", Code::internal_error, "requires action");
    refused("<filter name='n'><rule action='eat' direction='in'/></filter>", Code::config_unsupported, "unknown rule action");
    refused(rule("<tcp srcportstart='65536'/>"), Code::internal_error, "srcportstart has illegal value 65536");
    refused(rule("<tcp flags='SYN'/>"), Code::internal_error, "flags has illegal value SYN");
    refused(rule("<mac srcmacmask='ff:00:ff:00:00:00'/>"), Code::internal_error, "srcmacmask has illegal value");
    refused(rule("<mac protocolid='5'/>"), Code::internal_error, "protocolid has illegal value 5");
    refused(rule("<ip srcipaddr='2001:db8::1'/>"), Code::internal_error, "srcipaddr has illegal value");
    refused(rule("<udp srcipaddr='$IP[x]'/>"), Code::internal_error, "srcipaddr has illegal value $IP[x]");
    refused(rule("<ip srcportstart='1'/>"), Code::internal_error, "IP rule with port specification requires protocol");
    refused("<filter name='n'><filterref/></filter>", Code::internal_error, "names no filter");
}

TEST_CASE("filters of the corpus are answered as libvirt does", "[corpus]") {
    corpus::Tally tally;
    for (const char* folder : {"nwfilterxml2xmlin", "nwfilterxml2xmlout", "nwfilterxml2firewalldata"})
        for (const auto& stem : corpus::stems(folder)) {
            const auto text = corpus::slurp(stem.string() + ".in.xml");
            const auto found = corpus::answer(rpc::From::nwfilter, [&] { return xml::format_filter(xml::parse_filter(text)); });
            tally.expect(stem, corpus::without_words(corpus::recorded(stem)), corpus::without_words(found));
        }
    tally.require(99);
}
