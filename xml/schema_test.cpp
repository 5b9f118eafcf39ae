#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include "xml/schema.hpp"
#include <filesystem>

namespace lodge::xml {

namespace {

std::string refusal(std::string_view text, const char* schema) {
    try {
        validate_schema(text, schema);
    } catch (const rpc::Error& error) {
        CHECK(error.code() == rpc::Code::xml_invalid_schema);
        CHECK(error.from() == rpc::From::xml);
        return error.message();
    }
    return {};
}

std::string domain_with(std::string_view devices) {
    return fmt::format("<domain type='qemu'>\n<name>a</name>\n<memory>1024</memory>\n<os><type>hvm</type></os>\n"
                       "<devices>\n{}\n</devices>\n</domain>",
                       devices);
}

} // namespace

TEST_CASE("documents are validated against libvirt's schemas") {
    if (!std::filesystem::exists(std::string(schema_folder) + "/domain.rng")) {
        WARN("skipped: libvirt's schemas are not installed");
        return;
    }
    CHECK(refusal(domain_with("<watchdog model='i6300esb' action='reset'/>"), "domain.rng").empty());
    CHECK(refusal("<secret ephemeral='no' private='no'/>", "secret.rng").empty());
    CHECK(refusal("no XML", "domain.rng").empty());

    const auto word = refusal(domain_with("<watchdog model='i6300esb' action='reset'/>\n<watchdog model='x'/>"), "domain.rng");
    CHECK(word.starts_with("XML document failed to validate against schema: Unable to validate doc against "
                           "/usr/share/libvirt/schemas/domain.rng\nExtra element devices in interleave\n"));
    CHECK(word.find("The fault lies in element 'watchdog' (line 7)") != std::string::npos);
    const auto attribute = refusal(domain_with("<memballoon model='virtio' nonsense='1'/>"), "domain.rng");
    CHECK(attribute.find("The fault lies in attribute 'nonsense' of element 'memballoon' (line 6)") != std::string::npos);
}

} // namespace lodge::xml
