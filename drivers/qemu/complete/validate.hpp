// What libvirt's QEMU driver refuses, in its words. Each file of this name checks one part of the document; all of them look
// only. What no hypervisor could run is refused by xml::check_domain(),
// xml::validate_device() and xml::validate_together().
#pragma once
#include "drivers/qemu/complete/context.hpp"
#include "xml/domain/device.hpp"
#include "xml/domain/validate.hpp"

namespace lodge::drivers::qemu {

// Refuses with libvirt's usual "unsupported configuration", as the document's fault or as QEMU's.
template<class... Args> [[noreturn]] void unsupported(rpc::From from, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(from, rpc::Code::config_unsupported, format, std::forward<Args>(args)...);
}
// Refuses by the first rule that is broken.
inline void apply(std::initializer_list<xml::Rule> rules, rpc::Code code = rpc::Code::config_unsupported) {
    xml::apply(rules, code, rpc::From::qemu);
}

// Of a complete document.
void validate(const xml::Domain& domain, const CompleteContext& ctx);

// Another process may map the guest's memory: vhost-user and virtiofs need that.
bool has_shared_memory(const xml::Domain& domain); // validate_machine.cpp
bool has_spice(const xml::Devices& devices);       // validate_graphics.cpp
bool has_iothread(const xml::Domain& domain, unsigned id);

void validate_machine(const xml::Domain& domain, const CompleteContext& ctx); // validate_machine.cpp
void validate_cpu(const xml::Domain& domain);                                 // validate_cpu.cpp
void validate_topology(const xml::Domain& domain);
void validate_memory_plug(const xml::Domain& domain); // validate_memory.cpp
void validate_memory(const xml::Domain& domain);
void validate_clock(const xml::Domain& domain);                                                   // validate_clock.cpp
void validate_source(const xml::StorageSource& source, xml::StorageFormat format, bool readonly); // validate_source.cpp
void validate_encryption(const xml::Encryption& encryption, const xml::StorageSource& source, xml::StorageFormat format);
void validate_address(const xml::DeviceInfo& info, xml::DiskBus bus, const xml::Domain& domain); // validate_addresses.cpp

// A device, and the guest that it belongs to.
struct Guest {
    const xml::Domain& domain;
    const CompleteContext& ctx;
};
void validate_alone(const xml::Device& device, const Guest& guest);          // validate.cpp
void validate_device(const xml::Disk& disk, const Guest& guest);             // validate_disks.cpp
void validate_device(const xml::Nic& nic, const Guest& guest);               // validate_nics.cpp
void validate_device(const xml::Hostdev& hostdev, const Guest& guest);       // validate_hostdevs.cpp
void validate_device(const xml::Controller& controller, const Guest& guest); // validate_controllers.cpp
void validate_device(const xml::Smartcard& smartcard, const Guest& guest);   // validate_chardevs.cpp
void validate_device(const xml::Serial& serial, const Guest& guest);
void validate_device(const xml::Parallel& parallel, const Guest& guest);
void validate_device(const xml::Channel& channel, const Guest& guest);
void validate_device(const xml::Console& console, const Guest& guest);
void validate_device(const xml::Rng& rng, const Guest& guest);
void validate_device(const xml::Redirdev& redirdev, const Guest& guest);
void validate_device(const xml::Video& video, const Guest& guest); // validate_graphics.cpp
void validate_device(const xml::Graphics& graphics, const Guest& guest);
void validate_device(const xml::Audio& audio, const Guest& guest);
void validate_device(const xml::Sound& sound, const Guest& guest); // validate_devices.cpp
void validate_device(const xml::Input& input, const Guest& guest);
void validate_device(const xml::Filesystem& fs, const Guest& guest);
void validate_device(const xml::Watchdog& watchdog, const Guest& guest);
void validate_device(const xml::Memballoon& balloon, const Guest& guest);
void validate_device(const xml::Nvram& nvram, const Guest& guest);
void validate_device(const xml::Shmem& shmem, const Guest& guest);
void validate_device(const xml::Tpm& tpm, const Guest& guest);
void validate_device(const xml::MemoryDevice& memory, const Guest& guest);
void validate_device(const xml::Iommu& iommu, const Guest& guest);
template<class T> void validate_device(const T&, const Guest&) {} // kinds without rules

} // namespace lodge::drivers::qemu
