// Virtual networks on this host: bridge, addresses, dnsmasq, packet filter, and the taps of guests. Called by the daemon from its
// control thread; the daemon owns names, documents, persistence and events, and never runs two calls for one network at once.
//
// A running network needs nobody: bridge, rules and dnsmasq outlive the daemon, and adopt() takes them up again.
#pragma once
#include "rpc/task.hpp"
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
    std::string bridge;
    std::string name;          // empty or a pattern with %d ("vnet%d"): the first free number
    xml::MacAddress guest_mac; // the tap itself gets the same with 0xfe in front, so that the bridge never takes its address
    unsigned queues = 1;
    bool vnet_header = true;
    bool vhost = false;    // also open /dev/vhost-net, once per queue; absent device: no descriptors, no error
    bool isolated = false; // may talk to the bridge, not to other isolated ports
    bool link_up = true;
    bool forward_at_once = false; // with STP: do not let the guest wait for 4 s of listening and learning
    bool learn = true;            // false (macTableManager='libvirt'): the kernel neither learns nor floods on this port
    std::optional<unsigned> mtu;  // empty: the bridge's
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

// <bandwidth> of a bridge or tap; a limit that the kernel cannot keep throws and leaves none. A new limit needs clear before.
rpc::Task<> set_bandwidth(std::string device, xml::Bandwidth bandwidth);
rpc::Task<> clear_bandwidth(std::string device);
std::string bandwidth_batch(const std::string& device, const xml::Bandwidth& bandwidth);

class FirewallGuard;

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

    const NetworkPaths& paths() const { return paths_; }

  private:
    struct Running;
    static rpc::Task<> bring_up(NetworkDriver* driver, std::shared_ptr<Running> running);
    static rpc::Task<> repair_firewall(std::shared_ptr<std::map<std::string, std::shared_ptr<Running>>> all);
    void watch_firewall();

    rpc::Executor executor_;
    NetworkPaths paths_;
    std::shared_ptr<std::map<std::string, std::shared_ptr<Running>>> running_; // by name
    std::unique_ptr<FirewallGuard> guard_;
};

} // namespace lodge::drivers
