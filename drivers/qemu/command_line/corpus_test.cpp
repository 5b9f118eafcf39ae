// Compares with what libvirt answered for the documents of the corpus (environment variable LODGE_CORPUS names its folder).
// Options are compared as a set: their order is ours to choose. Descriptor numbers and encrypted secrets differ from call to
// call.
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/firmware.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace lodge;
using namespace lodge::drivers::qemu;

namespace {

std::string slurp(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

// A shell's words: blanks separate, quotes and backslashes keep.
std::vector<std::string> shell_split(const std::string& text) {
    std::vector<std::string> words;
    std::string word;
    bool open = false;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote) {
            if (c == quote)
                quote = 0;
            else if (c == '\\' && quote == '"' && i + 1 < text.size())
                word += text[++i];
            else
                word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            open = true;
        } else if (c == '\\' && i + 1 < text.size()) {
            if (text[++i] != '\n') word += text[i];
            open = true;
        } else if (c == ' ' || c == '\n' || c == '\t') {
            if (open || !word.empty()) words.push_back(word);
            word.clear();
            open = false;
        } else {
            word += c;
        }
    }
    if (open || !word.empty()) words.push_back(word);
    return words;
}

// JSON with sorted members; what differs from call to call is blanked.
std::string normal_value(const std::string& value) {
    if (!value.starts_with('{')) return value;
    auto json = nlohmann::json::parse(value, nullptr, false);
    if (json.is_discarded()) return value;
    for (const char* name : {"fd", "data", "iv"})
        if (json.contains(name)) json[name] = "*";
    return json.dump();
}

std::multiset<std::string> options_of(const std::vector<std::string>& words) {
    std::multiset<std::string> options;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool named = words[i].starts_with('-');
        if (named && i + 1 < words.size() && !words[i + 1].starts_with('-')) {
            options.insert(words[i] + " " + normal_value(words[i + 1]));
            ++i;
        } else {
            options.insert(words[i]);
        }
    }
    return options;
}

// The host that the corpus was recorded on, as far as answers depend on it.
BuildContext recording_host() {
    BuildContext ctx;
    ctx.display = true;
    ctx.hugepages = {{2048, "/run/xmldiff-huge"}};
    return ctx;
}

// What was picked there for <os firmware='efi'>.
Firmware recorded_firmware() {
    Firmware firmware;
    firmware.code = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd";
    firmware.variables = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";
    firmware.features = {"requires-smm"};
    return firmware;
}

// As a start does; that host had these two.
void settle_optional_features(xml::Domain& domain) {
    if (!domain.cpu) return;
    for (auto& feature : domain.cpu->features)
        if (feature.policy == xml::FeaturePolicy::optional)
            feature.policy =
                feature.name == "smep" || feature.name == "avx2" ? xml::FeaturePolicy::require : xml::FeaturePolicy::disable;
}

struct Tally {
    unsigned equal = 0, total = 0;
};

std::string shortened(const std::string& text) { return text.size() > 260 ? text.substr(0, 260) + "…" : text; }

class Corpus {
  public:
    std::map<std::string, Tally> folders;
    Tally all;

    void take(const std::filesystem::path& argv) {
        const std::string stem = argv.string().substr(0, argv.string().size() - 5);
        Tally& folder = folders[argv.parent_path().filename()];
        ++folder.total;
        ++all.total;
        const auto expected = options_of(shell_split(slurp(argv)));
        std::multiset<std::string> actual;
        try {
            xml::ReadOptions options;
            options.live = false;
            auto domain = xml::parse_domain(slurp(stem + ".out.xml"), options);
            settle_optional_features(domain);
            if (domain.os.firmware) apply_firmware(domain, recorded_firmware(), "/var/lib/libvirt/qemu/nvram");
            assign_aliases(domain);
            actual = options_of(shell_split(build(domain, context_for(domain)).shell_line()));
        } catch (const std::exception& e) {
            note(std::string("! ") + e.what(), stem);
            return;
        }
        if (actual == expected) {
            ++folder.equal;
            ++all.equal;
            return;
        }
        differences(expected, actual, "- ", stem);
        differences(actual, expected, "+ ", stem);
    }

    void report() const {
        for (const auto& [name, tally] : folders)
            std::cout << "command line corpus: " << name << ' ' << tally.equal << '/' << tally.total << '\n';
        std::cout << "command line corpus: all " << all.equal << '/' << all.total << '\n';
        std::vector<std::pair<std::size_t, std::string>> ranked;
        for (const auto& [text, stems] : differences_)
            ranked.emplace_back(stems.size(), text + "   # " + std::filesystem::path(stems.front()).filename().string());
        std::ranges::sort(ranked, std::greater<>());
        const char* limit = std::getenv("LODGE_CORPUS_DIFFERENCES");
        ranked.resize(std::min<std::size_t>(ranked.size(), limit ? std::strtoul(limit, nullptr, 10) : 20));
        for (const auto& [count, text] : ranked) std::cout << count << " × " << text << '\n';
    }

  private:
    std::map<std::string, std::vector<std::string>> differences_;

    static BuildContext context_for(const xml::Domain& domain) {
        BuildContext ctx = recording_host();
        // query-machines: machine types up to 5.0 take NUMA memory by size.
        const std::string& machine = domain.os.type.machine;
        const auto dash = machine.rfind('-');
        ctx.emulator.numa_mem = dash != std::string::npos && std::strtod(machine.c_str() + dash + 1, nullptr) <= 5.0;
        ctx.emulator.cpu_migratable = !domain.devices.emulator.ends_with("i386");
        return ctx;
    }
    void note(const std::string& what, const std::string& stem) { differences_[shortened(what)].push_back(stem); }
    void differences(const std::multiset<std::string>& a, const std::multiset<std::string>& b, const char* sign,
                     const std::string& stem) {
        std::vector<std::string> only;
        std::ranges::set_difference(a, b, std::back_inserter(only));
        for (const auto& option : only) note(sign + option, stem);
    }
};

} // namespace

TEST_CASE("command lines equal libvirt's for the corpus") {
    const char* root = std::getenv("LODGE_CORPUS");
    if (!root) {
        WARN("LODGE_CORPUS is not set: skipped");
        return;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        const std::string path = entry.path();
        if (path.ends_with(".argv") && std::filesystem::exists(path.substr(0, path.size() - 5) + ".out.xml"))
            files.push_back(path);
    }
    std::ranges::sort(files);
    Corpus corpus;
    for (const auto& file : files) corpus.take(file);
    corpus.report();
    CHECK(corpus.all.equal * 100 >= corpus.all.total * 97);
}
