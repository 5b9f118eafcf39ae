// -device for the buses of the machine. Those that every machine of a type has (the root bus, the IDE of pc, the SATA of q35)
// are not asked for.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool is_root(const Controller& controller) {
    return controller.is(ControllerType::pci, ControllerModel::pci_root) ||
           controller.is(ControllerType::pci, ControllerModel::pcie_root);
}

// Part of the machine itself.
bool built_in(const Domain& domain, const Controller& controller) {
    switch (controller.type) {
    case ControllerType::pci: return is_root(controller);
    case ControllerType::ide: return is_pc(domain) && controller.index.value_or(0) == 0;
    case ControllerType::sata: return is_q35(domain) && controller.index.value_or(0) == 0;
    case ControllerType::fdc: return true; // q35's is made with the floppies, see disk.cpp
    case ControllerType::isa: return true;
    case ControllerType::usb: return controller.model == ControllerModel::none;
    default: return false;
    }
}

const char* usb_driver(ControllerModel model) {
    switch (model) {
    case ControllerModel::piix3_uhci: return "piix3-usb-uhci";
    case ControllerModel::piix4_uhci: return "piix4-usb-uhci";
    case ControllerModel::ehci: return "usb-ehci";
    case ControllerModel::ich9_ehci1: return "ich9-usb-ehci1";
    case ControllerModel::ich9_uhci1: return "ich9-usb-uhci1";
    case ControllerModel::ich9_uhci2: return "ich9-usb-uhci2";
    case ControllerModel::ich9_uhci3: return "ich9-usb-uhci3";
    case ControllerModel::vt82c686b_uhci: return "vt82c686b-usb-uhci";
    case ControllerModel::pci_ohci: return "pci-ohci";
    case ControllerModel::nec_xhci: return "nec-usb-xhci";
    case ControllerModel::qemu_xhci: return "qemu-xhci";
    default: rpc::fail(Code::config_unsupported, "{} not supported in this QEMU binary", word(model));
    }
}

std::string scsi_driver(const Controller& controller) {
    const auto model = controller.model.value_or(ControllerModel::lsilogic);
    switch (model) {
    case ControllerModel::virtio_scsi: return virtio_driver("virtio-scsi", controller.info);
    case ControllerModel::virtio_transitional: return virtio_driver("virtio-scsi", controller.info, VirtioModel::transitional);
    case ControllerModel::virtio_non_transitional:
        return virtio_driver("virtio-scsi", controller.info, VirtioModel::non_transitional);
    case ControllerModel::lsilogic: return "lsi";
    case ControllerModel::lsisas1068: return "mptsas1068";
    case ControllerModel::lsisas1078: return "megasas";
    case ControllerModel::vmpvscsi: return "pvscsi";
    case ControllerModel::ibmvscsi: return "spapr-vscsi";
    case ControllerModel::am53c974: return "am53c974";
    case ControllerModel::dc390: return "dc390";
    default: rpc::fail(Code::config_unsupported, "Unsupported controller model: {}", word(model));
    }
}

Json usb_json(const Domain& domain, const Controller& controller) {
    Json json{{"driver", usb_driver(controller.model.value_or(ControllerModel::piix3_uhci))}};
    if (controller.ports) {
        json["p2"] = *controller.ports;
        json["p3"] = *controller.ports;
    }
    if (controller.info.master) {
        json["masterbus"] = controller_alias(domain, ControllerType::usb, controller.index.value_or(0)) + ".0";
        json["firstport"] = controller.info.master->startport;
    } else {
        json["id"] = controller.info.alias;
    }
    return json;
}

Json scsi_json(const Controller& controller) {
    Json json{{"driver", scsi_driver(controller)}};
    const auto& driver = controller.driver;
    put_virtio(json, driver.virtio);
    if (driver.iothread) json["iothread"] = fmt::format("iothread{}", *driver.iothread);
    json["id"] = controller.info.alias;
    put(json, "num_queues", driver.queues);
    put(json, "cmd_per_lun", driver.cmd_per_lun);
    put(json, "max_sectors", driver.max_sectors);
    put(json, "ioeventfd", driver.ioeventfd);
    return json;
}

std::string virtio_serial_driver(const Controller& controller) {
    const auto model = controller.model.value_or(ControllerModel::virtio);
    if (model == ControllerModel::virtio_transitional)
        return virtio_driver("virtio-serial", controller.info, VirtioModel::transitional);
    if (model == ControllerModel::virtio_non_transitional)
        return virtio_driver("virtio-serial", controller.info, VirtioModel::non_transitional);
    return virtio_driver("virtio-serial", controller.info);
}

Json virtio_serial_json(const Controller& controller) {
    Json json{{"driver", virtio_serial_driver(controller)}};
    put_virtio(json, controller.driver.virtio);
    json["id"] = controller.info.alias;
    put(json, "max_ports", controller.ports);
    put(json, "vectors", controller.vectors);
    return json;
}

Json pci_json(const Controller& controller) {
    const auto model = controller.model.value_or(ControllerModel::pci_root);
    if (!controller.model_name) rpc::fail(Code::internal_error, "autogenerated {} options not set", word(model));
    const auto& target = controller.target;
    Json json{{"driver", word(*controller.model_name)}};
    switch (model) {
    case ControllerModel::pci_bridge: put(json, "chassis_nr", target.chassis_nr); break;
    case ControllerModel::pci_expander_bus:
    case ControllerModel::pcie_expander_bus: put(json, "bus_nr", target.bus_nr); break;
    case ControllerModel::pcie_root_port:
    case ControllerModel::pcie_switch_downstream_port:
        if (target.port) json["port"] = target.port->value;
        put(json, "chassis", target.chassis);
        break;
    default: break;
    }
    json["id"] = controller.info.alias;
    if (model == ControllerModel::pci_expander_bus || model == ControllerModel::pcie_expander_bus)
        put(json, "numa_node", target.node);
    put(json, "hotplug", target.hotplug);
    return json;
}

Json simple_json(const char* driver, const Controller& controller) { return {{"driver", driver}, {"id", controller.info.alias}}; }

// Hosts of hosts come first: an EHCI before its companions.
void add_kind(Builder& builder, ControllerType type) {
    for (const bool companions : {false, true})
        for (const auto& controller : builder.domain.devices.controllers) {
            if (controller.type != type || controller.info.master.has_value() != companions) continue;
            if (built_in(builder.domain, controller)) continue;
            builder.device(device_json(builder.domain, controller, builder.ctx));
        }
}

void add_pci_hole(Builder& builder) {
    for (const auto& controller : builder.domain.devices.controllers) {
        if (!is_root(controller) || !controller.pcihole64) continue;
        const bool q35 = controller.model == ControllerModel::pcie_root;
        builder.option("-global", fmt::format("{}.pci-hole64-size={}K", q35 ? "q35-pcihost" : "i440FX-pcihost",
                                              static_cast<std::uint64_t>(*controller.pcihole64)));
    }
}

void add_root_hotplug(Builder& builder) {
    for (const auto& controller : builder.domain.devices.controllers)
        if (controller.is(ControllerType::pci, ControllerModel::pci_root) && controller.target.hotplug)
            builder.option("-global", fmt::format("PIIX4_PM.acpi-root-pci-hotplug={}", on_off(*controller.target.hotplug)));
}

} // namespace

Json device_json(const Domain& domain, const Controller& controller, const BuildContext&) {
    Json json;
    switch (controller.type) {
    case ControllerType::usb: json = usb_json(domain, controller); break;
    case ControllerType::scsi: json = scsi_json(controller); break;
    case ControllerType::virtio_serial: json = virtio_serial_json(controller); break;
    case ControllerType::pci: json = pci_json(controller); break;
    case ControllerType::sata: json = simple_json("ahci", controller); break;
    case ControllerType::ccid: json = simple_json("usb-ccid", controller); break;
    default:
        if (controller.type == ControllerType::ide && is_q35(domain))
            rpc::fail(Code::config_unsupported, "IDE controllers are unsupported for this QEMU binary or machine type");
        if (controller.type == ControllerType::ide)
            rpc::fail(Code::config_unsupported, "Only a single IDE controller is supported for this machine type");
        rpc::fail(Code::config_unsupported, "Unsupported controller type: {}", word(controller.type));
    }
    put_address(json, domain, controller.info);
    return json;
}

void add_controllers(Builder& builder) {
    add_root_hotplug(builder);
    add_pci_hole(builder);
    for (const auto type : {ControllerType::pci, ControllerType::usb, ControllerType::scsi, ControllerType::ide,
                            ControllerType::sata, ControllerType::virtio_serial})
        add_kind(builder, type);
}

void add_ccid_controllers(Builder& builder) { add_kind(builder, ControllerType::ccid); }

} // namespace lodge::drivers::qemu
