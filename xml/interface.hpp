// The host interface document: what `virsh iface-dumpxml` shows. Fields stand in the order of output.
#pragma once
#include "xml/net_address.hpp"

namespace lodge::xml {

enum class InterfaceType { ethernet, bridge, bond, vlan };
std::span<const std::string_view> enum_words(InterfaceType);
enum class StartMode { none, onboot, hotplug };
std::span<const std::string_view> enum_words(StartMode);
enum class LinkState { unknown, notpresent, down, lowerlayerdown, testing, dormant, up };
std::span<const std::string_view> enum_words(LinkState);
enum class BondMode { balance_rr, active_backup, balance_xor, broadcast, ieee_802_3ad, balance_tlb, balance_alb };
std::span<const std::string_view> enum_words(BondMode);
enum class MiiCarrier { ioctl, netif };
std::span<const std::string_view> enum_words(MiiCarrier);
enum class ArpValidate { none, active, backup, all };
std::span<const std::string_view> enum_words(ArpValidate);

struct InterfaceIp {
    IpAddress address;
    std::optional<unsigned> prefix;
};
struct InterfaceDhcp {
    std::optional<YesNo> peer_dns;
};
struct InterfaceRoute {
    IpAddress gateway;
};
struct InterfaceProtocol {
    std::string family; // "ipv4", "ipv6"
    bool autoconf = false;
    std::optional<InterfaceDhcp> dhcp;
    std::vector<InterfaceIp> ips;
    std::vector<InterfaceRoute> routes; // the default gateway; one at most
};
struct InterfaceStart {
    StartMode mode = StartMode::none;
};
struct InterfaceMtu {
    unsigned size = 0;
};
struct InterfaceLink {
    std::optional<unsigned> speed; // megabits
    std::optional<LinkState> state;
};
struct InterfaceMac {
    std::string address;
};

struct Interface;
struct InterfaceBridge {
    std::optional<OnOff> stp;
    std::string delay; // seconds, may have a fraction
    std::vector<Interface> ports;
};
struct MiiMonitor {
    unsigned freq = 0;
    std::optional<unsigned> down_delay, up_delay;
    std::optional<MiiCarrier> carrier;
};
struct ArpMonitor {
    unsigned interval = 0;
    std::string target;
    std::optional<ArpValidate> validate;
};
struct InterfaceBond {
    std::optional<BondMode> mode;
    std::optional<MiiMonitor> mii;
    std::optional<ArpMonitor> arp;
    std::vector<Interface> ports;
};
struct VlanDevice {
    std::string name;
};
struct InterfaceVlan {
    std::string tag;
    VlanDevice device;
};

struct Interface {
    InterfaceType type = InterfaceType::ethernet;
    std::string name;
    std::optional<InterfaceStart> start;
    std::optional<InterfaceMtu> mtu;
    std::vector<InterfaceProtocol> protocols;
    std::optional<InterfaceLink> link;
    std::optional<InterfaceMac> mac;
    std::optional<InterfaceBridge> bridge;
    std::optional<InterfaceBond> bond;
    std::optional<InterfaceVlan> vlan;

    const InterfaceProtocol* protocol(std::string_view family) const;
    StartMode start_mode() const { return start ? start->mode : StartMode::none; }
};
void describe(Doc& doc, Interface& interface);

// Reads and checks a document as libvirt does.
Interface parse_interface(const std::string& text, const ReadOptions& options = {});
std::string format_interface(const Interface& interface, const WriteOptions& options = {});

} // namespace lodge::xml
