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
    doc.attribute("type", node.type);
    doc.text(node.path);
}
static void describe(Doc& doc, NodeDriver& driver) { doc.text_child("name", driver.name); }
static void describe(Doc& doc, NodeProduct& product) {
    doc.attribute("id", product.id);
    doc.text(product.name);
}
static void describe(Doc& doc, NodePciAddress& address) {
    doc.attribute("domain", address.domain);
    doc.attribute("bus", address.bus);
    doc.attribute("slot", address.slot);
    doc.attribute("function", address.function);
}
static void describe(Doc& doc, NodeIommuGroup& group) {
    doc.attribute("number", group.number);
    doc.list("address", group.devices);
}
static void describe(Doc& doc, NodeNuma& numa) { doc.attribute("node", numa.node); }
static void describe(Doc& doc, NodePciLink& link) {
    doc.attribute("validity", link.validity);
    doc.attribute("port", link.port);
    doc.attribute("speed", link.speed);
    doc.attribute("width", link.width, Mark::any_base);
}
static void describe(Doc& doc, NodePciExpress& express) { doc.list("link", express.links); }
static void describe(Doc& doc, NodeMdevType& type) {
    doc.attribute("id", type.id);
    doc.text_child("name", type.name);
    doc.text_child("deviceAPI", type.device_api);
    doc.text_child("availableInstances", type.available);
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
    doc.attribute("type", detail.type);
    doc.attribute("maxCount", detail.max_count);
    doc.list("address", detail.addresses);
    doc.list("type", detail.mdev_types);
    doc.text_child("name", detail.name);
    doc.list("fields", detail.fields);
    doc.text_child("wwnn", detail.wwnn);
    doc.text_child("rport", detail.rport);
    doc.text_child("wwpn", detail.wwpn);
    doc.text_child("fabric_wwn", detail.fabric_wwn);
    doc.text_child("max_vports", detail.max_vports);
    doc.text_child("vports", detail.vports);
    doc.text_child("media_available", detail.media_available);
    doc.text_child("media_size", detail.media_size);
    doc.text_child("media_label", detail.media_label);
    doc.text_child("logical_block_size", detail.block_size);
    doc.text_child("num_blocks", detail.block_count);
}
static void describe(Doc& doc, NodeHardware& hardware) {
    doc.text_child("vendor", hardware.vendor);
    doc.text_child("version", hardware.version);
    doc.text_child("serial", hardware.serial);
    doc.text_child("uuid", hardware.uuid);
}
static void describe(Doc& doc, NodeFirmware& firmware) {
    doc.text_child("vendor", firmware.vendor);
    doc.text_child("version", firmware.version);
    doc.text_child("release_date", firmware.release_date);
}
static void describe(Doc& doc, NodeLink& link) {
    doc.attribute("speed", link.speed);
    doc.attribute("state", link.state);
}
static void describe(Doc& doc, NodeName& name) { doc.attribute("name", name.name); }
static void describe(Doc& doc, NodeMdevAttribute& attribute) {
    doc.attribute("name", attribute.name);
    doc.attribute("value", attribute.value);
}
static void describe(Doc& doc, NodeMdevGroup& group) { doc.attribute("number", group.number); }
static void describe(Doc& doc, NodeId& id) { doc.attribute("id", id.id); }
static void describe(Doc& doc, NodeCcwAddress& address) {
    doc.text_child("cssid", address.cssid);
    doc.text_child("ssid", address.ssid);
    doc.text_child("devno", address.devno);
}

// ---- one capability ----

static void describe_system(Doc& doc, NodeCapability& system) {
    doc.text_child("product", system.system_product);
    doc.child("hardware", system.hardware);
    doc.child("firmware", system.firmware);
}

static void describe_pci(Doc& doc, NodeCapability& pci) {
    doc.text_child("class", pci.pci_class);
    doc.text_child("domain", pci.domain);
    doc.text_child("bus", pci.bus);
    doc.text_child("slot", pci.slot);
    doc.text_child("function", pci.function);
    doc.child("product", pci.product);
    doc.child("vendor", pci.vendor);
    doc.list("capability", pci.details);
    doc.child("iommuGroup", pci.iommu_group);
    doc.child("numa", pci.numa);
    doc.child("pci-express", pci.express);
}

static void describe_usb_device(Doc& doc, NodeCapability& usb) {
    doc.text_child("bus", usb.bus);
    doc.text_child("device", usb.device);
    doc.child("product", usb.product);
    doc.child("vendor", usb.vendor);
}

static void describe_usb(Doc& doc, NodeCapability& usb) {
    doc.text_child("number", usb.number);
    doc.text_child("class", usb.usb_class);
    doc.text_child("subclass", usb.subclass);
    doc.text_child("protocol", usb.protocol);
    doc.text_child("description", usb.description);
}

static void describe_net(Doc& doc, NodeCapability& net) {
    doc.text_child("interface", net.interface);
    doc.text_child("address", net.address);
    doc.child("link", net.link);
    doc.list("feature", net.features);
    doc.list("capability", net.details);
}

static void describe_scsi(Doc& doc, NodeCapability& scsi) {
    doc.text_child("host", scsi.host);
    doc.text_child("bus", scsi.bus);
    doc.text_child("target", scsi.target);
    doc.text_child("lun", scsi.lun);
    doc.text_child("type", scsi.scsi_type);
}

static void describe_storage(Doc& doc, NodeCapability& storage) {
    doc.text_child("block", storage.block);
    doc.text_child("bus", storage.storage_bus);
    doc.text_child("drive_type", storage.drive_type);
    doc.text_child("model", storage.model);
    doc.text_child("vendor", storage.storage_vendor);
    doc.text_child("serial", storage.serial);
    doc.text_child("size", storage.size);
    doc.text_child("logical_block_size", storage.block_size);
    doc.text_child("num_blocks", storage.block_count);
    doc.list("capability", storage.details);
}

static void describe_mdev(Doc& doc, NodeCapability& mdev) {
    doc.child("type", mdev.mdev_type);
    doc.text_child("uuid", mdev.uuid);
    doc.text_child("parent_addr", mdev.parent_address);
    doc.child("iommuGroup", mdev.mdev_group);
    doc.list("attr", mdev.attributes);
}

static void describe_css(Doc& doc, NodeCapability& css) {
    describe(doc, css.ccw);
    doc.child("channel_dev_addr", css.channel_device);
    doc.list("capability", css.details);
}

void describe(Doc& doc, NodeCapability& capability) {
    using enum NodeCapabilityType;
    const auto is = [&](NodeCapabilityType type) { return doc.when(capability.type == type); };
    doc.required("type", capability.type);
    if (is(system)) describe_system(doc, capability);
    if (is(pci)) describe_pci(doc, capability);
    if (is(usb_device)) describe_usb_device(doc, capability);
    if (is(usb)) describe_usb(doc, capability);
    if (is(net)) describe_net(doc, capability);
    if (is(scsi_host)) {
        doc.text_child("host", capability.host);
        doc.text_child("unique_id", capability.unique_id);
        doc.list("capability", capability.details);
    }
    if (is(scsi_target)) {
        doc.text_child("target", capability.target_name);
        doc.list("capability", capability.details);
    }
    if (is(scsi)) describe_scsi(doc, capability);
    if (is(storage)) describe_storage(doc, capability);
    if (is(scsi_generic)) doc.text_child("char", capability.char_device);
    if (is(drm)) doc.text_child("type", capability.drm_type);
    if (is(mdev)) describe_mdev(doc, capability);
    if (is(ccw)) describe(doc, capability.ccw);
    if (is(css)) describe_css(doc, capability);
    if (is(vdpa)) doc.text_child("chardev", capability.char_device);
    if (doc.when(capability.type == ap_card || capability.type == ap_queue)) doc.text_child("ap-adapter", capability.ap_adapter);
    if (is(ap_queue)) doc.text_child("ap-domain", capability.ap_domain);
    if (doc.when(capability.type == ap_matrix || capability.type == mdev_types)) doc.list("capability", capability.details);
}

const NodeDetail* NodeCapability::detail(std::string_view detail_type) const {
    const auto at = std::ranges::find(details, detail_type, &NodeDetail::type);
    return at == details.end() ? nullptr : &*at;
}

// ---- the device ----

void describe(Doc& doc, NodeDevice& device) {
    doc.text_child("name", device.name);
    doc.text_child("path", device.path);
    doc.list("devnode", device.nodes);
    doc.text_child("parent", device.parent);
    doc.child("driver", device.driver);
    doc.list("capability", device.capabilities);
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
    if (device.capabilities.empty())
        rpc::fail(From::nodedev, Code::internal_error, "no device capabilities for '{}'", device.name);
    return device;
}

std::string format_node_device(const NodeDevice& device) { return open_empty_elements(format(device, "device"), {"firmware"}); }

} // namespace lodge::xml
