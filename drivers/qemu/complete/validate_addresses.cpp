// Where devices stand: what holds for a kind of address, whatever device it belongs to.
#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::DiskBus;
using xml::DriveAddress;

namespace {

void check_scsi(const DriveAddress& place, const xml::Devices& devices) {
    apply({{place.bus != 0, "SCSI controller only supports 1 bus"}}, Code::internal_error);
    for (const auto& controller : devices.controllers)
        if (controller.type == xml::ControllerType::scsi && controller.index == place.controller)
            return apply({{controller.model == xml::ControllerModel::lsilogic && place.target != 0,
                           "target must be 0 for controller model 'lsilogic'"}});
}

void check_drive(const DriveAddress& place, DiskBus bus, const xml::Devices& devices) {
    switch (bus) {
    case DiskBus::scsi: return check_scsi(place, devices);
    case DiskBus::ide:
        apply({{place.controller != 0, "Only 1 IDE controller is supported"}}, Code::internal_error);
        return apply({{place.target != 0, "target must be 0 for ide controller"}});
    case DiskBus::fdc:
        apply({{place.controller != 0, "Only 1 fdc controller is supported"}, {place.bus != 0, "Only 1 fdc bus is supported"}},
              Code::internal_error);
        return apply({{place.target != 0, "target must be 0 for controller fdc"}});
    case DiskBus::sata:
        return apply(
            {{place.bus != 0, "bus must be 0 for sata controller"}, {place.target != 0, "target must be 0 for sata controller"}});
    default: return;
    }
}

} // namespace

void validate_address(const xml::DeviceInfo& info, DiskBus bus, const xml::Domain& domain) {
    if (info.is(AddressType::spapr_vio) && info.address->reg.value_or(0) > 0xffffffff)
        unsupported(From::qemu, "spapr-vio reg='0x{:x}' exceeds maximum possible value (0xffffffff)", info.address->reg->value);
    if (info.is(AddressType::virtio_s390)) unsupported(From::qemu, "'virtio-s390' addresses are no longer supported");
    if (info.is(AddressType::ccw))
        unsupported(From::qemu, "cannot use CCW address type for device '{}' using machine type '{}'",
                    info.alias.empty() ? "<null>" : info.alias, domain.os.type.machine);
    if (info.is(AddressType::drive)) check_drive(info.address->drive, bus, domain.devices);
    if (info.is_pci() && info.address->pci.zpci && (info.address->pci.zpci->uid || info.address->pci.zpci->fid))
        unsupported(From::qemu, "This QEMU binary doesn't support zPCI");
    apply({{info.acpi_index.value_or(0) && info.address && !info.is_pci(), "ACPI index is only supported for PCI devices"},
           {info.rom && info.address && !info.is_pci() && !info.is(AddressType::unassigned),
            "ROM tuning is only supported for PCI devices"}});
}

} // namespace lodge::drivers::qemu
