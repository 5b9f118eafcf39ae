// <host> of the capabilities: what this machine is.
#pragma once
#include "drivers/host/node.hpp"
#include "drivers/host/resctrl.hpp"
#include "drivers/process/command.hpp"
#include "xml/capabilities.hpp"
#include <optional>

namespace lodge::drivers::qemu {

// Reads /proc, /sys, CPUID and KVM: call it on the worker pool.
xml::HostCapabilities host_capabilities(const std::optional<Identity>& identity);
// The parts about memory and shared caches; `host` has its cells and banks from `topology` already.
void describe_sharing(xml::HostCapabilities& host, const HostTopology& topology, const Resctrl& resctrl);
// How many CPUs KVM gives one guest. Throws Code::system_error without KVM.
unsigned kvm_max_vcpus();

} // namespace lodge::drivers::qemu
