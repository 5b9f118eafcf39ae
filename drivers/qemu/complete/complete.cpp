#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/controllers.hpp"
#include "drivers/qemu/complete/pci.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include "drivers/qemu/complete/validate.hpp"
#include "xml/domain/check.hpp"
#include "xml/domain/device.hpp"

namespace lodge::drivers::qemu {

namespace {

// The order decides who comes first in lists and on buses, and it is libvirt's where several things can be refused.
void give_defaults(xml::Domain& domain, const CompleteContext& ctx, bool is_new) {
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
}

void give_places(xml::Domain& domain) {
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

// Finds a device again after devices before it came or went.
class Marked {
  public:
    Marked(xml::Devices& devices, xml::DeviceAt at)
        : devices_(devices)
        , at_(at) {
        xml::Device device = xml::device_at(devices, at);
        auto* info = xml::info_of(device);
        if (!info) return;
        alias_ = std::exchange(info->alias, mark);
        xml::replace_device(devices, at, std::move(device));
    }
    xml::Device take() const {
        xml::Device device = xml::device_at(devices_, xml::find_alias(devices_, mark).value_or(at_));
        if (auto* info = xml::info_of(device)) info->alias = alias_;
        return device;
    }

  private:
    static constexpr const char* mark = "\x01marked"; // no document can have it
    xml::Devices& devices_;
    xml::DeviceAt at_;
    std::string alias_;
};

} // namespace

void complete_unchecked(xml::Domain& domain, const CompleteContext& ctx) {
    rpc::as_nobody([&] {
        give_defaults(domain, ctx, false);
        give_places(domain);
    });
}

void complete(xml::Domain& domain, const CompleteContext& ctx) {
    rpc::as_nobody([&] {
        give_defaults(domain, ctx, true);
        give_places(domain);
        xml::check_name(domain);
        validate(domain, ctx);
    });
}

void check_device(xml::Domain& domain, xml::DeviceAt at, const CompleteContext& ctx) {
    rpc::as_nobody([&] {
        const Marked marked(domain.devices, at);
        give_defaults(domain, ctx, false);
        const xml::Device device = marked.take();
        check_given_device(device, domain);
        validate_alone(device, {domain, ctx});
    });
}

} // namespace lodge::drivers::qemu
