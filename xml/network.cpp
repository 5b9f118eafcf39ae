#include "xml/network.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(ForwardMode) {
    static constexpr std::string_view words[] = {"none",    "nat",  "route",       "open",   "bridge",
                                                 "private", "vepa", "passthrough", "hostdev"};
    return words;
}
bool Traits<ForwardMode>::parse(ForwardMode& mode, std::string_view text) {
    const auto words = enum_words(ForwardMode{});
    const auto at = std::ranges::find(words, text.empty() ? "nat" : text);
    if (at == words.end()) rpc::fail(From::network, Code::config_unsupported, "unknown forwarding type '{}'", text);
    mode = static_cast<ForwardMode>(at - words.begin());
    return true;
}
std::span<const std::string_view> enum_words(BridgeMacTable) {
    static constexpr std::string_view words[] = {"kernel", "libvirt"};
    return words;
}
std::span<const std::string_view> enum_words(LeaseUnit) {
    static constexpr std::string_view words[] = {"seconds", "minutes", "hours"};
    return words;
}

// ---- descriptions ----

void describe(Doc& doc, ForwardInterface& interface) {
    doc.attribute("dev", interface.dev);
    doc.attribute("connections", interface.connections, Mark::live);
}
static void describe(Doc& doc, ForwardPciAddress& address) {
    doc.attribute("type", address.type);
    doc.attribute("domain", address.domain);
    doc.attribute("bus", address.bus);
    doc.attribute("slot", address.slot);
    doc.attribute("function", address.function);
    doc.attribute("connections", address.connections, Mark::live);
}
static void describe(Doc& doc, NatAddress& address) {
    doc.attribute("start", address.start);
    doc.attribute("end", address.end);
}
static void describe(Doc& doc, NatPorts& ports) {
    doc.attribute("start", ports.start);
    doc.attribute("end", ports.end);
}
static void describe(Doc& doc, Nat& nat) {
    doc.attribute("ipv6", nat.ipv6);
    doc.list("address", nat.addresses);
    doc.list("port", nat.ports);
}
static void describe(Doc& doc, ForwardPf& pf) {
    doc.attribute("dev", pf.dev);
    doc.attribute("connections", pf.connections, Mark::live);
}
static void describe(Doc& doc, Forward& forward) {
    doc.attribute("dev", forward.dev);
    doc.attribute("mode", forward.mode);
    doc.attribute("managed", forward.managed);
    doc.child("driver", forward.driver);
    doc.list("pf", forward.pfs);
    doc.list("nat", forward.nats);
    doc.list("interface", forward.interfaces);
    doc.list("address", forward.addresses);
}
static void describe(Doc& doc, Bridge& bridge) {
    doc.attribute("name", bridge.name);
    doc.attribute("zone", bridge.zone);
    doc.attribute("stp", bridge.stp);
    doc.attribute("delay", bridge.delay);
    doc.attribute("macTableManager", bridge.mac_table_manager);
}
static void describe(Doc& doc, Mtu& mtu) { doc.attribute("size", mtu.size, Mark::wraps); }
static void describe(Doc& doc, NetworkMac& mac) { doc.attribute("address", mac.address); }
static void describe(Doc& doc, NetworkDomain& domain) {
    doc.attribute("name", domain.name);
    doc.attribute("localOnly", domain.local_only);
    doc.attribute("register", domain.register_);
}
static void describe(Doc& doc, DnsForwarder& forwarder) {
    doc.attribute("domain", forwarder.domain);
    doc.attribute("addr", forwarder.address);
}
void describe(Doc& doc, DnsTxt& record) {
    doc.attribute("name", record.name);
    doc.attribute("value", record.value);
}
void describe(Doc& doc, DnsSrv& record) {
    doc.attribute("service", record.service);
    doc.attribute("protocol", record.protocol);
    doc.attribute("domain", record.domain);
    doc.attribute("target", record.target);
    doc.attribute("port", record.port);
    doc.attribute("priority", record.priority);
    doc.attribute("weight", record.weight);
}
void describe(Doc& doc, DnsHost& host) {
    doc.attribute("ip", host.ip);
    doc.list("hostname", host.names);
}
static void describe(Doc& doc, Dns& dns) {
    doc.attribute("enable", dns.enable);
    doc.attribute("forwardPlainNames", dns.forward_plain_names);
    doc.list("forwarder", dns.forwarders);
    doc.list("txt", dns.txts);
    doc.list("srv", dns.srvs);
    doc.list("host", dns.hosts);
}
static void describe(Doc& doc, LeaseTime& lease) {
    doc.attribute("expiry", lease.expiry, Mark::any_base);
    doc.attribute("unit", lease.unit);
}
void describe(Doc& doc, DhcpRange& range) {
    doc.attribute("start", range.start);
    doc.attribute("end", range.end);
    doc.child("lease", range.lease);
}
void describe(Doc& doc, DhcpHost& host) {
    doc.attribute("id", host.id);
    doc.attribute("mac", host.mac);
    doc.attribute("name", host.name);
    doc.attribute("ip", host.ip);
    doc.child("lease", host.lease);
}
static void describe(Doc& doc, Bootp& bootp) {
    doc.attribute("file", bootp.file);
    doc.attribute("server", bootp.server);
}
static void describe(Doc& doc, Dhcp& dhcp) {
    doc.list("range", dhcp.ranges);
    doc.list("host", dhcp.hosts);
    doc.child("bootp", dhcp.bootp);
}
static void describe(Doc& doc, Tftp& tftp) { doc.attribute("root", tftp.root); }
static void describe(Doc& doc, NetworkIp& ip) {
    doc.attribute("family", ip.family);
    doc.attribute("address", ip.address);
    doc.attribute("netmask", ip.netmask);
    doc.attribute("prefix", ip.prefix);
    doc.attribute("localPtr", ip.local_ptr);
    doc.has_end_tag();
    doc.child("tftp", ip.tftp);
    doc.child("dhcp", ip.dhcp);
}
static void describe(Doc& doc, NetworkRoute& route) {
    doc.attribute("family", route.family);
    doc.attribute("address", route.address);
    doc.attribute("netmask", route.netmask);
    doc.attribute("prefix", route.prefix);
    doc.attribute("gateway", route.gateway);
    doc.attribute("metric", route.metric);
}
static void describe(Doc& doc, PortOptions& port) { doc.attribute("isolated", port.isolated); }
void describe(Doc& doc, PortGroup& group) {
    doc.attribute("name", group.name);
    doc.attribute("default", group.default_);
    doc.attribute("trustGuestRxFilters", group.trust_guest_rx_filters);
    doc.has_end_tag();
    doc.child("vlan", group.vlan);
    doc.child("virtualport", group.virtual_port);
    doc.child("bandwidth", group.bandwidth);
}
static void describe(Doc& doc, DnsmasqOption& option) { doc.attribute("value", option.value); }
static void describe(Doc& doc, DnsmasqOptions& options) { doc.list("dnsmasq:option", options.options); }

void describe(Doc& doc, Network& network) {
    doc.attribute("connections", network.connections, Mark::live);
    doc.attribute("ipv6", network.ipv6);
    doc.attribute("trustGuestRxFilters", network.trust_guest_rx_filters);
    doc.text_child("name", network.name);
    doc.text_child("uuid", network.uuid);
    doc.text_child("title", network.title);
    doc.text_child("description", network.description);
    doc.raw("metadata", network.metadata);
    doc.child("forward", network.forward);
    doc.child("bridge", network.bridge);
    doc.child("mtu", network.mtu);
    doc.child("mac", network.mac);
    doc.child("domain", network.domain);
    doc.child("dns", network.dns);
    doc.child("vlan", network.vlan);
    doc.child("bandwidth", network.bandwidth);
    doc.child("port", network.port);
    doc.list("ip", network.ips);
    doc.list("route", network.routes);
    doc.child("virtualport", network.virtual_port);
    doc.list("portgroup", network.port_groups);
    doc.child("dnsmasq:options", network.dnsmasq);
}

// ---- facts about a document ----

std::optional<std::uint64_t> LeaseTime::seconds() const {
    if (expiry.value_or(0) == 0) return std::nullopt;
    static constexpr std::uint64_t factors[] = {1, 60, 3600};
    return *expiry * factors[static_cast<std::size_t>(unit.value_or(LeaseUnit::minutes))];
}

static unsigned prefix_of(const IpAddress& address, const IpAddress& netmask, std::optional<unsigned> prefix) {
    if (prefix) return *prefix;
    if (const auto length = netmask.as_netmask()) return *length;
    if (address.is_v6()) return 64;
    // An address alone: the class decides, as it did before there were masks.
    const unsigned first = address.bytes()[0];
    return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}
unsigned NetworkIp::prefix_length() const { return prefix_of(address, netmask, prefix); }
unsigned NetworkRoute::prefix_length() const {
    // Without a length a route leads everywhere, whatever its address looks like.
    return prefix || !netmask.empty() ? prefix_of(address, netmask, prefix) : 0;
}

const PortGroup* Network::port_group(const std::string& group) const {
    const auto at = std::ranges::find_if(
        port_groups, [&](const PortGroup& each) { return group.empty() ? each.default_.value : each.name == group; });
    return at == port_groups.end() ? nullptr : &*at;
}

// ---- whole documents ----

Network parse_network(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::network;
    auto network = parse<Network>(text, "network", own);
    normalize_network(network);
    return network;
}

std::string format_network(const Network& network, const WriteOptions& options) { return format(network, "network", options); }

void complete_network(Network& network) {
    if (network.uuid.is_nil()) network.uuid = rpc::Uuid::random();
    if (network.has_own_bridge() && !network.mac) network.mac = NetworkMac{MacAddress::random()};
}

void complete_running_network(Network& network) {
    if (network.mode() != ForwardMode::nat) return;
    auto& nats = network.forward->nats;
    if (nats.empty()) nats.emplace_back();
    if (nats.front().ports.empty()) nats.front().ports.push_back({{1024}, {65535}});
}

} // namespace lodge::xml
