// Starting a QEMU and finding one again: what has to be ready on the host, in which order, and how all of it is given back when
// a step fails.
#pragma once
#include "drivers/driver.hpp"
#include "drivers/host/cgroup.hpp"
#include "drivers/process/log_limit.hpp"
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/cpu_match.hpp"
#include "drivers/qemu/displays.hpp"
#include "drivers/qemu/firmware.hpp"
#include "drivers/qemu/probe.hpp"
#include "drivers/qemu/state_keeper.hpp"

namespace lodge::drivers::qemu {

// What all guests of a driver share.
struct World {
    Executor executor;
    Paths paths;
    Settings settings;
    const SecretValues* secrets = nullptr; // where the values of secrets are asked for
    std::optional<Identity> identity;
    std::optional<Identity> swtpm_identity;
    CgroupHost cgroups;
    std::shared_ptr<Displays> displays;
    std::shared_ptr<LogLimit> logs;
    std::shared_ptr<EmulatorCache> emulators;
    std::shared_ptr<HypervisorCpus> cpus = std::make_shared<HypervisorCpus>();
};

// What runs the guest: its emulator is asked under this one, for what it can do depends on it.
Accelerator accelerator_of(const xml::Domain& domain);

// The context for a guest's command line, as far as the document and the host's facts tell it.
BuildContext build_context(const World& world, const EmulatorInfo& emulator, int id);
FirmwareWish firmware_wish(const World& world, bool reset);
// What depends on the machine that the document names.
void suit_to_domain(BuildContext& context, const EmulatorInfo& emulator, const xml::Domain& domain);
// Both, for a guest that starts or runs.
Task<BuildContext> guest_context(std::shared_ptr<const World> world, std::shared_ptr<const xml::Domain> domain, int id);

ImageFormats image_formats(const Settings& settings);

Task<std::shared_ptr<Machine>> launch_machine(std::shared_ptr<const World> world, LaunchRequest request);
Task<std::shared_ptr<Machine>> adopt_machine(std::shared_ptr<const World> world, AdoptRequest request);

} // namespace lodge::drivers::qemu
