#include "drivers/network/dnsmasq_config.hpp"
#include "drivers/network/network_driver.hpp"
#include <algorithm>

namespace lodge::drivers {

DnsmasqFiles dnsmasq_files(const NetworkPaths& paths, const xml::Network& network) {
    const auto& name = network.name;
    const auto bridge = network.bridge_name();
    return {paths.dnsmasq / (name + ".conf"), paths.dnsmasq / (name + ".hostsfile"), paths.dnsmasq / (name + ".addnhosts"),
            paths.run / (name + ".pid"),      paths.dnsmasq / (bridge + ".status"),  paths.dnsmasq / (bridge + ".macs")};
}

static bool wants_dns(const xml::Network& network) { return !network.dns || !network.dns->enable || *network.dns->enable; }
static bool serves(const xml::NetworkIp& ip) { return ip.dhcp && (!ip.dhcp->ranges.empty() || !ip.dhcp->hosts.empty()); }
static const xml::NetworkIp* serving_ip(const xml::Network& network, bool v6) {
    for (const auto& ip : network.ips)
        if (ip.is_v6() == v6 && serves(ip)) return &ip;
    return nullptr;
}

bool needs_dnsmasq(const xml::Network& network) {
    if (!network.has_own_bridge() || network.ips.empty()) return false;
    return wants_dns(network) || std::ranges::any_of(network.ips, serves);
}

static std::string lease_suffix(const std::optional<xml::LeaseTime>& lease) {
    if (!lease) return {};
    if (lease->expiry.value_or(0) == 0) return ",infinite";
    static constexpr char letters[] = {'s', 'm', 'h'};
    return fmt::format(",{}{}", *lease->expiry, letters[static_cast<std::size_t>(lease->unit.value_or(xml::LeaseUnit::minutes))]);
}

// "1.168.192.in-addr.arpa": the reverse zone of a network, where its length falls on a label.
static std::string reverse_zone(const xml::NetworkIp& ip) {
    const unsigned prefix = ip.prefix_length();
    const auto& bytes = ip.address.bytes();
    if (prefix == 0 || prefix % (ip.is_v6() ? 4 : 8))
        rpc::fail(rpc::From::network, rpc::Code::config_unsupported,
                  "PTR domain for {} network with prefix {} cannot be automatically created", ip.address.text(), prefix);
    std::string zone;
    if (!ip.is_v6()) {
        for (unsigned i = prefix / 8; i-- > 0;) zone += fmt::format("{}.", bytes[i]);
        return zone + "in-addr.arpa";
    }
    for (unsigned i = prefix / 4; i-- > 0;) zone += fmt::format("{:x}.", i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4);
    return zone + "ip6.arpa";
}

static void add_resolving(const xml::Network& network, std::string& out) {
    if (!wants_dns(network)) out += "port=0\n";
    const auto forwarders = network.dns ? network.dns->forwarders : std::vector<xml::DnsForwarder>{};
    for (const auto& each : forwarders) {
        out += "server=";
        if (!each.domain.empty()) out += fmt::format("/{}/", each.domain);
        out += each.address.empty() ? "#" : each.address.text();
        out += '\n';
    }
    if (std::ranges::any_of(forwarders, [](const xml::DnsForwarder& each) { return each.domain.empty(); })) out += "no-resolv\n";
    if (network.domain) {
        if (network.domain->local_only && *network.domain->local_only) out += fmt::format("local=/{}/\n", network.domain->name);
        out += fmt::format("domain={}\nexpand-hosts\n", network.domain->name);
    }
    if (wants_dns(network))
        for (const auto& ip : network.ips)
            if (ip.local_ptr && *ip.local_ptr) out += fmt::format("local=/{}/\n", reverse_zone(ip));
    if (network.dns && network.dns->forward_plain_names && !*network.dns->forward_plain_names) out += "domain-needed\nlocal=//\n";
}

static void add_records(const xml::Dns& dns, std::string& out) {
    for (const auto& each : dns.txts) out += fmt::format("txt-record={},{}\n", each.name, each.value);
    for (const auto& each : dns.srvs) {
        out += fmt::format("srv-host=_{}._{}", each.service, each.protocol);
        if (!each.domain.empty()) out += "." + each.domain;
        if (!each.target.empty() && each.target != ".") { // a lone dot says: there is no such service here
            out += "," + each.target;
            if (each.port || each.priority || each.weight) out += fmt::format(",{}", each.port ? each.port->value : 1);
            if (each.priority || each.weight) out += fmt::format(",{}", each.priority ? each.priority->value : 0);
            if (each.weight) out += fmt::format(",{}", each.weight->value);
        }
        out += '\n';
    }
}

static void add_dhcp(const xml::Network& network, const DnsmasqFiles& files, std::string& out) {
    std::uint64_t leases = 0;
    bool serving = false;
    for (const bool v6 : {false, true}) {
        const auto* ip = serving_ip(network, v6);
        if (!ip) continue;
        serving = true;
        const auto prefix = ip->prefix_length();
        for (const auto& range : ip->dhcp->ranges) {
            out +=
                fmt::format("dhcp-range={},{},{}{}\n", range.start.text(), range.end.text(),
                            v6 ? std::to_string(prefix) : xml::IpAddress::netmask_v4(prefix).text(), lease_suffix(range.lease));
            leases += xml::range_size(range.start, range.end).value_or(0);
        }
        if (ip->dhcp->ranges.empty())
            out += fmt::format("dhcp-range={},static{}\n", ip->address.text(), v6 ? fmt::format(",{}", prefix) : "");
        if (v6) continue;
        out += "dhcp-no-override\ndhcp-authoritative\n";
        if (const auto& bootp = ip->dhcp->bootp)
            out += fmt::format("dhcp-boot={}{}{}\n", bootp->file, bootp->server.empty() ? "" : ",,", bootp->server);
    }
    if (leases) out += fmt::format("dhcp-lease-max={}\n", leases);
    if (serving) out += fmt::format("dhcp-hostsfile={}\n", files.hosts.string());
}

std::string dnsmasq_conf(const xml::Network& network, const DnsmasqFiles& files) {
    std::string out = fmt::format("##WARNING:  THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\n"
                                  "##OVERWRITTEN AND LOST.  Changes to this configuration should be made using:\n"
                                  "##    virsh net-edit {}\n"
                                  "## or other application using the libvirt API.\n"
                                  "##\nstrict-order\n",
                                  network.name);
    add_resolving(network, out);
    out +=
        fmt::format("pid-file={}\nexcept-interface=lo\nbind-dynamic\ninterface={}\n", files.pid.string(), network.bridge_name());
    // Guests of an isolated network get no default route, and their names are not asked for outside.
    if (network.mode() == xml::ForwardMode::none) out += "dhcp-option=3\nno-resolv\nra-param=*,0,0\n";
    if (network.dns) add_records(*network.dns, out);
    for (const auto& ip : network.ips)
        if (ip.tftp) out += fmt::format("enable-tftp\ntftp-root={}\n", ip.tftp->root);
    add_dhcp(network, files, out);
    if (wants_dns(network)) out += fmt::format("addn-hosts={}\n", files.additional_hosts.string());
    if (network.mtu) out += fmt::format("dhcp-option=option:mtu,{}\n", *network.mtu->size);
    if (serving_ip(network, true))
        out += "enable-ra\n";
    else
        for (const auto& ip : network.ips)
            if (ip.is_v6()) out += fmt::format("dhcp-range={},ra-only\n", ip.address.text());
    if (network.dnsmasq)
        for (const auto& option : network.dnsmasq->options) out += option.value + "\n";
    return out;
}

std::string dnsmasq_hosts(const xml::Network& network) {
    std::string out;
    for (const auto& ip : network.ips) {
        if (!ip.dhcp) continue;
        for (const auto& host : ip.dhcp->hosts) {
            std::vector<std::string> words;
            if (ip.is_v6()) {
                if (!host.id.empty()) words.push_back("id:" + host.id);
                if (!host.name.empty()) words.push_back(host.name);
                words.push_back("[" + host.ip.text() + "]");
            } else {
                if (!host.mac.empty())
                    words.push_back(host.mac);
                else if (!host.name.empty())
                    words.push_back(host.name);
                words.push_back(host.ip.text());
                if (!host.mac.empty() && !host.name.empty()) words.push_back(host.name);
            }
            out += fmt::format("{}{}\n", fmt::join(words, ","), lease_suffix(host.lease));
        }
    }
    return out;
}

std::string dnsmasq_additional_hosts(const xml::Network& network) {
    std::string out;
    if (network.dns)
        for (const auto& host : network.dns->hosts) {
            out += host.ip.text() + "\t";
            for (const auto& name : host.names) out += name + "\t";
            out += '\n';
        }
    return out;
}

} // namespace lodge::drivers
