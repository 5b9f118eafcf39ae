#include "drivers/qemu/complete/pci_slots.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::ControllerModel;
using xml::PciAddress;

namespace {

struct ModelRow {
    ControllerModel model;
    unsigned plugs_as, takes, first_slot, last_slot;
};
using enum ControllerModel;
constexpr ModelRow models[] = {
    {pci_root, 0, plug::pci | plug::pci_bridge | plug::pci_expander | plug::hotplug, 1, 31},
    {pcie_root, 0,
     plug::pci | plug::pcie | plug::pcie_root_port | plug::dmi_to_pci_bridge | plug::pcie_to_pci_bridge | plug::pcie_expander, 1,
     31},
    {pci_bridge, plug::pci_bridge, plug::pci | plug::pci_bridge | plug::hotplug, 1, 31},
    {dmi_to_pci_bridge, plug::dmi_to_pci_bridge, plug::pci | plug::pci_bridge, 0, 31},
    {pcie_to_pci_bridge, plug::pcie_to_pci_bridge | plug::hotplug, plug::pci | plug::pci_bridge | plug::hotplug, 1, 31},
    {pcie_root_port, plug::pcie_root_port | plug::share_slot,
     plug::pcie | plug::switch_upstream | plug::pcie_to_pci_bridge | plug::hotplug, 0, 0},
    {pcie_switch_upstream_port, plug::switch_upstream, plug::switch_downstream, 0, 31},
    {pcie_switch_downstream_port, plug::switch_downstream,
     plug::pcie | plug::switch_upstream | plug::pcie_to_pci_bridge | plug::hotplug, 0, 0},
    {pci_expander_bus, plug::pci_expander, plug::pci | plug::pci_bridge, 0, 31},
    {pcie_expander_bus, plug::pcie_expander, plug::pcie_root_port | plug::dmi_to_pci_bridge, 0, 31},
};

const ModelRow& row_of(ControllerModel model) {
    for (const auto& row : models)
        if (row.model == model) return row;
    rpc::fail(Code::internal_error, "unexpected PCI controller model {}", xml::word(model));
}

struct PlugName {
    unsigned flag;
    const char* name;
};
constexpr PlugName plug_names[] = {
    {plug::pci, "standard PCI device"},
    {plug::pcie, "PCI Express device"},
    {plug::switch_upstream, "pcie-switch-upstream-port"},
    {plug::switch_downstream, "pcie-switch-downstream-port"},
    {plug::pcie_root_port, "pcie-root-port"},
    {plug::pci_bridge, "pci-bridge"},
    {plug::dmi_to_pci_bridge, "dmi-to-pci-bridge"},
    {plug::pcie_to_pci_bridge, "pcie-to-pci-bridge"},
    {plug::pci_expander, "pci-expander-bus"},
    {plug::pcie_expander, "pcie-expander-bus"},
};

} // namespace

unsigned plug_of(ControllerModel model) { return row_of(model).plugs_as; }

void PciSlots::make_bus(Bus& bus, ControllerModel model) {
    const auto& row = row_of(model);
    bus.model = model;
    bus.known = true;
    bus.takes = row.takes;
    bus.first = row.first_slot;
    bus.last = row.last_slot;
}

void PciSlots::set_bus(unsigned index, ControllerModel model) {
    if (index >= buses_.size()) buses_.resize(index + 1);
    if (buses_[index].known) rpc::fail(From::domain, Code::xml_error, "Multiple 'pci' controllers with index '{}'", index);
    make_bus(buses_[index], model);
}

void PciSlots::fill_gaps() {
    for (std::size_t i = 0; i < buses_.size(); ++i) {
        if (buses_[i].known) continue;
        const auto root = pcie_ ? pcie_root : pci_root;
        const auto other = pcie_ ? pcie_root_port : pci_bridge;
        make_bus(buses_[i], i == 0 ? root : other);
    }
}

void PciSlots::add_bus(ControllerModel model) { make_bus(buses_.emplace_back(), model); }

bool PciSlots::any_takes(unsigned flags) const {
    return std::ranges::any_of(buses_, [&](const Bus& bus) { return bus.takes & flags & plug::kinds; });
}

void PciSlots::grow_to(unsigned bus_index, unsigned flags) {
    constexpr unsigned grows = plug::pci | plug::pcie | plug::switch_upstream;
    const auto name = std::ranges::find_if(plug_names, [&](const PlugName& row) { return row.flag & flags; });
    if (buses_.size() <= bus_index && flags & plug::kinds && !(flags & grows))
        rpc::fail(From::domain, Code::internal_error,
                  "a PCI slot is needed to connect a PCI controller model='{}', but none is available, and it cannot be "
                  "automatically added",
                  name == std::end(plug_names) ? "none" : name->name);
    while (buses_.size() <= bus_index) add_bus(pcie_ ? pcie_root_port : pci_bridge);
}

void PciSlots::grow_for(unsigned flags) {
    if (!pcie_) {
        if (flags & (plug::pci | plug::pci_bridge)) return add_bus(pci_bridge);
    } else if (flags & (plug::pcie | plug::switch_upstream | plug::pcie_to_pci_bridge)) {
        return add_bus(pcie_root_port);
    } else if (flags & (plug::pci | plug::pci_bridge)) {
        // A bridge to conventional PCI stands behind a root port of its own; once there is one, more bridges stand behind it.
        const bool has_conventional =
            std::ranges::any_of(buses_, [](const Bus& bus) { return bus.model != pcie_root && bus.takes & plug::pci_bridge; });
        if (has_conventional) return add_bus(pci_bridge);
        add_bus(pcie_root_port);
        return add_bus(pcie_to_pci_bridge);
    } else if (flags & plug::switch_downstream) {
        add_bus(pcie_root_port);
        return add_bus(pcie_switch_upstream_port);
    }
    rpc::fail(Code::internal_error, "No more available PCI slots");
}

void PciSlots::check_fit(const PciAddress& address, unsigned flags) const {
    if (address.domain) rpc::fail(From::domain, Code::xml_error, "Only PCI domain 0 is available");
    if (address.bus >= buses_.size())
        rpc::fail(From::domain, Code::xml_error, "Only PCI buses up to {} are available", buses_.size() - 1);
    const auto& bus = buses_[address.bus];
    const auto text = address.text();
    if (address.slot < bus.first)
        rpc::fail(From::domain, Code::xml_error, "Invalid PCI address {}. slot must be >= {}", text, bus.first);
    if (address.slot > bus.last)
        rpc::fail(From::domain, Code::xml_error, "Invalid PCI address {}. slot must be <= {}", text, bus.last);
    if (flags & plug::integrated) {
        if (address.bus.value != 0)
            rpc::fail(From::domain, Code::xml_error, "The device at PCI address {} needs to be an integrated device (bus=0)",
                      text);
        return;
    }
    // Whoever gives an address may put endpoints of either kind on either kind of bus.
    constexpr unsigned endpoints = plug::pci | plug::pcie;
    const auto takes = bus.takes & endpoints ? bus.takes | endpoints : bus.takes;
    if (!(flags & plug::kinds) || takes & flags & plug::kinds) return;
    const auto name = std::ranges::find_if(plug_names, [&](const PlugName& row) { return row.flag & flags; });
    rpc::fail(From::domain, Code::xml_error,
              "The device at PCI address {} cannot be plugged into the PCI controller with index='{}'. It requires a controller "
              "that accepts a {}.",
              text, address.bus.value, name == std::end(plug_names) ? "device" : name->name);
}

void PciSlots::reserve_given(const PciAddress& address, unsigned flags) {
    grow_to(static_cast<unsigned>(address.bus.value), flags);
    check_fit(address, flags);
    if (function_in_use(address))
        rpc::fail(From::domain, Code::xml_error, "Attempted double use of PCI Address {}", address.text());
    take(address, flags);
}

void PciSlots::take(const PciAddress& address, unsigned flags) {
    auto& slot = buses_[address.bus].slots[address.slot];
    // Only a slot that began with a device of this kind may be filled up with more of them.
    if (!slot.functions) slot.shared = flags & plug::share_slot;
    slot.functions |= static_cast<std::uint8_t>(1u << address.function);
}

bool PciSlots::slot_in_use(const PciAddress& address) const { return functions_in_use(address) != 0; }

bool PciSlots::function_in_use(const PciAddress& address) const { return functions_in_use(address) >> address.function & 1; }

unsigned PciSlots::functions_in_use(const PciAddress& address) const {
    return address.bus < buses_.size() ? buses_[address.bus].slots[address.slot].functions : 0;
}

bool PciSlots::all_full() const {
    return std::ranges::all_of(buses_, [](const Bus& bus) {
        for (unsigned slot = bus.first; slot <= bus.last; ++slot)
            if (!bus.slots[slot].functions) return false;
        return true;
    });
}

std::optional<PciAddress> PciSlots::find(unsigned flags, std::optional<unsigned> function) const {
    for (std::size_t index = 0; index < buses_.size(); ++index) {
        const auto& bus = buses_[index];
        if (!(bus.takes & flags & plug::kinds)) continue;
        if (flags & plug::hotplug && !(bus.takes & plug::hotplug)) continue;
        if (flags & plug::integrated && index != 0) break;
        for (unsigned number = bus.first; number <= bus.last; ++number) {
            const auto& slot = bus.slots[number];
            PciAddress address;
            address.bus = index, address.slot = number;
            if (!slot.functions) return address.function = function.value_or(0), address;
            if (!(flags & plug::share_slot) || !slot.shared) continue;
            for (unsigned f = 0; f < 8; ++f)
                if (!(slot.functions >> f & 1)) return address.function = f, address;
        }
    }
    return std::nullopt;
}

PciAddress PciSlots::next(unsigned flags, std::optional<unsigned> function) {
    auto address = find(flags, function);
    if (!address) {
        grow_for(flags);
        address = find(flags, function);
        if (!address) rpc::fail(Code::internal_error, "No more available PCI slots");
    }
    take(*address, flags);
    return *address;
}

} // namespace lodge::drivers::qemu
