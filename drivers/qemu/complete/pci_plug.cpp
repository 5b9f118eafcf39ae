#include "drivers/qemu/complete/pci_plug.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using xml::ControllerModel;
using xml::ControllerType;
using xml::VirtioModel;

namespace {

bool contains(std::initializer_list<std::string_view> words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

unsigned usb_plug(const PciWorld& world, const xml::Controller& controller) {
    if (controller.model == ControllerModel::none) return 0;
    const bool xhci = controller.model == ControllerModel::nec_xhci || controller.model == ControllerModel::qemu_xhci;
    return xhci ? world.express() : world.conventional();
}

unsigned virtio_plug(const PciWorld& world, const xml::Controller& controller) {
    return controller.model == ControllerModel::virtio_transitional ? world.conventional() : world.express();
}

unsigned scsi_plug(const PciWorld& world, const xml::Controller& controller) {
    using enum ControllerModel;
    const bool express = controller.model == virtio_scsi || controller.model == virtio_non_transitional;
    return express ? world.express() : world.conventional();
}

} // namespace

unsigned pci_plug(const PciWorld& world, const xml::Disk& disk) {
    if (disk.target.bus != xml::DiskBus::virtio) return 0;
    return world.of(disk.model.value_or(VirtioModel::virtio));
}

unsigned pci_plug(const PciWorld& world, const xml::Controller& controller) {
    switch (controller.type) {
    case ControllerType::pci: return controller.model ? plug_of(*controller.model) : 0;
    case ControllerType::usb: return usb_plug(world, controller);
    case ControllerType::scsi: return scsi_plug(world, controller);
    case ControllerType::virtio_serial: return virtio_plug(world, controller);
    case ControllerType::sata:
    case ControllerType::ide: return world.conventional();
    default: return 0;
    }
}

unsigned pci_plug(const PciWorld& world, const xml::Filesystem& fs) { return world.of(fs.model.value_or(VirtioModel::virtio)); }

unsigned pci_plug(const PciWorld& world, const xml::Nic& nic) {
    if (nic.type == xml::NicType::hostdev) return nic.source.hostdev_type == xml::HostdevType::pci ? world.express() : 0;
    if (nic.model == "usb-net") return 0;
    // Cards that are known to be conventional ones; a name that nobody knows is taken for a modern card.
    static constexpr std::initializer_list<std::string_view> conventional = {
        "rtl8139",   "e1000",  "virtio-transitional", "vmxnet",   "vmxnet2", "vmxnet3", "netfront", "spapr-vlan", "lan9118",
        "scm91c111", "vlance", "Am79C970A",           "Am79C973", "82540EM", "82545EM", "82543GC"};
    return contains(conventional, nic.model) ? world.conventional() : world.express();
}

unsigned pci_plug(const PciWorld& world, const xml::Sound& sound) {
    using enum xml::SoundModel;
    switch (sound.model) {
    case ac97:
    case es1370:
    case ich6:
    case ich9: return world.conventional();
    default: return 0;
    }
}

unsigned pci_plug(const PciWorld& world, const xml::Video& video) {
    using enum xml::VideoType;
    switch (video.model.type) {
    case none:
    case ramfb:
    case gop: return 0;
    case virtio:
    case bochs: return world.express();
    default: return world.conventional();
    }
}

unsigned pci_plug(const PciWorld& world, const xml::Hostdev& hostdev) {
    if (hostdev.mode != xml::HostdevMode::subsystem) return 0;
    if (hostdev.info.is(xml::AddressType::unassigned)) return 0;
    switch (hostdev.type) {
    case xml::HostdevType::pci: return world.express();
    case xml::HostdevType::mdev: return hostdev.model == xml::HostdevModel::vfio_pci ? world.express() : 0;
    case xml::HostdevType::scsi_host:
        return hostdev.model == xml::HostdevModel::virtio_transitional ? world.conventional() : world.express();
    default: return 0;
    }
}

unsigned pci_plug(const PciWorld& world, const xml::Memballoon& balloon) {
    using enum xml::BalloonModel;
    if (balloon.model == none || balloon.model == xen) return 0;
    return balloon.model == virtio_transitional ? world.conventional() : world.express();
}

unsigned pci_plug(const PciWorld& world, const xml::Rng& rng) { return world.of(rng.model); }

unsigned pci_plug(const PciWorld& world, const xml::Watchdog& watchdog) {
    return watchdog.model == xml::WatchdogModel::i6300esb ? world.conventional() : 0;
}

unsigned pci_plug(const PciWorld& world, const xml::Shmem&) { return world.conventional(); }

unsigned pci_plug(const PciWorld& world, const xml::Input& input) {
    return input.bus == xml::InputBus::virtio ? world.of(input.model.value_or(VirtioModel::virtio)) : 0;
}

unsigned pci_plug(const PciWorld& world, const xml::Serial& serial) {
    return serial.target.type == xml::SerialTargetType::pci_serial ? world.conventional() : 0;
}

unsigned pci_plug(const PciWorld& world, const xml::Vsock& vsock) { return world.of(vsock.model.value_or(VirtioModel::virtio)); }

unsigned pci_plug(const PciWorld&, const xml::Iommu& iommu) {
    return iommu.model == xml::IommuModel::virtio ? plug::pcie | plug::pci | plug::integrated : 0;
}

unsigned pci_plug(const PciWorld& world, const xml::MemoryDevice& memory) {
    const bool virtio = memory.model == xml::MemoryModel::virtio_pmem || memory.model == xml::MemoryModel::virtio_mem;
    return virtio ? world.express() : 0;
}

unsigned pci_plug(const PciWorld& world, const xml::Crypto&) { return world.express(); }

} // namespace lodge::drivers::qemu
