// What is known of one emulator binary under one accelerator: found by probe.hpp, kept on disk, read by capabilities and by
// whoever builds a command line. Plain values; nothing here asks anybody.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace lodge::drivers::qemu {

struct MachineType {
    std::string name, alias;
    unsigned max_cpus = 0;
    std::string default_cpu; // QEMU's type: "qemu64-x86_64-cpu"
    std::string default_ram_id;
    bool is_default = false, deprecated = false, hotpluggable_cpus = false;
    bool numa_mem = false; // takes -numa node,mem=
    bool operator==(const MachineType&) const = default;
};

struct CpuModel {
    std::string name, alias_of;
    std::vector<std::string> unavailable; // features that this host cannot give it; empty: usable
    bool deprecated = false;
    bool operator==(const CpuModel&) const = default;
};

// A property of the "host" (KVM) or "max" (TCG) CPU.
struct CpuProperty {
    bool on = false, migratable = true;
    bool operator==(const CpuProperty&) const = default;
};

struct EmulatorInfo {
    std::string path, arch, package;
    unsigned version = 0;              // major * 1,000,000 + minor * 1,000 + micro
    bool kvm = false;                  // probed with KVM: CPU models are what KVM can do
    std::vector<MachineType> machines; // in QEMU's order
    std::vector<CpuModel> cpus;
    std::set<std::string> types;    // object and device types
    std::set<std::string> commands; // QMP
    std::set<std::string> tpm_models, tpm_backends;
    std::set<std::string> device_options;              // "device.option" of the few devices that we ask about
    std::map<std::string, CpuProperty> cpu_properties; // all that it has, by QEMU's names
    std::string cpu_vendor;                            // GenuineIntel
    unsigned cpu_family = 0, cpu_model = 0, cpu_stepping = 0;
    bool cpu_migratable = false;  // takes migratable=on
    std::set<std::string> hyperv; // enlightenments that the host has: "hv-vapic"
    bool sev = false, sgx = false;

    bool operator==(const EmulatorInfo&) const = default;
    bool has_type(const std::string& type) const { return types.contains(type); }
    // By name or alias; empty: the default machine. Null: there is none of that name.
    const MachineType* machine(const std::string& name) const;
};

void to_json(nlohmann::json& json, const EmulatorInfo& info);
void from_json(const nlohmann::json& json, EmulatorInfo& info);

} // namespace lodge::drivers::qemu
