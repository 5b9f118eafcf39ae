#include "drivers/interface/live.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <csignal>
#include <fstream>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

namespace lodge::drivers {

using rpc::Code;

// ---- documents ----

bool is_listed(const LinkInfo& link) {
    if (link.master && link.slave_kind != "vrf") return false;
    return link.kind != "tun" && link.kind != "macvtap" && (link.type == ARPHRD_ETHER || link.type == ARPHRD_LOOPBACK);
}

static xml::InterfaceType type_of(const LinkInfo& link) {
    if (link.kind == "bridge") return xml::InterfaceType::bridge;
    if (link.kind == "bond") return xml::InterfaceType::bond;
    return link.kind == "vlan" ? xml::InterfaceType::vlan : xml::InterfaceType::ethernet;
}

static std::optional<unsigned> speed_of(const std::string& name) {
    int speed = -1;
    std::ifstream("/sys/class/net/" + name + "/speed") >> speed;
    return speed > 0 ? std::optional(static_cast<unsigned>(speed)) : std::nullopt;
}

static void add_protocols(const HostState& state, const LinkInfo& link, xml::Interface& out) {
    for (const bool v6 : {false, true}) {
        xml::InterfaceProtocol protocol;
        protocol.family = v6 ? "ipv6" : "ipv4";
        for (const auto& each : state.addresses)
            if (each.index == link.index && each.address.is_v6() == v6 && each.scope != RT_SCOPE_LINK)
                protocol.ips.push_back({each.address, each.prefix});
        for (const auto& route : state.routes)
            if (route.index == link.index && route.v6 == v6 && route.is_default() && route.gateway.valid() &&
                protocol.routes.empty())
                protocol.routes.push_back({route.gateway});
        if (!protocol.ips.empty() || !protocol.routes.empty()) out.protocols.push_back(std::move(protocol));
    }
}

static void add_ports(const HostState& state, const LinkInfo& link, std::vector<xml::Interface>& out) {
    for (const auto* port : state.ports_of(link.index)) {
        if (port->kind == "tun") continue; // guests come and go
        auto nested = live_document(state, *port);
        nested.protocols.clear();
        nested.mtu.reset();
        out.push_back(std::move(nested));
    }
}

static xml::InterfaceBond bond_document(const BondSettings& settings) {
    xml::InterfaceBond bond;
    bond.mode = static_cast<xml::BondMode>(std::min<unsigned>(settings.mode, 6));
    if (settings.arp_interval) {
        auto& arp = bond.arp.emplace();
        arp.interval = settings.arp_interval;
        if (!settings.arp_targets.empty()) arp.target = settings.arp_targets.front();
        if (settings.arp_validate) arp.validate = static_cast<xml::ArpValidate>(std::min<unsigned>(settings.arp_validate, 3));
    } else if (settings.miimon) {
        auto& mii = bond.mii.emplace();
        mii.freq = settings.miimon;
        if (settings.down_delay) mii.down_delay = settings.down_delay;
        if (settings.up_delay) mii.up_delay = settings.up_delay;
        mii.carrier = settings.use_carrier ? xml::MiiCarrier::netif : xml::MiiCarrier::ioctl;
    }
    return bond;
}

xml::Interface live_document(const HostState& state, const LinkInfo& link) {
    xml::Interface out;
    out.type = type_of(link);
    out.name = link.name;
    out.mtu = xml::InterfaceMtu{link.mtu};
    add_protocols(state, link, out);
    if (link.type != ARPHRD_LOOPBACK) {
        auto& physical = out.link.emplace();
        physical.state = static_cast<xml::LinkState>(link.operstate <= 6 ? link.operstate : 0);
        if (out.type == xml::InterfaceType::ethernet && link.is_up()) physical.speed = speed_of(link.name);
    }
    if (!link.mac.empty()) out.mac = xml::InterfaceMac{link.mac};
    if (out.type == xml::InterfaceType::bridge) {
        auto& bridge = out.bridge.emplace();
        bridge.stp = link.stp != 0;
        bridge.delay = fmt::format("{:g}", link.forward_delay / 100.0);
        add_ports(state, link, bridge.ports);
    } else if (out.type == xml::InterfaceType::bond) {
        out.bond = bond_document(link.bond);
        add_ports(state, link, out.bond->ports);
    } else if (out.type == xml::InterfaceType::vlan) {
        const auto* parent = state.link(link.parent);
        out.vlan = xml::InterfaceVlan{std::to_string(link.vlan_id), {parent ? parent->name : ""}};
    }
    return out;
}

// ---- DHCP clients of ifupdown; networkd has its own ----

static std::string client_pid_file(const std::string& name) { return "/run/dhclient." + name + ".pid"; }

static bool stop_dhcp_client(const std::string& name) {
    pid_t pid = 0;
    std::ifstream(client_pid_file(name)) >> pid;
    if (pid <= 1) return false;
    std::string program;
    std::getline(std::ifstream(fmt::format("/proc/{}/cmdline", pid)), program, '\0');
    if (program.find("dhclient") == std::string::npos) return false; // somebody else got its number
    ::kill(pid, SIGTERM);                                            // keeps the lease: the address lives on elsewhere
    return true;
}

static void start_dhcp_client(const std::string& name, std::vector<Command>& after) {
    Command command;
    command.program = find_program("dhclient");
    if (command.program.empty()) return;
    command.args = {"-4", "-nw", "-pf", client_pid_file(name), "-lf", "/var/lib/dhcp/dhclient." + name + ".leases", name};
    after.push_back(std::move(command));
}

// ---- up ----

namespace {

struct Builder {
    Netlink& netlink;
    std::vector<Command>& after;

    LinkInfo now(const std::string& name) {
        auto link = netlink.link(name);
        if (!link) rpc::fail_errno(ENODEV, fmt::format("Unable to get index for interface {}", name));
        return std::move(*link);
    }

    static unsigned hundredths(const std::string& seconds) {
        return seconds.empty() ? 0 : static_cast<unsigned>(std::strtod(seconds.c_str(), nullptr) * 100);
    }

    void make_bridge(const xml::Interface& document) {
        const auto& wanted = *document.bridge;
        if (netlink.link(document.name)) return;
        // STP comes last: ports that already forward then go on, while a new port would be deaf for twice the delay.
        BridgeSettings settings;
        settings.name = document.name;
        if (document.mac) settings.mac = xml::MacAddress::parse(document.mac->address);
        // The first port's address, so that switches, DHCP servers and neighbours see the same host as before.
        for (const auto& port : wanted.ports)
            if (const auto link = netlink.link(port.name); link && !settings.mac)
                settings.mac = xml::MacAddress::parse(link->mac);
        netlink.create_bridge(settings);
    }

    void make_bond(const xml::Interface& document) {
        if (netlink.link(document.name)) return;
        const auto& wanted = *document.bond;
        BondSettings settings;
        if (wanted.mode) settings.mode = static_cast<std::uint8_t>(*wanted.mode);
        if (wanted.mii) {
            settings.miimon = wanted.mii->freq;
            settings.up_delay = wanted.mii->up_delay.value_or(0);
            settings.down_delay = wanted.mii->down_delay.value_or(0);
            settings.use_carrier = wanted.mii->carrier != xml::MiiCarrier::ioctl;
        }
        if (wanted.arp) {
            settings.arp_interval = wanted.arp->interval;
            settings.arp_targets = {wanted.arp->target};
            if (wanted.arp->validate) settings.arp_validate = static_cast<std::uint32_t>(*wanted.arp->validate);
        }
        netlink.create_bond(document.name, settings);
    }

    void make_vlan(const xml::Interface& document) {
        if (netlink.link(document.name)) return;
        const auto parent = now(document.vlan->device.name);
        netlink.create_vlan(document.name, parent.index, static_cast<std::uint16_t>(std::atoi(document.vlan->tag.c_str())));
        if (!parent.is_up()) netlink.change_link(parent.index, parent.name, {.up = true});
    }

    void take_port(const xml::Interface& port, const std::string& master_name) {
        if (port.type != xml::InterfaceType::ethernet) make(port);
        const auto master = now(master_name);
        const auto link = now(port.name);
        if (link.master == master.index) return;
        if (link.master) rpc::fail(Code::operation_failed, "interface '{}' already belongs to another bridge or bond", port.name);
        const bool bond = master.kind == "bond";
        if (bond && link.is_up()) netlink.change_link(link.index, link.name, {.up = false}); // bonds take only what is down
        netlink.change_link(link.index, link.name, {.master = master.index});
        netlink.change_link(link.index, link.name, {.up = true});
        move_addresses(netlink, link, master);
        if (stop_dhcp_client(port.name)) start_dhcp_client(master_name, after);
    }

    void add_addresses(const xml::Interface& document) {
        const auto link = now(document.name);
        const auto present = netlink.addresses(link.index);
        for (const auto& protocol : document.protocols) {
            const bool v6 = protocol.family == "ipv6";
            for (const auto& ip : protocol.ips) {
                AddressInfo address;
                address.index = link.index;
                address.address = ip.address;
                address.prefix = ip.prefix.value_or(v6 ? 64 : 24);
                if (std::ranges::none_of(present, [&](const auto& each) { return each.address == address.address; }))
                    netlink.add_address(address);
            }
            const auto routes = netlink.routes();
            const bool has_default =
                std::ranges::any_of(routes, [&](const RouteInfo& route) { return route.v6 == v6 && route.is_default(); });
            if (!protocol.routes.empty() && !has_default) {
                RouteSettings route;
                route.index = link.index;
                route.gateway = protocol.routes.front().gateway;
                route.v6 = v6;
                netlink.add_route(route);
            }
            const bool addressed = std::ranges::any_of(present, [](const auto& each) { return each.address.is_v4(); });
            if (protocol.dhcp && !v6 && !addressed && after.empty()) start_dhcp_client(document.name, after);
        }
    }

    void make(const xml::Interface& document) {
        const std::vector<xml::Interface>* ports = nullptr;
        switch (document.type) {
        case xml::InterfaceType::bridge: make_bridge(document), ports = &document.bridge->ports; break;
        case xml::InterfaceType::bond: make_bond(document), ports = &document.bond->ports; break;
        case xml::InterfaceType::vlan: make_vlan(document); break;
        case xml::InterfaceType::ethernet: break;
        }
        const auto link = now(document.name);
        if (document.mtu && document.mtu->size && document.mtu->size != link.mtu)
            netlink.change_link(link.index, link.name, {.mtu = document.mtu->size});
        if (!link.is_up()) netlink.change_link(link.index, link.name, {.up = true});
        if (ports)
            for (const auto& port : *ports) take_port(port, document.name);
        if (document.type == xml::InterfaceType::bridge)
            netlink.change_bridge(link.index, link.name, document.bridge->stp && *document.bridge->stp,
                                  hundredths(document.bridge->delay));
    }
};

// Runs `change`; when it fails the kernel is put back as it was.
template<class F> void all_or_nothing(Netlink& netlink, F change) {
    const auto before = HostState::take(netlink);
    try {
        change(before);
    } catch (const rpc::Error& failure) {
        try {
            before.restore(netlink);
        } catch (const rpc::Error& worse) {
            rpc::fail(failure.code(), "{}; and could not put everything back: {}", failure.detail(), worse.message());
        }
        throw;
    }
}

} // namespace

std::vector<Command> bring_up(const xml::Interface& document) {
    Netlink netlink;
    std::vector<Command> after;
    all_or_nothing(netlink, [&](const HostState&) {
        Builder builder{netlink, after};
        builder.make(document);
        builder.add_addresses(document);
    });
    return after;
}

// ---- down ----

// The port that lived before the bridge did: the only configured one, or the only one that is no guest's.
static const LinkInfo* heir_of(const HostState& state, const LinkInfo& bridge, const std::vector<std::string>& configured) {
    std::vector<const LinkInfo*> heirs;
    for (const auto* port : state.ports_of(bridge.index)) {
        const bool named = std::ranges::find(configured, port->name) != configured.end();
        if (configured.empty() ? port->kind != "tun" : named) heirs.push_back(port);
    }
    return heirs.size() == 1 ? heirs.front() : nullptr;
}

std::vector<Command> take_down(const std::string& name, const std::vector<std::string>& configured_ports) {
    Netlink netlink;
    std::vector<Command> after;
    all_or_nothing(netlink, [&](const HostState& before) {
        const auto& link = before.require(name);
        const bool owns_ports = link.kind == "bridge" || link.kind == "bond";
        const bool dhcp = stop_dhcp_client(name);
        if (owns_ports) {
            if (const auto* heir = link.kind == "bridge" ? heir_of(before, link, configured_ports) : nullptr) {
                netlink.change_link(heir->index, heir->name, {.master = 0});
                move_addresses(netlink, link, *heir);
                if (dhcp) start_dhcp_client(heir->name, after);
            }
            netlink.delete_link(link.index, name);
            return;
        }
        if (link.kind == "vlan") return netlink.delete_link(link.index, name);
        for (const auto& address : before.addresses)
            if (address.index == link.index && address.scope != RT_SCOPE_LINK) netlink.remove_address(address);
        netlink.change_link(link.index, name, {.up = false});
    });
    return after;
}

} // namespace lodge::drivers
