// The network document: what `virsh net-dumpxml` shows. Fields stand in the order of output.
#pragma once
#include "xml/net_address.hpp"
#include "xml/network_parts.hpp"

namespace lodge::xml {

// Numbers that are refused in a DNS or NAT record's own words: what is no port number is kept as 65536.
struct PortNumber {
    std::uint32_t value = 0;
    bool valid() const { return value < 65536; }
};
template<> struct Traits<PortNumber> {
    static bool present(PortNumber) { return true; }
    static bool parse(PortNumber& v, std::string_view text) {
        std::uint64_t wide;
        v.value = parse_unsigned(text, wide) && wide < 65536 ? static_cast<std::uint32_t>(wide) : 65536;
        return true;
    }
    static void format(PortNumber v, std::string& out) { Traits<std::uint32_t>::format(v.value, out); }
    static void random(PortNumber& v, Random& r) { v.value = static_cast<std::uint32_t>(1 + r() % 65535); }
};
// A switch of which only one word counts; any other means the opposite.
struct YesElse {
    bool value = false;
};
template<> struct Traits<YesElse> {
    static bool present(YesElse v) { return v.value; }
    static bool parse(YesElse& v, std::string_view text) { return v.value = text == "yes", true; }
    static void format(YesElse, std::string& out) { out += "yes"; }
    static void random(YesElse& v, Random& r) { v.value = r() & 1; }
};
struct YesElseNo { // the same, but written either way
    bool value = false;
};
template<> struct Traits<YesElseNo> {
    static bool present(YesElseNo) { return true; }
    static bool parse(YesElseNo& v, std::string_view text) { return v.value = text == "yes", true; }
    static void format(YesElseNo v, std::string& out) { out += v.value ? "yes" : "no"; }
    static void random(YesElseNo& v, Random& r) { v.value = r() & 1; }
};
struct OffElse {
    bool on = true;
};
template<> struct Traits<OffElse> {
    static bool present(OffElse) { return true; }
    static bool parse(OffElse& v, std::string_view text) { return v.on = text != "off", true; }
    static void format(OffElse v, std::string& out) { out += v.on ? "on" : "off"; }
    static void random(OffElse& v, Random& r) { v.on = r() & 1; }
};

enum class ForwardMode { none, nat, route, open, bridge, private_, vepa, passthrough, hostdev };
std::span<const std::string_view> enum_words(ForwardMode);
template<> struct Traits<ForwardMode> {
    static bool present(ForwardMode) { return true; }
    static bool parse(ForwardMode& v, std::string_view text); // throws config_unsupported
    static void format(ForwardMode v, std::string& out) { out += word(v); }
    static void random(ForwardMode& v, Random& r) { v = static_cast<ForwardMode>(1 + r() % 8); }
};

struct ForwardInterface { // <interface dev='eth0'/>
    std::string dev;
    std::optional<unsigned> connections; // live
};
struct ForwardPciAddress { // <address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x1'/>
    std::string type;
    Hex<4> domain;
    Hex<2> bus;
    Hex<2> slot;
    Hex<1> function;
    std::optional<unsigned> connections; // live
};
struct NatAddress { // <address start='1.2.3.4' end='1.2.3.10'/>
    IpAddress start, end;
};
struct NatPorts { // <port start='1024' end='65535'/>
    PortNumber start, end;
};
struct Nat {
    std::optional<YesNo> ipv6;
    std::vector<NatAddress> addresses; // one at most
    std::vector<NatPorts> ports;       // one at most
};
struct ForwardPf {
    std::string dev;
    std::optional<unsigned> connections; // live
};
struct Forward {
    std::string dev; // what old programs read: the first interface
    ForwardMode mode = ForwardMode::nat;
    std::optional<YesElseNo> managed; // hostdev
    std::optional<ForwardDriverName> driver;
    std::vector<ForwardPf> pfs; // one at most
    std::vector<Nat> nats;      // one at most
    std::vector<ForwardInterface> interfaces;
    std::vector<ForwardPciAddress> addresses;
};

enum class BridgeMacTable { kernel, libvirt };
std::span<const std::string_view> enum_words(BridgeMacTable);

struct Bridge {
    std::string name;
    std::string zone;
    std::optional<OffElse> stp;
    std::optional<unsigned> delay; // seconds of forward delay
    std::optional<BridgeMacTable> mac_table_manager;
};
struct Mtu {
    std::optional<unsigned> size;
};
struct NetworkMac {
    std::optional<MacAddress> address;
};
struct NetworkDomain { // the DNS domain of the guests
    std::string name;
    std::optional<YesNo> local_only;
    std::optional<YesNo> register_; // at systemd-resolved
};

struct DnsForwarder {
    std::string domain;
    IpAddress address;
};
struct DnsTxt {
    std::string name, value;
};
struct DnsSrv {
    std::string service, protocol, domain, target;
    std::optional<PortNumber> port, priority, weight;
};
struct DnsHost {
    IpAddress ip;
    std::vector<std::string> names;
};
struct Dns {
    std::optional<YesNo> enable;
    std::optional<YesNo> forward_plain_names;
    std::vector<DnsForwarder> forwarders;
    std::vector<DnsTxt> txts;
    std::vector<DnsSrv> srvs;
    std::vector<DnsHost> hosts;
};

enum class LeaseUnit { seconds, minutes, hours };
std::span<const std::string_view> enum_words(LeaseUnit);
struct LeaseTime { // <lease expiry='1' unit='hours'/>; 0: for ever
    std::optional<std::uint64_t> expiry;
    std::optional<LeaseUnit> unit; // minutes
    // Seconds; nullopt: for ever.
    std::optional<std::uint64_t> seconds() const;
};
struct DhcpRange {
    IpAddress start, end;
    std::optional<LeaseTime> lease;
};
struct DhcpHost {
    std::string id; // IPv6: the client's DUID
    std::string mac;
    std::string name;
    IpAddress ip;
    std::optional<LeaseTime> lease;
};
struct Bootp {
    std::string file;
    std::string server;
};
struct Dhcp {
    std::vector<DhcpRange> ranges;
    std::vector<DhcpHost> hosts;
    std::optional<Bootp> bootp;
};
struct Tftp {
    std::string root;
};
struct NetworkIp {
    std::string family; // "ipv4", "ipv6" or nothing
    IpAddress address;
    IpAddress netmask;
    std::optional<unsigned> prefix;
    std::optional<YesNo> local_ptr;
    std::optional<Tftp> tftp;
    std::optional<Dhcp> dhcp;

    // Of the netmask, the prefix or the address class.
    unsigned prefix_length() const;
    bool is_v6() const { return address.is_v6(); }
};
struct NetworkRoute {
    std::string family;
    IpAddress address;
    IpAddress netmask;
    std::optional<unsigned> prefix;
    IpAddress gateway;
    std::optional<unsigned> metric;

    unsigned prefix_length() const;
};

// `name` says whose it is.
void check_route(const std::string& name, const NetworkRoute& route); // network_check.cpp

struct PortOptions {
    std::optional<YesNo> isolated;
};
struct PortGroup {
    std::string name;
    YesElse default_;
    std::optional<YesNo> trust_guest_rx_filters;
    std::optional<Vlan> vlan;
    std::optional<VirtualPort> virtual_port;
    std::optional<Bandwidth> bandwidth;
};
struct DnsmasqOption {
    std::string value;
};
struct DnsmasqOptions { // lines for dnsmasq's configuration, taken to the letter
    std::vector<DnsmasqOption> options;
};

struct Network {
    std::optional<unsigned> connections; // live
    std::optional<YesNo> ipv6;           // IPv6 between guests without addresses on the bridge
    std::optional<YesNo> trust_guest_rx_filters;
    std::string name;
    rpc::Uuid uuid;
    std::string title;
    std::string description;
    std::string metadata; // raw
    std::optional<Forward> forward;
    std::optional<Bridge> bridge;
    std::optional<Mtu> mtu;
    std::optional<NetworkMac> mac;
    std::optional<NetworkDomain> domain;
    std::optional<Dns> dns;
    std::optional<Vlan> vlan;
    std::optional<Bandwidth> bandwidth;
    std::optional<PortOptions> port;
    std::vector<NetworkIp> ips;
    std::vector<NetworkRoute> routes;
    std::optional<VirtualPort> virtual_port;
    std::vector<PortGroup> port_groups;
    std::optional<DnsmasqOptions> dnsmasq;

    ForwardMode mode() const { return forward ? forward->mode : ForwardMode::none; }
    // isolated, nat, route, open: the network has a bridge of its own, made and removed by us.
    bool has_own_bridge() const { return mode() <= ForwardMode::open; }
    std::string bridge_name() const { return bridge ? bridge->name : std::string(); }
    // The group of that name; without a name the default group; null when there is none.
    const PortGroup* port_group(const std::string& group) const;
};
void describe(Doc& doc, Network& network);
// Parts that virNetworkUpdate carries alone.
void describe(Doc& doc, ForwardInterface& interface);
void describe(Doc& doc, DnsTxt& record);
void describe(Doc& doc, DnsSrv& record);
void describe(Doc& doc, DnsHost& host);
void describe(Doc& doc, DhcpRange& range);
void describe(Doc& doc, DhcpHost& host);
void describe(Doc& doc, PortGroup& group);

// Reads and checks a document as libvirt does. `where` as in ReadOptions.
Network parse_network(const std::string& text, const ReadOptions& options = {});
std::string format_network(const Network& network, const WriteOptions& options = {});
// What a network gets when it starts: the range of ports for masquerading.
void complete_running_network(Network& network);
// What a newly defined network is given: uuid and MAC. The bridge's name is picked by whoever knows the names in use
// (NetworkDriver::pick_bridge_name).
void complete_network(Network& network);
// Brings what was read into libvirt's normal form and refuses what reading alone cannot see: parts that do not fit each other.
// Called by parse_network and update_network.
void normalize_network(Network& network);
// Parts of the above, for virNetworkUpdate.
void check_dhcp_range(const Network& network, const NetworkIp& ip, const DhcpRange& range);
void check_dhcp_host(const Network& network, const NetworkIp& ip, const DhcpHost& host, bool partial);
void check_dns_host(const Network& network, const DnsHost& host, bool partial);
void check_dns_txt(const Network& network, const DnsTxt& record, bool partial);
void check_dns_srv(const Network& network, DnsSrv& record, bool partial);
void check_port_group(PortGroup& group);
// What the network driver asks of a network beyond its document's sanity (define and create): host bridges take no bandwidth,
// port groups are unique, VLANs need a switch that knows them.
void check_network_support(const Network& network);

// virNetworkUpdate: the numbers are the protocol's.
enum class NetworkUpdateCommand { none, modify, delete_, add_last, add_first };
enum class NetworkUpdateSection {
    none,
    bridge,
    domain,
    ip,
    ip_dhcp_host,
    ip_dhcp_range,
    forward,
    forward_interface,
    forward_pf,
    port_group,
    dns_host,
    dns_txt,
    dns_srv,
};
// Changes one part of `network`; throws and leaves it untouched when that is not possible. `parent`: index of <ip>, or -1.
void update_network(Network& network, NetworkUpdateCommand command, NetworkUpdateSection section, int parent,
                    const std::string& text);

} // namespace lodge::xml
