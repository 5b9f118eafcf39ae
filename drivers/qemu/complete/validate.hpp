// What libvirt's QEMU driver refuses, in its words. Each file of this name checks one part of the document; all of them look
// only. What no hypervisor could run is refused by xml::check_domain() and xml::validate_domain().
#pragma once
#include "drivers/qemu/complete/context.hpp"
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

void validate_machine(const xml::Domain& domain, const CompleteContext& ctx);                     // validate_machine.cpp
void validate_cpu(const xml::Domain& domain);                                                     // validate_cpu.cpp
void validate_memory(const xml::Domain& domain);                                                  // validate_memory.cpp
void validate_clock(const xml::Domain& domain);                                                   // validate_clock.cpp
void validate_disks(const xml::Domain& domain);                                                   // validate_disks.cpp
void validate_source(const xml::StorageSource& source, xml::StorageFormat format, bool readonly); // validate_source.cpp
void validate_encryption(const xml::Encryption& encryption, const xml::StorageSource& source, xml::StorageFormat format);
void validate_nics(const xml::Domain& domain);                                 // validate_nics.cpp
void validate_hostdevs(const xml::Domain& domain);                             // validate_hostdevs.cpp
void validate_controllers(const xml::Domain& domain);                          // validate_controllers.cpp
void validate_chardevs(const xml::Domain& domain);                             // validate_chardevs.cpp
void validate_graphics(const xml::Domain& domain, const CompleteContext& ctx); // validate_graphics.cpp
void validate_devices(const xml::Domain& domain, const CompleteContext& ctx);  // validate_devices.cpp: all others
void validate_addresses(const xml::Domain& domain);                            // validate_addresses.cpp

} // namespace lodge::drivers::qemu
