// virNetworkUpdate: one part of a network's document is added, changed or removed.
#include "xml/network.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

using Command = NetworkUpdateCommand;
using Section = NetworkUpdateSection;

template<class... Args> [[noreturn]] void invalid(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, Code::operation_invalid, format, std::forward<Args>(args)...);
}
[[noreturn]] void cannot_modify(const char* what) {
    rpc::fail(From::network, Code::operation_unsupported, "{} cannot be modified, only added or deleted", what);
}
bool adds(Command command) { return command == Command::add_first || command == Command::add_last; }

template<class T> T read_part(const Network& network, const std::string& text, const char* element) {
    const auto start = text.find_first_not_of(" \t\r\n");
    if (start != std::string::npos && text[start] == '<') {
        const auto name = text.substr(start + 1, text.find_first_of(" \t\r\n/>", start + 1) - start - 1);
        if (!name.empty() && name[0] != '?' && name[0] != '!' && name != element)
            rpc::fail(From::network, Code::internal_error, "unexpected element <{}>, expecting <{}>, while updating network '{}'",
                      name, element, network.name);
    }
    ReadOptions options;
    options.from = From::network;
    options.where = "(network_update_xml)";
    return parse<T>(text, element, options);
}

template<class T> void insert(std::vector<T>& list, T value, Command command) {
    list.insert(command == Command::add_first ? list.begin() : list.end(), std::move(value));
}

bool serves_dhcp(const NetworkIp& ip) { return ip.dhcp && (!ip.dhcp->ranges.empty() || !ip.dhcp->hosts.empty()); }

NetworkIp& parent_ip(Network& network, int index) {
    if (index >= 0) {
        if (static_cast<std::size_t>(index) < network.ips.size()) return network.ips[static_cast<std::size_t>(index)];
        invalid("couldn't update dhcp host entry - no <ip> element found at index {} in network '{}'", index, network.name);
    }
    auto at = std::ranges::find_if(network.ips, serves_dhcp);
    if (at == network.ips.end()) at = std::ranges::find_if(network.ips, [](const NetworkIp& ip) { return !ip.is_v6(); });
    if (at == network.ips.end()) invalid("couldn't update dhcp host entry - no <ip> element found in network '{}'", network.name);
    return *at;
}

void check_single_dhcp(const Network& network, const NetworkIp& ip) {
    for (const auto& other : network.ips)
        if (&other != &ip && other.is_v6() == ip.is_v6() && serves_dhcp(other))
            invalid("dhcp is supported only for a single {} address on each network", ip.is_v6() ? "IPv6" : "IPv4");
}

bool same_mac(const std::string& a, const std::string& b) {
    const auto one = MacAddress::parse(a), other = MacAddress::parse(b);
    return one && other && *one == *other;
}

void update_dhcp_host(Network& network, Command command, int parent, const std::string& text) {
    auto& ip = parent_ip(network, parent);
    auto host = read_part<DhcpHost>(network, text, "host");
    check_dhcp_host(network, ip, host, command == Command::delete_);
    if (host.ip.valid() && host.ip.is_v6() != ip.is_v6())
        rpc::fail(From::network, Code::config_unsupported,
                  "the address family of a host entry IP must match the address family of the dhcp element's parent");
    if (!ip.dhcp) ip.dhcp.emplace();
    auto& hosts = ip.dhcp->hosts;
    const auto shares = [&](const DhcpHost& other) {
        return (!host.mac.empty() && same_mac(host.mac, other.mac)) || (!host.name.empty() && host.name == other.name) ||
               (!host.id.empty() && host.id == other.id) || (!host.ip.empty() && host.ip == other.ip);
    };
    const auto matches = [&](const DhcpHost& other) {
        return (host.mac.empty() || same_mac(host.mac, other.mac)) && (host.name.empty() || host.name == other.name) &&
               (host.ip.empty() || host.ip == other.ip);
    };
    if (command == Command::modify) {
        // A guest is known by its MAC (or name); what changes is mostly the address.
        const auto at = std::ranges::find_if(hosts, shares);
        if (at == hosts.end())
            invalid("couldn't locate an existing dhcp host entry with \"mac='{}'\" \"name='{}'\" \"ip='{}'\" in network '{}'",
                    host.mac, host.name, host.ip.text(), network.name);
        *at = std::move(host);
    } else if (adds(command)) {
        check_single_dhcp(network, ip);
        const auto at = std::ranges::find_if(hosts, shares);
        if (at != hosts.end())
            invalid("there is an existing dhcp host entry in network '{}' that matches \"<host mac='{}' name='{}' ip='{}'/>\"",
                    network.name, host.mac, host.name, host.ip.text());
        insert(hosts, std::move(host), command);
    } else {
        const auto at = std::ranges::find_if(hosts, matches);
        if (at == hosts.end()) invalid("couldn't locate a matching dhcp host entry in network '{}'", network.name);
        hosts.erase(at);
    }
}

void update_dhcp_range(Network& network, Command command, int parent, const std::string& text) {
    auto& ip = parent_ip(network, parent);
    auto range = read_part<DhcpRange>(network, text, "range");
    check_dhcp_range(network, ip, range);
    if (range.start.is_v6() != ip.is_v6())
        rpc::fail(From::network, Code::config_unsupported,
                  "the address family of a dhcp range must match the address family of the dhcp element's parent");
    if (command == Command::modify) cannot_modify("dhcp ranges");
    if (!ip.dhcp) ip.dhcp.emplace();
    auto& ranges = ip.dhcp->ranges;
    const auto at = std::ranges::find_if(
        ranges, [&](const DhcpRange& other) { return other.start == range.start && other.end == range.end; });
    if (adds(command)) {
        check_single_dhcp(network, ip);
        if (at != ranges.end())
            invalid("there is an existing dhcp range entry in network '{}' that matches \"<range start='{}' end='{}'/>\"",
                    network.name, range.start.text(), range.end.text());
        insert(ranges, std::move(range), command);
    } else {
        if (at == ranges.end()) invalid("couldn't locate a matching dhcp range entry in network '{}'", network.name);
        ranges.erase(at);
    }
}

void update_forward_interface(Network& network, Command command, const std::string& text) {
    if (command == Command::modify) cannot_modify("forward interface entries");
    auto interface = read_part<ForwardInterface>(network, text, "interface");
    if (interface.dev.empty()) rpc::fail(From::network, Code::xml_error, "missing dev attribute in <interface> element");
    if (!network.forward) network.forward.emplace().mode = ForwardMode::none;
    auto& list = network.forward->interfaces;
    const auto at = std::ranges::find(list, interface.dev, &ForwardInterface::dev);
    if (adds(command)) {
        if (at != list.end())
            invalid("there is an existing interface entry in network '{}' that matches \"<interface dev='{}'>\"", network.name,
                    interface.dev);
        insert(list, std::move(interface), command);
    } else {
        if (at == list.end())
            invalid("couldn't find an interface entry in network '{}' matching <interface dev='{}'>", network.name,
                    interface.dev);
        if (at->connections.value_or(0))
            invalid("unable to delete interface '{}' in network '{}'. It is currently being used  by {} domains.", interface.dev,
                    network.name, *at->connections);
        list.erase(at);
    }
    network.forward->dev = list.empty() ? "" : list.front().dev;
}

void update_port_group(Network& network, Command command, const std::string& text) {
    auto group = read_part<PortGroup>(network, text, "portgroup");
    check_port_group(group);
    auto& groups = network.port_groups;
    const auto at = std::ranges::find(groups, group.name, &PortGroup::name);
    if (!adds(command) && at == groups.end())
        invalid("couldn't find a portgroup entry in network '{}' matching <portgroup name='{}'>", network.name, group.name);
    if (adds(command) && at != groups.end())
        invalid("there is an existing portgroup entry in network '{}' that matches \"<portgroup name='{}'>\"", network.name,
                group.name);
    const auto* default_group = network.port_group("");
    if (command != Command::delete_ && group.default_.value && default_group && default_group->name != group.name)
        invalid("a different portgroup entry in network '{}' is already set as the default. Only one default is allowed.",
                network.name);
    if (command == Command::modify)
        *at = std::move(group);
    else if (adds(command))
        insert(groups, std::move(group), command);
    else
        groups.erase(at);
}

void update_dns_host(Network& network, Command command, const std::string& text) {
    if (command == Command::modify) cannot_modify("DNS HOST records");
    auto host = read_part<DnsHost>(network, text, "host");
    check_dns_host(network, host, command == Command::delete_);
    if (!network.dns) network.dns.emplace();
    auto& hosts = network.dns->hosts;
    const auto matches = [&](const DnsHost& other) {
        return (!host.ip.empty() && host.ip == other.ip) || std::ranges::any_of(host.names, [&](const std::string& name) {
                   return std::ranges::find(other.names, name) != other.names.end();
               });
    };
    const auto found = std::ranges::count_if(hosts, matches);
    if (adds(command)) {
        if (found) invalid("there is already at least one DNS HOST record with a matching field in network {}", network.name);
        insert(hosts, std::move(host), command);
    } else {
        if (!found) invalid("couldn't locate a matching DNS HOST record in network {}", network.name);
        if (found > 1) invalid("multiple matching DNS HOST records were found in network {}", network.name);
        hosts.erase(std::ranges::find_if(hosts, matches));
    }
}

void update_dns_txt(Network& network, Command command, const std::string& text) {
    if (command == Command::modify) cannot_modify("DNS TXT records");
    auto record = read_part<DnsTxt>(network, text, "txt");
    check_dns_txt(network, record, command == Command::delete_);
    if (!network.dns) network.dns.emplace();
    auto& records = network.dns->txts;
    const auto at = std::ranges::find(records, record.name, &DnsTxt::name);
    if (adds(command)) {
        if (at != records.end())
            invalid("there is already a DNS TXT record with name '{}' in network {}", record.name, network.name);
        insert(records, std::move(record), command);
    } else {
        if (at == records.end()) invalid("couldn't locate a matching DNS TXT record in network {}", network.name);
        records.erase(at);
    }
}

void update_dns_srv(Network& network, Command command, const std::string& text) {
    if (command == Command::modify) cannot_modify("DNS SRV records");
    auto record = read_part<DnsSrv>(network, text, "srv");
    check_dns_srv(network, record, command == Command::delete_);
    if (!network.dns) network.dns.emplace();
    auto& records = network.dns->srvs;
    const auto fits = [](const std::string& wanted, const std::string& found) { return wanted.empty() || wanted == found; };
    const auto number_fits = [](std::optional<PortNumber> wanted, std::optional<PortNumber> found) {
        return !wanted || wanted->value == found.value_or(PortNumber{}).value;
    };
    const auto matches = [&](const DnsSrv& other) {
        return fits(record.domain, other.domain) && fits(record.service, other.service) &&
               fits(record.protocol, other.protocol) && fits(record.target, other.target) &&
               number_fits(record.port, other.port) && number_fits(record.priority, other.priority) &&
               number_fits(record.weight, other.weight);
    };
    const auto found = std::ranges::count_if(records, matches);
    if (adds(command)) {
        if (found)
            invalid("there is already at least one DNS SRV record matching all specified fields in network {}", network.name);
        insert(records, std::move(record), command);
    } else {
        if (!found) invalid("couldn't locate a matching DNS SRV record in network {}", network.name);
        if (found > 1) invalid("multiple DNS SRV records matching all specified fields were found in network {}", network.name);
        records.erase(std::ranges::find_if(records, matches));
    }
}

void update_section(Network& network, Command command, Section section, int parent, const std::string& text) {
    static constexpr const char* fixed_sections[] = {"none", "bridge", "domain", "ip", "", "", "forward", "", "forward-pf"};
    switch (section) {
    case Section::ip_dhcp_host: return update_dhcp_host(network, command, parent, text);
    case Section::ip_dhcp_range: return update_dhcp_range(network, command, parent, text);
    case Section::forward_interface: return update_forward_interface(network, command, text);
    case Section::port_group: return update_port_group(network, command, text);
    case Section::dns_host: return update_dns_host(network, command, text);
    case Section::dns_txt: return update_dns_txt(network, command, text);
    case Section::dns_srv: return update_dns_srv(network, command, text);
    case Section::bridge:
    case Section::domain:
    case Section::ip:
    case Section::forward:
    case Section::forward_pf:
        rpc::fail(From::network, Code::operation_unsupported, "can't update '{}' section of network '{}'",
                  fixed_sections[static_cast<int>(section)], network.name);
    case Section::none: break;
    }
    rpc::fail(From::network, Code::operation_unsupported, "can't update unrecognized section of network");
}

} // namespace

void update_network(Network& network, Command command, Section section, int parent, const std::string& text) {
    if (command < Command::modify || command > Command::add_first)
        rpc::fail(From::network, Code::operation_unsupported, "unrecognized network update command code {}",
                  static_cast<int>(command));
    Network changed = network;
    update_section(changed, command, section, parent, text);
    normalize_network(changed);
    check_network_support(changed);
    network = std::move(changed);
}

} // namespace lodge::xml
