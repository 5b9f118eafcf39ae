#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const ControllerModel> controller_models(ControllerType type) {
    using enum ControllerModel;
    static constexpr ControllerModel ide[] = {piix3, piix4, ich6};
    static constexpr ControllerModel scsi[] = {auto_,    buslogic,    lsilogic,   lsisas1068,          vmpvscsi,
                                               ibmvscsi, virtio_scsi, lsisas1078, virtio_transitional, virtio_non_transitional,
                                               ncr53c90, dc390,       am53c974};
    static constexpr ControllerModel serial[] = {virtio, virtio_transitional, virtio_non_transitional};
    static constexpr ControllerModel usb[] = {piix3_uhci, piix4_uhci, ehci,           ich9_ehci1, ich9_uhci1,
                                              ich9_uhci2, ich9_uhci3, vt82c686b_uhci, pci_ohci,   nec_xhci,
                                              qusb1,      qusb2,      qemu_xhci,      none};
    static constexpr ControllerModel pci[] = {pci_root,
                                              pcie_root,
                                              pci_bridge,
                                              dmi_to_pci_bridge,
                                              pcie_to_pci_bridge,
                                              pcie_root_port,
                                              pcie_switch_upstream_port,
                                              pcie_switch_downstream_port,
                                              pci_expander_bus,
                                              pcie_expander_bus};
    switch (type) {
    case ControllerType::ide: return ide;
    case ControllerType::scsi: return scsi;
    case ControllerType::virtio_serial: return serial;
    case ControllerType::usb: return usb;
    case ControllerType::pci: return pci;
    default: return {};
    }
}

void describe(Doc& doc, ControllerDriver& driver) {
    doc.attribute("queues", driver.queues, Mark::unless_zero);
    doc.attribute("cmd_per_lun", driver.cmd_per_lun);
    doc.attribute("max_sectors", driver.max_sectors);
    doc.attribute("ioeventfd", driver.ioeventfd);
    doc.attribute("iothread", driver.iothread, Mark::unless_zero);
    describe_virtio(doc, driver.virtio);
}

void describe(Doc& doc, PciTarget& target) {
    doc.attribute("chassisNr", target.chassis_nr, Mark::any_base | Mark::natural);
    doc.attribute("chassis", target.chassis, Mark::any_base | Mark::natural);
    doc.attribute("port", target.port, Mark::natural);
    doc.attribute("busNr", target.bus_nr, Mark::any_base | Mark::natural);
    doc.attribute("index", target.index, Mark::any_base | Mark::natural);
    doc.attribute("hotplug", target.hotplug);
    doc.text_child("node", target.node, Mark::natural);
}

// libvirt's order of reading.
static constexpr std::string_view controller_order[] = {"@type", "@model", "@index", "driver",  "model",  "target",
                                                        "boot",  "master", "acpi",   "address", "@ports", "@vectors"};

void describe(Doc& doc, Controller& controller) {
    doc.read_in_order(controller_order);
    doc.attribute("type", controller.type, Mark::guest);
    doc.attribute("index", controller.index, Mark::guest | Mark::natural);
    doc.attribute("model", controller.model, Mark::guest);
    const auto is = [&](ControllerType type) { return doc.when(controller.type == type); };
    if (doc.when(controller.type == ControllerType::usb || controller.type == ControllerType::virtio_serial))
        doc.attribute("ports", controller.ports, Mark::guest | Mark::natural);
    if (is(ControllerType::virtio_serial)) doc.attribute("vectors", controller.vectors, Mark::guest | Mark::natural);
    if (is(ControllerType::xenbus)) {
        doc.attribute("maxGrantFrames", controller.max_grant_frames, Mark::natural);
        doc.attribute("maxEventChannels", controller.max_event_channels, Mark::natural);
    }
    if (is(ControllerType::pci)) {
        doc.group("model", [&] { doc.attribute("name", controller.model_name); }, Mark::single);
        doc.child("target", controller.target, Mark::single);
    }
    doc.child("driver", controller.driver);
    describe_info(doc, controller.info);
    if (is(ControllerType::pci)) doc.child("pcihole64", controller.pcihole64);
    doc.check("@model", [&] {
        const auto models = controller_models(controller.type);
        if (controller.model && std::ranges::find(models, *controller.model) == models.end())
            unsupported("Unknown model type '{}'", word(*controller.model));
    });
}

} // namespace lodge::xml
