// The corpus in unit tests: documents with what libvirt answers to each (LODGE_CORPUS names its folder; without it tests pass
// empty).
#pragma once
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>

namespace lodge::corpus {

namespace fs = std::filesystem;

// Empty when there is no such file.
inline std::string slurp(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// The documents of a folder, without their ".in.xml".
inline std::vector<fs::path> stems(const char* folder) {
    const char* corpus = std::getenv("LODGE_CORPUS");
    std::vector<fs::path> found;
    if (!corpus || !fs::exists(fs::path(corpus) / folder)) return found;
    for (const auto& entry : fs::directory_iterator(fs::path(corpus) / folder))
        if (const auto path = entry.path().string(); path.ends_with(".in.xml"))
            found.emplace_back(path.substr(0, path.size() - 7));
    std::ranges::sort(found);
    return found;
}

inline int number_in(const std::string& json, const std::string& key) {
    std::smatch found;
    return std::regex_search(json, found, std::regex("\"" + key + "\"\\s*:\\s*(-?\\d+)")) ? std::stoi(found[1]) : 0;
}

// An answer as text: the document, or "error CODE of DOMAIN: TEXT" of a refusal; `driver` is the domain of those that name none.
inline std::string answer(rpc::From driver, auto work) {
    try {
        return work();
    } catch (const rpc::Error& error) {
        const auto from = error.from() == rpc::From::none    ? driver
                          : error.from() == rpc::from_nobody ? rpc::From::none
                                                             : error.from();
        return fmt::format("error {} of {}: {}", static_cast<int>(error.code()), static_cast<int>(from), error.message());
    }
}
// The same of what libvirt answered.
inline std::string recorded(const fs::path& stem) {
    if (const fs::path out = stem.string() + ".out.xml"; fs::exists(out)) return slurp(out);
    const auto json = slurp(stem.string() + ".error.json");
    std::smatch text;
    std::regex_search(json, text, std::regex("\"msg\"\\s*:\\s*\"(.*)\""));
    return fmt::format("error {} of {}: {}", number_in(json, "code"), number_in(json, "domain"),
                       std::regex_replace(text.str(1), std::regex("\\\\\""), "\""));
}
// Code and domain alone, for refusals whose words are ours.
inline std::string without_words(const std::string& text) {
    return text.starts_with("error ") ? text.substr(0, text.find(':')) : text;
}

struct Tally {
    int good = 0, all = 0;
    void expect(const std::string& name, const std::string& wanted, const std::string& found) {
        ++all;
        good += wanted == found;
        if (wanted == found) return;
        UNSCOPED_INFO(name << "\nwanted: " << wanted << "\nfound:  " << found);
        if (std::getenv("LODGE_CORPUS_VERBOSE"))
            std::cerr << "== " << name << "\nwanted: " << wanted << "\nfound:  " << found << "\n";
    }
    // At least so many of a hundred.
    void require(int percent) const { CHECK(good * 100 >= all * percent); }
};

} // namespace lodge::corpus
