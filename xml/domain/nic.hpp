// <interface>: a network card of the guest and what it is plugged into.
#pragma once
#include "xml/domain/hostdev.hpp"
#include "xml/filter_ref.hpp"
#include "xml/net_address.hpp"
#include "xml/network_parts.hpp"

namespace lodge::xml {

enum class NicType {
    user,
    ethernet,
    vhostuser,
    server,
    client,
    mcast,
    network,
    bridge,
    internal,
    direct,
    hostdev,
    udp,
    vdpa,
    null,
    vds
};
inline std::span<const std::string_view> enum_words(NicType) {
    static constexpr std::string_view w[] = {"user",    "ethernet", "vhostuser", "server",   "client",
                                             "mcast",   "network",  "bridge",    "internal", "direct",
                                             "hostdev", "udp",      "vdpa",      "null",     "vds"};
    return w;
}
enum class MacvtapMode { vepa, private_, bridge, passthrough };
inline std::span<const std::string_view> enum_words(MacvtapMode) {
    static constexpr std::string_view w[] = {"vepa", "private", "bridge", "passthrough"};
    return w;
}
enum class MacTableManager { default_, kernel, libvirt };
inline std::span<const std::string_view> enum_words(MacTableManager) {
    static constexpr std::string_view w[] = {"default", "kernel", "libvirt"};
    return w;
}
enum class NicDriverName { qemu, vhost, kvm, vfio, xen };
inline std::span<const std::string_view> enum_words(NicDriverName) {
    static constexpr std::string_view w[] = {"qemu", "vhost", "kvm", "vfio", "xen"};
    return w;
}
enum class TxMode { iothread, timer };
inline std::span<const std::string_view> enum_words(TxMode) {
    static constexpr std::string_view w[] = {"iothread", "timer"};
    return w;
}
enum class NicLinkState { up, down };
inline std::span<const std::string_view> enum_words(NicLinkState) {
    static constexpr std::string_view w[] = {"up", "down"};
    return w;
}
enum class NicBackendType { default_, passt };
inline std::span<const std::string_view> enum_words(NicBackendType) {
    static constexpr std::string_view w[] = {"default", "passt"};
    return w;
}
enum class MacType { generated, static_ };
inline std::span<const std::string_view> enum_words(MacType) {
    static constexpr std::string_view w[] = {"generated", "static"};
    return w;
}

struct NicIp { // <ip address='…' family='ipv4' prefix='24' peer='…'/>
    IpAddress address;
    std::string family;
    std::optional<std::uint32_t> prefix;
    IpAddress peer;
};
struct NicRoute {
    std::string family;
    IpAddress address, netmask;
    std::optional<std::uint32_t> prefix;
    IpAddress gateway;
    std::optional<std::uint32_t> metric;
};
void describe(Doc&, NicIp&);
void describe(Doc&, NicRoute&);

struct NicMac {
    std::optional<MacAddress> address;
    std::optional<MacType> type;
    std::optional<YesNo> check;
};
struct NicSource {
    std::string network, portgroup; // network
    std::string port_id;            // network, live: the port that the network gave it
    std::string bridge;             // bridge; network: live
    std::optional<MacTableManager> mac_table_manager;
    std::string dev;                 // direct, user, vdpa; network: live
    std::optional<MacvtapMode> mode; // direct; network: live
    std::string name;                // internal
    std::string address;             // server, client, mcast, udp
    std::optional<std::uint32_t> port;
    std::string local_address; // udp
    std::optional<std::uint32_t> local_port;
    std::string type, path, socket_mode; // vhostuser: unix, path, server|client
    std::optional<Reconnect> reconnect;
    HostdevSource hostdev;                       // hostdev
    HostdevType hostdev_type = HostdevType::pci; // or usb
    std::vector<NicIp> ips;                      // ethernet: the host's side
    std::vector<NicRoute> routes;
    std::string switch_id, portgroup_id; // vds
    std::optional<std::int64_t> vds_port_id, connection_id;
};
struct Offloads {
    std::optional<OnOff> csum, gso, tso4, tso6, ecn, ufo, mrg_rxbuf; // gso and mrg_rxbuf only for the host's side
};
struct NicDriver {
    std::optional<NicDriverName> name;
    std::optional<TxMode> txmode;
    std::optional<OnOff> ioeventfd, event_idx;
    std::optional<std::uint32_t> queues, rx_queue_size, tx_queue_size;
    std::optional<OnOff> rss, rss_hash_report;
    VirtioOptions virtio;
    Offloads host, guest;
};
struct NicBackend {
    std::optional<NicBackendType> type;
    std::string tap, vhost, log_file;
};
struct PortRange {
    std::uint32_t start = 0;
    std::optional<std::uint32_t> end, to;
    std::optional<YesNo> exclude;
};
struct PortForward {
    std::string proto, address, dev;
    std::vector<PortRange> ranges;
};
struct NicTarget {
    std::string dev;
    std::optional<YesNo> managed;
};
// What a network made of a card that is plugged into it: this counts then, not what the card says itself.
struct NicActual {
    NicType type = NicType::network;
    std::optional<Bandwidth> bandwidth;
    std::optional<Vlan> vlan;
    std::optional<VirtualPort> virtual_port;
};
struct Nic {
    NicType type = NicType::user;
    std::optional<YesOrOther> managed; // hostdev
    std::optional<YesNo> trust_guest_rx_filters;
    NicMac mac;
    NicSource source;
    std::optional<Bandwidth> bandwidth;
    std::optional<Vlan> vlan;
    std::optional<VirtualPort> virtual_port;
    std::optional<YesNo> port_isolated;
    std::vector<NicIp> ips;
    std::vector<NicRoute> routes;
    std::vector<PortForward> port_forwards;
    std::string script, downscript, backend_domain;
    NicTarget target;
    std::string guest_dev, guest_actual;
    std::string model; // any word; "virtio", "e1000", …
    NicDriver driver;
    NicBackend backend;
    std::optional<FilterRef> filterref;
    std::optional<std::uint64_t> sndbuf;
    std::optional<Teaming> teaming;
    std::optional<NicLinkState> link;
    std::optional<std::uint32_t> mtu;
    std::optional<std::uint32_t> coalesce_rx_max;
    DeviceInfo info;
    std::optional<NicActual> actual; // network, live

    bool is_virtio() const { return model.starts_with("virtio"); }
    NicType actual_type() const { return actual ? actual->type : type; }
    const std::optional<Bandwidth>& actual_bandwidth() const { return actual ? actual->bandwidth : bandwidth; }
    std::optional<Bandwidth>& actual_bandwidth() { return actual ? actual->bandwidth : bandwidth; }
    const std::optional<Vlan>& actual_vlan() const { return actual ? actual->vlan : vlan; }
    const std::optional<VirtualPort>& actual_virtual_port() const { return actual ? actual->virtual_port : virtual_port; }
};
void describe(Doc&, Nic&);
Hostdev hostdev_of(const Nic& nic); // of a card that is a device of the host's
void describe(Doc&, NicMac&);
void describe(Doc&, Offloads&);
void describe(Doc&, NicDriver&);
void describe(Doc&, NicBackend&);
void describe(Doc&, PortRange&);
void describe(Doc&, PortForward&);
void describe(Doc&, NicTarget&);

} // namespace lodge::xml
