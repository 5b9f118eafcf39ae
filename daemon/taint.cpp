#include "daemon/taint.hpp"
#include "xml/domain/domain.hpp"
#include <algorithm>
#include <sstream>

namespace lodge::daemon {

namespace {

struct Row {
    const char* name;
    const char* words;
};
constexpr Row rows[] = {{"custom-argv", "custom configuration parameters specified"},
                        {"custom-monitor", "custom monitor control commands issued"},
                        {"high-privileges", "running with undesirable elevated privileges"},
                        {"shell-scripts", "network configuration using opaque shell scripts"},
                        {"host-cpu", "potentially unsafe use of host CPU passthrough"},
                        {"custom-dtb", "custom device tree blob used"},
                        {"custom-ga-command", "custom guest agent control commands issued"},
                        {"custom-hypervisor-feature", "hypervisor feature autodetection override"},
                        {"custom-device", "custom device configuration"}};
const Row& row(Taint taint) { return rows[static_cast<std::size_t>(taint)]; }

bool is_on(const std::optional<xml::YesNo>& value) { return value && *value; }

} // namespace

Taints taints_of(const xml::Domain& domain, bool restored) {
    Taints taints;
    const auto add_if = [&](bool holds, Taint taint) {
        if (holds) taints.insert(taint);
    };
    const auto& devices = domain.devices;
    const auto& command = domain.qemu_commandline;
    add_if(command && !(command->args.empty() && command->envs.empty()), Taint::custom_argv);
    const auto& capabilities = domain.qemu_capabilities;
    add_if(capabilities && !(capabilities->add.empty() && capabilities->del.empty()), Taint::custom_hypervisor_feature);
    add_if(domain.qemu_override && !domain.qemu_override->devices.empty(), Taint::custom_device);
    add_if(std::ranges::any_of(devices.disks, [](const auto& disk) { return is_on(disk.rawio); }), Taint::high_privileges);
    add_if(std::ranges::any_of(devices.hostdevs, [](const auto& hostdev) { return is_on(hostdev.rawio); }),
           Taint::high_privileges);
    add_if(std::ranges::any_of(devices.interfaces, [](const auto& nic) { return !nic.script.empty(); }), Taint::shell_scripts);
    add_if(!domain.os.dtb.empty(), Taint::custom_dtb);
    const bool as_host =
        domain.cpu && (domain.cpu->mode == xml::CpuMode::host_passthrough || domain.cpu->mode == xml::CpuMode::maximum);
    add_if(as_host && restored, Taint::host_cpu);
    return taints;
}

std::string taint_message(Taint taint) { return std::string("tainted: ") + row(taint).words; }

std::string taints_to_text(const Taints& taints) {
    std::string text;
    for (const Taint taint : taints) text += (text.empty() ? "" : ",") + std::string(row(taint).name);
    return text;
}

Taints taints_from_text(const std::string& text) {
    Taints taints;
    std::istringstream names(text);
    for (std::string name; std::getline(names, name, ',');)
        for (std::size_t i = 0; i < std::size(rows); ++i)
            if (name == rows[i].name) taints.insert(static_cast<Taint>(i));
    return taints;
}

} // namespace lodge::daemon
