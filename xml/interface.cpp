#include "xml/interface.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(InterfaceType) {
    static constexpr std::string_view words[] = {"ethernet", "bridge", "bond", "vlan"};
    return words;
}
std::span<const std::string_view> enum_words(StartMode) {
    static constexpr std::string_view words[] = {"none", "onboot", "hotplug"};
    return words;
}
std::span<const std::string_view> enum_words(LinkState) {
    static constexpr std::string_view words[] = {"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"};
    return words;
}
std::span<const std::string_view> enum_words(BondMode) {
    static constexpr std::string_view words[] = {"balance-rr", "active-backup", "balance-xor", "broadcast",
                                                 "802.3ad",    "balance-tlb",   "balance-alb"};
    return words;
}
std::span<const std::string_view> enum_words(MiiCarrier) {
    static constexpr std::string_view words[] = {"ioctl", "netif"};
    return words;
}
std::span<const std::string_view> enum_words(ArpValidate) {
    static constexpr std::string_view words[] = {"none", "active", "backup", "all"};
    return words;
}

static void describe(Doc& doc, InterfaceIp& ip) {
    doc.attribute("address", ip.address);
    doc.attribute("prefix", ip.prefix, Mark::any_base);
}
static void describe(Doc& doc, InterfaceDhcp& dhcp) { doc.attribute("peerdns", dhcp.peer_dns); }
static void describe(Doc& doc, InterfaceRoute& route) { doc.attribute("gateway", route.gateway); }
static void describe(Doc& doc, InterfaceProtocol& protocol) {
    doc.attribute("family", protocol.family);
    doc.flag("autoconf", protocol.autoconf);
    doc.child("dhcp", protocol.dhcp);
    doc.list("ip", protocol.ips);
    doc.list("route", protocol.routes);
}
static void describe(Doc& doc, InterfaceStart& start) { doc.required("mode", start.mode); }
static void describe(Doc& doc, InterfaceMtu& mtu) { doc.attribute("size", mtu.size); }
static void describe(Doc& doc, InterfaceLink& link) {
    doc.attribute("speed", link.speed);
    doc.attribute("state", link.state);
}
static void describe(Doc& doc, InterfaceMac& mac) { doc.attribute("address", mac.address); }
static void describe(Doc& doc, InterfaceBridge& bridge) {
    doc.attribute("stp", bridge.stp);
    doc.attribute("delay", bridge.delay);
    doc.list("interface", bridge.ports);
}
static void describe(Doc& doc, MiiMonitor& monitor) {
    doc.attribute("freq", monitor.freq);
    doc.attribute("downdelay", monitor.down_delay);
    doc.attribute("updelay", monitor.up_delay);
    doc.attribute("carrier", monitor.carrier);
}
static void describe(Doc& doc, ArpMonitor& monitor) {
    doc.attribute("interval", monitor.interval);
    doc.attribute("target", monitor.target);
    doc.attribute("validate", monitor.validate);
}
static void describe(Doc& doc, InterfaceBond& bond) {
    doc.attribute("mode", bond.mode);
    doc.child("miimon", bond.mii);
    doc.child("arpmon", bond.arp);
    doc.list("interface", bond.ports);
}
static void describe(Doc& doc, VlanDevice& device) { doc.attribute("name", device.name); }
static void describe(Doc& doc, InterfaceVlan& vlan) {
    doc.attribute("tag", vlan.tag);
    doc.child("interface", vlan.device);
}

void describe(Doc& doc, Interface& interface) {
    doc.required("type", interface.type);
    doc.attribute("name", interface.name);
    doc.has_end_tag();
    doc.child("start", interface.start);
    doc.child("mtu", interface.mtu);
    doc.list("protocol", interface.protocols);
    doc.child("link", interface.link);
    doc.child("mac", interface.mac);
    if (doc.when(interface.type == InterfaceType::bridge)) doc.child("bridge", interface.bridge);
    if (doc.when(interface.type == InterfaceType::bond)) doc.child("bond", interface.bond);
    if (doc.when(interface.type == InterfaceType::vlan)) doc.child("vlan", interface.vlan);
}

const InterfaceProtocol* Interface::protocol(std::string_view family) const {
    const auto at = std::ranges::find(protocols, family, &InterfaceProtocol::family);
    return at == protocols.end() ? nullptr : &*at;
}

template<class... Args> [[noreturn]] static void refuse(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::interface, Code::xml_error, format, std::forward<Args>(args)...);
}

static void check_protocol(const InterfaceProtocol& protocol) {
    if (protocol.family.empty()) refuse("protocol misses the family attribute");
    if (protocol.family != "ipv4" && protocol.family != "ipv6") refuse("unsupported protocol family '{}'", protocol.family);
    for (const auto& ip : protocol.ips)
        if (!ip.address.valid() || (protocol.family == "ipv6") != ip.address.is_v6() || ip.prefix > ip.address.bits())
            refuse("Invalid address '{}' in <ip>", ip.address.text());
    for (const auto& route : protocol.routes)
        if (!route.gateway.valid()) refuse("interface route misses the gateway address");
}

// `parent`: what a nested interface belongs to; those have no start mode and no addresses of their own.
static void check_interface(const Interface& interface, std::optional<InterfaceType> parent) {
    if (interface.name.empty()) refuse("interface has no name");
    if (interface.name.find_first_of("/ \t\n") != std::string::npos || interface.name == "." || interface.name == "..")
        refuse("invalid interface name '{}'", interface.name);
    if (parent && interface.type == InterfaceType::bridge) refuse("interface has unsupported type '{}'", word(interface.type));
    if (parent == InterfaceType::bond && interface.type != InterfaceType::ethernet)
        refuse("interface has unsupported type '{}'", word(interface.type));
    for (const auto& protocol : interface.protocols) check_protocol(protocol);
    if (interface.mac && !interface.mac->address.empty() && !MacAddress::parse(interface.mac->address))
        refuse("Unable to parse MAC '{}'", interface.mac->address);
    switch (interface.type) {
    case InterfaceType::bridge:
        if (!interface.bridge) refuse("bridge interface misses the bridge element");
        for (const auto& port : interface.bridge->ports) check_interface(port, interface.type);
        break;
    case InterfaceType::bond:
        if (!interface.bond) refuse("bond interface misses the bond element");
        if (interface.bond->ports.empty() && !parent) refuse("bond has no interfaces");
        for (const auto& port : interface.bond->ports) check_interface(port, interface.type);
        break;
    case InterfaceType::vlan:
        if (!interface.vlan) refuse("vlan interface misses the vlan element");
        if (interface.vlan->tag.empty()) refuse("vlan interface misses the tag attribute");
        if (interface.vlan->device.name.empty()) refuse("vlan interface misses name attribute");
        break;
    case InterfaceType::ethernet: break;
    }
}

Interface parse_interface(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::interface;
    auto interface = parse<Interface>(text, "interface", own);
    check_interface(interface, std::nullopt);
    return interface;
}

std::string format_interface(const Interface& interface, const WriteOptions& options) {
    return format(interface, "interface", options);
}

} // namespace lodge::xml
