#include "tests/catch.hpp"
#include "xml/domain/domain.hpp"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <pugixml.hpp>
#include <set>

namespace lodge::xml {

namespace {

const ReadOptions everything{.live = true, .private_ = true, .checked = true, .from = From::domain};
constexpr WriteOptions all_facts{.live = true, .secret = true, .private_ = true};

void collect_elements(pugi::xml_node node, std::set<std::string>& names) {
    if (std::string_view(node.name()) == "element")
        if (const auto name = node.attribute("name")) names.insert(name.value());
    for (const auto child : node.children()) collect_elements(child, names);
}

} // namespace

TEST_CASE("random domains read back as they were written") {
    unsigned refused = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
        Random random(seed);
        const auto text = format(random_value<Domain>(random), domain_root, all_facts);
        INFO("seed " << seed);
        try {
            const auto first = format(parse<Domain>(text, domain_root, everything), domain_root, all_facts);
            const auto second = format(parse<Domain>(first, domain_root, everything), domain_root, all_facts);
            REQUIRE(first == second);
        } catch (const rpc::Error& error) {
            INFO(error.message());
            ++refused; // not every random value can be spelled
            CHECK(error.from() != From::none);
        }
    }
    std::cout << fmt::format("random domains: {} of 400 refused for their spelling\n", refused);
    CHECK(refused < 400);
}

TEST_CASE("what libvirtd wrote of a guest reads back to the letter") {
    const auto folder = std::filesystem::path(LODGE_SOURCE_DIR) / "xml/domain/golden";
    const auto content = [&](const char* name) {
        std::ifstream in(folder / name);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    const auto running = content("running.xml"), stored = content("stored.xml");
    REQUIRE(!running.empty());
    REQUIRE(!stored.empty());
    const auto live = parse_domain(running, {.live = true});
    CHECK(format_domain(live, {.live = true, .secret = true}) == running);
    CHECK(format_domain(parse_domain(stored, {}), {.live = false, .secret = true}) == stored);

    const auto again = format_domain(live, {.live = false});
    CHECK(again.starts_with("<domain type='qemu' xmlns:qemu="));
    CHECK(again.find("passwd=") == std::string::npos);
    CHECK(again.find("<alias name='ua-mine'/>") != std::string::npos);
    CHECK(again.find("<alias name='virtio") == std::string::npos);
    CHECK(again.find("/dev/pts/") == std::string::npos);
    CHECK(compare(live, live, domain_root, Mark::none).empty());
}

TEST_CASE("descriptions know the elements of libvirt's schema") {
    const std::filesystem::path schema = "/usr/share/libvirt/schemas/domaincommon.rng";
    pugi::xml_document document;
    if (!document.load_file(schema.c_str())) {
        WARN("skipped: no " << schema);
        return;
    }
    std::set<std::string> wanted, known;
    collect_elements(document, wanted);
    for (const auto& path : outline<Domain>(domain_root)) {
        const auto step = path.substr(path.rfind('/') + 1);
        known.insert(step.substr(step.find(':') + 1)); // the schema names "commandline" in qemu's namespace
    }
    std::string missing;
    std::size_t count = 0;
    for (const auto& name : wanted)
        if (!known.contains(name)) missing += " " + name, ++count;
    std::cout << fmt::format("elements of the schema: {} of {} described; missing:{}\n", wanted.size() - count, wanted.size(),
                             missing);
    CHECK(wanted.size() - count >= wanted.size() * 85 / 100);
}

TEST_CASE("arbitrary bytes are refused, never worse") {
    const std::string good =
        "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices><disk type='file'>"
        "<source file='/x'/><target dev='hda'/></disk></devices></domain>";
    Random random(7);
    for (unsigned i = 0; i < 3000; ++i) {
        auto text = good;
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const auto at = random() % text.size();
            if (random() % 3 == 0)
                text.erase(at, random() % 20);
            else if (random() % 2)
                text[at] = static_cast<char>(random());
            else
                text.insert(at, text.substr(random() % text.size(), random() % 30));
        }
        try {
            parse_domain(text, {});
        } catch (const rpc::Error& error) {
            CHECK_FALSE(error.message().empty());
        }
    }
}

} // namespace lodge::xml
