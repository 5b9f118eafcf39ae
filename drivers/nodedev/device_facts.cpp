#include "drivers/nodedev/device_facts.hpp"
#include "drivers/host/node.hpp"
#include "drivers/host/sysfs.hpp"
#include <algorithm>
#include <filesystem>

namespace lodge::drivers {

namespace fs = std::filesystem;
using enum xml::NodeCapabilityType;
using Type = xml::NodeCapabilityType;

// ---- kinds ----

static std::optional<Type> type_of(const UdevDevice& device) {
    static constexpr std::pair<std::string_view, Type> by_device_type[] = {{"usb_device", usb_device},
                                                                           {"usb_interface", usb},
                                                                           {"scsi_host", scsi_host},
                                                                           {"scsi_target", scsi_target},
                                                                           {"scsi_device", scsi},
                                                                           {"disk", storage},
                                                                           {"wlan", net},
                                                                           {"drm_minor", drm},
                                                                           {"ap_card", ap_card},
                                                                           {"ap_queue", ap_queue}};
    static constexpr std::pair<std::string_view, Type> by_subsystem[] = {
        {"scsi_generic", scsi_generic}, {"mdev", mdev},      {"ccw", ccw}, {"css", css}, {"vdpa", vdpa},
        {"matrix", ap_matrix},          {"mtty", mdev_types}};
    const auto look_up = [](const auto& table, const std::string& word) -> std::optional<Type> {
        const auto at = std::ranges::find(table, word, &std::pair<std::string_view, Type>::first);
        return at == std::end(table) ? std::nullopt : std::optional(at->second);
    };
    if (const auto type = device.type(); !type.empty()) return look_up(by_device_type, type);
    if (const auto type = look_up(by_subsystem, device.subsystem())) return type;
    if (!device.property("INTERFACE").empty()) return net;
    if (!device.property("PCI_CLASS").empty()) return pci;
    return std::nullopt;
}

std::optional<xml::NodeDetail> mdev_types_of(const std::string& path) {
    xml::NodeDetail detail;
    detail.type = "mdev_types";
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(path + "/mdev_supported_types", ignored)) {
        xml::NodeMdevType type;
        type.id = entry.path().filename();
        type.name = read_small_file(entry.path() / "name");
        type.device_api = read_small_file(entry.path() / "device_api");
        type.available = static_cast<unsigned>(read_number(entry.path() / "available_instances").value_or(0));
        detail.mdev_types.push_back(std::move(type));
    }
    if (detail.mdev_types.empty()) return std::nullopt;
    return detail;
}

static void add_mdev_types(const std::string& path, xml::NodeCapability& capability) {
    if (auto types = mdev_types_of(path)) capability.details.push_back(std::move(*types));
}

// ---- small kinds ----

// "1:0:2:3" as numbers; false when there are others than `numbers` expects.
static bool split_numbers(const std::string& text, char separator, int base, std::initializer_list<std::uint64_t*> numbers) {
    std::size_t at = 0;
    for (auto* number : numbers) {
        if (at > text.size()) return false;
        const auto end = std::min(text.find(separator, at), text.size());
        const auto value = UdevDevice::parse(text.substr(at, end - at), base);
        if (!value) return false;
        *number = *value;
        at = end + 1;
    }
    return true;
}

static bool usb_device_facts(const UdevDevice& device, xml::NodeCapability& usb_cap) {
    const auto bus = device.number_property("BUSNUM"), number = device.number_property("DEVNUM");
    // udev's database has it as properties; where there is no udev, /sys knows as well.
    auto vendor = device.number_property("ID_VENDOR_ID", 16), product = device.number_property("ID_MODEL_ID", 16);
    if (!vendor) vendor = device.number("idVendor", 16);
    if (!product) product = device.number("idProduct", 16);
    if (!bus || !number || !vendor || !product) return false;
    usb_cap.bus = static_cast<unsigned>(*bus);
    usb_cap.device = static_cast<unsigned>(*number);
    const auto name = [&](const char* property, const char* attribute) {
        const auto known = device.property(property);
        return known.empty() ? device.attribute(attribute) : known;
    };
    usb_cap.vendor = {*vendor, name("ID_VENDOR_FROM_DATABASE", "manufacturer")};
    usb_cap.product = {*product, name("ID_MODEL_FROM_DATABASE", "product")};
    return true;
}

static bool usb_facts(const UdevDevice& device, xml::NodeCapability& usb_cap) {
    const auto number = device.number("bInterfaceNumber", 16), kind = device.number("bInterfaceClass", 16),
               subclass = device.number("bInterfaceSubClass", 16), protocol = device.number("bInterfaceProtocol", 16);
    if (!number || !kind || !subclass || !protocol) return false;
    usb_cap.number = static_cast<unsigned>(*number);
    usb_cap.usb_class = static_cast<unsigned>(*kind);
    usb_cap.subclass = static_cast<unsigned>(*subclass);
    usb_cap.protocol = static_cast<unsigned>(*protocol);
    return true;
}

// World wide names are shown without their "0x".
static std::string wwn(const std::string& path) {
    const auto text = read_small_file(path);
    return text.starts_with("0x") ? text.substr(2) : text;
}

static bool scsi_host_facts(const UdevDevice& device, xml::NodeCapability& host) {
    const auto name = device.name();
    const auto number = name.starts_with("host") ? UdevDevice::parse(name.substr(4), 10) : std::nullopt;
    if (!number) return false;
    host.host = static_cast<unsigned>(*number);
    if (const auto id = read_number("/sys/class/scsi_host/" + name + "/unique_id")) host.unique_id = static_cast<unsigned>(*id);
    const std::string fc = "/sys/class/fc_host/" + name;
    if (!fs::exists(fc)) return true;
    xml::NodeDetail detail;
    detail.type = "fc_host";
    detail.wwnn = wwn(fc + "/node_name");
    detail.wwpn = wwn(fc + "/port_name");
    detail.fabric_wwn = wwn(fc + "/fabric_name");
    host.details.push_back(std::move(detail));
    if (!fs::exists(fc + "/vport_create") && !fs::exists("/sys/class/scsi_host/" + name + "/vport_create")) return true;
    xml::NodeDetail ports;
    ports.type = "vport_ops";
    ports.max_vports = static_cast<unsigned>(read_number(fc + "/max_npiv_vports").value_or(0));
    ports.vports = static_cast<unsigned>(read_number(fc + "/npiv_vports_inuse").value_or(0));
    host.details.push_back(std::move(ports));
    return true;
}

static bool scsi_target_facts(const UdevDevice& device, xml::NodeCapability& target) {
    target.target_name = device.name();
    // A target behind Fibre Channel hangs below its remote port: …/rport-0:0-1/target0:0:0
    const auto above = fs::path(device.path()).parent_path().filename().string();
    const std::string port = "/sys/class/fc_remote_ports/" + above;
    if (!above.starts_with("rport-") || !fs::exists(port)) return true;
    xml::NodeDetail detail;
    detail.type = "fc_remote_port";
    detail.rport = above;
    detail.wwpn = read_small_file(port + "/port_name");
    target.details.push_back(std::move(detail));
    return true;
}

static bool scsi_facts(const UdevDevice& device, xml::NodeCapability& scsi_cap) {
    std::uint64_t host = 0, bus = 0, target = 0, lun = 0;
    if (!split_numbers(device.name(), ':', 10, {&host, &bus, &target, &lun})) return false;
    scsi_cap.host = static_cast<unsigned>(host);
    scsi_cap.bus = static_cast<unsigned>(bus);
    scsi_cap.target = static_cast<unsigned>(target);
    scsi_cap.lun = static_cast<unsigned>(lun);
    static constexpr const char* types[] = {"disk", "tape",    "", "processor", "worm", "cdrom", "scanner",
                                            "mod",  "changer", "", "",          "",     "raid",  "enclosure"};
    if (const auto type = device.number("type"); type && *type < std::size(types)) scsi_cap.scsi_type = types[*type];
    return true;
}

static bool drm_facts(const UdevDevice& device, xml::NodeCapability& drm_cap) {
    const auto minor = device.number_property("MINOR");
    if (!minor || *minor >= 192) return false;
    static constexpr const char* types[] = {"primary", "control", "render"}; // 64 minor numbers for each
    drm_cap.drm_type = types[*minor / 64];
    return true;
}

static bool mdev_facts(const UdevDevice& device, xml::NodeCapability& mdev_cap) {
    std::error_code error;
    const auto type = fs::canonical(device.path() + "/mdev_type", error);
    const auto group = fs::canonical(device.path() + "/iommu_group", error);
    if (error) return false;
    mdev_cap.mdev_type = xml::NodeId{type.filename()};
    mdev_cap.uuid = device.name();
    mdev_cap.parent_address = fs::path(device.path()).parent_path().filename();
    mdev_cap.mdev_group = xml::NodeMdevGroup{static_cast<unsigned>(UdevDevice::parse(group.filename(), 10).value_or(0))};
    return true;
}

// "0.0.1234"
static std::optional<xml::NodeCcwAddress> ccw_address(const std::string& name) {
    std::uint64_t cssid = 0, ssid = 0, devno = 0;
    if (!split_numbers(name, '.', 16, {&cssid, &ssid, &devno})) return std::nullopt;
    return xml::NodeCcwAddress{cssid, ssid, devno};
}

static bool ccw_facts(const UdevDevice& device, xml::NodeCapability& ccw_cap) {
    const auto address = ccw_address(device.name());
    if (device.number("online") != 1U || !address) return false;
    ccw_cap.ccw = *address;
    return true;
}

static bool css_facts(const UdevDevice& device, xml::NodeCapability& css_cap) {
    const auto driver = device.property("DRIVER");
    const auto address = ccw_address(device.name());
    if ((driver != "io_subchannel" && driver != "vfio_ccw") || !address) return false;
    css_cap.ccw = *address;
    if (const auto channel = device.attribute("dev_busid"); channel != "none") css_cap.channel_device = ccw_address(channel);
    add_mdev_types(device.path(), css_cap);
    return true;
}

static bool vdpa_facts(const UdevDevice& device, xml::NodeCapability& vdpa_cap) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(device.path(), ignored))
        if (const auto name = entry.path().filename().string(); name.starts_with("vhost-vdpa"))
            return vdpa_cap.char_device = "/dev/" + name, true;
    return false;
}

static bool ap_card_facts(const UdevDevice& device, xml::NodeCapability& card) {
    const auto name = device.name();
    const auto adapter = name.starts_with("card") ? UdevDevice::parse(name.substr(4), 16) : std::nullopt;
    if (adapter) card.ap_adapter = *adapter;
    return adapter.has_value();
}

static bool ap_queue_facts(const UdevDevice& device, xml::NodeCapability& queue) {
    std::uint64_t adapter = 0, domain = 0;
    if (!split_numbers(device.name(), '.', 16, {&adapter, &domain})) return false;
    queue.ap_adapter = adapter;
    queue.ap_domain = domain;
    return true;
}

static bool facts_of(const UdevDevice& device, xml::NodeCapability& capability) {
    switch (capability.type) {
    case pci: return pci_facts(device, capability);
    case usb_device: return usb_device_facts(device, capability);
    case usb: return usb_facts(device, capability);
    case net: return net_facts(device, capability);
    case scsi_host: return scsi_host_facts(device, capability);
    case scsi_target: return scsi_target_facts(device, capability);
    case scsi: return scsi_facts(device, capability);
    case storage: return storage_facts(device, capability);
    case scsi_generic: return !(capability.char_device = device.property("DEVNAME")).empty();
    case drm: return drm_facts(device, capability);
    case mdev: return mdev_facts(device, capability);
    case ccw: return ccw_facts(device, capability);
    case css: return css_facts(device, capability);
    case vdpa: return vdpa_facts(device, capability);
    case ap_card: return ap_card_facts(device, capability);
    case ap_queue: return ap_queue_facts(device, capability);
    case ap_matrix:
    case mdev_types: add_mdev_types(device.path(), capability); return true;
    default: return false;
    }
}

// ---- names ----

// "net_eth0_52_54_00_00_00_01": subsystem, name and what tells it from others of that name.
static std::string device_name(const UdevDevice& device, const xml::NodeCapability& capability) {
    if (capability.type == ap_matrix) return "ap_matrix";
    std::string name = device.subsystem() + "_" + device.name();
    const std::string& extra = capability.type == net       ? capability.address
                               : capability.type == storage ? capability.serial
                                                            : capability.parent_address;
    if (!extra.empty()) name += "_" + extra;
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)) || (c & 0x80)) c = '_';
    return name;
}

std::optional<xml::NodeDevice> device_facts(const UdevDevice& device) {
    const auto type = type_of(device);
    if (!type) return std::nullopt;
    xml::NodeCapability capability;
    capability.type = *type;
    if (!facts_of(device, capability)) return std::nullopt;
    xml::NodeDevice facts;
    facts.name = device_name(device, capability);
    facts.path = device.path();
    if (const auto node = device.node(); !node.empty()) facts.nodes.push_back({"dev", node});
    for (auto* link = udev_device_get_devlinks_list_entry(device.get()); link; link = udev_list_entry_get_next(link))
        facts.nodes.push_back({"link", udev_list_entry_get_name(link)});
    if (const auto driver = device.property("DRIVER"); !driver.empty()) facts.driver = xml::NodeDriver{driver};
    facts.capabilities.push_back(std::move(capability));
    return facts;
}

xml::NodeDevice computer_facts() {
    const std::string dmi = "/sys/devices/virtual/dmi/id/";
    xml::NodeCapability computer;
    computer.type = system;
    computer.system_product = read_small_file(dmi + "product_name");
    computer.hardware = {read_small_file(dmi + "sys_vendor"), read_small_file(dmi + "product_version"),
                         read_small_file(dmi + "product_serial"), rpc::Uuid{}.text()};
    if (fs::exists(dmi)) computer.hardware.uuid = host_uuid().text();
    computer.firmware = xml::NodeFirmware{read_small_file(dmi + "bios_vendor"), read_small_file(dmi + "bios_version"),
                                          read_small_file(dmi + "bios_date")};
    xml::NodeDevice device;
    device.name = "computer";
    device.capabilities.push_back(std::move(computer));
    return device;
}

} // namespace lodge::drivers
