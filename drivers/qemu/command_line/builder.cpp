#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

// <qemu:override>: what a person wants to be different in one device.
void override_properties(Json& json, const std::vector<QemuProperty>& properties) {
    for (const auto& property : properties) {
        std::uint64_t number = 0;
        std::int64_t negative = 0;
        using enum xml::QemuPropertyType;
        if (property.type == remove)
            json.erase(property.name);
        else if (property.type == bool_)
            json[property.name] = property.value == "true";
        else if (property.type == unsigned_ && parse_unsigned(property.value, number))
            json[property.name] = number;
        else if (property.type == signed_ && parse_signed(property.value, negative))
            json[property.name] = negative;
        else
            json[property.name] = property.value;
    }
}

} // namespace

void override_device(const Domain& domain, Json& json) {
    if (!domain.qemu_override || !json.contains("id")) return;
    const std::string id = json["id"];
    for (const auto& device : domain.qemu_override->devices)
        if (id == device.alias) override_properties(json, device.properties);
}

void Builder::device(const Json& value) {
    Json json = value;
    override_device(domain, json);
    this->json("-device", json);
}

void Builder::json(std::string name, const Json& value) { option(std::move(name), value.dump()); }

std::string Builder::pass(int fd) {
    line.fds.push_back(fd);
    return std::to_string(fd);
}

std::string escape(std::string_view value) {
    std::string out;
    for (const char c : value) {
        out += c;
        if (c == ',') out += c;
    }
    return out;
}

const char* on_off(bool value) { return value ? "on" : "off"; }

std::vector<std::pair<unsigned, unsigned>> ranges(std::string_view set) {
    std::vector<std::pair<unsigned, unsigned>> out;
    while (!set.empty()) {
        const auto comma = set.find(',');
        std::string_view part = trim(set.substr(0, comma));
        set.remove_prefix(comma == std::string_view::npos ? set.size() : comma + 1);
        const auto dash = part.find('-');
        std::uint64_t first = 0, last = 0;
        if (!parse_unsigned(part.substr(0, dash), first)) continue;
        last = first;
        if (dash != std::string_view::npos && !parse_unsigned(part.substr(dash + 1), last)) continue;
        out.emplace_back(static_cast<unsigned>(first), static_cast<unsigned>(last));
    }
    return out;
}

bool is_pc(const Domain& domain) {
    return domain.os.type.machine == "pc" || domain.os.type.machine.starts_with("pc-i440fx") ||
           domain.os.type.machine.starts_with("pc-0") || domain.os.type.machine.starts_with("pc-1");
}
bool is_q35(const Domain& domain) { return domain.os.type.machine == "q35" || domain.os.type.machine.starts_with("pc-q35"); }

bool is_parallel_scsi(ControllerModel model) {
    return model == ControllerModel::lsilogic || model == ControllerModel::ncr53c90 || model == ControllerModel::am53c974 ||
           model == ControllerModel::dc390;
}

ControllerModel scsi_model(const Domain& domain, unsigned index) {
    const Controller* controller = find_controller(domain, ControllerType::scsi, index);
    return controller && controller->model ? *controller->model : ControllerModel::lsilogic;
}

// ---- members of a device's JSON ----

std::string virtio_driver(const std::string& base, const DeviceInfo& info, std::optional<VirtioModel> model) {
    std::string driver = base;
    if (info.is(AddressType::virtio_mmio)) return driver + "-device";
    driver += info.is(AddressType::ccw) ? "-ccw" : "-pci";
    if (model == VirtioModel::transitional) driver += "-transitional";
    if (model == VirtioModel::non_transitional) driver += "-non-transitional";
    return driver;
}

void put_virtio(Json& json, const VirtioOptions& options) {
    put(json, "iommu_platform", options.iommu);
    put(json, "ats", options.ats);
    put(json, "packed", options.packed);
    put(json, "page-per-vq", options.page_per_vq);
}

const Controller* find_controller(const Domain& domain, ControllerType type, unsigned index) {
    for (const auto& controller : domain.devices.controllers)
        if (controller.type == type && controller.index.value_or(0) == index && !controller.info.master) return &controller;
    return nullptr;
}

std::string controller_alias(const Domain& domain, ControllerType type, unsigned index) {
    if (const Controller* controller = find_controller(domain, type, index))
        return controller->info.alias.empty() ? default_controller_alias(domain, *controller) : controller->info.alias;
    // A bus without a controller in the document: what it would be called.
    Controller implied;
    implied.type = type;
    implied.index = index;
    return default_controller_alias(domain, implied);
}

namespace {

void put_pci(Json& json, const Domain& domain, const DeviceInfo& info) {
    const PciAddress& pci = info.address->pci;
    std::string bus = controller_alias(domain, ControllerType::pci, static_cast<unsigned>(pci.bus));
    // An expander's bus hangs below a device of the same name.
    if (pci.bus.value == 0 && !find_controller(domain, ControllerType::pci, 0)) bus = is_pc(domain) ? "pci.0" : "pcie.0";
    json["bus"] = bus;
    if (pci.multifunction) json["multifunction"] = pci.multifunction->value;
    json["addr"] = pci.function.value == 0 ? fmt::format("0x{:x}", pci.slot.value)
                                           : fmt::format("0x{:x}.0x{:x}", pci.slot.value, pci.function.value);
    put(json, "acpi-index", info.acpi_index);
}

void put_usb(Json& json, const Domain& domain, const UsbAddress& usb) {
    json["bus"] = controller_alias(domain, ControllerType::usb, usb.bus) + ".0";
    if (Traits<UsbPort>::present(usb.port)) {
        std::string port;
        Traits<UsbPort>::format(usb.port, port);
        json["port"] = port;
    }
}

} // namespace

void put_address(Json& json, const Domain& domain, const DeviceInfo& info) {
    if (!info.address) return;
    const Address& address = *info.address;
    switch (address.type) {
    case AddressType::pci: return put_pci(json, domain, info);
    case AddressType::usb: return put_usb(json, domain, address.usb);
    case AddressType::ccid: json["bus"] = controller_alias(domain, ControllerType::ccid, address.ccid.controller) + ".0"; return;
    case AddressType::isa:
        if (address.isa.iobase) json["iobase"] = address.isa.iobase->value;
        if (address.isa.irq) json["irq"] = address.isa.irq->value;
        return;
    case AddressType::spapr_vio:
        if (address.reg) json["reg"] = address.reg->value;
        return;
    case AddressType::dimm:
        json["slot"] = address.dimm.slot;
        if (address.dimm.base) json["addr"] = address.dimm.base->value;
        return;
    case AddressType::ccw:
        json["devno"] = fmt::format("{:x}.{:x}.{:04x}", address.ccw.cssid.value, address.ccw.ssid.value, address.ccw.devno.value);
        return;
    default: return;
    }
}

void put_boot(Json& json, const Domain& domain, const DeviceInfo& info) {
    if (info.boot && info.boot->order) {
        json["bootindex"] = info.boot->order;
        return;
    }
    const auto order = boot_order(domain);
    if (const auto found = order.find(info.alias); found != order.end()) json["bootindex"] = found->second;
}

void put_rom(Json& json, const DeviceInfo& info) {
    if (!info.rom || !info.is_pci()) return;
    if (info.rom->enabled && !info.rom->enabled->value) {
        json["romfile"] = "";
        return;
    }
    if (info.rom->bar) json["rombar"] = info.rom->bar->value ? 1 : 0;
    put(json, "romfile", info.rom->file);
}

} // namespace lodge::drivers::qemu
