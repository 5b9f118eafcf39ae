// How a device of the document wants to be plugged into PCI; 0: it is no PCI device.
#pragma once
#include "drivers/qemu/complete/pci_slots.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

// What the endpoints of this machine are: on pcie-root, modern devices are PCI Express ones.
struct PciWorld {
    bool pcie = false;
    unsigned conventional() const { return plug::pci | plug::hotplug; }
    unsigned express() const { return pcie ? plug::pcie | plug::hotplug : conventional(); }
    unsigned of(xml::VirtioModel model) const { return model == xml::VirtioModel::transitional ? conventional() : express(); }
};

unsigned pci_plug(const PciWorld&, const xml::Disk&);
unsigned pci_plug(const PciWorld&, const xml::Controller&);
unsigned pci_plug(const PciWorld&, const xml::Filesystem&);
unsigned pci_plug(const PciWorld&, const xml::Nic&);
unsigned pci_plug(const PciWorld&, const xml::Sound&);
unsigned pci_plug(const PciWorld&, const xml::Video&);
unsigned pci_plug(const PciWorld&, const xml::Hostdev&);
unsigned pci_plug(const PciWorld&, const xml::Memballoon&);
unsigned pci_plug(const PciWorld&, const xml::Rng&);
unsigned pci_plug(const PciWorld&, const xml::Watchdog&);
unsigned pci_plug(const PciWorld&, const xml::Shmem&);
unsigned pci_plug(const PciWorld&, const xml::Input&);
unsigned pci_plug(const PciWorld&, const xml::Serial&);
unsigned pci_plug(const PciWorld&, const xml::Vsock&);
unsigned pci_plug(const PciWorld&, const xml::Iommu&);
unsigned pci_plug(const PciWorld&, const xml::MemoryDevice&);
unsigned pci_plug(const PciWorld&, const xml::Crypto&);
template<class Device> unsigned pci_plug(const PciWorld&, const Device&) { return 0; }

// Devices that libvirt takes for PCI ones without knowing how they are plugged in; it refuses to place them.
inline bool has_unknown_plug(const xml::Nic& nic) { return nic.model == "usb-net"; }
inline bool has_unknown_plug(const xml::Sound& sound) { return sound.model == xml::SoundModel::ich7; }
inline bool has_unknown_plug(const xml::Memballoon& balloon) { return balloon.model == xml::BalloonModel::xen; }
inline bool has_unknown_plug(const xml::Controller& controller) {
    return controller.type == xml::ControllerType::isa || controller.type == xml::ControllerType::xenbus;
}
template<class Device> bool has_unknown_plug(const Device&) { return false; }

} // namespace lodge::drivers::qemu
