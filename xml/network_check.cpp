// Refuses what libvirt refuses, in its words, and brings documents into its normal form.
#include "xml/network.hpp"
#include <algorithm>
#include <cstring>
#include <set>

namespace lodge::xml {

template<class... Args> [[noreturn]] static void refuse(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, Code::xml_error, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] static void detail(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, Code::xml_detail, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] static void unsupported(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, Code::config_unsupported, format, std::forward<Args>(args)...);
}

// ---- DHCP ----

static void check_range(const IpAddress& start, const IpAddress& end, const NetworkIp* within) {
    // libvirt tells of ranges in nobody's name.
    const auto fail_range = [&](const std::string& what) { rpc::fail(rpc::from_nobody, Code::internal_error, "{}", what); };
    const std::string range = fmt::format("{} - {}", start.text(), end.text());
    for (const auto* address : {&start, &end})
        if (!address->valid())
            rpc::fail(rpc::from_nobody, Code::system_error, "Cannot parse socket address '{}': Name or service not known",
                      address->text());
    if (start.is_v4() != end.is_v4()) fail_range(fmt::format("mismatch of address family in range {}", range));
    const std::size_t length = start.bits() / 8;
    if (within) {
        const auto& base = within->address;
        const unsigned prefix = within->prefix_length();
        const std::string network = fmt::format("{}/{}", base.text(), prefix);
        if (base.is_v4() != start.is_v4())
            fail_range(fmt::format("mismatch of address family in range {} for network {}", range, base.text()));
        if (start.network(prefix) != base.network(prefix) || end.network(prefix) != base.network(prefix))
            fail_range(fmt::format("range {} is not entirely within network {}", range, network));
        if (start.is_v4() && start == base.network(prefix))
            fail_range(fmt::format("start of range {} in network {} is the network address", range, network));
        if (end.is_v4() && end == base.broadcast(prefix))
            fail_range(fmt::format("end of range {} in network {} is the broadcast address", range, network));
    }
    if (std::memcmp(start.bytes().data(), end.bytes().data(), length) > 0)
        fail_range(start.is_v4() ? fmt::format("range {} is reversed ", range)
                                 : fmt::format("range {} start larger than end", range));
    if (!range_size(start, end)) fail_range(fmt::format("range {} is too large", range));
}

static void check_lease(const std::optional<LeaseTime>& lease) {
    if (lease && lease->seconds() && *lease->seconds() < 120)
        unsupported("The minimum lease time should be greater than 2 minutes");
}

void check_dhcp_range(const Network& network, const NetworkIp& ip, const DhcpRange& range) {
    if (range.start.empty()) refuse("Missing 'start' attribute in dhcp range for network '{}'", network.name);
    if (range.end.empty()) refuse("Missing 'end' attribute in dhcp range for network '{}'", network.name);
    check_range(range.start, range.end, &ip);
    check_lease(range.lease);
}

void check_dhcp_host(const Network& network, const NetworkIp& ip, const DhcpHost& host, bool partial) {
    const bool v6 = ip.is_v6();
    if (!host.mac.empty()) {
        if (v6) refuse("Invalid to specify MAC address '{}' in network '{}' IPv6 static host definition", host.mac, network.name);
        const auto mac = MacAddress::parse(host.mac);
        if (!mac) refuse("Cannot parse MAC address '{}' in network '{}'", host.mac, network.name);
        if (mac->is_multicast())
            refuse("expected unicast mac address, found multicast '{}' in network '{}'", host.mac, network.name);
    }
    if (const auto at = host.id.find_first_not_of("0123456789abcdefABCDEF:"); at != std::string::npos)
        refuse("Invalid character '{}' in id '{}' of network '{}'", host.id[at], host.id, network.name);
    if (!host.name.empty() && !std::isalnum(static_cast<unsigned char>(host.name.front())))
        refuse("Cannot use host name '{}' in network '{}'", host.name, network.name);
    if (!host.ip.empty() && !host.ip.valid())
        refuse("Invalid IP address in static host definition for network '{}'", network.name);
    check_lease(host.lease);
    if (partial) { // as a pattern for deletion
        if (host.mac.empty() && host.name.empty() && host.ip.empty())
            refuse("At least one of name, mac, or ip attribute must be specified for static host definition in network '{}' ",
                   network.name);
        return;
    }
    if (v6 && host.id.empty() && host.name.empty())
        refuse("Static host definition in IPv6 network '{}' must have id or name attribute", network.name);
    if (!v6 && host.mac.empty() && host.name.empty())
        refuse("Static host definition in IPv4 network '{}' must have mac or name attribute", network.name);
    if (host.ip.empty()) refuse("Missing IP address in static host definition for network '{}'", network.name);
}

static void normalize_lease(std::optional<LeaseTime>& lease) {
    if (!lease) return;
    if (!lease->expiry)
        lease.reset();
    else if (*lease->expiry == 0)
        lease->unit.reset();
    else if (!lease->unit)
        lease->unit = LeaseUnit::minutes;
}

// ---- DNS ----

void check_dns_host(const Network& network, const DnsHost& host, bool partial) {
    const auto& name = network.name;
    if (!partial && host.ip.empty()) detail("Missing IP address in network '{}' DNS HOST record", name);
    const bool nameless = host.names.empty() || std::ranges::any_of(host.names, &std::string::empty);
    if (partial && host.ip.empty() && nameless) detail("Missing ip and hostname in network '{}' DNS HOST record", name);
    if (!host.ip.empty() && !host.ip.valid()) detail("Invalid IP address in network '{}' DNS HOST record", name);
    if (!partial && nameless) detail("Missing hostname in network '{}' DNS HOST record", name);
}

void check_dns_txt(const Network& network, const DnsTxt& record, bool partial) {
    if (record.name.empty()) detail("missing required name attribute in DNS TXT record of network {}", network.name);
    if (record.name.find_first_of(" ,") != std::string::npos)
        detail("prohibited character in DNS TXT record name '{}' of network {}", record.name, network.name);
    if (!partial && record.value.empty())
        detail("missing required value attribute in DNS TXT record named '{}' of network {}", record.name, network.name);
}

void check_dns_srv(const Network& network, DnsSrv& record, bool partial) {
    const auto& name = network.name;
    constexpr auto letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/*";
    if (record.service.empty() && !partial) detail("missing required service attribute in DNS SRV record of network '{}'", name);
    if (record.service.size() > 63)
        detail("service attribute '{}' in network '{}' is too long, limit is {} bytes", record.service, name, 63);
    if (record.service.find_first_not_of(letters) != std::string::npos)
        detail("invalid character in service attribute '{}' in DNS SRV record of network '{}'", record.service, name);
    if (record.protocol.empty() && !partial)
        detail("missing required protocol attribute in DNS SRV record '{}' of network '{}'", record.service, name);
    if (record.protocol.find_first_of("_*") != std::string::npos ||
        record.protocol.find_first_not_of(letters) != std::string::npos)
        detail("invalid character in protocol attribute '{}' in DNS SRV record of network '{}'", record.protocol, name);

    const bool no_target = record.target.empty() && !partial;
    if (record.port && no_target)
        detail("DNS SRV port attribute not permitted without target for service '{}' in network '{}'", record.service, name);
    if (record.port && (!record.port->valid() || record.port->value == 0))
        detail("invalid DNS SRV port attribute for service '{}' in network '{}'", record.service, name);
    if (record.priority && no_target)
        detail("DNS SRV priority attribute not permitted without target for service '{}' in network '{}'", record.service, name);
    if (record.priority && !record.priority->valid())
        detail("Invalid DNS SRV priority attribute for service '{}' in network '{}'", record.service, name);
    if (record.weight && no_target)
        detail("DNS SRV weight attribute not permitted without target for service '{}' in network '{}'", record.service, name);
    if (record.weight && !record.weight->valid())
        detail("invalid DNS SRV weight attribute for service '{}' in network '{}'", record.service, name);
    if (record.priority && record.priority->value == 0) record.priority.reset(); // nothing and 0 are the same
    if (record.weight && record.weight->value == 0) record.weight.reset();
}

static void check_dns(Network& network) {
    auto& dns = *network.dns;
    for (const auto& forwarder : dns.forwarders) {
        if (!forwarder.address.empty() && !forwarder.address.valid())
            refuse("Invalid forwarder IP address '{}' in network '{}'", forwarder.address.text(), network.name);
        if (forwarder.address.empty() && forwarder.domain.empty())
            refuse("Invalid forwarder element, must contain at least one of addr or domain");
    }
    for (const auto& host : dns.hosts) check_dns_host(network, host, false);
    for (auto& record : dns.srvs) check_dns_srv(network, record, false);
    for (const auto& record : dns.txts) check_dns_txt(network, record, false);
    const bool data = !dns.forwarders.empty() || !dns.hosts.empty() || !dns.srvs.empty() || !dns.txts.empty();
    if (dns.enable && !*dns.enable && (data || dns.forward_plain_names))
        refuse("Extra data in disabled network '{}'", network.name);
    if (!data && !dns.enable && !dns.forward_plain_names) network.dns.reset();
}

// ---- addresses and routes ----

static void check_ip(const Network& network, NetworkIp& ip) {
    const auto& name = network.name;
    const auto& address = ip.address.text();
    if (ip.address.empty()) refuse("Missing required address attribute in network '{}'", name);
    if (!ip.address.valid()) refuse("Invalid address '{}' in network '{}'", address, name);
    if (!ip.netmask.empty() && !ip.netmask.valid()) refuse("Invalid netmask '{}' in network '{}'", ip.netmask.text(), name);

    if (ip.family.empty() || ip.family == "ipv4") {
        if (!ip.address.is_v4())
            unsupported("{} family specified for non-IPv4 address '{}' in network '{}'", ip.family.empty() ? "no" : "ipv4",
                        address, name);
        if (!ip.netmask.empty()) {
            if (ip.prefix) unsupported("Network '{}' IP address cannot have both a prefix and a netmask", name);
            if (!ip.netmask.is_v4())
                unsupported("Invalid netmask '{}' for address '{}' in network '{}' (both must be IPv4)", ip.netmask.text(),
                            address, name);
        }
        if (ip.prefix > 32U) unsupported("Invalid IPv4 prefix '{}' in network '{}'", *ip.prefix, name);
    } else if (ip.family == "ipv6") {
        if (!ip.address.is_v6()) unsupported("Family 'ipv6' specified for non-IPv6 address '{}' in network '{}'", address, name);
        if (!ip.netmask.empty()) unsupported("netmask not allowed for IPv6 address '{}' in network '{}'", address, name);
        if (ip.prefix > 128U) unsupported("Invalid IPv6 prefix '{}' in network '{}'", *ip.prefix, name);
    } else {
        refuse("Unrecognized family '{}' in network '{}'", ip.family, name);
    }
    if (ip.prefix == 0U) ip.prefix.reset();

    if (ip.tftp && ip.is_v6()) unsupported("Unsupported <tftp> element in an IPv6 element in network '{}'", name);
    if (ip.tftp && ip.tftp->root.empty()) ip.tftp.reset();
    if (!ip.dhcp) return;
    for (auto& range : ip.dhcp->ranges) {
        normalize_lease(range.lease);
        check_dhcp_range(network, ip, range);
    }
    for (auto& host : ip.dhcp->hosts) {
        normalize_lease(host.lease);
        check_dhcp_host(network, ip, host, false);
    }
    auto& bootp = ip.dhcp->bootp;
    if (bootp && (bootp->file.empty() || ip.is_v6())) bootp.reset();
    if (bootp && !bootp->server.empty() && !IpAddress(bootp->server).valid())
        throw rpc::Error(Code::system_error,
                         fmt::format("Cannot parse socket address '{}': Name or service not known", bootp->server));
    if (ip.dhcp->ranges.empty() && ip.dhcp->hosts.empty() && !bootp) ip.dhcp.reset();
}

void check_route(const std::string& name, const NetworkRoute& route) {
    const auto &address = route.address.text(), &gateway = route.gateway.text();
    if (route.address.empty()) refuse("{}: Missing required address attribute in route definition", name);
    if (route.gateway.empty()) refuse("{}: Missing required gateway attribute in route definition", name);
    if (!route.address.valid()) refuse("{}: Bad network address '{}' in route definition", name, address);
    if (!route.netmask.empty() && !route.netmask.valid())
        refuse("{}: Bad netmask address '{}' in route definition", name, route.netmask.text());
    if (!route.gateway.valid()) refuse("{}: Bad gateway address '{}' in route definition", name, gateway);
    if (route.metric == 0U) refuse("Invalid value for attribute 'metric' in element 'route': Zero is not permitted");

    if (route.family.empty() || route.family == "ipv4") {
        const char* family = route.family.empty() ? "No" : "IPv4";
        if (!route.address.is_v4())
            refuse("{}: {} family specified for non-IPv4 address '{}' in route definition", name, family, address);
        if (!route.gateway.is_v4())
            refuse("{}: {} family specified for non-IPv4 gateway '{}' in route definition", name, family, address);
        if (!route.netmask.empty() && !route.netmask.is_v4())
            refuse("{}: Invalid netmask '{}' for address '{}' (both must be IPv4)", name, route.netmask.text(), address);
        if (!route.netmask.empty() && route.prefix) refuse("{}: Route definition cannot have both a prefix and a netmask", name);
        if (route.prefix > 32U)
            refuse("{}: Invalid prefix {} specified in route definition, must be 0 - 32", name, *route.prefix);
    } else if (route.family == "ipv6") {
        if (!route.address.is_v6())
            refuse("{}: ipv6 family specified for non-IPv6 address '{}' in route definition", name, address);
        if (!route.netmask.empty())
            refuse("{}: Specifying netmask invalid for IPv6 address '{}' in route definition", name, address);
        if (!route.gateway.is_v6())
            refuse("{}: ipv6 specified for non-IPv6 gateway address '{}' in route definition", name, gateway);
        if (route.prefix > 128U)
            refuse("{}: Invalid prefix {} specified in route definition, must be 0 - 128", name, *route.prefix);
    } else {
        refuse("{}: Unrecognized family '{}' in route definition", name, route.family);
    }
    if (!route.netmask.empty() ? !route.netmask.as_netmask() || route.address.network(route.prefix_length()) != route.address
                               : route.address.network(route.prefix_length()) != route.address)
        refuse("{}: Address '{}' in route definition is not a network address", name, address);
}

static void check_reachable(const Network& network, const NetworkRoute& route) {
    const bool reachable = std::ranges::any_of(network.ips, [&](const NetworkIp& ip) {
        return ip.is_v6() == route.gateway.is_v6() &&
               ip.address.network(ip.prefix_length()) == route.gateway.network(ip.prefix_length());
    });
    if (!reachable)
        unsupported("unreachable static route gateway '{}' specified for network '{}'", route.gateway.text(), network.name);
}

// ---- forwarding ----

static void check_nat(const Network& network, Forward& forward) {
    const auto& name = network.name;
    if (forward.nats.size() > 1) refuse("Only one <nat> element is allowed in <forward> of network {}", name);
    if (forward.nats.empty()) return;
    if (forward.mode != ForwardMode::nat)
        refuse("The <nat> element can only be used when <forward> 'mode' is 'nat' in network {}", name);
    const auto& nat = forward.nats.front();
    if (nat.addresses.size() > 1) refuse("Only one <address> element is allowed in <nat> in <forward> in network {}", name);
    for (const auto& [start, end] : nat.addresses) {
        if (start.empty()) refuse("missing 'start' attribute in <address> element in <nat> in <forward> in network {}", name);
        if (end.empty()) refuse("missing 'end' attribute in <address> element in <nat> in <forward> in network {}", name);
        if (!start.is_v4()) refuse("Bad ipv4 start address '{}' in <nat> in <forward> in network '{}'", start.text(), name);
        if (!end.is_v4()) refuse("Bad ipv4 end address '{}' in <nat> in <forward> in network '{}'", end.text(), name);
        check_range(start, end, nullptr);
    }
    if (nat.ports.size() > 1) refuse("Only one <port> element is allowed in <nat> in <forward> in network {}", name);
    for (const auto& [start, end] : nat.ports) {
        if (!start.valid() || start.value == 0)
            detail("Missing or invalid 'start' attribute in <port> in <nat> in <forward> in network {}", name);
        if (!end.valid() || end.value < start.value)
            detail("Missing or invalid 'end' attribute in <port> in <nat> in <forward> in network {}", name);
    }
    if (!nat.ipv6 && nat.addresses.empty() && nat.ports.empty()) forward.nats.clear();
}

static void check_forward_devices(const Network& network, Forward& forward) {
    const auto& name = network.name;
    if (!forward.dev.empty() && (!forward.addresses.empty() || !forward.pfs.empty()))
        refuse("the <forward> 'dev' attribute cannot be used when <address> or <pf> sub-elements are present in network {}",
               name);
    std::set<std::string> seen;
    for (const auto& interface : forward.interfaces) {
        if (interface.dev.empty()) refuse("Missing required dev attribute in <forward> <interface> element of network {}", name);
        if (&interface == &forward.interfaces.front() && !forward.dev.empty() && forward.dev != interface.dev)
            refuse("<forward dev='{}'> must match first <interface dev='{}'/> in network {}", forward.dev, interface.dev, name);
        if (!seen.insert(interface.dev).second)
            refuse("interface '{}' can only be listed once in network {}", interface.dev, name);
    }
    if (forward.interfaces.empty())
        for (const auto& address : forward.addresses) {
            if (address.type.empty()) refuse("missing address type in network {}", name);
            if (address.type != "pci") unsupported("unknown address type '{}' in network {}", address.type, name);
            const auto text = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", address.domain.value, address.bus.value,
                                          address.slot.value, address.function.value);
            if (!seen.insert(text).second) refuse("PCI device '{}' can only be listed once in network {}", text, name);
        }
    else
        forward.addresses.clear();
    if (forward.pfs.size() > 1) refuse("Only one <pf> element is allowed in <forward> of network {}", name);
    if (!forward.pfs.empty() && forward.pfs.front().dev.empty())
        refuse("Missing required dev attribute in <pf> element of network '{}'", name);

    if (forward.interfaces.empty() && !forward.dev.empty()) forward.interfaces.push_back({forward.dev, {}});
    forward.dev = forward.interfaces.empty() ? std::string() : forward.interfaces.front().dev;
}

static void check_forward(Network& network) {
    auto& forward = *network.forward;
    if (forward.driver && forward.driver->name != "kvm" && forward.driver->name != "vfio")
        unsupported("Unknown forward <driver name='{}'/> in network {}", forward.driver->name, network.name);
    check_nat(network, forward);
    check_forward_devices(network, forward);
    if (forward.mode != ForwardMode::hostdev)
        forward.managed.reset();
    else if (!forward.managed)
        forward.managed.emplace();
    if (forward.mode == ForwardMode::none) network.forward.reset();
}

// ---- the whole ----

// What a kind of forwarding allows and forbids elsewhere in the document.
static void check_mode(Network& network, const Bridge& given) {
    const auto& name = network.name;
    const auto mode = network.mode();
    const auto mode_word = word(mode);
    const std::size_t devices = network.forward ? network.forward->interfaces.size() : 0;
    if (mode == ForwardMode::nat || mode == ForwardMode::route || mode == ForwardMode::open) {
        if (network.ips.empty()) refuse("{} forwarding requested, but no IP address provided for network '{}'", mode_word, name);
        if (devices > 1) refuse("multiple forwarding interfaces specified for network '{}', only one is supported", name);
        if (mode == ForwardMode::open && devices)
            refuse("forward dev not allowed for network '{}' with forward mode='{}'", name, mode_word);
    }
    if (network.has_own_bridge()) return;
    if (mode != ForwardMode::bridge) {
        if (!given.name.empty()) refuse("bridge name not allowed in {} mode (network '{}')", mode_word, name);
        if (!given.zone.empty()) refuse("bridge zone not allowed in {} mode (network '{}')", mode_word, name);
        if (given.mac_table_manager)
            refuse("bridge macTableManager setting not allowed in {} mode (network '{}')", mode_word, name);
    }
    if (given.delay.value_or(0) || given.stp || !given.zone.empty())
        refuse("bridge delay/stp/zone options only allowed in route, nat, and isolated mode, not in {} (network '{}')", mode_word,
               name);
    if (!given.name.empty() && (devices || !network.forward->pfs.empty()))
        refuse("A network with forward mode='{}' can specify a bridge name or a forward dev, but not both (network '{}')",
               mode_word, name);
    if (network.mtu)
        refuse("mtu size only allowed in open, route, nat, and isolated mode, not in {} (network '{}')", mode_word, name);
}

void check_port_group(PortGroup& group) {
    if (group.name.empty()) refuse("Missing required name attribute in portgroup");
    if (group.vlan) complete_vlan(*group.vlan);
    if (group.virtual_port) check_virtual_port(*group.virtual_port, PortNeeds::nothing);
    check_bandwidth(group.bandwidth, BandwidthOf::other);
}

static void check_name(const std::string& name) {
    if (name.empty()) throw rpc::Error(Code::no_name, "", From::network);
    for (const char bad : {'/', '\n'})
        if (name.find(bad) != std::string::npos) detail("invalid char in {}: {}", "name", bad);
    if (name == "." || name == "..") detail("invalid name: {}", name);
}

static void normalize_bridge(Network& network) {
    if (network.has_own_bridge()) {
        if (!network.bridge) network.bridge.emplace();
        auto& bridge = *network.bridge;
        if (!bridge.stp) bridge.stp.emplace();
        if (!bridge.delay) bridge.delay = 0;
    } else if (network.bridge) {
        network.bridge->stp.reset();
        network.bridge->delay.reset();
        if (network.bridge->name.empty() && !network.bridge->mac_table_manager) network.bridge.reset();
    }
}

template<class T> static void drop_empty_parameters(std::optional<T>& port) {
    if (!port || !port->parameters) return;
    const auto& given = *port->parameters;
    if (!given.manager_id && !given.type_id && !given.type_id_version && !given.instance_id && !given.interface_id &&
        given.profile_id.empty())
        port->parameters.reset();
}

void normalize_network(Network& network) {
    check_name(network.name);
    if (network.ipv6 && !*network.ipv6) network.ipv6.reset();
    if (network.domain && network.domain->name.empty()) network.domain.reset();
    const Bridge given = network.bridge.value_or(Bridge{});
    if (network.mac && !network.mac->address) network.mac.reset();
    if (network.mac && network.mac->address->is_multicast())
        refuse("Invalid multicast bridge mac address '{}' in network '{}'", network.mac->address->text(), network.name);
    if (network.mtu && !network.mtu->size) network.mtu.reset();
    if (network.dns) check_dns(network);
    check_bandwidth(network.bandwidth, BandwidthOf::other);
    if (network.vlan) complete_vlan(*network.vlan);
    if (network.port && !network.port->isolated) network.port.reset();
    drop_empty_parameters(network.virtual_port);
    if (network.virtual_port) check_virtual_port(*network.virtual_port, PortNeeds::type);
    for (auto& group : network.port_groups) {
        drop_empty_parameters(group.virtual_port);
        check_port_group(group);
    }
    for (auto& ip : network.ips) check_ip(network, ip);
    for (const auto& route : network.routes) check_route(network.name, route), check_reachable(network, route);
    if (network.forward) check_forward(network);
    check_mode(network, given);
    normalize_bridge(network);

    if (network.dnsmasq && network.dnsmasq->options.empty()) network.dnsmasq.reset();
    if (network.dnsmasq)
        for (const auto& option : network.dnsmasq->options)
            if (option.value.empty()) rpc::fail(From::network, Code::internal_error, "No dnsmasq options value specified");
}

} // namespace lodge::xml
