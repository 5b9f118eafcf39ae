// The PCI topology of a guest while addresses are given out: which buses there are, what fits where, what is taken. Knows
// nothing of documents; pci.cpp walks the devices.
#pragma once
#include "xml/domain/controller.hpp"
#include <array>

namespace lodge::drivers::qemu {

// How a device wants to be plugged in, and what a bus takes.
namespace plug {
constexpr unsigned pci = 1 << 0;  // conventional PCI endpoint
constexpr unsigned pcie = 1 << 1; // PCI Express endpoint
constexpr unsigned pci_bridge = 1 << 2;
constexpr unsigned pcie_root_port = 1 << 3;
constexpr unsigned switch_upstream = 1 << 4;
constexpr unsigned switch_downstream = 1 << 5;
constexpr unsigned dmi_to_pci_bridge = 1 << 6;
constexpr unsigned pcie_to_pci_bridge = 1 << 7;
constexpr unsigned pci_expander = 1 << 8;
constexpr unsigned pcie_expander = 1 << 9;
constexpr unsigned hotplug = 1 << 16;
constexpr unsigned share_slot = 1 << 17; // several such devices share a slot, one function each
constexpr unsigned integrated = 1 << 18; // must stand on bus 0
constexpr unsigned kinds = 0xffff;
} // namespace plug

// How a controller of this model itself is plugged in; 0: it is the root.
unsigned plug_of(xml::ControllerModel model);

class PciSlots {
  public:
    // `pcie`: the machine's root is pcie-root.
    explicit PciSlots(bool pcie)
        : pcie_(pcie) {}

    void set_bus(unsigned index, xml::ControllerModel model);
    // Gives every bus without a model one that suits the machine.
    void fill_gaps();
    std::size_t size() const { return buses_.size(); }
    xml::ControllerModel model(std::size_t index) const { return buses_[index].model; }

    // An address that the document gives; buses up to it are made. Throws libvirt's errors.
    void reserve_given(const xml::PciAddress& address, unsigned flags);
    // An address of our own choosing, known to be free or checked before.
    void take(const xml::PciAddress& address, unsigned flags = 0);
    bool slot_in_use(const xml::PciAddress& address) const;
    bool function_in_use(const xml::PciAddress& address) const;
    unsigned functions_in_use(const xml::PciAddress& address) const; // bit per function
    bool all_full() const;

    // The next free place for such a device, reserved; grows the topology when there is none. `function`: in that function of a
    // free slot.
    xml::PciAddress next(unsigned flags, std::optional<unsigned> function = std::nullopt);

  private:
    struct Slot {
        std::uint8_t functions = 0;
        bool shared = false;
    };
    struct Bus {
        xml::ControllerModel model{};
        bool known = false;
        unsigned takes = 0, first = 0, last = 0;
        std::array<Slot, 32> slots{};
    };
    void make_bus(Bus& bus, xml::ControllerModel model);
    std::optional<xml::PciAddress> find(unsigned flags, std::optional<unsigned> function) const;
    void grow_for(unsigned flags);
    void grow_to(unsigned bus_index, unsigned flags);
    void add_bus(xml::ControllerModel model);
    bool any_takes(unsigned flags) const;
    void check_fit(const xml::PciAddress& address, unsigned flags) const;

    bool pcie_;
    std::vector<Bus> buses_;
};

} // namespace lodge::drivers::qemu
