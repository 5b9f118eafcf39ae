#include "drivers/qemu/complete/validate.hpp"
#include "drivers/qemu/complete/devices.hpp"

namespace lodge::drivers::qemu {

namespace {

xml::DiskBus bus_of(const xml::Disk& disk) { return disk.target.bus.value_or(xml::DiskBus::none); }
template<class T> xml::DiskBus bus_of(const T&) { return xml::DiskBus::scsi; } // only SCSI host devices stand on such a bus

template<class T> void validate_by_all_rules(const T& device, const Guest& guest) {
    constexpr bool has_place = requires { device.info; };
    if constexpr (has_place && !std::is_same_v<T, xml::Hostdev>) xml::validate_place(device.info);
    xml::validate_device(device, guest.domain);
    if constexpr (has_place) validate_address(device.info, bus_of(device), guest.domain);
    validate_device(device, guest);
}

} // namespace

// In libvirt's order, because the first refusal is the one that is told: the machine, each device by all its rules, and last
// what devices do to each other.
void validate(const xml::Domain& domain, const CompleteContext& ctx) {
    validate_machine(domain, ctx);
    const Guest guest{domain, ctx};
    for_each_device(const_cast<xml::Devices&>(domain.devices), [&](const auto& device) { validate_by_all_rules(device, guest); });
    for (const auto& graphics : domain.devices.graphics) validate_by_all_rules(graphics, guest);
    for (const auto& audio : domain.devices.audios) validate_by_all_rules(audio, guest);
    xml::validate_together(domain);
}

void validate_alone(const xml::Device& device, const Guest& guest) {
    std::visit([&](const auto& one) { validate_by_all_rules(one, guest); }, device);
}

} // namespace lodge::drivers::qemu
