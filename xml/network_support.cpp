// What the network driver can do for a network whose document is sane.
#include "xml/network.hpp"
#include <algorithm>
#include <filesystem>

namespace lodge::xml {

template<class... Args> [[noreturn]] static void unsupported(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, Code::config_unsupported, format, std::forward<Args>(args)...);
}

static void check_foreign_bridge(const Network& network) {
    const auto mode = word(network.mode());
    const auto refuse = [&](bool present, const char* element) {
        if (present) unsupported("Unsupported {} element in network {} with forward mode='{}'", element, network.name, mode);
    };
    refuse(network.mac.has_value(), "<mac>");
    refuse(!network.ips.empty(), "<ip>");
    refuse(network.dns && (!network.dns->txts.empty() || !network.dns->hosts.empty() || !network.dns->srvs.empty()), "<dns>");
    refuse(network.domain.has_value(), "<domain>");
}

// A bridge can be limited, hardware of others cannot.
static bool limits_bandwidth(const Network& network) {
    return network.has_own_bridge() || (network.mode() == ForwardMode::bridge && !network.bridge_name().empty());
}

static void check_device_pool(const Network& network) {
    if (!network.forward) return;
    const auto& forward = *network.forward;
    for (const auto& interface : forward.interfaces)
        if (forward.mode == ForwardMode::hostdev)
            unsupported(
                "hostdev network '{}' lists '{}' in the device pool, but hostdev networks require all devices to be listed by "
                "PCI address, not network device name",
                network.name, interface.dev);
    for (const auto& address : forward.addresses) {
        if (forward.mode != ForwardMode::hostdev)
            unsupported("network '{}' has forward mode '{}'  but lists a device by PCI address in the device pool. This is only "
                        "supported for networks with forward mode 'hostdev'",
                        network.name, word(forward.mode));
        const auto path = fmt::format("/sys/bus/pci/devices/{:04x}:{:02x}:{:02x}.{:x}", address.domain.value, address.bus.value,
                                      address.slot.value, address.function.value);
        if (!std::filesystem::exists(path + "/physfn"))
            unsupported("device '{}' in network '{}' is not an SR-IOV Virtual Function", path, network.name);
    }
    if (!forward.pfs.empty() + !forward.interfaces.empty() + !forward.addresses.empty() > 1)
        unsupported("<address>, <interface>, and <pf> elements of <forward> in network {} are mutually exclusive", network.name);
}

static void check_single_dhcp(const Network& network) {
    for (const bool v6 : {false, true}) {
        const auto serving = std::ranges::count_if(network.ips, [&](const NetworkIp& ip) {
            return ip.is_v6() == v6 && ip.dhcp && (!ip.dhcp->ranges.empty() || !ip.dhcp->hosts.empty());
        });
        const char* family = v6 ? "IPv6" : "IPv4";
        if (serving > 1)
            unsupported("Multiple {} dhcp sections found -- dhcp is supported only for a single {} address on each network",
                        family, family);
    }
}

// VLAN tags need a switch that knows them: Open vSwitch or SR-IOV hardware.
static void check_vlans(const Network& network) {
    const auto open_vswitch = [](const std::optional<VirtualPort>& port) { return port && port->type == "openvswitch"; };
    const auto mode = network.mode();
    const bool allowed = mode == ForwardMode::hostdev || mode == ForwardMode::passthrough ||
                         (mode == ForwardMode::bridge && open_vswitch(network.virtual_port));
    const auto fitting = [&](const PortGroup& group) {
        if (!group.vlan) return true;
        return group.virtual_port ? mode == ForwardMode::bridge && open_vswitch(group.virtual_port) : allowed;
    };
    if ((network.vlan && !allowed) || !std::ranges::all_of(network.port_groups, fitting))
        unsupported("<vlan> element specified for network {}, whose type doesn't support vlan configuration", network.name);
}

static void check_port_groups(const Network& network) {
    const PortGroup* default_group = nullptr;
    for (const auto& group : network.port_groups) {
        if (group.default_.value && default_group)
            unsupported("network '{}' has multiple default <portgroup> elements ({} and {}), but only one default is allowed",
                        network.name, default_group->name, group.name);
        if (group.default_.value) default_group = &group;
        for (const auto& other : network.port_groups)
            if (&other > &group && other.name == group.name)
                unsupported("multiple <portgroup> elements with the same name ({}) in network '{}'", group.name, network.name);
        if (group.bandwidth && !limits_bandwidth(network))
            unsupported("Unsupported <bandwidth> element in network '{}' in portgroup '{}' with forward mode='{}'", network.name,
                        group.name, word(network.mode()));
    }
}

void check_network_support(const Network& network) {
    if (!network.has_own_bridge()) check_foreign_bridge(network);
    if (network.bandwidth && !limits_bandwidth(network))
        unsupported("Unsupported network-wide <bandwidth> element in network {} with forward mode='{}'", network.name,
                    word(network.mode()));
    check_device_pool(network);
    check_single_dhcp(network);
    check_port_groups(network);
    check_vlans(network);
}

} // namespace lodge::xml
