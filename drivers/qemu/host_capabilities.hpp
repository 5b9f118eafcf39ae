// <host> of the capabilities: what this machine is.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/capabilities.hpp"
#include <optional>

namespace lodge::drivers::qemu {

// Reads /proc, /sys, CPUID and KVM: call it on the worker pool.
xml::HostCapabilities host_capabilities(const std::optional<Identity>& identity);
// How many CPUs KVM gives one guest. Throws Code::system_error without KVM.
unsigned kvm_max_vcpus();

} // namespace lodge::drivers::qemu
