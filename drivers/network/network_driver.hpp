// Virtual networks on this host: bridge, addresses, dnsmasq, packet filter, and the taps of guests. Called by the daemon from its
// control thread; the daemon owns names, documents, persistence and events, and never runs two calls for one network at once.
//
// A running network needs nobody: bridge, rules and dnsmasq outlive the daemon, and adopt() takes them up again.
#pragma once
#include "drivers/network/open_vswitch.hpp"
#include "drivers/network/tap.hpp"
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
