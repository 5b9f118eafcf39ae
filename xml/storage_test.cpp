#include "tests/catch.hpp"
#include "xml/volume.hpp"

using namespace lodge;
using rpc::Code;

TEST_CASE("random pools and volumes survive writing and reading") {
    xml::Random random(20261125);
    xml::ReadOptions options;
    options.live = true;
    for (int i = 0; i < 300; ++i) {
        const auto pool = xml::format(xml::random_value<xml::Pool>(random), "pool");
        CHECK(xml::format(xml::parse<xml::Pool>(pool, "pool", options), "pool") == pool);
        const auto volume = xml::format(xml::random_value<xml::Volume>(random), "volume");
        CHECK(xml::format(xml::parse<xml::Volume>(volume, "volume", options), "volume") == volume);
    }
}

TEST_CASE("paths of pools are cleaned") {
    CHECK(xml::clean_path("///a//b///") == "/a/b");
    CHECK(xml::clean_path("//a//b/") == "//a/b");
    CHECK(xml::clean_path("//") == "//");
    CHECK(xml::clean_path("/") == "/");
    CHECK(xml::clean_path("///") == "/");
    CHECK(xml::clean_path("relative//path/") == "relative/path");
    CHECK(xml::clean_path("nbd://host//x/") == "nbd://host//x/");
    CHECK(xml::clean_path("") == "");
}

static std::string pool(const std::string& type, const std::string& inside) {
    return "<pool type='" + type + "'><name>p</name>" + inside + "</pool>";
}

static void check_refused(Code code, const std::string& words, auto work) {
    INFO(words);
    try {
        work();
        FAIL_CHECK("accepted");
    } catch (const rpc::Error& error) {
        CHECK(error.code() == code);
        CHECK_THAT(error.message(), Catch::Contains(words));
    }
}

TEST_CASE("broken pools are refused in libvirt's words") {
    const auto refused = [](Code code, const std::string& words, const std::string& text) {
        check_refused(code, words, [&] { xml::parse_pool(text); });
    };
    const std::string target = "<target><path>/x</path></target>";
    refused(Code::xml_error, "missing storage pool target path", pool("dir", ""));
    refused(Code::xml_error, "cannot contain '/'", "<pool type='dir'><name>a/b</name>" + target + "</pool>");
    refused(Code::xml_error, "missing pool source name element", "<pool type='dir'>" + target + "</pool>");
    refused(Code::xml_error, "malformed uuid element", pool("dir", "<uuid>nonsense</uuid>" + target));
    refused(Code::xml_error, "Invalid value for attribute 'type' in element 'pool'", pool("heap", target));
    refused(Code::xml_error, "missing storage pool source device name", pool("fs", target));
    refused(Code::config_unsupported, "unknown pool format type zip",
            pool("fs", "<source><device path='/d'/><format type='zip'/></source>" + target));
    refused(Code::xml_error, "missing storage pool source host name",
            pool("netfs", "<source><dir path='/d'/></source>" + target));
    refused(Code::xml_error, "missing storage pool source adapter", pool("scsi", target));
    refused(Code::xml_error, "Either 'name' or 'parent' must be specified",
            pool("scsi", "<source><adapter type='scsi_host'/></source>" + target));
    refused(Code::no_support, "cow feature",
            pool("netfs", "<features><cow state='no'/></features><source><host name='h'/>"
                          "<dir path='/d'/></source>" +
                              target));
    refused(Code::xml_error, "malformed octal mode",
            pool("dir", "<target><path>/x</path><permissions><mode>0999</mode></permissions></target>"));
    refused(Code::config_unsupported, "missing initiator IQN",
            pool("iscsi-direct", "<source><host name='h'/><device path='d'/></source>"));
    refused(Code::config_unsupported, "unknown storage pool volume refresh allocation type half",
            pool("dir", target + "<refresh><volume allocation='half'/></refresh>"));
}

TEST_CASE("broken volumes are refused in libvirt's words") {
    const auto refused = [](Code code, const std::string& words, const std::string& inside) {
        check_refused(code, words, [&] {
            xml::parse_volume("<volume>" + inside + "</volume>", xml::PoolType::dir, xml::CapacityRule::optional_with_backing);
        });
    };
    refused(Code::xml_error, "missing volume name element", "<capacity>1</capacity>");
    refused(Code::xml_error, "missing capacity element", "<name>v</name>");
    refused(Code::xml_error, "malformed capacity element", "<name>v</name><capacity>much</capacity>");
    refused(Code::invalid_arg, "unknown suffix 'parsec'", "<name>v</name><capacity unit='parsec'>1</capacity>");
    refused(Code::overflow, "value too large", "<name>v</name><capacity unit='E'>9000</capacity>");
    refused(Code::config_unsupported, "unknown volume format type none",
            "<name>v</name><capacity>1</capacity><target><format type='none'/></target>");
    refused(Code::xml_error, "forbidden characters in 'compat' attribute",
            "<name>v</name><capacity>1</capacity><target><compat>new</compat></target>");
    refused(Code::xml_error, "missing secret uuid or usage attribute",
            "<name>v</name><capacity>1</capacity><target><encryption format='luks'><secret "
            "type='passphrase'/></encryption></target>");
    const auto volume = xml::parse_volume("<volume><name>v</name><backingStore><path>b</path></backingStore>"
                                          "<target><features><lazy_refcounts/></features></target></volume>",
                                          xml::PoolType::dir, xml::CapacityRule::optional_with_backing);
    CHECK(volume.target.compat == "1.1");
    CHECK(volume.backing->format == "raw");
    CHECK(!volume.capacity);
}
