// Every pool and volume of the corpus, with what libvirt answers to it. Set LODGE_CORPUS to its folder.
#include "tests/catch.hpp"
#include "xml/pool.hpp"
#include "xml/volume.hpp"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>

using namespace lodge;
namespace fs = std::filesystem;

static std::string slurp(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// The backends that Debian's libvirt has no packages of are not recorded beyond their refusal.
static std::string missing_backend(xml::PoolType type) {
    return fmt::format("error 1: internal error: missing backend for pool type {} ({})", static_cast<int>(type), xml::word(type));
}

// The recorded answer: the document, or "error CODE: TEXT".
static std::string recorded(const fs::path& stem) {
    if (const fs::path out = stem.string() + ".out.xml"; fs::exists(out)) return slurp(out);
    const auto json = slurp(stem.string() + ".error.json");
    std::smatch code, text;
    std::regex_search(json, code, std::regex("\"code\"\\s*:\\s*(\\d+)"));
    std::regex_search(json, text, std::regex("\"msg\"\\s*:\\s*\"(.*)\""));
    return fmt::format("error {}: {}", code.str(1), text.str(1));
}

static std::string answer(auto work) {
    try {
        return work();
    } catch (const rpc::Error& error) {
        return fmt::format("error {}: {}", static_cast<int>(error.code()), error.message());
    }
}

struct Tally {
    int good = 0, all = 0;
    void expect(const std::string& name, const std::string& wanted, const std::string& found) {
        ++all;
        if (wanted == found)
            ++good;
        else
            UNSCOPED_INFO(name << "\nwanted: " << wanted << "\nfound:  " << found);
        if (wanted != found && std::getenv("LODGE_CORPUS_VERBOSE"))
            std::cerr << "== " << name << "\nwanted: " << wanted << "\nfound:  " << found << "\n";
    }
};

static std::vector<fs::path> stems(const char* folder) {
    const char* corpus = std::getenv("LODGE_CORPUS");
    std::vector<fs::path> found;
    if (!corpus || !fs::exists(fs::path(corpus) / folder)) return found;
    for (const auto& entry : fs::directory_iterator(fs::path(corpus) / folder))
        if (const auto path = entry.path().string(); path.ends_with(".in.xml"))
            found.emplace_back(path.substr(0, path.size() - 7));
    std::ranges::sort(found);
    return found;
}

static std::string define_pool(const std::string& text) {
    using enum xml::PoolType;
    const auto pool = xml::parse_pool(text);
    for (const auto type : {iscsi_direct, rbd, sheepdog, gluster, zfs, vstorage})
        if (pool.type == type) return missing_backend(type);
    return xml::format_pool(pool);
}

TEST_CASE("pools of the corpus are answered as libvirt does", "[corpus]") {
    Tally tally;
    for (const char* folder : {"storagepoolxml2xmlin", "storagepoolxml2xmlout"})
        for (const auto& stem : stems(folder))
            tally.expect(stem, recorded(stem), answer([&] { return define_pool(slurp(stem.string() + ".in.xml")); }));
    if (!tally.all) {
        WARN("skipped: LODGE_CORPUS does not name the corpus");
        return;
    }
    CHECK(tally.good * 100 >= tally.all * 99);
}

// Facts that only the made file has.
static std::string without_file_facts(const std::string& text) {
    static const std::regex facts("\\s*<(capacity|allocation|physical|key|path|mode|owner|group|[amcb]time)[ >][^\n]*");
    static const std::regex type("<volume type='[a-z]+'>"), emptied("\\s*<(permissions|timestamps)>\\s*</\\1>");
    auto rest = std::regex_replace(std::regex_replace(text, type, "<volume>"), facts, "");
    return std::regex_replace(std::regex_replace(rest, emptied, ""), std::regex("\\s*<label>[^\n]*|\\s*<permissions/>"), "");
}

TEST_CASE("volumes of the corpus are understood as libvirt does", "[corpus]") {
    Tally tally;
    for (const char* folder : {"storagevolxml2xmlin", "storagevolxml2xmlout"})
        for (const auto& stem : stems(folder)) {
            const auto create = [&] {
                return without_file_facts(xml::format_volume(xml::parse_volume(
                    slurp(stem.string() + ".in.xml"), xml::PoolType::dir, xml::CapacityRule::optional_with_backing)));
            };
            tally.expect(stem, without_file_facts(recorded(stem)), without_file_facts(answer(create)));
        }
    if (tally.all) CHECK(tally.good * 100 >= tally.all * 99);
}
