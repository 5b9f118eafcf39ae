// refusals.tsv: broken documents with libvirtd's answer, as code, error domain, document and text.
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/test_context.hpp"
#include "tests/catch.hpp"
#include "xml/domain/domain.hpp"
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

namespace {

constexpr std::string_view start = "<domain type='qemu'><name>a</name><memory>65536</memory>";
constexpr std::string_view os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>";

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == '\t' && fields.size() < 4)
            fields.emplace_back();
        else
            fields.back() += c;
    }
    return fields;
}

std::string document_of(std::string text) {
    if (const auto at = text.find("BASE"); at != std::string::npos) text.replace(at, 4, std::string(start).append(os));
    if (const auto at = text.find("START"); at != std::string::npos) text.replace(at, 5, start);
    return text;
}

} // namespace

TEST_CASE("broken domains are refused in libvirt's words") {
    std::ifstream in(fs::path(LODGE_SOURCE_DIR) / "drivers/qemu/complete/refusals.tsv");
    REQUIRE(in);
    const auto ctx = debian_context();
    unsigned count = 0;
    for (std::string line; std::getline(in, line);) {
        const auto fields = fields_of(line);
        if (fields.size() != 4) continue;
        INFO(fields[2]);
        ++count;
        try {
            auto domain = xml::parse_domain(document_of(fields[2]), {});
            complete(domain, ctx);
            FAIL_CHECK("accepted");
        } catch (const rpc::Error& error) {
            CHECK(std::to_string(static_cast<int>(error.code())) == fields[0]);
            const auto from = error.from() == rpc::from_nobody ? rpc::From::none : error.from();
            CHECK(std::to_string(static_cast<int>(from)) == fields[1]);
            const auto text = error.message();
            const auto place = text.rfind(" (line ");
            CHECK(text.substr(0, place) == fields[3]);
        }
    }
    CHECK(count > 300);
}

} // namespace lodge::drivers::qemu
