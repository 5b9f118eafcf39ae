// Walks over the devices of a document, in the order in which libvirt looks at them when it collects addresses.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

namespace detail {
template<class T, class F> void each(std::vector<T>& items, F&& visit) {
    for (auto& item : items) visit(item);
}
template<class T, class F> void each(std::optional<T>& item, F&& visit) {
    if (item) visit(*item);
}
} // namespace detail

// visit(device) for every device that has a DeviceInfo; `visit` is generic over the device's type.
template<class F> void for_each_device(xml::Devices& devices, F&& visit) {
    detail::each(devices.disks, visit);
    detail::each(devices.interfaces, visit);
    detail::each(devices.sounds, visit);
    detail::each(devices.hostdevs, visit);
    detail::each(devices.videos, visit);
    detail::each(devices.controllers, visit);
    detail::each(devices.smartcards, visit);
    detail::each(devices.serials, visit);
    detail::each(devices.parallels, visit);
    detail::each(devices.channels, visit);
    // The first console repeats the first serial port; only others are devices of their own.
    for (auto& console : devices.consoles)
        if (console.target.type != xml::ConsoleTargetType::serial) visit(console);
    detail::each(devices.inputs, visit);
    detail::each(devices.filesystems, visit);
    detail::each(devices.watchdogs, visit);
    detail::each(devices.memballoon, visit);
    detail::each(devices.rngs, visit);
    detail::each(devices.nvram, visit);
    detail::each(devices.hubs, visit);
    detail::each(devices.shmems, visit);
    detail::each(devices.tpms, visit);
    detail::each(devices.panics, visit);
    detail::each(devices.memories, visit);
    detail::each(devices.redirdevs, visit);
    detail::each(devices.iommu, visit);
    detail::each(devices.vsock, visit);
    detail::each(devices.cryptos, visit);
}

// visit(DeviceInfo&) for every device.
template<class F> void for_each_info(xml::Devices& devices, F&& visit) {
    for_each_device(devices, [&](auto& device) { visit(device.info); });
}

inline xml::Controller* find_controller(xml::Devices& devices, xml::ControllerType type, unsigned index) {
    for (auto& controller : devices.controllers)
        if (controller.type == type && controller.index == index) return &controller;
    return nullptr;
}

} // namespace lodge::drivers::qemu
