// The kernel's links, addresses and routes by rtnetlink. Calls are synchronous (the kernel answers in microseconds); a whole
// sequence of them belongs on the worker pool, for the kernel's own lock may be held by others. One Netlink per thread of work.
#pragma once
#include "rpc/task.hpp"
#include "xml/net_address.hpp"
#include <optional>
#include <string>
#include <vector>

struct nl_msg;

namespace lodge::drivers {

struct LinkStats {
    std::uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
    std::uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};
struct BondSettings {
    std::uint8_t mode = 0;
    std::uint32_t miimon = 0, up_delay = 0, down_delay = 0;
    std::uint8_t use_carrier = 1;
    std::uint32_t arp_interval = 0, arp_validate = 0;
    std::vector<std::string> arp_targets;
};
struct LinkInfo {
    int index = 0;
    std::string name;
    std::string kind;       // "bridge", "tun", "veth", "vlan", "bond"; empty: hardware
    std::string slave_kind; // what it is a port of: "bridge", "bond"
    unsigned type = 0;      // ARPHRD_*
    unsigned flags = 0;     // IFF_*
    unsigned mtu = 0;
    std::string mac;
    int master = 0;
    int parent = 0; // of a VLAN
    std::uint8_t operstate = 0;
    LinkStats stats;
    // bridge
    std::uint32_t forward_delay = 0; // hundredths of a second
    std::uint32_t stp = 0;
    std::uint16_t vlan_id = 0;
    BondSettings bond;

    bool is_up() const { return flags & 1; }
};
struct AddressInfo {
    int index = 0;
    xml::IpAddress address;
    unsigned prefix = 0;
    unsigned scope = 0;
    unsigned flags = 0; // IFA_F_*
    std::uint32_t valid = 0xffffffff, preferred = 0xffffffff;
};
struct NeighbourInfo {
    int index = 0; // of the link behind which it was seen
    std::string mac;
    xml::IpAddress address;
};
// A route of the main table, with the kernel's whole message, so that it can be put back as it was.
struct RouteInfo {
    int index = 0; // of the outgoing link; 0: several or none
    bool v6 = false;
    xml::IpAddress destination; // empty: default
    unsigned prefix = 0;
    xml::IpAddress gateway;
    std::optional<std::uint32_t> metric;
    std::uint8_t protocol = 0, scope = 0, type = 0, table = 0;
    std::vector<std::uint8_t> message;

    bool is_default() const { return prefix == 0; }
};

struct BridgeSettings {
    std::string name;
    std::optional<xml::MacAddress> mac = {};
    bool stp = false;
    unsigned forward_delay = 0; // hundredths of a second
    std::optional<unsigned> mtu = {};
    bool vlan_filtering = false;
};
struct RouteSettings {
    int index = 0;
    xml::IpAddress destination; // empty: default
    unsigned prefix = 0;
    xml::IpAddress gateway;
    std::optional<unsigned> metric;
    bool boot = true; // as `ip route` marks its routes; false: static
    bool v6 = false;
};

class Netlink {
  public:
    Netlink();

    std::vector<LinkInfo> links();
    std::optional<LinkInfo> link(const std::string& name); // nullopt: there is none
    // Throws Code::system_error "…: No such device" when there is none.
    int index_of(const std::string& name);
    std::vector<AddressInfo> addresses();
    std::vector<AddressInfo> addresses(int index);
    std::vector<RouteInfo> routes();         // both families, main table
    std::vector<NeighbourInfo> neighbours(); // whom the kernel has spoken to of late

    void create_bridge(const BridgeSettings& settings);
    void create_vlan(const std::string& name, int parent, std::uint16_t id);
    // `mode`: MACVLAN_MODE_*. Returns false when the name is taken.
    bool create_macvtap(const std::string& name, const LinkInfo& parent, std::uint32_t mode, const xml::MacAddress& mac);
    void create_bond(const std::string& name, const BondSettings& settings);
    void delete_link(int index, const std::string& name);

    // What is not given stays as it is.
    struct Change {
        std::optional<bool> up = {};
        std::optional<unsigned> mtu = {};
        std::optional<xml::MacAddress> mac = {};
        std::optional<int> master = {}; // 0: none
    };
    void change_link(int index, const std::string& name, const Change& change);
    struct BridgePort {
        std::optional<bool> isolated = {}, learning = {}, flood = {};
    };
    void change_port(int index, const std::string& name, const BridgePort& change);
    void change_bridge(int index, const std::string& name, std::optional<bool> stp, std::optional<unsigned> forward_delay);

    void add_address(const AddressInfo& address, bool replace = false);
    void remove_address(const AddressInfo& address);
    void add_route(const RouteSettings& route);
    void remove_route(const RouteInfo& route);
    // The same route, out of another link.
    void add_route_like(const RouteInfo& route, int index);

  private:
    struct Reply;
    void send(nl_msg* message);
    // Waits for the kernel's acknowledgement; returns 0 or errno. `reason`: the kernel's own words, where it has any.
    int acknowledged(nl_msg* message, std::string& reason);
    void require(nl_msg* message, const std::string& what);
    template<class F> void dump(nl_msg* message, F each);

    rpc::Fd socket_;
    std::uint32_t sequence_ = 0;
};

} // namespace lodge::drivers
