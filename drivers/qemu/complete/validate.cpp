#include "drivers/qemu/complete/validate.hpp"
#include "drivers/qemu/complete/devices.hpp"

namespace lodge::drivers::qemu {

namespace {

xml::DiskBus bus_of(const xml::Disk& disk) { return disk.target.bus.value_or(xml::DiskBus::none); }
template<class T> xml::DiskBus bus_of(const T&) { return xml::DiskBus::scsi; } // only SCSI host devices stand on such a bus

} // namespace

// In libvirt's order, because the first refusal is the one that is told: the machine, each device by all its rules, and last
// what devices do to each other.
void validate(const xml::Domain& domain, const CompleteContext& ctx) {
    validate_machine(domain, ctx);
    const Guest guest{domain, ctx};
    for_each_device(const_cast<xml::Devices&>(domain.devices), [&]<class T>(const T& device) {
        if constexpr (!std::is_same_v<T, xml::Hostdev>) xml::validate_place(device.info);
        xml::validate_device(device, domain);
        validate_address(device.info, bus_of(device), domain);
        validate_device(device, guest);
    });
    const auto without_place = [&](const auto& devices) {
        for (const auto& device : devices) {
            xml::validate_device(device, domain);
            validate_device(device, guest);
        }
    };
    without_place(domain.devices.graphics);
    without_place(domain.devices.audios);
    xml::validate_together(domain);
}

} // namespace lodge::drivers::qemu
