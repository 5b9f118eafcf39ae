#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;

bool EmulatorProfile::has_device(std::string_view name) const { return std::ranges::binary_search(devices, name); }

const MachineProfile* EmulatorProfile::machine(std::string_view name) const {
    for (const auto& machine : machines)
        if (machine.name == name || machine.alias == name) return &machine;
    return nullptr;
}

const MachineProfile* EmulatorProfile::default_machine() const {
    for (const auto& machine : machines)
        if (machine.is_default) return &machine;
    return machines.empty() ? nullptr : &machines.front();
}

const EmulatorProfile* CompleteContext::emulator_for_arch(std::string_view arch) const {
    for (const auto& emulator : emulators)
        if (emulator.arch == arch) return &emulator;
    return nullptr;
}

const EmulatorProfile* CompleteContext::emulator_at(std::string_view path) const {
    for (const auto& emulator : emulators)
        if (emulator.path == path) return &emulator;
    return nullptr;
}

void complete_boot(xml::Domain& domain) {
    bool per_device = false;
    for_each_info(domain.devices, [&](const xml::DeviceInfo& info) { per_device |= info.boot.has_value(); });
    auto& os = domain.os;
    if (os.boot.empty() && !per_device) os.boot.push_back({xml::BootDevice::hd});
}

const EmulatorProfile& emulator_of(const xml::Domain& domain, const CompleteContext& ctx) {
    const auto* emulator =
        domain.devices.emulator.empty() ? ctx.emulator_for_arch(domain.os.type.arch) : ctx.emulator_at(domain.devices.emulator);
    if (!emulator && !domain.devices.emulator.empty()) emulator = ctx.emulator_for_arch(domain.os.type.arch);
    if (!emulator) rpc::fail(From::qemu, Code::config_unsupported, "No emulator found for arch '{}'", domain.os.type.arch);
    return *emulator;
}

void complete_os(xml::Domain& domain, const CompleteContext& ctx) {
    auto& type = domain.os.type;
    if (type.arch.empty()) type.arch = ctx.host_arch;
    const auto& emulator = emulator_of(domain, ctx);
    if (domain.devices.emulator.empty()) domain.devices.emulator = emulator.path;
    if (!domain.bootloader.empty() || !domain.bootloader_args.empty())
        rpc::fail(From::qemu, Code::config_unsupported, "bootloader is not supported by QEMU");
    const auto* machine = type.machine.empty() ? emulator.default_machine() : emulator.machine(type.machine);
    if (machine) type.machine = machine->name; // one that it does not know is refused when all is complete
    auto& os = domain.os;
    if (os.type.value == xml::OsType::hvm) { // what a container starts with means nothing to a machine
        for (auto* word : {&os.init, &os.init_dir, &os.init_user, &os.init_group}) word->clear();
        os.init_args.clear(), os.init_env.clear();
    }
    if (os.loader && !os.firmware && !os.loader->type) os.loader->type = xml::LoaderType::rom;
}

} // namespace lodge::drivers::qemu
