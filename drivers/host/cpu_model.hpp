// What can be said of CPUs by the map: which model describes a CPU best, what a document's CPU has, whether it runs on another,
// what several have in common. Pure functions over x86's map; refusals have the words and codes that clients of libvirt know.
#pragma once
#include "drivers/host/cpu_map.hpp"
#include "xml/domain/cpu.hpp"
#include <set>

namespace lodge::drivers {

// A model that a hypervisor has, and what this host cannot give it.
struct CpuOffer {
    std::string name;
    std::vector<std::string> blockers; // features, in the map's names
    bool deprecated = false;
};

// What a hypervisor makes of this host's CPU: the answer of mode='host-model', and what it can be compared with.
struct HypervisorCpu {
    std::string arch, emulator, virt_type;
    std::vector<CpuOffer> models;
    // As it would be reported; as it can be migrated; with all that the host itself has. Absent: it cannot tell.
    std::optional<xml::Cpu> reported, migratable, full;
    std::set<std::string> features, migratable_features; // that it knows by name
};

struct DescribeOptions {
    bool host = false;                            // a host's CPU: only models of which it has every feature, told by name alone
    const std::vector<CpuOffer>* among = nullptr; // only these models
    std::vector<std::string> preferred{};
};
// The document of a CPU: the model that leaves the least to say, and the rest by features.
xml::Cpu describe_cpu(const CpuModels& map, CpuFacts facts, const DescribeOptions& options);

// All that a document's CPU has.
CpuBits bits_of(const CpuModels& map, const xml::Cpu& cpu);
bool has_feature(const CpuModels& map, const xml::Cpu& cpu, std::string_view name);
std::vector<std::string> feature_names(const CpuModels& map, const CpuBits& bits);

enum class CpuComparison { incompatible, identical, superset }; // VIR_CPU_COMPARE_*
struct CpuVerdict {
    CpuComparison result = CpuComparison::incompatible;
    std::string why; // it is not compatible
};
CpuVerdict compare_cpus(const CpuModels& map, const xml::Cpu& host, const xml::Cpu& cpu);

struct BaselineOptions {
    const std::vector<CpuOffer>* among = nullptr;
    const std::set<std::string>* features = nullptr; // no others
    bool migratable = false;
};
// The best that all of them can run.
xml::Cpu baseline_cpu(const CpuModels& map, const std::vector<xml::Cpu>& cpus, const BaselineOptions& options);

// Names every feature that the model implies, sorted.
void expand_features(const CpuModels& map, xml::Cpu& cpu);
// Settles what depends on the host (host-model, match='minimum', policy='optional'); null: the host's CPU is not known.
void settle_cpu(const CpuModels& map, xml::Cpu& cpu, const xml::Cpu* host);
// Says the same by a model that is among those.
void translate_cpu(const CpuModels& map, xml::Cpu& cpu, const std::vector<CpuOffer>& among);
// What became of it in a machine: features that it has, and that were asked for but refused. From then on the document names
// every difference from the model, and is to hold to the letter (check='full'); one that already is must fit as it is.
void take_real_features(const CpuModels& map, xml::Cpu& cpu, const CpuBits& enabled, const CpuBits& refused);
// Sets a feature's policy, adding it when it is not there yet.
void set_feature(xml::Cpu& cpu, const std::string& name, std::optional<xml::FeaturePolicy> policy);
// Features that hypervisors set by themselves or not at all: they never stand in a guest's document.
bool is_hosts_own_feature(std::string_view name);
void drop_hosts_own_features(xml::Cpu& cpu);

// This host's CPU as capabilities show it: only arch where the map knows none that fits.
xml::Cpu host_cpu();

} // namespace lodge::drivers
