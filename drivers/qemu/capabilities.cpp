#include "drivers/qemu/capabilities.hpp"
#include "drivers/driver.hpp"
#include "drivers/host/node.hpp"
#include "drivers/host/node_stats.hpp"
#include "drivers/qemu/host_capabilities.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

std::string default_emulator(const std::string& arch) {
    return fmt::format("/usr/bin/qemu-system-{}", arch == "i686" ? "i386" : arch == "armv7l" ? "arm" : arch);
}

std::string architecture_name(const std::string& qemu_arch) {
    if (qemu_arch == "i386") return "i686";
    if (qemu_arch == "arm") return "armv7l";
    return qemu_arch;
}

void check_architecture(const std::string& arch) {
    if (!is_architecture(arch)) rpc::fail(Code::invalid_arg, "unknown architecture: {}", arch);
}

void check_virt_word(const std::string& type) {
    static constexpr std::string_view words[] = {"",     "qemu",      "kvm",   "hvf",    "xen",    "lxc",
                                                 "uml",  "openvz",    "test",  "vmware", "hyperv", "vbox",
                                                 "phyp", "parallels", "bhyve", "vz",     "kqemu"};
    if (std::find(std::begin(words), std::end(words), type) == std::end(words))
        rpc::fail(Code::invalid_arg, "unknown virttype: {}", type);
}

void check_virt_type(const std::string& type, bool kvm_usable) {
    if (type.empty() || type == "qemu" || (type == "kvm" && kvm_usable)) return;
    rpc::fail(Code::invalid_arg, "the accel '{}' is not supported by emulator '{}'", type, default_emulator(host_architecture()));
}

bool has_swtpm() {
    for (const char* program : {"swtpm", "swtpm_setup", "swtpm_ioctl"})
        if (find_program(program).empty()) return false;
    return true;
}

namespace {

void add_machines(std::vector<xml::GuestMachine>& out, const EmulatorInfo& emulator) {
    const auto add = [&](const MachineType& machine) {
        const auto deprecated = machine.deprecated ? std::optional(xml::YesNo(true)) : std::nullopt;
        out.push_back({"", machine.max_cpus, deprecated, machine.name});
        if (!machine.alias.empty()) out.push_back({machine.name, machine.max_cpus, deprecated, machine.alias});
    };
    for (const auto& machine : emulator.machines)
        if (machine.is_default) add(machine);
    for (const auto& machine : emulator.machines)
        if (!machine.is_default) add(machine);
}

xml::GuestCapabilities guest_capabilities(const EmulatorInfo& emulator, bool kvm) {
    xml::GuestCapabilities guest;
    guest.os_type = "hvm";
    const std::string arch = architecture_name(emulator.arch);
    guest.arch.name = arch;
    guest.arch.wordsize = arch.find("64") == std::string::npos && arch != "s390x" ? 32 : 64;
    guest.arch.emulator = emulator.path;
    add_machines(guest.arch.machines, emulator);
    guest.arch.domains.push_back({"qemu", "", {}});
    if (kvm && emulator.kvm) guest.arch.domains.push_back({"kvm", "", {}});
    guest.features.pae = guest.features.nonpae = arch == "i686";
    if (arch == "i686" || arch == "x86_64") {
        guest.features.acpi = {true, true};
        guest.features.apic = {true, false};
    }
    guest.features.cpuselection = guest.features.deviceboot = true;
    guest.features.disksnapshot = {true, false};
    return guest;
}

} // namespace

xml::Capabilities capabilities_of(const std::vector<std::shared_ptr<const EmulatorInfo>>& emulators, bool kvm,
                                  const std::optional<Identity>& identity) {
    xml::Capabilities capabilities;
    capabilities.host = host_capabilities(identity);
    for (const auto& emulator : emulators) capabilities.guests.push_back(guest_capabilities(*emulator, kvm));
    return capabilities;
}

} // namespace lodge::drivers::qemu
