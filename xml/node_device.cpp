#include "xml/node_device.hpp"
#include "xml/net_address.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(NodeCapabilityType) {
    static constexpr std::string_view words[] = {"system",      "pci",        "usb_device", "usb",     "net",    "scsi_host",
                                                 "scsi_target", "scsi",       "storage",    "fc_host", "vports", "scsi_generic",
                                                 "drm",         "mdev_types", "mdev",       "ccw",     "css",    "vdpa",
                                                 "ap_card",     "ap_queue",   "ap_matrix",  "vpd"};
    return words;
}

// ---- parts ----

static void describe(Doc& doc, NodePath& node) {
    doc.required("type", node.type);
    doc.text(node.path);
}
static void describe(Doc& doc, NodeDriver& driver) { doc.text_child("name", driver.name); }
static void describe(Doc& doc, NodeProduct& product) {
    doc.required("id", product.id, Mark::hex);
    doc.text(product.name);
}
static void describe(Doc& doc, NodePciAddress& address) {
    doc.attribute("domain", address.domain);
    doc.attribute("bus", address.bus);
    doc.attribute("slot", address.slot);
    doc.attribute("function", address.function);
}
static void describe(Doc& doc, NodeIommuGroup& group) {
    doc.required("number", group.number);
    doc.list("address", group.devices);
}
static void describe(Doc& doc, NodeNuma& numa) { doc.attribute("node", numa.node); }
static void describe(Doc& doc, NodePciLink& link) {
    doc.attribute("validity", link.validity);
    doc.attribute("port", link.port);
    doc.attribute("speed", link.speed);
    doc.required("width", link.width, Mark::any_base);
}
static void describe(Doc& doc, NodePciExpress& express) { doc.list("link", express.links); }
static void describe(Doc& doc, NodeMdevType& type) {
    doc.required("id", type.id);
    doc.text_child("name", type.name);
    doc.text_child("deviceAPI", type.device_api, Mark::required);
    doc.text_child("availableInstances", type.available, Mark::required);
}
static void describe(Doc& doc, NodeVpdField& field) {
    doc.attribute("index", field.index);
    doc.text(field.value);
}
static void describe(Doc& doc, NodeVpdFields& fields) {
    doc.attribute("access", fields.access);
    doc.text_child("change_level", fields.change_level);
    doc.text_child("manufacture_id", fields.manufacture_id);
    doc.text_child("part_number", fields.part_number);
    doc.text_child("serial_number", fields.serial_number);
    doc.text_child("asset_tag", fields.asset_tag);
    doc.list("vendor_field", fields.vendor);
    doc.list("system_field", fields.system);
}
static void describe(Doc& doc, NodeDetail& detail) {
    const auto is = [&](std::string_view type) { return doc.when(detail.type == type); };
    doc.attribute("type", detail.type);
    if (is("virt_functions")) doc.attribute("maxCount", detail.max_count, Mark::recorded);
    if (doc.when(detail.type == "phys_function" || detail.type == "virt_functions")) doc.list("address", detail.addresses);
    if (is("mdev_types")) doc.list("type", detail.mdev_types);
    doc.text_child("name", detail.name);
    if (is("vpd")) doc.list("fields", detail.fields);
    doc.text_child("wwnn", detail.wwnn);
    doc.text_child("rport", detail.rport);
    doc.text_child("wwpn", detail.wwpn);
    doc.text_child("fabric_wwn", detail.fabric_wwn);
    doc.text_child("max_vports", detail.max_vports, Mark::recorded);
    doc.text_child("vports", detail.vports, Mark::recorded);
    if (!is("removable")) return;
    doc.text_child("media_available", detail.media_available, Mark::recorded);
    doc.text_child("media_size", detail.media_size);
    doc.text_child("media_label", detail.media_label);
    doc.text_child("logical_block_size", detail.block_size, Mark::recorded);
    doc.text_child("num_blocks", detail.block_count, Mark::recorded);
}
static void describe(Doc& doc, NodeHardware& hardware) {
    doc.text_child("vendor", hardware.vendor);
    doc.text_child("version", hardware.version);
    doc.text_child("serial", hardware.serial);
    doc.text_child("uuid", hardware.uuid, Mark::required);
}
static void describe(Doc& doc, NodeFirmware& firmware) {
    doc.has_end_tag();
    doc.text_child("vendor", firmware.vendor);
    doc.text_child("version", firmware.version);
    doc.text_child("release_date", firmware.release_date);
}
static void describe(Doc& doc, NodeLink& link) {
    doc.attribute("speed", link.speed);
    doc.attribute("state", link.state);
}
static void describe(Doc& doc, NodeName& name) { doc.required("name", name.name); }
static void describe(Doc& doc, NodeMdevAttribute& attribute) {
    doc.attribute("name", attribute.name);
    doc.attribute("value", attribute.value);
}
static void describe(Doc& doc, NodeMdevGroup& group) { doc.attribute("number", group.number); }
static void describe(Doc& doc, NodeId& id) { doc.required("id", id.id); }
static void describe(Doc& doc, NodeCcwAddress& address) {
    doc.text_child("cssid", address.cssid, Mark::required);
    doc.text_child("ssid", address.ssid, Mark::required);
    doc.text_child("devno", address.devno, Mark::required | Mark::hex);
}

// ---- one capability ----

// What stands inside a capability of some kinds must be one of those that the kind can have; `whose` is the kind in libvirt's
// words.
static void check_details(Doc& doc, const NodeCapability& capability, const char* whose,
                          std::initializer_list<std::string_view> known) {
    doc.check("capability", [&] {
        for (const auto& detail : capability.details) {
            if (detail.type.empty())
                doc.refuse(Code::internal_error, fmt::format("missing {} capability type for 'new device'", whose));
            if (std::ranges::find(known, detail.type) == known.end())
                doc.refuse(Code::internal_error,
                           fmt::format("unknown {} capability type '{}' for 'new device'", whose, detail.type));
        }
    });
}

// Other kinds take any, but none without a name.
static void check_details(Doc& doc, const NodeCapability& capability) {
    doc.check("capability", [&] {
        for (const auto& detail : capability.details) {
            if (detail.type.empty()) doc.refuse(Code::xml_error, "Missing capability type");
            if (detail.type == "phys_function" && detail.addresses.empty())
                doc.refuse(Code::xml_error, "Missing address in 'phys_function' capability");
            if (detail.type == "vpd" && detail.name.empty())
                doc.refuse(Code::xml_error, "Could not read a device name from the <name> element");
        }
    });
}

static void describe_system(Doc& doc, NodeCapability& system) {
    doc.text_child("product", system.system_product);
    doc.child("hardware", system.hardware, Mark::required);
    doc.child("firmware", system.firmware);
    doc.check("hardware/uuid", [&] {
        if (!rpc::Uuid::parse(system.hardware.uuid)) doc.refuse(Code::internal_error, "malformed uuid element for 'new device'");
    });
}

static void describe_pci(Doc& doc, NodeCapability& pci) {
    static constexpr std::string_view order[] = {"class", "domain", "bus", "slot", "function", "vendor", "product"};
    doc.read_in_order(order);
    doc.text_child("class", pci.pci_class, Mark::hex);
    doc.text_child("domain", pci.domain, Mark::required);
    doc.text_child("bus", pci.bus, Mark::required);
    doc.text_child("slot", pci.slot, Mark::required);
    doc.text_child("function", pci.function, Mark::required);
    doc.child("product", pci.product, Mark::required);
    doc.child("vendor", pci.vendor, Mark::required);
    doc.list("capability", pci.details);
    check_details(doc, pci);
    doc.child("iommuGroup", pci.iommu_group);
    doc.child("numa", pci.numa);
    doc.child("pci-express", pci.express);
}

static void describe_usb_device(Doc& doc, NodeCapability& usb) {
    static constexpr std::string_view order[] = {"bus", "device", "vendor", "product"};
    doc.read_in_order(order);
    doc.text_child("bus", usb.bus, Mark::required);
    doc.text_child("device", usb.device, Mark::required);
    doc.child("product", usb.product, Mark::required);
    doc.child("vendor", usb.vendor, Mark::required);
}

static void describe_usb(Doc& doc, NodeCapability& usb) {
    doc.text_child("number", usb.number, Mark::required);
    doc.text_child("class", usb.usb_class, Mark::required);
    doc.text_child("subclass", usb.subclass, Mark::required);
    doc.text_child("protocol", usb.protocol, Mark::required);
    doc.text_child("description", usb.description);
}

static void describe_net(Doc& doc, NodeCapability& net) {
    static constexpr std::string_view known_features[] = {
        "rx", "tx", "sg", "tso", "gso", "gro", "lro", "rxvlan", "txvlan", "ntuple", "rxhash", "rdma", "txudptnl", "switchdev"};
    static constexpr std::string_view order[] = {"interface", "address", "feature", "capability", "link"};
    doc.read_in_order(order);
    doc.text_child("interface", net.interface, Mark::required);
    doc.text_child("address", net.address);
    doc.child("link", net.link);
    doc.list("feature", net.features);
    doc.list("capability", net.details);
    doc.check("feature", [&] {
        for (const auto& feature : net.features)
            if (std::ranges::find(known_features, feature.name) == std::end(known_features))
                doc.refuse(Code::xml_error, fmt::format("unknown network device feature '{}'", feature.name));
    });
    doc.check("capability", [&] {
        if (net.details.empty() || net.details[0].type.empty() || net.details[0].type == "80203" ||
            net.details[0].type == "80211")
            return;
        doc.refuse(Code::config_unsupported, "invalid network type supplied for 'new device'");
    });
}

static void describe_scsi_host(Doc& doc, NodeCapability& scsi) {
    doc.text_child("host", scsi.host, Mark::recorded); // a new one gets its number from the kernel
    doc.text_child("unique_id", scsi.unique_id, Mark::recorded);
    doc.list("capability", scsi.details);
    check_details(doc, scsi, "SCSI host", {"vport_ops", "fc_host"});
}

static void describe_scsi_target(Doc& doc, NodeCapability& scsi) {
    doc.text_child("target", scsi.target_name, Mark::required);
    doc.list("capability", scsi.details);
    check_details(doc, scsi, "SCSI target", {"fc_remote_port"});
    doc.check("capability", [&] {
        for (const auto& port : scsi.details) {
            if (port.rport.empty()) doc.refuse(Code::internal_error, "missing rport name for 'new device'");
            if (port.wwpn.empty()) doc.refuse(Code::internal_error, "missing wwpn identifier for 'new device'");
        }
    });
}

static void describe_scsi(Doc& doc, NodeCapability& scsi) {
    doc.text_child("host", scsi.host, Mark::required);
    doc.text_child("bus", scsi.bus, Mark::required);
    doc.text_child("target", scsi.target, Mark::required);
    doc.text_child("lun", scsi.lun, Mark::required);
    doc.text_child("type", scsi.scsi_type);
}

static void describe_storage(Doc& doc, NodeCapability& storage) {
    static constexpr std::string_view order[] = {"block", "capability", "size"};
    doc.read_in_order(order);
    doc.text_child("block", storage.block, Mark::required);
    doc.text_child("bus", storage.storage_bus);
    doc.text_child("drive_type", storage.drive_type);
    doc.text_child("model", storage.model);
    doc.text_child("vendor", storage.storage_vendor);
    doc.text_child("serial", storage.serial);
    doc.text_child("size", storage.size);
    doc.text_child("logical_block_size", storage.block_size, Mark::recorded);
    doc.text_child("num_blocks", storage.block_count, Mark::recorded);
    doc.list("capability", storage.details);
    check_details(doc, storage, "storage", {"hotpluggable", "removable"});
    doc.check("capability", [&] {
        const auto* removable = storage.detail("removable");
        if (removable && !removable->media_size)
            doc.refuse(Code::internal_error, "no removable media size supplied for 'new device'");
    });
    doc.check("size", [&] {
        if (!storage.size && !storage.detail("removable")) doc.refuse(Code::internal_error, "no size supplied for 'new device'");
    });
}

static void describe_drm(Doc& doc, NodeCapability& drm) {
    doc.text_child("type", drm.drm_type);
    doc.check("type", [&] {
        if (drm.drm_type == "primary" || drm.drm_type == "control" || drm.drm_type == "render") return;
        doc.refuse(Code::config_unsupported,
                   fmt::format("unknown drm type '{}' for 'new device'", drm.drm_type.empty() ? "(null)" : drm.drm_type));
    });
}

static void describe_mdev(Doc& doc, NodeCapability& mdev) {
    doc.child("type", mdev.mdev_type, Mark::required);
    doc.check("type", [&] {
        if (mdev.mdev_type && mdev.mdev_type->id.empty())
            doc.refuse(Code::config_unsupported, "missing type id attribute for 'new device'");
    });
    doc.text_child("uuid", mdev.uuid);
    doc.check("uuid", [&] {
        if (!mdev.uuid.empty() && !rpc::Uuid::parse(mdev.uuid))
            doc.refuse(Code::internal_error, fmt::format("Invalid uuid '{}' for new mdev device", mdev.uuid));
    });
    doc.text_child("parent_addr", mdev.parent_address);
    doc.child("iommuGroup", mdev.mdev_group);
    doc.list("attr", mdev.attributes);
}

static void describe_css(Doc& doc, NodeCapability& css) {
    describe(doc, css.ccw);
    doc.child("channel_dev_addr", css.channel_device);
    doc.list("capability", css.details);
    check_details(doc, css);
}

static void describe_ap_queue(Doc& doc, NodeCapability& queue) {
    doc.text_child("ap-domain", queue.ap_domain, Mark::required);
    doc.check("ap-domain", [&] {
        if (queue.ap_domain > 255)
            doc.refuse(Code::config_unsupported,
                       fmt::format("ap-domain value '{}' is out of range for 'new device'", queue.ap_domain.value));
    });
}

// Kinds that only devices of the host have; nobody can ask for one.
static void refuse_wish(Doc& doc, NodeCapabilityType type) {
    using enum NodeCapabilityType;
    if (type != fc_host && type != vports && type != scsi_generic && type != mdev_types && type != vdpa && type != vpd) return;
    doc.refuse(Code::internal_error, fmt::format("unknown capability type '{}' for 'new device'", static_cast<int>(type)));
}

void describe(Doc& doc, NodeCapability& capability) {
    using enum NodeCapabilityType;
    const auto is = [&](NodeCapabilityType type) { return doc.when(capability.type == type); };
    doc.required("type", capability.type);
    doc.check("@type", [&] { refuse_wish(doc, capability.type); });
    if (is(system)) describe_system(doc, capability);
    if (is(pci)) describe_pci(doc, capability);
    if (is(usb_device)) describe_usb_device(doc, capability);
    if (is(usb)) describe_usb(doc, capability);
    if (is(net)) describe_net(doc, capability);
    if (is(scsi_host)) describe_scsi_host(doc, capability);
    if (is(scsi_target)) describe_scsi_target(doc, capability);
    if (is(scsi)) describe_scsi(doc, capability);
    if (is(storage)) describe_storage(doc, capability);
    if (is(scsi_generic)) doc.text_child("char", capability.char_device);
    if (is(drm)) describe_drm(doc, capability);
    if (is(mdev)) describe_mdev(doc, capability);
    if (is(ccw)) describe(doc, capability.ccw);
    if (is(css)) describe_css(doc, capability);
    if (is(vdpa)) doc.text_child("chardev", capability.char_device);
    if (doc.when(capability.type == ap_card || capability.type == ap_queue))
        doc.text_child("ap-adapter", capability.ap_adapter, Mark::required);
    if (is(ap_queue)) describe_ap_queue(doc, capability);
    if (doc.when(capability.type == ap_matrix || capability.type == mdev_types)) {
        doc.list("capability", capability.details);
        check_details(doc, capability);
    }
}

const NodeDetail* NodeCapability::detail(std::string_view detail_type) const {
    const auto at = std::ranges::find(details, detail_type, &NodeDetail::type);
    return at == details.end() ? nullptr : &*at;
}

// ---- the device ----

static void check_parent(const NodeDevice& device) {
    const auto half = [&](const char* given, const std::string& value, const char* missing) {
        rpc::fail(From::nodedev, Code::xml_error, "when providing parent {}='{}', the {} must also be provided", given, value,
                  missing);
    };
    if (!device.parent_wwnn.empty() && device.parent_wwpn.empty()) half("wwnn", device.parent_wwnn, "wwpn");
    if (device.parent_wwnn.empty() && !device.parent_wwpn.empty()) half("wwpn", device.parent_wwpn, "wwnn");
}

void describe(Doc& doc, NodeDevice& device) {
    doc.text_child("name", device.name);
    doc.text_child("path", device.path);
    doc.list("devnode", device.nodes);
    doc.group("parent", [&] {
        doc.attribute("wwnn", device.parent_wwnn);
        doc.attribute("wwpn", device.parent_wwpn);
        doc.attribute("fabric_wwn", device.parent_fabric);
        doc.text(device.parent);
    });
    doc.check("parent", [&] { check_parent(device); });
    doc.child("driver", device.driver);
    doc.list("capability", device.capabilities, Mark::required);
}

bool NodeDevice::has(NodeCapabilityType type) const {
    // As details they are called otherwise.
    const auto inner = type == NodeCapabilityType::vports ? std::string_view("vport_ops") : word(type);
    return std::ranges::any_of(capabilities,
                               [&](const NodeCapability& each) { return each.type == type || each.detail(inner) != nullptr; });
}

NodeDevice parse_node_device(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::nodedev;
    if (own.where.empty()) own.where = "(node_device_definition)";
    auto device = parse<NodeDevice>(text, "device", own);
    device.name = "new device"; // what it will be called is not for the document to say
    device.path.clear();
    return device;
}

std::string format_node_device(const NodeDevice& device) { return format(device, "device"); }

} // namespace lodge::xml
