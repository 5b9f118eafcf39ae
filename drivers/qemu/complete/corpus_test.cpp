// Documents with what libvirt made of them (LODGE_CORPUS names the folder): ours must be the same, to the letter.
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/test_context.hpp"
#include "tests/catch.hpp"
#include "xml/domain/domain.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace fs = std::filesystem;
using namespace lodge;
using namespace lodge::drivers::qemu;

namespace {

std::string slurp(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

struct Tally {
    unsigned identical = 0, same_error = 0, wrong = 0;
    std::map<std::string, unsigned> lines; // what differs, by line
    std::vector<std::string> failures;
    unsigned right() const { return identical + same_error; }
    unsigned total() const { return right() + wrong; }
};

std::multiset<std::string> lines_of(const std::string& text) {
    std::multiset<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.insert(line);
    return lines;
}

void note_difference(Tally& tally, const std::string& wanted, const std::string& found) {
    auto missing = lines_of(wanted), extra = lines_of(found);
    for (auto line = missing.begin(); line != missing.end();) {
        if (const auto both = extra.find(*line); both != extra.end()) {
            extra.erase(both);
            line = missing.erase(line);
        } else {
            ++line;
        }
    }
    for (const auto& line : missing) ++tally.lines["- " + line];
    for (const auto& line : extra) ++tally.lines["+ " + line];
    if (missing.empty() && extra.empty()) ++tally.lines["order of lines"];
}

std::string normal_form(const std::string& text, const CompleteContext& ctx) {
    xml::ReadOptions read;
    read.from = rpc::From::domain;
    auto domain = xml::parse_domain(text, read);
    complete(domain, ctx);
    xml::WriteOptions write;
    write.live = false;
    write.secret = true;
    return xml::format_domain(domain, write);
}

void fail_with(Tally& tally, const std::string& name, const std::string& text) {
    ++tally.wrong;
    tally.failures.push_back(name + ": " + text);
}

void check_document(Tally& tally, const fs::path& base, const CompleteContext& ctx) {
    const auto name = base.filename().string();
    const auto expected = fs::path(base.string() + ".out.xml");
    const auto refusal = fs::path(base.string() + ".error.json");
    const bool good = fs::exists(expected);
    if (!good && !fs::exists(refusal)) return;
    try {
        const auto text = normal_form(slurp(base.string() + ".in.xml"), ctx);
        if (!good) return fail_with(tally, name, "accepted, wanted " + slurp(refusal));
        if (text == slurp(expected)) {
            ++tally.identical;
            return;
        }
        note_difference(tally, slurp(expected), text);
        if (const char* dir = std::getenv("LODGE_CORPUS_DUMP")) std::ofstream(fs::path(dir) / (name + ".xml")) << text;
        fail_with(tally, name, "differs");
    } catch (const rpc::Error& error) {
        if (good) return fail_with(tally, name, error.message());
        const auto wanted = nlohmann::json::parse(slurp(refusal));
        if (wanted["code"] == static_cast<int>(error.code())) {
            ++tally.same_error;
            if (std::getenv("LODGE_CORPUS_VERBOSE") &&
                (wanted["msg"] != error.message() || wanted["domain"] != static_cast<int>(error.from())))
                std::cout << name << "\n  " << wanted["domain"] << " " << wanted["msg"] << "\n  "
                          << static_cast<int>(error.from()) << " " << error.message() << "\n";
            return;
        }
        fail_with(tally, name, error.message() + " instead of " + slurp(refusal));
    }
}

Tally check_folder(const fs::path& folder, const CompleteContext& ctx) {
    Tally tally;
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto name = entry.path().string();
        constexpr std::string_view suffix = ".in.xml";
        if (name.ends_with(suffix)) names.insert(name.substr(0, name.size() - suffix.size()));
    }
    for (const auto& name : names) check_document(tally, name, ctx);
    return tally;
}

void report(const std::string& folder, const Tally& tally) {
    std::cout << folder << ": " << tally.identical << " identical, " << tally.same_error << " same error code, " << tally.wrong
              << " wrong\n";
    std::vector<std::pair<unsigned, std::string>> ranked;
    for (const auto& [line, count] : tally.lines) ranked.emplace_back(count, line);
    std::ranges::sort(ranked, std::greater());
    for (std::size_t i = 0; i < ranked.size() && i < 12; ++i)
        std::cout << "  " << ranked[i].first << " × " << ranked[i].second << "\n";
    if (std::getenv("LODGE_CORPUS_VERBOSE"))
        for (const auto& failure : tally.failures) std::cout << "  " << failure << "\n";
}

struct Floor {
    const char* folder;
    unsigned percent; // just below what is reached
};

} // namespace

TEST_CASE("libvirt's documents get libvirt's normal form") {
    const char* corpus = std::getenv("LODGE_CORPUS");
    if (!corpus) {
        WARN("skipped: LODGE_CORPUS is not set");
        return;
    }
    static constexpr Floor floors[] = {{"qemuxml2argvdata", 99},      {"qemuxml2xmloutdata", 99}, {"genericxml2xmlindata", 99},
                                       {"genericxml2xmloutdata", 99}, {"domainschemadata", 99},   {"cpu-in-domain", 99}};
    const auto ctx = debian_context();
    for (const auto& floor : floors) {
        const auto tally = check_folder(fs::path(corpus) / floor.folder, ctx);
        report(floor.folder, tally);
        CHECK(tally.right() * 100 >= tally.total() * floor.percent);
    }
}
