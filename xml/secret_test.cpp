#include "tests/catch.hpp"
#include "tests/corpus.hpp"
#include "xml/secret.hpp"

using namespace lodge;
using rpc::Code;

TEST_CASE("random secrets survive writing and reading") {
    xml::Random random(20261125);
    for (int i = 0; i < 300; ++i) {
        auto secret = xml::random_value<xml::Secret>(random);
        if (secret.use) secret.use->id = secret.use->type == xml::SecretUsage::none ? "" : secret.use->id + "x";
        const auto text = xml::format(secret, "secret");
        CHECK(xml::format(xml::parse<xml::Secret>(text, "secret"), "secret") == text);
    }
}

TEST_CASE("broken secrets are refused in libvirt's words") {
    const auto refused = [](const char* text, Code code, const char* words) {
        INFO(text);
        try {
            xml::parse_secret(text);
            FAIL_CHECK("accepted");
        } catch (const rpc::Error& error) {
            CHECK(error.code() == code);
            CHECK(error.from() == rpc::From::secret);
            CHECK(error.message().find(words) != std::string::npos);
        }
    };
    refused("<secret ephemeral='maybe'/>", Code::xml_error, "invalid value of 'ephemeral'");
    refused("<secret private='maybe'/>", Code::xml_error, "invalid value of 'private'");
    refused("<secret><uuid>12</uuid></secret>", Code::internal_error, "malformed uuid element");
    refused("<secret><usage/></secret>", Code::xml_error, "unknown secret usage type");
    refused("<secret><usage type='x'/></secret>", Code::config_unsupported, "unknown secret usage type x");
    refused("<secret><usage type='volume'><name>x</name></usage></secret>", Code::internal_error, "volume path is missing");
    refused("<secret><usage type='tls'/></secret>", Code::internal_error, "TLS usage specified, but name is missing");
}

TEST_CASE("secrets of the corpus read back to the letter", "[corpus]") {
    for (const auto& stem : corpus::stems("secretxml2xmlin"))
        if (const auto wanted = corpus::slurp(stem.string() + ".out.xml"); !wanted.empty())
            CHECK(xml::format_secret(xml::parse_secret(corpus::slurp(stem.string() + ".in.xml"))) == wanted);
}
