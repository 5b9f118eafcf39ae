#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::Controller;
using xml::ControllerModel;
using xml::ControllerType;
using xml::PciModelName;

namespace {

bool is_virtio_scsi(const Controller& controller) {
    using enum ControllerModel;
    return controller.type == ControllerType::scsi &&
           (controller.model == virtio_scsi || controller.model == virtio_transitional ||
            controller.model == virtio_non_transitional);
}

void check_options(const Controller& controller) {
    if (is_virtio_scsi(controller)) return;
    const auto& driver = controller.driver;
    apply({{driver.queues.value_or(0) != 0, "'queues' is only supported by virtio-scsi controller"},
           {driver.cmd_per_lun.value_or(0) != 0, "'cmd_per_lun' is only supported by virtio-scsi controller"},
           {driver.max_sectors.value_or(0) != 0, "'max_sectors' is only supported by virtio-scsi controller"},
           {driver.ioeventfd.has_value(), "'ioeventfd' is only supported by virtio-scsi controller"},
           {driver.iothread.value_or(0) != 0, "'iothread' is only supported for virtio-scsi controller"}});
}

void check_scsi(const Controller& controller, const xml::Domain& domain) {
    using enum ControllerModel;
    if (controller.model == buslogic) unsupported(From::qemu, "Unsupported controller model: {}", xml::word(*controller.model));
    apply({{controller.model == ncr53c90 && *controller.index != 0, "ncr53c90 can only be used as first SCSI controller"},
           {controller.model == ncr53c90, "ncr53c90 SCSI controller is not a built-in for this machine"}});
    const auto thread = controller.driver.iothread.value_or(0);
    if (!thread || !is_virtio_scsi(controller)) return;
    apply({{controller.info.address && !controller.info.is_pci() && !controller.info.is(AddressType::ccw),
            "virtio-scsi IOThreads only available for virtio pci and virtio ccw controllers"}});
    if (!has_iothread(domain, thread)) unsupported(From::qemu, "controller iothread '{}' not defined in iothreadid", thread);
}

void check_ide(const Controller& controller, const std::string& machine) {
    const bool built_in = is_i440fx(machine);
    if (controller.index == 0U && built_in) return;
    if (built_in) unsupported(From::qemu, "Only a single IDE controller is supported for this machine type");
    unsupported(From::qemu, "IDE controllers are unsupported for this QEMU binary or machine type");
}

// ---- PCI: which options a model has ----

using enum ControllerModel;

bool has_name(ControllerModel model, PciModelName name) {
    switch (model) {
    case pci_bridge: return name == PciModelName::pci_bridge;
    case dmi_to_pci_bridge: return name == PciModelName::i82801b11_bridge;
    case pcie_root_port: return name == PciModelName::ioh3420 || name == PciModelName::pcie_root_port;
    case pcie_switch_upstream_port: return name == PciModelName::x3130_upstream;
    case pcie_switch_downstream_port: return name == PciModelName::xio3130_downstream;
    case pci_expander_bus: return name == PciModelName::pxb;
    case pcie_expander_bus: return name == PciModelName::pxb_pcie;
    case pcie_to_pci_bridge: return name == PciModelName::pcie_pci_bridge;
    default: return false;
    }
}

class PciOptions {
  public:
    explicit PciOptions(const Controller& controller)
        : controller_(controller) {}

    [[noreturn]] void refuse(const char* option, const char* problem) const {
        unsupported(From::qemu, "Option '{}' {} for PCI controller with index '{}', model '{}' and modelName '{}'", option,
                    problem, *controller_.index, xml::word(*controller_.model), name());
    }
    // Given where it has no meaning, or missing where it is needed.
    template<class T> void check(const char* option, const std::optional<T>& value, bool has, bool needs) const {
        if (value && !has) refuse(option, "is not valid");
        if (value || !needs) return;
        rpc::fail(From::qemu, Code::internal_error,
                  "Required option '{}' is not set for PCI controller with index '{}', model '{}' and modelName '{}'", option,
                  *controller_.index, xml::word(*controller_.model), name());
    }

  private:
    std::string_view name() const { return controller_.model_name ? xml::word(*controller_.model_name) : "none"; }

    const Controller& controller_;
};

void check_pci(const Controller& controller, const xml::Domain& domain) {
    if (!controller.model) return;
    const auto model = *controller.model;
    const auto& machine = domain.os.type.machine;
    const PciOptions options(controller);
    const bool root = model == pci_root || model == pcie_root;
    const bool expander = model == pci_expander_bus || model == pcie_expander_bus;
    const bool slot_port = model == pcie_root_port || model == pcie_switch_downstream_port;
    options.check("modelName", controller.model_name, !root, !root);
    if (controller.model_name && !has_name(model, *controller.model_name)) options.refuse("modelName", "has invalid value");
    if (!root && controller.index == 0U) unsupported(From::qemu, "Index for '{}' controllers must be > 0", xml::word(model));
    if (root && controller.index != 0U) unsupported(From::qemu, "Index for '{}' controllers must be 0", xml::word(model));
    options.check("targetIndex", controller.target.index, false, false);
    if (controller.pcihole64 && ((model == pci_root && !is_i440fx(machine)) || (model == pcie_root && !is_q35(machine))))
        unsupported(From::qemu, "Setting the 64-bit PCI hole size is not supported for machine '{}'", machine);
    options.check("pcihole64", controller.pcihole64, root, false);
    options.check("busNr", controller.target.bus_nr, expander, expander);
    options.check("numaNode", controller.target.node, expander, false);
    options.check("chassisNr", controller.target.chassis_nr, model == pci_bridge, model == pci_bridge);
    options.check("chassis", controller.target.chassis, slot_port, slot_port);
    options.check("port", controller.target.port, slot_port, slot_port);
    options.check("hotplug", controller.target.hotplug, slot_port || model == pci_root, false);
}

} // namespace

bool has_iothread(const xml::Domain& domain, unsigned id) {
    const auto& ids = domain.iothread_ids;
    if (std::ranges::any_of(ids, [&](const xml::IoThread& thread) { return thread.id == id; })) return true;
    // Threads that are only counted have the lowest numbers.
    return ids.empty() && id <= domain.iothreads.value_or(0);
}

void validate_device(const Controller& controller, const Guest& guest) {
    check_options(controller);
    if (controller.type == ControllerType::ide) check_ide(controller, guest.domain.os.type.machine);
    if (controller.type == ControllerType::scsi) check_scsi(controller, guest.domain);
    if (controller.type == ControllerType::pci) check_pci(controller, guest.domain);
}

} // namespace lodge::drivers::qemu
