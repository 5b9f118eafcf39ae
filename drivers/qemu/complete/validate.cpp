#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

// In libvirt's order, because the first refusal is the one that is told.
void validate(const xml::Domain& domain, const CompleteContext& ctx) {
    validate_machine(domain, ctx);
    xml::validate_devices(domain);
    validate_addresses(domain);
    validate_disks(domain);
    validate_nics(domain);
    validate_hostdevs(domain);
    validate_controllers(domain);
    validate_chardevs(domain);
    validate_graphics(domain, ctx);
    validate_devices(domain, ctx);
    xml::validate_together(domain);
}

} // namespace lodge::drivers::qemu
