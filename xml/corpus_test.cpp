// libvirt's own documents: what libvirtd wrote must read back to the letter, what it accepted must be accepted.
// LODGE_CORPUS names the folder; without it these tests are skipped.
#include "tests/catch.hpp"
#include "xml/domain/domain.hpp"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>

namespace lodge::xml {

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bool is_domain(const std::string& text) { return text.starts_with("<domain ") || text.starts_with("<domain>"); }

// The first line that differs, with values taken out, so that like differences count together.
std::string first_difference(const std::string& expected, const std::string& actual) {
    static const std::regex values("'[^']*'|>[^<]+<");
    std::istringstream a(expected), b(actual);
    std::string wanted, got;
    while (std::getline(a, wanted) && std::getline(b, got) && wanted == got) {
    }
    const auto shape = [](const std::string& line) { return std::string(trim(std::regex_replace(line, values, "'…'"))); };
    if (shape(wanted) == shape(got)) return fmt::format("{} != {}", trim(wanted), trim(got));
    return fmt::format("{} != {}", shape(wanted), shape(got));
}

struct Count {
    unsigned good = 0, all = 0;
};

struct Tally {
    std::map<std::string, Count> folders;
    std::map<std::string, std::vector<std::string>> causes;

    void note(const fs::path& file, const std::string& cause) {
        auto& count = folders[file.parent_path().filename()];
        ++count.all;
        if (cause.empty()) return void(++count.good);
        causes[cause].push_back(file.stem().stem());
    }

    double report(const char* title) const {
        Count sum;
        for (const auto& [folder, count] : folders) {
            std::cout << fmt::format("{}: {}: {} of {}\n", title, folder, count.good, count.all);
            sum.good += count.good, sum.all += count.all;
        }
        std::vector<std::pair<std::string, std::vector<std::string>>> ranked(causes.begin(), causes.end());
        std::ranges::sort(ranked, [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
        const auto* limit = std::getenv("LODGE_CORPUS_CAUSES");
        ranked.resize(std::min<std::size_t>(ranked.size(), limit ? std::strtoul(limit, nullptr, 10) : 10));
        for (const auto& [cause, files] : ranked)
            std::cout << fmt::format("  {} × {} ({})\n", files.size(), cause, files.front());
        return sum.all == 0 ? 1 : static_cast<double>(sum.good) / sum.all;
    }
};

std::vector<fs::path> corpus_files(std::string_view suffix) {
    std::vector<fs::path> files;
    const auto* corpus = std::getenv("LODGE_CORPUS");
    if (!corpus) {
        WARN("skipped: LODGE_CORPUS does not name the corpus");
        return files;
    }
    for (const auto& entry : fs::recursive_directory_iterator(corpus))
        if (entry.path().string().ends_with(suffix)) files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

} // namespace

TEST_CASE("libvirt's normal form of domains reads back to the letter") {
    Tally tally;
    for (const auto& file : corpus_files(".out.xml")) {
        const auto text = content(file);
        if (!is_domain(text)) continue;
        try {
            const auto domain = parse_domain(text, {});
            const auto again = format_domain(domain, {.live = false, .secret = true});
            tally.note(file, again == text ? "" : first_difference(text, again));
        } catch (const rpc::Error& error) {
            tally.note(file, error.message());
        }
    }
    CHECK(tally.report("round trip") >= 0.97);
}

TEST_CASE("domains that libvirt accepts are accepted") {
    Tally tally;
    for (const auto& file : corpus_files(".in.xml")) {
        auto answer = file;
        answer.replace_extension().replace_extension("out.xml");
        if (!fs::exists(answer) || !is_domain(content(answer))) continue;
        const auto text = content(file);
        if (text.find("<domain") == std::string::npos || text.find("<domainsnapshot") != std::string::npos) continue;
        try {
            parse_domain(text, {});
            tally.note(file, "");
        } catch (const rpc::Error& error) {
            tally.note(file, error.message());
        }
    }
    CHECK(tally.report("accepted") >= 0.99);
}

} // namespace lodge::xml
