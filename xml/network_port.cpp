#include "xml/network_port.hpp"

namespace lodge::xml {

std::span<const std::string_view> enum_words(PlugType) {
    static constexpr std::string_view words[] = {"none", "network", "bridge", "direct", "hostdev-pci"};
    return words;
}

static void describe(Doc& doc, PortOwner& owner) {
    doc.text_child("name", owner.name);
    doc.text_child("uuid", owner.uuid);
}
static void describe(Doc& doc, PortMac& mac) { doc.attribute("address", mac.address); }
static void describe(Doc& doc, PortIsolation& port) { doc.attribute("isolated", port.isolated); }
static void describe(Doc& doc, PortRxFilters& filters) { doc.attribute("trustGuest", filters.trust_guest); }
static void describe(Doc& doc, PortPciAddress& address) {
    doc.attribute("domain", address.domain);
    doc.attribute("bus", address.bus);
    doc.attribute("slot", address.slot);
    doc.attribute("function", address.function);
}
static void describe(Doc& doc, PortPlug& plug) {
    doc.attribute("type", plug.type);
    if (doc.when(plug.type == PlugType::network || plug.type == PlugType::bridge)) {
        doc.attribute("bridge", plug.bridge);
        doc.attribute("macTableManager", plug.mac_table_manager);
    }
    if (doc.when(plug.type == PlugType::direct)) {
        doc.attribute("dev", plug.dev);
        doc.attribute("mode", plug.mode);
    }
    if (!doc.when(plug.type == PlugType::hostdev_pci)) return;
    doc.attribute("managed", plug.managed);
    doc.child("driver", plug.driver);
    doc.child("address", plug.address);
}

void describe(Doc& doc, NetworkPort& port) {
    doc.text_child("uuid", port.uuid);
    doc.child("owner", port.owner);
    doc.text_child("group", port.group);
    doc.child("mac", port.mac);
    doc.child("virtualport", port.virtual_port);
    doc.child("bandwidth", port.bandwidth);
    doc.child("vlan", port.vlan);
    doc.child("port", port.port);
    doc.child("rxfilters", port.rx_filters);
    doc.child("plug", port.plug);
}

static void check_plug(const PortPlug& plug) {
    const auto require = [](bool there, const char* what) {
        if (!there) rpc::fail(From::network, Code::xml_error, "Missing network port {}", what);
    };
    switch (plug.type) {
    case PlugType::network:
    case PlugType::bridge: require(!plug.bridge.empty(), "bridge name"); break;
    case PlugType::direct: require(!plug.dev.empty(), "link device name"); break;
    case PlugType::hostdev_pci: require(plug.address.has_value(), "PCI address"); break;
    case PlugType::none: break;
    }
}

NetworkPort parse_network_port(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::network;
    if (own.where.empty()) own.where = "(networkport_definition)";
    auto port = parse<NetworkPort>(text, "networkport", own);
    const auto require = [](bool there, const char* what) {
        if (!there) rpc::fail(From::network, Code::internal_error, "network port has no {}", what);
    };
    require(!port.uuid.is_nil(), "uuid");
    require(!port.owner.name.empty(), "owner name");
    require(!port.owner.uuid.is_nil(), "owner UUID");
    require(!port.mac.address.empty(), "mac");
    const auto mac = MacAddress::parse(port.mac.address);
    if (!mac) rpc::fail(From::network, Code::internal_error, "Unable to parse MAC '{}'", port.mac.address);
    port.mac.address = mac->text();
    if (port.virtual_port) check_virtual_port(*port.virtual_port, PortNeeds::nothing);
    check_bandwidth(port.bandwidth, BandwidthOf::port);
    if (port.vlan) complete_vlan(*port.vlan);
    if (port.plug) check_plug(*port.plug);
    if (port.plug && port.plug->type == PlugType::none) port.plug.reset();
    return port;
}

std::string format_network_port(const NetworkPort& port) { return format(port, "networkport"); }

// ---- what the network decides ----

static void inherit(NetworkPort& port, const Network& network) {
    const auto* group = network.port_group(port.group);
    if (!port.bandwidth && group) port.bandwidth = group->bandwidth;
    if (!port.vlan) port.vlan = group && group->vlan ? group->vlan : network.vlan;
    if (!port.rx_filters) {
        auto trusted = group ? group->trust_guest_rx_filters : std::nullopt;
        if (!trusted) trusted = network.trust_guest_rx_filters;
        if (trusted) port.rx_filters = PortRxFilters{*trusted};
    }
    if (!port.port && network.port && network.port->isolated) port.port = PortIsolation{network.port->isolated};
    if (!port.virtual_port) port.virtual_port = group && group->virtual_port ? group->virtual_port : network.virtual_port;
}

static void refuse_virtual_port(const NetworkPort& port, const Network& network, const char* why) {
    rpc::fail(From::network, Code::config_unsupported, "<virtualport type='{}'> not supported for network '{}' which uses {}",
              port.virtual_port->type, network.name, why);
}

static PortPlug bridge_plug(PlugType type, const Network& network) {
    PortPlug plug;
    plug.type = type;
    plug.bridge = network.bridge_name();
    if (network.bridge) plug.mac_table_manager = network.bridge->mac_table_manager;
    return plug;
}

static PortPlug direct_plug(const Network& network) {
    PortPlug plug;
    plug.type = PlugType::direct;
    plug.mode = word(network.mode());
    if (network.forward && !network.forward->interfaces.empty()) plug.dev = network.forward->interfaces.front().dev;
    if (plug.dev.empty() && network.forward) plug.dev = network.forward->dev;
    if (plug.dev.empty())
        rpc::fail(From::network, Code::internal_error,
                  "network '{}' uses a direct mode, but has no forward dev and no interface pool", network.name);
    return plug;
}

static PortPlug hostdev_plug(const Network& network) {
    if (network.forward->addresses.empty())
        rpc::fail(From::network, Code::internal_error,
                  "network '{}' requires exclusive access to interfaces, but none are available", network.name);
    const auto& address = network.forward->addresses.front();
    PortPlug plug;
    plug.type = PlugType::hostdev_pci;
    plug.managed = network.forward->managed && network.forward->managed->value;
    plug.driver = network.forward->driver;
    plug.address = PortPciAddress{address.domain, address.bus, address.slot, address.function};
    return plug;
}

void complete_network_port(NetworkPort& port, const Network& network) {
    inherit(port, network);
    const bool ethernet_bridging = port.virtual_port && port.virtual_port->type.starts_with("802.1Qb");
    if (network.has_own_bridge()) {
        if (port.virtual_port) refuse_virtual_port(port, network, "IP forwarding");
        port.plug = bridge_plug(PlugType::network, network);
    } else if (network.mode() == ForwardMode::hostdev) {
        if (port.virtual_port && !ethernet_bridging)
            refuse_virtual_port(port, network, "an SR-IOV Virtual Function via PCI passthrough");
        port.plug = hostdev_plug(network);
    } else if (network.mode() == ForwardMode::bridge && !network.bridge_name().empty()) {
        if (port.virtual_port && port.virtual_port->type != "openvswitch") refuse_virtual_port(port, network, "a bridge device");
        port.plug = bridge_plug(PlugType::bridge, network);
    } else {
        if (port.virtual_port && !ethernet_bridging) refuse_virtual_port(port, network, "a macvtap device");
        port.plug = direct_plug(network);
    }
}

} // namespace lodge::xml
