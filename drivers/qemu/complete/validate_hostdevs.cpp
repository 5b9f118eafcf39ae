#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::From;
using xml::Hostdev;
using xml::HostdevModel;
using xml::HostdevType;

namespace {

void check_mediated(const Hostdev& hostdev, const xml::Domain& domain) {
    if (hostdev.model == HostdevModel::vfio_ap)
        unsupported(From::qemu, "VFIO AP device assignment is not supported by this version of QEMU");
    if (hostdev.model == HostdevModel::vfio_ccw)
        unsupported(From::qemu, "VFIO CCW device assignment is not supported by this version of QEMU");
    apply(
        {{hostdev.info.boot.has_value(), "booting from assigned devices is not supported by mediated devices of model vfio-pci"},
         {xml::is_on(hostdev.display) && domain.devices.graphics.empty(),
          "graphics device is needed for attribute value 'display=on' in <hostdev>"}});
}

} // namespace

void validate_device(const Hostdev& hostdev, const Guest& guest) {
    if (hostdev.mode == xml::HostdevMode::capabilities)
        unsupported(From::qemu, "hostdev mode 'capabilities' is not supported in {}", xml::word(guest.domain.type));
    apply({{hostdev.type == HostdevType::pci && hostdev.source.write_filtering.has_value(),
            "Write filtering of PCI device configuration space is not supported by qemu"},
           {hostdev.type == HostdevType::scsi_host && hostdev.info.boot,
            "booting from assigned devices is not supported by vhost SCSI devices"}});
    if (hostdev.type == HostdevType::mdev) check_mediated(hostdev, guest.domain);
}

} // namespace lodge::drivers::qemu
