// <controller>: buses that other devices stand on.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class ControllerType { ide, fdc, scsi, sata, virtio_serial, ccid, usb, pci, xenbus, isa };
inline std::span<const std::string_view> enum_words(ControllerType) {
    static constexpr std::string_view w[] = {"ide",  "fdc", "scsi", "sata",   "virtio-serial",
                                             "ccid", "usb", "pci",  "xenbus", "isa"};
    return w;
}
// All models of all types; which ones a type knows stands in controller_models().
enum class ControllerModel {
    piix3,
    piix4,
    ich6,
    auto_,
    buslogic,
    lsilogic,
    lsisas1068,
    vmpvscsi,
    ibmvscsi,
    virtio_scsi,
    lsisas1078,
    ncr53c90,
    dc390,
    am53c974,
    virtio,
    virtio_transitional,
    virtio_non_transitional,
    piix3_uhci,
    piix4_uhci,
    ehci,
    ich9_ehci1,
    ich9_uhci1,
    ich9_uhci2,
    ich9_uhci3,
    vt82c686b_uhci,
    pci_ohci,
    nec_xhci,
    qusb1,
    qusb2,
    qemu_xhci,
    none,
    pci_root,
    pcie_root,
    pci_bridge,
    dmi_to_pci_bridge,
    pcie_to_pci_bridge,
    pcie_root_port,
    pcie_switch_upstream_port,
    pcie_switch_downstream_port,
    pci_expander_bus,
    pcie_expander_bus
};
inline std::span<const std::string_view> enum_words(ControllerModel) {
    static constexpr std::string_view w[] = {"piix3",
                                             "piix4",
                                             "ich6",
                                             "auto",
                                             "buslogic",
                                             "lsilogic",
                                             "lsisas1068",
                                             "vmpvscsi",
                                             "ibmvscsi",
                                             "virtio-scsi",
                                             "lsisas1078",
                                             "ncr53c90",
                                             "dc390",
                                             "am53c974",
                                             "virtio",
                                             "virtio-transitional",
                                             "virtio-non-transitional",
                                             "piix3-uhci",
                                             "piix4-uhci",
                                             "ehci",
                                             "ich9-ehci1",
                                             "ich9-uhci1",
                                             "ich9-uhci2",
                                             "ich9-uhci3",
                                             "vt82c686b-uhci",
                                             "pci-ohci",
                                             "nec-xhci",
                                             "qusb1",
                                             "qusb2",
                                             "qemu-xhci",
                                             "none",
                                             "pci-root",
                                             "pcie-root",
                                             "pci-bridge",
                                             "dmi-to-pci-bridge",
                                             "pcie-to-pci-bridge",
                                             "pcie-root-port",
                                             "pcie-switch-upstream-port",
                                             "pcie-switch-downstream-port",
                                             "pci-expander-bus",
                                             "pcie-expander-bus"};
    return w;
}
// In libvirt's order: what clients read of a change names models by number.
std::span<const ControllerModel> controller_models(ControllerType type);

// What QEMU device stands behind a PCI controller: <model name='pcie-root-port'/>
enum class PciModelName {
    spapr_pci_host_bridge,
    pci_bridge,
    i82801b11_bridge,
    pcie_pci_bridge,
    ioh3420,
    pcie_root_port,
    x3130_upstream,
    xio3130_downstream,
    pxb,
    pxb_pcie
};
inline std::span<const std::string_view> enum_words(PciModelName) {
    static constexpr std::string_view w[] = {"spapr-pci-host-bridge",
                                             "pci-bridge",
                                             "i82801b11-bridge",
                                             "pcie-pci-bridge",
                                             "ioh3420",
                                             "pcie-root-port",
                                             "x3130-upstream",
                                             "xio3130-downstream",
                                             "pxb",
                                             "pxb-pcie"};
    return w;
}

struct ControllerDriver {
    std::optional<std::uint32_t> queues, cmd_per_lun, max_sectors;
    std::optional<OnOff> ioeventfd;
    std::optional<std::uint32_t> iothread;
    VirtioOptions virtio;
};
struct PciTarget { // <target> of a PCI controller
    std::optional<std::uint32_t> chassis_nr, chassis;
    std::optional<Hex<1>> port;
    std::optional<std::uint32_t> bus_nr, index;
    std::optional<OnOff> hotplug;
    std::optional<std::uint32_t> node;
};
struct Controller {
    ControllerType type = ControllerType::ide;
    std::optional<std::uint32_t> index; // absent only until completed
    std::optional<ControllerModel> model;
    std::optional<std::uint32_t> ports, vectors;                       // usb, virtio-serial
    std::optional<std::uint32_t> max_grant_frames, max_event_channels; // xenbus
    ControllerDriver driver;
    std::optional<PciModelName> model_name; // pci
    PciTarget target;                       // pci
    std::optional<Kibibytes> pcihole64;     // pci
    DeviceInfo info;

    bool is(ControllerType t) const { return type == t; }
    bool is(ControllerType t, ControllerModel m) const { return type == t && model == m; }
};
void describe(Doc&, Controller&);
void describe(Doc&, ControllerDriver&);
void describe(Doc&, PciTarget&);

} // namespace lodge::xml
