// <networkport>: what is plugged into a running network, by whom, and how the network carries it.
#pragma once
#include "xml/network.hpp"
#include "xml/network_parts.hpp"

namespace lodge::xml {

enum class PlugType { none, network, bridge, direct, hostdev_pci };
std::span<const std::string_view> enum_words(PlugType);

struct PortOwner {
    std::string name;
    rpc::Uuid uuid;
};
struct PortMac {
    std::string address;
};
struct PortIsolation {
    std::optional<YesNo> isolated;
};
struct PortRxFilters {
    std::optional<YesNo> trust_guest;
};
struct PortPciAddress {
    Hex<4> domain;
    Hex<2> bus, slot;
    Hex<1> function;
};
struct PortPlug {
    PlugType type = PlugType::none;
    std::string bridge;                              // network, bridge
    std::optional<BridgeMacTable> mac_table_manager; // the same
    std::string dev, mode;                           // direct
    std::optional<YesNo> managed;                    // hostdev_pci
    std::optional<ForwardDriverName> driver;         // the same
    std::optional<PortPciAddress> address;           // the same
};
struct NetworkPort {
    rpc::Uuid uuid;
    PortOwner owner;
    std::string group;
    PortMac mac;
    std::optional<VirtualPort> virtual_port;
    std::optional<Bandwidth> bandwidth;
    std::optional<Vlan> vlan;
    std::optional<PortIsolation> port;
    std::optional<PortRxFilters> rx_filters;
    std::optional<PortPlug> plug;
};
void describe(Doc& doc, NetworkPort& port);

NetworkPort parse_network_port(const std::string& text, const ReadOptions& options = {});
std::string format_network_port(const NetworkPort& port);

// What the network says of all its ports, and where this one goes; refuses what it cannot carry. Networks of devices of the host
// give one of them.
void complete_network_port(NetworkPort& port, const Network& network);

} // namespace lodge::xml
