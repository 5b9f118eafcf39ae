#include "drivers/host/cpu_model.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include "xml/domain/check_cpu.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <sstream>

namespace fs = std::filesystem;
using namespace lodge;
using namespace lodge::drivers;
using xml::CpuKind;
using xml::parse_cpu;

namespace {

xml::Cpu host(const std::string& model, const std::string& rest = "") {
    return parse_cpu("<cpu><arch>x86_64</arch><model>" + model + "</model>" + rest + "</cpu>", CpuKind::host);
}
xml::Cpu guest(const std::string& inside, const std::string& attributes = "") {
    return parse_cpu("<cpu " + attributes + ">" + inside + "</cpu>", CpuKind::any);
}
CpuVerdict compare(const xml::Cpu& a, const xml::Cpu& b) { return compare_cpus(cpu_map(), a, b); }

std::string refusal(const std::function<void()>& act) {
    try {
        act();
    } catch (const rpc::Error& error) {
        return error.message();
    }
    return "";
}

} // namespace

TEST_CASE("a host's CPU runs what it has and nothing else") {
    if (cpu_map().models.empty()) return;
    const auto haswell = host("Haswell", "<vendor>Intel</vendor>");
    CHECK(compare(haswell, guest("<model>Haswell</model>")).result == CpuComparison::identical);
    CHECK(compare(haswell, guest("<model>Nehalem</model>")).result == CpuComparison::superset);
    CHECK(compare(haswell, guest("<model>Nehalem</model>", "match='strict'")).result == CpuComparison::incompatible);
    const auto broadwell = compare(haswell, guest("<model>Broadwell</model>"));
    CHECK(broadwell.result == CpuComparison::incompatible);
    CHECK(broadwell.why == "Host CPU does not provide required features: rdseed, adx, smap, 3dnowprefetch");
    CHECK(compare(haswell, guest("<model>Nehalem</model><vendor>AMD</vendor>")).why ==
          "host CPU vendor does not match required CPU vendor AMD");
    CHECK(compare(haswell, guest("<model>Nehalem</model><feature policy='forbid' name='avx2'/>")).why ==
          "Host CPU provides forbidden features: avx2");
    // What the model brings along can be taken back by name.
    const auto without =
        "<model>Broadwell</model><feature policy='disable' name='rdseed'/><feature policy='optional' name='adx'/>"
        "<feature policy='force' name='smap'/><feature policy='disable' name='3dnowprefetch'/>";
    CHECK(compare(haswell, guest(without)).result == CpuComparison::identical);
    CHECK(refusal([&] { compare(haswell, guest("<model>Bogus</model>")); }) == "internal error: Unknown CPU model Bogus");
    CHECK(refusal([&] { compare(haswell, guest("<model>486</model><feature name='bogus'/>")); }) ==
          "internal error: Unknown CPU feature bogus");
}

TEST_CASE("host-model becomes the host's model with the guest's wishes on top") {
    if (cpu_map().models.empty()) return;
    const auto haswell = guest("<model>Haswell</model><vendor>Intel</vendor><feature policy='require' name='vme'/>");
    auto cpu = guest("<feature policy='disable' name='avx2'/><feature policy='optional' name='rdseed'/>", "mode='host-model'");
    settle_cpu(cpu_map(), cpu, &haswell);
    CHECK(xml::format(cpu, "cpu") == "<cpu mode='custom' match='exact'>\n"
                                     "  <model fallback='allow'>Haswell</model>\n"
                                     "  <vendor>Intel</vendor>\n"
                                     "  <feature policy='require' name='vme'/>\n"
                                     "  <feature policy='disable' name='avx2'/>\n"
                                     "  <feature policy='disable' name='rdseed'/>\n"
                                     "</cpu>\n");
    CHECK(refusal([] {
              auto unknown = guest("", "mode='host-model'");
              settle_cpu(cpu_map(), unknown, nullptr);
          }) == "unsupported configuration: unknown host CPU model");
}

TEST_CASE("a model that the hypervisor has not is said by one that it has") {
    if (cpu_map().models.empty()) return;
    const std::vector<CpuOffer> among{{"Nehalem", {}, false}, {"486", {}, false}};
    auto cpu = guest("<model fallback='allow'>Westmere</model><feature policy='disable' name='nx'/>");
    translate_cpu(cpu_map(), cpu, among);
    CHECK(cpu.model->name == "Nehalem");
    CHECK(has_feature(cpu_map(), cpu, "aes"));
    CHECK_FALSE(has_feature(cpu_map(), cpu, "nx"));
    auto strict = guest("<model fallback='forbid'>Westmere</model>");
    CHECK(refusal([&] { translate_cpu(cpu_map(), strict, among); }) ==
          "unsupported configuration: CPU model Westmere is not supported by hypervisor");
}

namespace {

std::string slurp(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// The <cpu>s of a <cpuTest>, or the one that the document is.
std::vector<xml::Cpu> cpus_in(const fs::path& path) {
    pugi::xml_document document;
    document.load_file(path.c_str());
    const auto root = document.document_element();
    std::vector<xml::Cpu> cpus;
    const auto add = [&](const pugi::xml_node& node) {
        std::ostringstream text;
        node.print(text);
        cpus.push_back(parse_cpu(text.str(), CpuKind::host));
    };
    if (std::string_view(root.name()) == "cpu") add(root);
    for (const auto node : root.children("cpu")) add(node);
    return cpus;
}

// What virConnectBaselineCPU answers; "CODE" where it refuses.
std::string baseline_of(const fs::path& path, bool expanded, bool migratable) {
    try {
        xml::Cpu cpu = baseline_cpu(cpu_map(), cpus_in(path), {.migratable = migratable});
        drop_hosts_own_features(cpu);
        if (expanded) expand_features(cpu_map(), cpu);
        return xml::format(cpu, "cpu");
    } catch (const rpc::Error& error) {
        return std::to_string(static_cast<int>(error.code()));
    }
}

} // namespace

TEST_CASE("baselines equal libvirt's for the corpus") {
    const char* root = std::getenv("LODGE_CORPUS");
    if (!root) {
        WARN("LODGE_CORPUS is not set: skipped");
        return;
    }
    unsigned right = 0, all = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(root) / "cputestdata")) {
        const std::string name = entry.path();
        if (!name.ends_with(".in.xml")) continue;
        const std::string base = name.substr(0, name.size() - 7);
        const auto check = [&](const std::string& ending, bool expanded, bool migratable) {
            if (!fs::exists(base + ending)) return;
            ++all;
            const std::string wanted = ending.ends_with("json")
                                           ? std::to_string(nlohmann::json::parse(slurp(base + ending))["code"].get<int>())
                                           : slurp(base + ending);
            const std::string found = baseline_of(name, expanded, migratable);
            right += found == wanted;
            if (found != wanted) std::cout << base << ending << " wanted\n" << wanted << "found\n" << found;
        };
        if (slurp(name).find("<cpuTest>") == std::string::npos) continue;
        check(".out.xml", false, false);
        check(".error.json", false, false);
        check(".expanded.out.xml", true, false);
        check(".migratable.out.xml", false, true);
    }
    std::cout << "baseline corpus: " << right << '/' << all << '\n';
    CHECK(right == all);
}
