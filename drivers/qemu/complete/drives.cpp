// Places of disks and SCSI host devices on their controllers.
#include "drivers/qemu/complete/steps.hpp"
#include "xml/domain/disk_names.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using xml::DiskBus;
using xml::DriveAddress;

namespace {

constexpr unsigned scsi_units = 7;

// What a disk's name says about its place: "hdc" is the second IDE bus' first disk.
std::optional<DriveAddress> place_of(DiskBus bus, unsigned index) {
    switch (bus) {
    case DiskBus::ide: return DriveAddress{index / 4, index % 4 / 2, 0, index % 2};
    case DiskBus::scsi: return DriveAddress{index / scsi_units, 0, 0, index % scsi_units};
    case DiskBus::sata: return DriveAddress{index / 6, 0, 0, index % 6};
    case DiskBus::fdc: return DriveAddress{index / 2, 0, 0, index % 2};
    default: return std::nullopt;
    }
}

void set_drive(xml::DeviceInfo& info, const DriveAddress& place) {
    info.address.emplace().type = xml::AddressType::drive;
    info.address->drive = place;
}

bool scsi_in_use(const xml::Devices& devices, const DriveAddress& place) {
    const auto same = [&](const xml::DeviceInfo& info) {
        return info.is(xml::AddressType::drive) && info.address->drive == place;
    };
    const auto disk = [&](const xml::Disk& d) { return d.target.bus == DiskBus::scsi && same(d.info); };
    const auto hostdev = [&](const xml::Hostdev& h) { return h.type == xml::HostdevType::scsi && same(h.info); };
    return std::ranges::any_of(devices.disks, disk) || std::ranges::any_of(devices.hostdevs, hostdev);
}

DriveAddress free_scsi(const xml::Devices& devices) {
    for (unsigned controller = 0;; ++controller)
        for (unsigned unit = 0; unit < scsi_units; ++unit)
            if (const DriveAddress place{controller, 0, 0, unit}; !scsi_in_use(devices, place)) return place;
}

} // namespace

void assign_drives(xml::Domain& domain) {
    for (auto& disk : domain.devices.disks) {
        if (disk.info.address || disk.target.dev.empty()) continue;
        const auto index = xml::disk_index(disk.target.dev);
        if (!index)
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "Unknown disk name '{}' and no address specified",
                      disk.target.dev);
        if (const auto place = place_of(disk.target.bus.value_or(DiskBus::none), *index)) set_drive(disk.info, *place);
    }
    for (auto& hostdev : domain.devices.hostdevs)
        if (hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::scsi && !hostdev.info.address)
            set_drive(hostdev.info, free_scsi(domain.devices));
}

} // namespace lodge::drivers::qemu
