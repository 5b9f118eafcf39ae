#include "drivers/qemu/complete/controllers.hpp"
#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/machine_kind.hpp"
#include <algorithm>
#include <utility>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::Controller;
using xml::ControllerModel;
using xml::ControllerType;

namespace {

std::optional<unsigned> companion_start_port(const Controller& controller) {
    if (controller.type != ControllerType::usb || !controller.model) return std::nullopt;
    switch (*controller.model) {
    case ControllerModel::ich9_uhci1: return 0;
    case ControllerModel::ich9_uhci2: return 2;
    case ControllerModel::ich9_uhci3: return 4;
    default: return std::nullopt;
    }
}

bool goes_before(const Controller& added, const Controller& present) {
    if (!added.index || !present.index) return false;
    if (*present.index > *added.index) return true;
    return *present.index == *added.index && !added.info.master && present.info.master;
}

unsigned free_index(const xml::Devices& devices, ControllerType type) {
    for (unsigned index = 0;; ++index) {
        const bool taken =
            std::ranges::any_of(devices.controllers, [&](const Controller& c) { return c.type == type && c.index == index; });
        if (!taken) return index;
    }
}

} // namespace

void insert_controller(xml::Devices& devices, Controller controller) {
    auto& all = devices.controllers;
    auto after_last = all.end();
    for (auto present = all.begin(); present != all.end(); ++present) {
        if (present->type != controller.type) continue;
        if (goes_before(controller, *present)) {
            all.insert(present, std::move(controller));
            return;
        }
        after_last = std::next(present);
    }
    all.insert(after_last, std::move(controller));
}

bool ensure_controller(xml::Devices& devices, ControllerType type, unsigned index, std::optional<ControllerModel> model) {
    if (find_controller(devices, type, index)) return false;
    Controller controller;
    controller.type = type;
    controller.index = index;
    controller.model = model;
    devices.controllers.push_back(std::move(controller));
    return true;
}

void order_controllers(xml::Domain& domain) {
    auto given = std::exchange(domain.devices.controllers, {});
    for (auto& controller : given) {
        const auto port = companion_start_port(controller);
        if (port && !controller.info.master) controller.info.master = xml::UsbMaster{*port};
        insert_controller(domain.devices, std::move(controller));
    }
    // Companions without an index belong to the USB 2 controller before them.
    std::optional<unsigned> usb2;
    for (auto& controller : domain.devices.controllers) {
        if (!controller.index && companion_start_port(controller)) controller.index = usb2;
        if (!controller.index) controller.index = free_index(domain.devices, controller.type);
        if (controller.type == ControllerType::usb && controller.model == ControllerModel::ich9_ehci1) usb2 = controller.index;
    }
}

namespace {

void add_usb(xml::Domain& domain) {
    const auto model = is_q35(domain.os.type.machine) ? ControllerModel::qemu_xhci : ControllerModel::piix3_uhci;
    ensure_controller(domain.devices, ControllerType::usb, 0, model);
}

void add_pci_root(xml::Domain& domain) {
    const auto model = is_q35(domain.os.type.machine) ? ControllerModel::pcie_root : ControllerModel::pci_root;
    const auto* root = find_controller(domain.devices, ControllerType::pci, 0);
    if (!root) {
        ensure_controller(domain.devices, ControllerType::pci, 0, model);
    } else if (root->model != model) {
        rpc::fail(From::qemu, Code::xml_error,
                  "The PCI controller with index='0' must be model='{}' for this machine type, but model='{}' was found instead",
                  xml::word(model), root->model ? xml::word(*root->model) : "(null)");
    }
}

// POWER's own controllers stand on the hypervisor's bus on every machine.
void use_spapr_bus(const std::vector<Controller>& all, Controller& controller) {
    constexpr std::uint64_t first = 0x2000, step = 0x1000;
    const auto used = std::ranges::count_if(all, [](const Controller& c) { return c.info.is(xml::AddressType::spapr_vio); });
    controller.info.address.emplace().type = xml::AddressType::spapr_vio;
    controller.info.address->reg = first + step * static_cast<std::uint64_t>(used);
}

void complete_model(const xml::Domain& domain, Controller& controller) {
    switch (controller.type) {
    case ControllerType::usb:
        if (!controller.model) controller.model = ControllerModel::piix3_uhci;
        break;
    case ControllerType::scsi:
        if (!controller.model || controller.model == ControllerModel::auto_) controller.model = ControllerModel::lsilogic;
        if (controller.model == ControllerModel::ibmvscsi && !controller.info.address)
            use_spapr_bus(domain.devices.controllers, controller);
        break;
    default: break;
    }
}

} // namespace

void add_machine_controllers(xml::Domain& domain) {
    const auto& machine = domain.os.type.machine;
    if (machine != "isapc") add_usb(domain);
    if (!has_pci(machine)) return;
    if (is_q35(machine)) ensure_controller(domain.devices, ControllerType::sata, 0);
    add_pci_root(domain);
}

void complete_controllers(xml::Domain& domain) {
    for (auto& controller : domain.devices.controllers) complete_model(domain, controller);
}

namespace {

struct BusRow {
    xml::DiskBus bus;
    ControllerType type;
};
constexpr BusRow disk_buses[] = {
    {xml::DiskBus::scsi, ControllerType::scsi},
    {xml::DiskBus::fdc, ControllerType::fdc},
    {xml::DiskBus::ide, ControllerType::ide},
    {xml::DiskBus::sata, ControllerType::sata},
};

// New SCSI controllers are of the kind that the guest already has.
std::optional<ControllerModel> scsi_model(const xml::Devices& devices) {
    for (const auto& controller : devices.controllers)
        if (controller.type == ControllerType::scsi) return controller.model;
    return std::nullopt;
}

// All controllers up to the highest number that devices speak of, within reason: each becomes an element.
void ensure_up_to(xml::Devices& devices, ControllerType type, std::optional<unsigned> highest) {
    constexpr unsigned most = 1023;
    if (highest && *highest > most)
        rpc::fail(From::domain, Code::config_unsupported, "{} controller index {} too high, maximum is {}", xml::word(type),
                  *highest, most);
    for (unsigned index = 0; highest && index <= *highest; ++index)
        ensure_controller(devices, type, index, type == ControllerType::scsi ? scsi_model(devices) : std::nullopt);
}

void raise(std::optional<unsigned>& highest, unsigned index) {
    if (!highest || *highest < index) highest = index;
}

void add_for_disks(xml::Devices& devices) {
    for (const auto& row : disk_buses) {
        std::optional<unsigned> highest;
        for (const auto& disk : devices.disks)
            if (disk.target.bus == row.bus && disk.info.is(xml::AddressType::drive))
                raise(highest, disk.info.address->drive.controller);
        ensure_up_to(devices, row.type, highest);
    }
}

void add_virtio_serial(xml::Devices& devices) {
    const auto needs = [&](const xml::DeviceInfo& info) {
        const unsigned index = info.is(xml::AddressType::virtio_serial) ? info.address->virtio_serial.controller : 0;
        ensure_controller(devices, ControllerType::virtio_serial, index);
    };
    for (const auto& channel : devices.channels)
        if (channel.target.type == xml::ChannelTargetType::virtio) needs(channel.info);
    for (const auto& console : devices.consoles)
        if (console.target.type == xml::ConsoleTargetType::virtio) needs(console.info);
}

void add_for_smartcards(xml::Devices& devices) {
    for (const auto& smartcard : devices.smartcards) {
        if (smartcard.info.address && !smartcard.info.is(xml::AddressType::ccid)) continue;
        ensure_up_to(devices, ControllerType::ccid, smartcard.info.address ? smartcard.info.address->ccid.controller : 0);
    }
}

} // namespace

void add_scsi_for_hostdevs(xml::Domain& domain) {
    auto& devices = domain.devices;
    std::optional<unsigned> highest;
    for (const auto& hostdev : devices.hostdevs)
        if (hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::scsi)
            raise(highest, hostdev.info.is(xml::AddressType::drive) ? hostdev.info.address->drive.controller : 0);
    ensure_up_to(devices, ControllerType::scsi, highest);
}

void add_needed_controllers(xml::Domain& domain) {
    add_for_disks(domain.devices);
    add_virtio_serial(domain.devices);
    add_for_smartcards(domain.devices);
    add_scsi_for_hostdevs(domain);
}

} // namespace lodge::drivers::qemu
