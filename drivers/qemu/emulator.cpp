#include "drivers/qemu/emulator.hpp"
#include <nlohmann/json.hpp>

namespace lodge::drivers::qemu {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MachineType, name, alias, max_cpus, default_cpu, default_ram_id, is_default, deprecated,
                                   hotpluggable_cpus, numa_mem)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CpuProperty, on, migratable)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CpuModel, name, alias_of, unavailable, deprecated)

// One list of members for both directions.
template<class F> static void each_member(EmulatorInfo& info, F member) {
    member("path", info.path);
    member("arch", info.arch);
    member("package", info.package);
    member("version", info.version);
    member("kvm", info.kvm);
    member("machines", info.machines);
    member("cpus", info.cpus);
    member("types", info.types);
    member("commands", info.commands);
    member("tpm_models", info.tpm_models);
    member("tpm_backends", info.tpm_backends);
    member("device_options", info.device_options);
    member("cpu_properties", info.cpu_properties);
    member("cpu_vendor", info.cpu_vendor);
    member("cpu_family", info.cpu_family);
    member("cpu_model", info.cpu_model);
    member("cpu_stepping", info.cpu_stepping);
    member("cpu_migratable", info.cpu_migratable);
    member("hyperv", info.hyperv);
    member("sev", info.sev);
    member("sgx", info.sgx);
}

void to_json(nlohmann::json& json, const EmulatorInfo& info) {
    json = nlohmann::json::object();
    each_member(const_cast<EmulatorInfo&>(info), [&](const char* name, const auto& value) { json[name] = value; });
}

void from_json(const nlohmann::json& json, EmulatorInfo& info) {
    each_member(info, [&](const char* name, auto& value) { json.at(name).get_to(value); });
}

const MachineType* EmulatorInfo::machine(const std::string& name) const {
    for (const auto& machine : machines)
        if (name.empty() ? machine.is_default : machine.name == name || machine.alias == name) return &machine;
    return nullptr;
}

} // namespace lodge::drivers::qemu
