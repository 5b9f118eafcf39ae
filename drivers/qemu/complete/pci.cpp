// Two rounds over the same steps. The first only counts: it finds out which bridges and root ports are needed and adds their
// controllers to the document. The second writes addresses. The order of the steps decides who gets which slot.
#include "drivers/qemu/complete/pci.hpp"
#include "drivers/qemu/complete/controllers.hpp"
#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/pci_plug.hpp"
#include <algorithm>
#include <map>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::Controller;
using xml::ControllerModel;
using xml::ControllerType;
using xml::DeviceInfo;
using xml::PciAddress;

namespace {

PciAddress at(unsigned slot, unsigned function, unsigned bus = 0) {
    PciAddress address;
    address.bus = bus, address.slot = slot, address.function = function;
    return address;
}

bool wants_place(const DeviceInfo& info) {
    return !info.address || (info.address->type == AddressType::pci && info.address->pci.empty());
}

bool is_given(const DeviceInfo& info) { return info.is_pci() && !info.address->pci.empty(); }

bool is_root(const Controller& controller) {
    return controller.model == ControllerModel::pci_root || controller.model == ControllerModel::pcie_root;
}

// Which function of their common slot the parts of an ICH9 USB 2 controller have.
std::optional<unsigned> ich9_function(const Controller& controller) {
    if (controller.type != ControllerType::usb || !controller.model) return std::nullopt;
    switch (*controller.model) {
    case ControllerModel::ich9_uhci1: return 0;
    case ControllerModel::ich9_uhci2: return 1;
    case ControllerModel::ich9_uhci3: return 2;
    case ControllerModel::ich9_ehci1: return 7;
    default: return std::nullopt;
    }
}

class Round {
  public:
    Round(xml::Domain& domain, bool write)
        : devices_(domain.devices)
        , machine_(domain.os.type.machine)
        , world_{is_q35(machine_)}
        , slots_(world_.pcie)
        , write_(write) {}

    PciSlots& slots() { return slots_; }

    void set_up() {
        for (const auto& controller : devices_.controllers) {
            if (controller.type != ControllerType::pci || !controller.index) continue;
            if (!controller.model) rpc::fail(From::domain, Code::internal_error, "PCI controller model was not set correctly");
            slots_.set_bus(*controller.index, *controller.model);
        }
        slots_.fill_gaps();
        for_each_device(devices_, [&](auto& device) { collect(device); });
    }

    void chipset() {
        if (world_.pcie)
            q35();
        else
            piix3();
    }

    void assign() {
        for (auto& controller : devices_.controllers)
            if (controller.type == ControllerType::pci && !is_root(controller)) place(controller);
        each(devices_.filesystems);
        for (auto& nic : devices_.interfaces)
            if (nic.type != xml::NicType::hostdev) place(nic);
        each(devices_.sounds);
        for (auto& controller : devices_.controllers)
            if (controller.type != ControllerType::pci) place_controller(controller);
        for (auto& disk : devices_.disks) {
            check_virtio_disk(disk);
            place(disk);
        }
        for (auto& nic : devices_.interfaces) // these are host devices, whatever they look like
            if (nic.type == xml::NicType::hostdev) place(nic);
        each(devices_.hostdevs);
        if (devices_.memballoon) place(*devices_.memballoon);
        each(devices_.rngs);
        each(devices_.watchdogs);
        if (devices_.iommu) place(*devices_.iommu);
        each(devices_.videos);
        each(devices_.shmems);
        each(devices_.inputs);
        each(devices_.serials);
        if (devices_.vsock) place(*devices_.vsock);
        each(devices_.memories);
        each(devices_.cryptos);
    }

    // Room for one more device, to be plugged in later.
    void reserve_spare() { slots_.next(world_.express()); }

    // Function 0 tells the guest that its slot has more functions.
    void mark_multifunction() {
        for_each_info(devices_, [&](DeviceInfo& info) {
            if (!is_given(info) || info.address->pci.function || info.address->pci.multifunction) return;
            const auto functions = slots_.functions_in_use(info.address->pci);
            if (functions & (functions - 1)) info.address->pci.multifunction = true;
        });
    }

  private:
    template<class Device> void collect(Device& device) {
        if (!is_given(device.info)) return;
        if constexpr (std::is_same_v<Device, Controller>)
            if (is_piix3_function(device)) return;
        slots_.reserve_given(device.info.address->pci, pci_plug(world_, device));
    }

    // The chip that slot 1 of a "pc" machine is: its IDE and USB controllers are reserved with the rest of it.
    bool is_piix3_function(const Controller& controller) const {
        const auto& address = controller.info.address->pci;
        if (world_.pcie || address.bus || address.slot.value != 1) return false;
        const bool ide = controller.type == ControllerType::ide && address.function.value == 1;
        const bool usb = controller.type == ControllerType::usb && address.function.value == 2 &&
                         (!controller.model || controller.model == ControllerModel::piix3_uhci);
        return ide || usb;
    }

    void fix(DeviceInfo& info, const PciAddress& address) {
        if (!write_) {
            counted_[&info] = address;
            return;
        }
        auto multifunction = info.address ? info.address->pci.multifunction : std::nullopt;
        info.address.emplace();
        info.address->pci = address;
        info.address->pci.multifunction = multifunction;
    }

    bool unplaced(const DeviceInfo& info) const { return wants_place(info) && !counted_.contains(&info); }

    template<class Device> void place(Device& device) {
        const auto flags = pci_plug(world_, device);
        if (flags && unplaced(device.info)) return fix(device.info, slots_.next(flags));
        if (has_unknown_plug(device) && unplaced(device.info))
            rpc::fail(From::domain, Code::internal_error,
                      "Cannot automatically add a new PCI bus for a device with connect flags 00");
    }
    static void check_virtio_disk(const xml::Disk& disk) {
        if (disk.target.bus != xml::DiskBus::virtio || !disk.info.address) return;
        const auto type = disk.info.address->type;
        if (type != AddressType::pci && type != AddressType::ccw)
            rpc::fail(From::qemu, Code::config_unsupported, "virtio disk cannot have an address of type '{}'", xml::word(type));
    }
    template<class Devices> void each(Devices& devices) {
        for (auto& device : devices) place(device);
    }

    void take(DeviceInfo& info, const PciAddress& address) {
        slots_.take(address);
        fix(info, address);
    }

    void place_controller(Controller& controller) {
        if (!world_.pcie && controller.type == ControllerType::ide && controller.index == 0u) return;
        const auto function = ich9_function(controller);
        const auto flags = pci_plug(world_, controller);
        if (!function) return place(controller);
        if (!flags || !unplaced(controller.info)) return;
        if (const auto slot = companion_slot(controller)) {
            auto address = *slot;
            address.function = *function;
            address.multifunction.reset();
            if (!slots_.function_in_use(address)) return take(controller.info, address);
        }
        fix(controller.info, slots_.next(flags, *function));
    }

    // Where another part of the same USB 2 controller already stands.
    std::optional<PciAddress> companion_slot(const Controller& controller) const {
        for (const auto& other : devices_.controllers) {
            if (&other == &controller || other.index != controller.index || !ich9_function(other)) continue;
            if (const auto counted = counted_.find(&other.info); counted != counted_.end()) return counted->second;
            if (is_given(other.info)) return other.info.address->pci;
        }
        return std::nullopt;
    }

    void piix3() {
        for (auto& controller : devices_.controllers) {
            if (controller.index != 0u) continue;
            if (controller.type == ControllerType::ide)
                pin(controller, at(1, 1), "Primary IDE controller must have PCI address 0:0:1.1");
            else if (controller.type == ControllerType::usb && controller.model == ControllerModel::piix3_uhci)
                pin(controller, at(1, 2), "PIIX3 USB controller at index 0 must have PCI address 0:0:1.2");
        }
        for (const unsigned function : {0u, 3u}) slots_.reserve_given(at(1, function), 0); // ISA bridge, power management
        primary_video(2);
    }

    void pin(Controller& controller, const PciAddress& address, const char* refusal) {
        if (is_given(controller.info) && !controller.info.address->pci.same_place(address))
            rpc::fail(From::qemu, Code::internal_error, "{}", refusal);
        slots_.reserve_given(address, 0);
        if (!is_given(controller.info) && !counted_.contains(&controller.info)) fix(controller.info, address);
    }

    void primary_video(unsigned slot) {
        if (devices_.videos.empty()) return;
        auto& video = devices_.videos.front();
        const auto flags = pci_plug(world_, video);
        if (!flags || !unplaced(video.info)) return;
        if (slots_.slot_in_use(at(slot, 0))) return fix(video.info, slots_.next(flags));
        take(video.info, at(slot, 0));
    }

    void q35() {
        for (auto& controller : devices_.controllers) {
            if (controller.type == ControllerType::sata && controller.index == 0u && is_given(controller.info) &&
                !controller.info.address->pci.same_place(at(0x1f, 2)))
                rpc::fail(From::qemu, Code::internal_error, "Primary SATA controller must have PCI address 0:0:1f.2");
            if (!unplaced(controller.info)) continue;
            if (controller.type == ControllerType::sata && controller.index == 0u) take(controller.info, at(0x1f, 2));
            if (controller.is(ControllerType::usb, ControllerModel::ich9_ehci1) ||
                controller.is(ControllerType::usb, ControllerModel::ich9_uhci1))
                usual_usb2_slot(controller);
            if (controller.is(ControllerType::pci, ControllerModel::dmi_to_pci_bridge) && !slots_.slot_in_use(at(0x1e, 0)))
                take(controller.info, at(0x1e, 0));
        }
        slots_.reserve_given(at(0x1f, 0), 0); // ISA bridge
        slots_.reserve_given(at(0x1f, 3), 0); // SMBus
        primary_video(1);
        usual_sound_slot();
    }

    // Real ICH9 chips have their USB 2 controllers at 00:1d and 00:1a.
    void usual_usb2_slot(Controller& controller) {
        if (companion_slot(controller)) return;
        for (const unsigned slot : {0x1du, 0x1au})
            if (!slots_.slot_in_use(at(slot, 0))) return take(controller.info, at(slot, *ich9_function(controller)));
    }

    void usual_sound_slot() {
        for (auto& sound : devices_.sounds) {
            if (sound.model != xml::SoundModel::ich9 || !unplaced(sound.info)) continue;
            if (!slots_.slot_in_use(at(0x1b, 0))) take(sound.info, at(0x1b, 0));
            return;
        }
    }

    xml::Devices& devices_;
    std::string machine_;
    PciWorld world_;
    PciSlots slots_;
    bool write_;
    std::map<const DeviceInfo*, PciAddress> counted_;
};

unsigned pci_controllers(const xml::Devices& devices) {
    return static_cast<unsigned>(
        std::ranges::count_if(devices.controllers, [](const Controller& c) { return c.type == ControllerType::pci; }));
}

// The counting round; ends with every needed controller in the document.
void add_missing_buses(xml::Domain& domain) {
    Round round(domain, false);
    const bool pcie = is_q35(domain.os.type.machine);
    round.set_up();
    round.chipset();
    const bool only_root = pci_controllers(domain.devices) <= 1;
    const bool room_for_bridge = !pcie && !round.slots().all_full();
    round.assign();
    const bool grew = round.slots().size() > 1;
    if ((pcie && only_root && grew) || room_for_bridge) round.reserve_spare();
    for (unsigned index = 1; index < round.slots().size(); ++index) {
        if (find_controller(domain.devices, ControllerType::pci, index)) continue;
        Controller bridge;
        bridge.type = ControllerType::pci;
        bridge.index = index;
        bridge.model = round.slots().model(index);
        round.slots().next(plug_of(*bridge.model)); // may need yet another bus
        domain.devices.controllers.push_back(std::move(bridge));
    }
}

struct TargetDefaults {
    ControllerModel model;
    xml::PciModelName name;
};
constexpr TargetDefaults model_names[] = {
    {ControllerModel::pci_bridge, xml::PciModelName::pci_bridge},
    {ControllerModel::dmi_to_pci_bridge, xml::PciModelName::i82801b11_bridge},
    {ControllerModel::pcie_to_pci_bridge, xml::PciModelName::pcie_pci_bridge},
    {ControllerModel::pcie_root_port, xml::PciModelName::pcie_root_port},
    {ControllerModel::pcie_switch_upstream_port, xml::PciModelName::x3130_upstream},
    {ControllerModel::pcie_switch_downstream_port, xml::PciModelName::xio3130_downstream},
    {ControllerModel::pci_expander_bus, xml::PciModelName::pxb},
    {ControllerModel::pcie_expander_bus, xml::PciModelName::pxb_pcie},
};

// Expander buses count down from the top of the bus numbers, leaving room for what stands behind them.
unsigned new_bus_number(const xml::Devices& devices, unsigned bus) {
    unsigned lowest = 256;
    for (const auto& controller : devices.controllers)
        if (controller.type == ControllerType::pci && controller.target.bus_nr)
            lowest = std::min(lowest, *controller.target.bus_nr);
    if (lowest <= 2)
        rpc::fail(
            From::qemu, Code::config_unsupported,
            "No free busNr lower than current lowest busNr is available to auto-assign to bus {}. Must be manually assigned",
            bus);
    return lowest - 2;
}

void complete_target(Controller& controller, const xml::Devices& devices) {
    for (const auto& row : model_names)
        if (row.model == controller.model && !controller.model_name) controller.model_name = row.name;
    auto& target = controller.target;
    const auto index = controller.index.value_or(0);
    const auto* address = controller.info.is_pci() ? &controller.info.address->pci : nullptr;
    using enum ControllerModel;
    switch (*controller.model) {
    case pci_bridge:
        if (!target.chassis_nr) target.chassis_nr = index;
        if (address && index <= address->bus.value)
            rpc::fail(From::qemu, Code::config_unsupported,
                      "PCI controller at index {} (0x{:02x}) has bus='0x{:02x}', but index must be larger than bus", index, index,
                      address->bus.value);
        break;
    case pcie_root_port:
    case pcie_switch_downstream_port:
        if (!target.chassis) target.chassis = index;
        if (!target.port && address)
            target.port = controller.model == pcie_root_port ? address->slot << 3 | address->function : address->slot.value;
        break;
    case pci_expander_bus:
    case pcie_expander_bus:
        if (!target.bus_nr) target.bus_nr = new_bus_number(devices, address ? static_cast<unsigned>(address->bus.value) : 0);
        break;
    default: break;
    }
}

} // namespace

// Other machines have no place for devices that need one.
static void refuse_without_pci(xml::Devices& devices) {
    for (const auto& controller : devices.controllers)
        if (controller.type == ControllerType::pci) return;
    const PciWorld world{false};
    for_each_device(devices, [&](auto& device) {
        if (pci_plug(world, device) && (wants_place(device.info) || device.info.is_pci()))
            rpc::fail(From::domain, Code::xml_error, "No PCI buses available");
    });
}

void assign_pci(xml::Domain& domain) {
    if (!has_pci(domain.os.type.machine)) return refuse_without_pci(domain.devices);
    add_missing_buses(domain);
    Round round(domain, true);
    round.set_up();
    round.chipset();
    round.assign();
    round.mark_multifunction();
    for (auto& controller : domain.devices.controllers)
        if (controller.type == ControllerType::pci && controller.model) complete_target(controller, domain.devices);
}

} // namespace lodge::drivers::qemu
