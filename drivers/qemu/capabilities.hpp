// What clients ask before they write a document: `virsh capabilities` and `virsh domcapabilities`.
#pragma once
#include "drivers/host/cpu_model.hpp"
#include "drivers/process/command.hpp"
#include "drivers/qemu/emulator.hpp"
#include "xml/capabilities.hpp"
#include "xml/domain_capabilities.hpp"
#include <memory>
#include <optional>

namespace lodge::drivers::qemu {

std::string default_emulator(const std::string& arch);       // i686 -> /usr/bin/qemu-system-i386
std::string architecture_name(const std::string& qemu_arch); // i386 -> i686
// Throw Code::invalid_arg with libvirt's words.
void check_architecture(const std::string& arch);
void check_virt_word(const std::string& type); // one of libvirt's
void check_virt_type(const std::string& type, bool kvm_usable);

bool has_swtpm(); // with the helpers that make its state

// Both read the host (topology, CPUID, firmware descriptors): call them on the worker pool.
xml::Capabilities capabilities_of(const std::vector<std::shared_ptr<const EmulatorInfo>>& emulators, bool kvm,
                                  const std::optional<Identity>& identity);
xml::DomainCapabilities domain_capabilities_of(const EmulatorInfo& emulator, const HypervisorCpu& cpu,
                                               const std::string& machine);
// The machine type of that name (empty: the default); throws Code::invalid_arg.
const MachineType& require_machine(const EmulatorInfo& emulator, const std::string& name);

} // namespace lodge::drivers::qemu
