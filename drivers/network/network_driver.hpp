// Virtual networks on this host: bridge, addresses, dnsmasq, packet filter, and the taps of guests. Called by the daemon from its
// control thread; the daemon owns names, documents, persistence and events, and never runs two calls for one network at once.
//
// A running network needs nobody: bridge, rules and dnsmasq outlive the daemon, and adopt() takes them up again.
#pragma once
#include "rpc/task.hpp"
#include "xml/domain/nic.hpp"
#include "xml/network.hpp"
#include <filesystem>
#include <map>
#include <set>

namespace lodge::drivers {

struct NetworkPaths {
    std::filesystem::path dnsmasq =
        "/var/lib/libvirt/dnsmasq";                     // NAME.conf, NAME.hostsfile, NAME.addnhosts, BRIDGE.status, BRIDGE.macs
    std::filesystem::path run = "/run/libvirt/network"; // NAME.pid
    std::filesystem::path leases_helper;                // program that dnsmasq tells of leases; see lease_file.hpp
    std::filesystem::path dnsmasq_program = "/usr/sbin/dnsmasq";
};

// A DHCP lease as virNetworkGetDHCPLeases shows it.
struct Lease {
    std::string interface; // the bridge
    std::int64_t expiry = 0;
    bool ipv6 = false;
    std::string mac, iaid, ip, hostname, client_id;
    unsigned prefix = 0;
};

// A guest's plug on a bridge.
struct TapRequest {
    std::string bridge;                  // empty: none
    bool on_switch = false;              // it is Open vSwitch's: the tap becomes a port by add_switch_port()
    std::string device = "/dev/net/tun"; // what the kernel gives taps by
    std::string name;                    // empty or a pattern with %d ("vnet%d"): the first free number
    bool as_it_is = false;               // somebody else has made it, and looks after it
    xml::MacAddress guest_mac; // the tap itself gets the same with 0xfe in front, so that the bridge never takes its address
    unsigned queues = 1;
    bool vnet_header = true;
    bool vhost = false;    // also open /dev/vhost-net, once per queue; absent device: no descriptors, no error
    bool isolated = false; // may talk to the bridge, not to other isolated ports
    bool link_up = true;
    bool forward_at_once = false;      // with STP: do not let the guest wait for 4 s of listening and learning
    bool learn = true;                 // false (macTableManager='libvirt'): the kernel neither learns nor floods on this port
    std::optional<unsigned> mtu;       // empty: the bridge's
    std::optional<unsigned> rx_frames; // what the kernel gathers before it tells the guest
};
struct Tap {
    std::string name;
    std::vector<rpc::Fd> queues;
    std::vector<rpc::Fd> vhosts;
};
// Blocks for well below a millisecond; fails with libvirt's words when the bridge is missing.
Tap create_tap(const TapRequest& request);
// Pulls the plug of a tap that still exists (QEMU's death removes it otherwise). No error when it is gone.
void remove_tap(const std::string& name);
void set_tap_link(const std::string& name, bool up);
// Plugs a tap that is in use into the request's bridge instead, with its rules there. Failing, it stays where it was.
void move_tap(const std::string& name, const TapRequest& request);
void isolate_tap(const std::string& name, bool isolated);

// A guest's plug on a link of the host's (<interface type='direct'>): frames go out beside the host's own.
struct MacvtapRequest {
    std::string parent;
    std::string name; // empty: the first free macvtapN
    xml::MacvtapMode mode = xml::MacvtapMode::vepa;
    xml::MacAddress guest_mac;
    unsigned queues = 1;
    bool vnet_header = true;
    bool link_up = true;
};
// How guests of a network stand beside the host; nothing where they are on a bridge or get hardware.
std::optional<xml::MacvtapMode> macvtap_mode(const xml::Network& network);
// Of the links that the network lends, the one with the fewest macvtaps; where a guest has a link for itself, a free one.
// Nothing: there is none.
std::optional<std::string> least_used_link(const xml::Network& network);
// One that somebody else has made.
Tap open_macvtap(const std::string& name, unsigned queues, bool vnet_header);
bool is_macvtap(const std::string& name);
// In passthrough the parent takes the guest's address; its own is kept in `run`. Throws Code::system_error.
Tap create_macvtap(const MacvtapRequest& request, const std::filesystem::path& run);
// Gives the parent its own address back. No error when it is gone.
void remove_macvtap(const std::string& name, const std::string& parent, const std::filesystem::path& run);

// <bandwidth> of a bridge or tap; a limit that the kernel cannot keep throws and leaves none. A new limit needs clear before.
rpc::Task<> set_bandwidth(std::string device, xml::Bandwidth bandwidth);
rpc::Task<> clear_bandwidth(std::string device);
std::string bandwidth_batch(const std::string& device, const xml::Bandwidth& bandwidth);

// A guest's plug on a switch of Open vSwitch.
struct SwitchPort {
    std::string bridge, tap, mac, interface_id, profile, vm_id;
    std::optional<xml::Vlan> vlan;
};
std::vector<std::string> switch_port_words(const SwitchPort& port); // as ovs-vsctl wants them

// The host's side of a tap that stands alone: its addresses and routes.
void set_tap_addresses(const std::string& name, const std::vector<xml::NicIp>& addresses,
                       const std::vector<xml::NicRoute>& routes);

// Fills the pool of a network that names a physical function with the virtual ones of it. Throws Code::internal_error when there
// are none.
void find_virtual_functions(xml::Network& network, const std::string& sysfs = "/sys");

class FirewallGuard;
struct RunResult;

class NetworkDriver {
  public:
    NetworkDriver(rpc::Executor executor, NetworkPaths paths);
    ~NetworkDriver(); // forgets, stops nothing

    // The first "virbrN" (or pattern) that is neither in `taken` nor a link of this host.
    std::string pick_bridge_name(const std::set<std::string>& taken, const std::string& pattern = "virbr%d");

    // Brings everything up, or nothing at all. The document has a bridge name and a MAC (complete_network).
    rpc::Task<> start(xml::Network network);
    // Takes everything down, however much of it is left.
    rpc::Task<> stop(xml::Network network);
    // The network is no more (undefined, or transient and stopped): removes what stop() keeps for the next start, its leases too.
    rpc::Task<> forget(xml::Network network);
    // After a restart of the daemon: true when the network is up. A dnsmasq that died meanwhile is started again.
    rpc::Task<bool> adopt(xml::Network network);
    // Makes a running network match its changed document (virNetworkUpdate); guests notice nothing.
    rpc::Task<> update(xml::Network before, xml::Network after);
    // Leases that have not ended, by the files that dnsmasq's helper keeps.
    rpc::Task<std::vector<Lease>> leases(xml::Network network, std::optional<xml::MacAddress> mac);

    // The plug of a guest whose NIC has type='network': fills in what the network decides (bridge, isolation, MTU, learning).
    // Throws when the network is of a kind that gives no taps (macvtap, hostdev).
    TapRequest tap_request(const xml::Network& network, const std::string& port_group) const;
    // BRIDGE.macs: which guest owns which MAC; read by libnss-libvirt's libvirt_guest module.
    rpc::Task<> note_guest_mac(std::string bridge, std::string domain, std::string mac, bool present);

    // Throws Code::internal_error with the switch's own words.
    rpc::Task<> add_switch_port(SwitchPort port);
    rpc::Task<> remove_switch_port(std::string tap);

    const NetworkPaths& paths() const { return paths_; }

  private:
    struct Running;
    static rpc::Task<> bring_up(NetworkDriver* driver, std::shared_ptr<Running> running);
    static rpc::Task<> repair_firewall(std::shared_ptr<std::map<std::string, std::shared_ptr<Running>>> all);
    void watch_firewall();
    rpc::Task<RunResult> order_switch(std::vector<std::string> words);

    rpc::Executor executor_;
    std::shared_ptr<rpc::Signal> last_switch_order_;
    NetworkPaths paths_;
    std::shared_ptr<std::map<std::string, std::shared_ptr<Running>>> running_; // by name
    std::unique_ptr<FirewallGuard> guard_;
};

} // namespace lodge::drivers
