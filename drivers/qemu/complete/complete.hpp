// From what a user wrote to libvirt's normal form: defaults, automatic devices, addresses, checks. Pure: touches neither host
// nor emulator; what it needs to know of them stands in the context.
#pragma once
#include "drivers/qemu/complete/context.hpp"
#include "xml/domain/device_at.hpp"

namespace lodge::xml {
struct Domain;
}

namespace lodge::drivers::qemu {

// Throws libvirt's errors when the guest cannot be run.
void complete(xml::Domain& domain, const CompleteContext& ctx);
// As above, without asking whether all of it can be run.
void complete_unchecked(xml::Domain& domain, const CompleteContext& ctx);

// Throws what is wrong with this one device by itself; gives defaults, but no addresses.
void check_device(xml::Domain& domain, xml::DeviceAt device, const CompleteContext& ctx);

} // namespace lodge::drivers::qemu
