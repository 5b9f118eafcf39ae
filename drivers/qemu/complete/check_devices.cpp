// What libvirt refuses of single devices while it gives them their defaults, before it looks at the document as a whole.
#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/steps.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::Controller;
using xml::ControllerModel;
using xml::ControllerType;

namespace {

void check_usb_controller(const Controller& controller, const xml::Domain& domain) {
    constexpr unsigned most_ports = 15;
    using enum ControllerModel;
    if (controller.model == qusb1 || controller.model == qusb2)
        rpc::fail(From::qemu, Code::config_unsupported, "USB controller model type 'qusb1' or 'qusb2' is not supported in {}",
                  xml::word(domain.type));
    if ((controller.model == nec_xhci || controller.model == qemu_xhci) && controller.ports.value_or(0) > most_ports)
        rpc::fail(From::qemu, Code::config_unsupported, "'{}' controller only supports up to '{}' ports",
                  xml::word(*controller.model), most_ports);
}

void check_pci_controller(const Controller& controller, const xml::Domain& domain) {
    using enum ControllerModel;
    const auto index = controller.index.value_or(0);
    const auto& machine = domain.os.type.machine;
    if ((controller.model == pci_root || controller.model == pcie_root) && index != 0)
        rpc::fail(From::qemu, Code::xml_error, "pci-root and pcie-root controllers should have index 0");
    if (controller.model == pci_expander_bus && !is_i440fx(machine))
        rpc::fail(From::qemu, Code::config_unsupported,
                  "pci-expander-bus controllers are only supported on 440fx-based machinetypes");
    if (controller.model == pcie_expander_bus && !is_q35(machine))
        rpc::fail(From::qemu, Code::config_unsupported, "pcie-expander-bus controllers are not supported with this machine type");
    const std::size_t cells = domain.cpu ? domain.cpu->cells.size() : 0;
    if (controller.target.node && *controller.target.node >= cells)
        rpc::fail(From::qemu, Code::xml_error,
                  "{} with index {} is configured for a NUMA node ({}) not present in the domain's <cpu><numa> array ({})",
                  controller.model ? xml::word(*controller.model) : "pci", index, *controller.target.node, cells);
    if (index > 255) // addresses could not name it
        rpc::fail(From::domain, Code::config_unsupported, "PCI controller index {} too high, maximum is 255", index);
}

void check_iothread(const Controller& controller) {
    using enum ControllerModel;
    const bool takes =
        controller.model == virtio_scsi || controller.model == virtio_transitional || controller.model == virtio_non_transitional;
    if (controller.driver.iothread.value_or(0) && !takes)
        rpc::fail(From::domain, Code::xml_error, "'iothread' attribute only supported for virtio scsi controllers");
}

void check_controller(const Controller& controller, const xml::Domain& domain) {
    if (controller.type == ControllerType::usb) check_usb_controller(controller, domain);
    if (controller.type == ControllerType::pci) check_pci_controller(controller, domain);
    check_iothread(controller);
}

// Every other host device of its kind has a place that no disk has.
void check_scsi(const xml::Hostdev& hostdev, const xml::Devices& devices) {
    const auto place = hostdev.info.address ? hostdev.info.address->drive : xml::DriveAddress{};
    for (const auto& disk : devices.disks)
        if (disk.target.bus == xml::DiskBus::scsi && disk.info.is(AddressType::drive) && disk.info.address->drive == place)
            rpc::fail(From::domain, Code::xml_error,
                      "SCSI host address controller='{}' bus='{}' target='{}' unit='{}' in use by a SCSI disk", place.controller,
                      place.bus, place.target, place.unit);
}

void check_mediated(const xml::Hostdev& hostdev) {
    if (!hostdev.info.address || !hostdev.model) return;
    using enum xml::HostdevModel;
    const bool wrong = (hostdev.model == vfio_pci && !hostdev.info.is_pci()) ||
                       (hostdev.model == vfio_ccw && !hostdev.info.is(AddressType::ccw));
    if (wrong)
        rpc::fail(From::domain, Code::xml_error, "Unsupported address type '{}' with mediated device model '{}'",
                  xml::word(hostdev.info.address->type), xml::word(*hostdev.model));
}

void check_hostdev(const xml::Hostdev& hostdev, const xml::Devices& devices) {
    if (hostdev.mode != xml::HostdevMode::subsystem) return;
    if (hostdev.type == xml::HostdevType::scsi) check_scsi(hostdev, devices);
    if (hostdev.type == xml::HostdevType::mdev) check_mediated(hostdev);
}

void check_shmem(const xml::Shmem& shmem) {
    using enum xml::ShmemModel;
    const auto refuse = [&](bool broken, const char* problem) {
        if (broken) rpc::fail(From::qemu, Code::config_unsupported, "shmem model '{}' {}", xml::word(shmem.model), problem);
    };
    if (shmem.model == ivshmem) return;
    refuse(shmem.model == ivshmem_doorbell && !shmem.server, "is supported only with server option enabled");
    refuse(shmem.model == ivshmem_plain && shmem.server, "is supported only with server option disabled");
    refuse(shmem.server && shmem.size.has_value(), "does not support size setting");
    refuse(!shmem.server && shmem.msi.has_value(), "doesn't support msi");
}

} // namespace

void check_given_device(const xml::Device& device, const xml::Domain& domain) {
    if (const auto* hostdev = std::get_if<xml::Hostdev>(&device)) check_hostdev(*hostdev, domain.devices);
    if (const auto* controller = std::get_if<Controller>(&device)) check_controller(*controller, domain);
    if (const auto* shmem = std::get_if<xml::Shmem>(&device)) check_shmem(*shmem);
}

void check_given_devices(const xml::Domain& domain) {
    const auto& devices = domain.devices;
    for (const auto& hostdev : devices.hostdevs) check_hostdev(hostdev, devices);
    for (const auto& controller : devices.controllers) check_controller(controller, domain);
    for (const auto& shmem : devices.shmems) check_shmem(shmem);
}

} // namespace lodge::drivers::qemu
