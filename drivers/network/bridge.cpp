#include "drivers/network/bridge.hpp"
#include "drivers/host/netlink.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <linux/rtnetlink.h>
#include <net/if.h>

namespace lodge::drivers {

using rpc::Code;

// ---- switches of the kernel ----

static std::string read_switch(const std::string& path) {
    std::string value;
    std::ifstream(path) >> value;
    return value;
}

// Writes only what differs: in many containers the switches are right but read-only.
static void set_switch(const std::string& path, const std::string& value, const std::string& failure) {
    if (read_switch(path) == value) return;
    std::ofstream out(path);
    errno = 0;
    if (!(out << value << std::flush)) rpc::fail_errno(errno ? errno : EIO, failure);
}

static void set_bridge_switch(const std::string& bridge, const char* name, const std::string& value) {
    const auto path = fmt::format("/proc/sys/net/ipv6/conf/{}/{}", bridge, name);
    set_switch(path, value, fmt::format("cannot write to '{}' on bridge '{}'", path, bridge));
}

// Without addresses on it the host itself speaks no IPv6 there, so guests cannot reach it by link-local addresses.
static void set_ipv6_switches(const xml::Network& network, const std::string& bridge) {
    if (!std::filesystem::exists("/proc/sys/net/ipv6/conf/" + bridge)) return; // a kernel without IPv6
    const bool wanted = std::ranges::any_of(network.ips, &xml::NetworkIp::is_v6);
    set_bridge_switch(bridge, "disable_ipv6", wanted ? "0" : "1");
    if (!wanted) return;
    // Routers among the guests must not configure the host.
    set_bridge_switch(bridge, "accept_ra", "0");
    set_bridge_switch(bridge, "autoconf", "0");
}

// Turning on forwarding makes the kernel forget routes that it learned from routers, unless the interface says otherwise.
static void check_learned_routes(Netlink& netlink) {
    const auto links = netlink.links();
    for (const auto& route : netlink.routes()) {
        if (!route.v6 || route.protocol != RTPROT_RA) continue;
        const auto link = std::ranges::find(links, route.index, &LinkInfo::index);
        if (link == links.end() || read_switch(fmt::format("/proc/sys/net/ipv6/conf/{}/accept_ra", link->name)) == "2") continue;
        rpc::fail(
            Code::internal_error,
            "Check the host setup: interface {} has kernel autoconfigured IPv6 routes and enabling forwarding  without accept_ra "
            "set to 2 will cause the kernel to flush them, breaking networking.",
            link->name);
    }
}

static void enable_forwarding(Netlink& netlink, const xml::Network& network) {
    if (network.mode() == xml::ForwardMode::none) return;
    constexpr auto failure = "failed to enable IP forwarding";
    constexpr auto v6_switch = "/proc/sys/net/ipv6/conf/all/forwarding";
    if (std::ranges::any_of(network.ips, [](const auto& ip) { return !ip.is_v6(); }))
        set_switch("/proc/sys/net/ipv4/ip_forward", "1", failure);
    if (std::ranges::any_of(network.ips, &xml::NetworkIp::is_v6) && read_switch(v6_switch) != "1") {
        check_learned_routes(netlink);
        set_switch(v6_switch, "1", failure);
    }
}

// ---- the bridge ----

static void check_name(const std::string& name) {
    if (name.empty()) rpc::fail(Code::internal_error, "network has no bridge name");
    if (name.size() >= IFNAMSIZ || name.find_first_of("/ :\t\n") != std::string::npos || name == "." || name == "..")
        rpc::fail_errno(EINVAL, fmt::format("Unable to create bridge {}", name));
}

// Another interface that already leads to one of our networks would swallow the guests' packets.
static void check_collisions(Netlink& netlink, const xml::Network& network) {
    const auto links = netlink.links();
    const auto routes = netlink.routes();
    for (const auto& ip : network.ips) {
        const auto subnet = ip.address.network(ip.prefix_length());
        for (const auto& route : routes) {
            if (route.is_default() || route.destination != subnet || route.prefix != ip.prefix_length()) continue;
            const auto link = std::ranges::find(links, route.index, &LinkInfo::index);
            rpc::fail(Code::internal_error, "Network is already in use by interface {}",
                      link == links.end() ? std::string("?") : link->name);
        }
        for (const auto& route : network.routes)
            if (route.address == subnet && route.prefix_length() == ip.prefix_length())
                rpc::fail(Code::internal_error, "Route address '{}' conflicts with IP address for '{}'", route.address.text(),
                          ip.address.text());
    }
}

// A bridge of our own MAC that nobody uses was left by somebody who was killed half way.
static void remove_remains(Netlink& netlink, const xml::Network& network) {
    const auto found = netlink.link(network.bridge_name());
    if (!found || found->kind != "bridge" || !network.mac || found->mac != network.mac->address->text()) return;
    const auto links = netlink.links();
    if (std::ranges::none_of(links, [&](const LinkInfo& each) { return each.master == found->index; }))
        netlink.delete_link(found->index, found->name);
}

static void fill_bridge(Netlink& netlink, const xml::Network& network, const std::string& name) {
    const int index = netlink.index_of(name);
    set_ipv6_switches(network, name);
    for (const auto& ip : network.ips) {
        AddressInfo address;
        address.index = index;
        address.address = ip.address;
        address.prefix = ip.prefix_length();
        netlink.add_address(address);
    }
    netlink.change_link(index, name, {.up = true});
    for (const auto& route : network.routes) {
        RouteSettings settings;
        settings.index = index;
        settings.destination = route.address;
        settings.prefix = route.prefix_length();
        settings.gateway = route.gateway;
        settings.metric = route.metric.value_or(1);
        settings.v6 = route.address.is_v6();
        netlink.add_route(settings);
    }
    enable_forwarding(netlink, network);
}

void bring_up_bridge(const xml::Network& network) {
    const auto& wanted = network.bridge.value_or(xml::Bridge{});
    check_name(wanted.name);
    Netlink netlink;
    remove_remains(netlink, network);
    check_collisions(netlink, network);

    BridgeSettings settings;
    settings.name = wanted.name;
    if (network.mac) settings.mac = network.mac->address;
    settings.stp = !wanted.stp || wanted.stp->on;
    settings.forward_delay = wanted.delay.value_or(0) * 100;
    if (network.mtu) settings.mtu = network.mtu->size;
    settings.vlan_filtering = wanted.mac_table_manager == xml::BridgeMacTable::libvirt;
    netlink.create_bridge(settings);
    try {
        fill_bridge(netlink, network, wanted.name);
    } catch (...) {
        take_down_bridge(wanted.name);
        throw;
    }
}

void take_down_bridge(const std::string& name) {
    Netlink netlink;
    const auto link = netlink.link(name);
    if (!link || link->kind != "bridge") return;
    netlink.delete_link(link->index, name);
}

bool bridge_is_up(const std::string& name) {
    Netlink netlink;
    const auto link = netlink.link(name);
    return link && link->kind == "bridge" && link->is_up();
}

} // namespace lodge::drivers
