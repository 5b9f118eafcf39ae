#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/controllers.hpp"
#include "drivers/qemu/complete/pci.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include "drivers/qemu/complete/validate.hpp"
#include "xml/domain/check.hpp"

namespace lodge::drivers::qemu {

namespace {

// The order decides who comes first in lists and on buses, and it is libvirt's where several things can be refused.
void complete_parts(xml::Domain& domain, const CompleteContext& ctx, bool is_new) {
    complete_os(domain, ctx);
    order_controllers(domain);
    add_scsi_for_hostdevs(domain);
    add_machine_controllers(domain);
    complete_cpu(domain, ctx);
    complete_features(domain);
    complete_security(domain, ctx);
    complete_tuning(domain);
    complete_disks(domain);
    assign_drives(domain);
    if (is_new) check_given_devices(domain);
    complete_nics(domain);
    complete_graphics(domain, ctx);
    complete_chardevs(domain);
    complete_others(domain);
    if (is_new) xml::check_domain(domain);
    complete_memory(domain, is_new);
    complete_boot(domain);
    add_console_twin(domain);
    complete_inputs(domain);
    complete_videos(domain, ctx);
    complete_audio(domain, ctx);
    add_needed_controllers(domain);
    complete_controllers(domain);
    add_usb_hubs(domain);
    assign_ccid(domain);
    assign_virtio_serial(domain);
    assign_pci(domain);
    assign_usb(domain);
    assign_dimms(domain);
    refresh_console_twin(domain);
}

} // namespace

void complete_unchecked(xml::Domain& domain, const CompleteContext& ctx) {
    rpc::as_nobody([&] { complete_parts(domain, ctx, false); });
}

void complete(xml::Domain& domain, const CompleteContext& ctx) {
    rpc::as_nobody([&] {
        complete_parts(domain, ctx, true);
        xml::check_name(domain);
        validate(domain, ctx);
    });
}

} // namespace lodge::drivers::qemu
