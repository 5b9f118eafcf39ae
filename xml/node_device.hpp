// <device>: a device of the host, as it is found, or a mediated device that is to be made.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class NodeCapabilityType {
    system,
    pci,
    usb_device,
    usb,
    net,
    scsi_host,
    scsi_target,
    scsi,
    storage,
    fc_host,
    vports,
    scsi_generic,
    drm,
    mdev_types,
    mdev,
    ccw,
    css,
    vdpa,
    ap_card,
    ap_queue,
    ap_matrix,
    vpd
};
std::span<const std::string_view> enum_words(NodeCapabilityType);

struct NodePath { // <devnode type='dev'>/dev/vda</devnode>
    std::string type, path;
};
struct NodeDriver {
    std::string name;
};
struct NodeProduct { // <vendor id='0x8086'>Intel Corporation</vendor>
    Hex<4> id;
    std::string name;
};
struct NodePciAddress {
    Hex<4> domain;
    Hex<2> bus, slot;
    Hex<1> function;
};
struct NodeIommuGroup {
    unsigned number = 0;
    std::vector<NodePciAddress> devices;
};
struct NodeNuma {
    int node = 0;
};
struct NodePciLink {
    std::string validity; // cap, sta
    std::optional<unsigned> port;
    std::string speed; // GT/s
    unsigned width = 0;
};
struct NodePciExpress {
    std::vector<NodePciLink> links;
};
struct NodeMdevType {
    std::string id, name, device_api;
    std::optional<unsigned> available;
};
struct NodeVpdField {
    std::string index, value;
};
struct NodeVpdFields {
    std::string access; // readonly, readwrite
    std::string change_level, manufacture_id, part_number, serial_number, asset_tag;
    std::vector<NodeVpdField> vendor, system;
};
// What a device can do besides: a capability inside a capability. Which facts it has follows from its type.
struct NodeDetail {
    std::string type;
    std::optional<unsigned> max_count;                                // virt_functions
    std::vector<NodePciAddress> addresses;                            // phys_function, virt_functions
    std::vector<NodeMdevType> mdev_types;                             // mdev_types
    std::string name;                                                 // vpd
    std::vector<NodeVpdFields> fields;                                // vpd
    std::string wwnn, rport, wwpn, fabric_wwn;                        // fc_host, fc_remote_port
    std::optional<unsigned> max_vports, vports;                       // vport_ops
    std::optional<unsigned> media_available;                          // removable
    std::optional<std::uint64_t> media_size, block_size, block_count; // removable
    std::string media_label;                                          // removable
};

struct NodeHardware {
    std::string vendor, version, serial, uuid;
};
struct NodeFirmware {
    std::string vendor, version, release_date;
};
struct NodeLink {
    std::optional<unsigned> speed; // Mbit/s
    std::string state;
};
struct NodeName { // <feature name='rx'/>
    std::string name;
};
struct NodeMdevAttribute {
    std::string name, value;
};
struct NodeMdevGroup {
    unsigned number = 0;
};
struct NodeId { // <type id='i915-GVTg_V5_4'/>
    std::string id;
};
struct NodeCcwAddress {
    Hex<1> cssid, ssid;
    Hex<4> devno;
};

// Facts of all kinds side by side; those of other kinds than `type` are empty.
struct NodeCapability {
    NodeCapabilityType type = NodeCapabilityType::system;
    // system
    std::string system_product;
    NodeHardware hardware;
    std::optional<NodeFirmware> firmware;
    // pci, usb_device
    std::optional<Hex<6>> pci_class;
    unsigned domain = 0, bus = 0, slot = 0, function = 0, device = 0;
    NodeProduct product, vendor;
    std::optional<NodeIommuGroup> iommu_group;
    std::optional<NodeNuma> numa;
    std::optional<NodePciExpress> express;
    // usb
    unsigned number = 0, usb_class = 0, subclass = 0, protocol = 0;
    std::string description;
    // net
    std::string interface, address;
    std::optional<NodeLink> link;
    std::vector<NodeName> features;
    // scsi_host, scsi, scsi_target
    unsigned host = 0, target = 0, lun = 0;
    std::optional<unsigned> unique_id;
    std::string target_name, scsi_type;
    // storage
    std::string block, storage_bus, drive_type, model, storage_vendor, serial;
    std::optional<std::uint64_t> size, block_size, block_count;
    // scsi_generic, vdpa
    std::string char_device;
    // drm
    std::string drm_type;
    // mdev
    std::optional<NodeId> mdev_type;
    std::string uuid, parent_address;
    std::optional<NodeMdevGroup> mdev_group;
    std::vector<NodeMdevAttribute> attributes;
    // ccw, css
    NodeCcwAddress ccw;
    std::optional<NodeCcwAddress> channel_device;
    // ap_card, ap_queue
    Hex<2> ap_adapter;
    Hex<4> ap_domain;

    std::vector<NodeDetail> details;
    const NodeDetail* detail(std::string_view detail_type) const; // null: has none
};

struct NodeDevice {
    std::string name;
    std::string path; // below /sys; empty: defined, but not there
    std::vector<NodePath> nodes;
    std::string parent, parent_wwnn, parent_wwpn, parent_fabric;
    std::optional<NodeDriver> driver;
    std::vector<NodeCapability> capabilities;

    // Also what a capability implies: a PCI device that makes mediated ones has mdev_types.
    bool has(NodeCapabilityType type) const;
};
void describe(Doc& doc, NodeCapability& capability);
void describe(Doc& doc, NodeDevice& device);

// A device that is to be made: refuses documents without capability.
NodeDevice parse_node_device(const std::string& text, const ReadOptions& options = {});
std::string format_node_device(const NodeDevice& device);

} // namespace lodge::xml
