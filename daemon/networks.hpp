// All virtual networks of the host: their rules (names, bridges, transient and persistent), files and events. What a network
// is made of belongs to drivers/network. Control thread only; changes to one network stand in its queue.
#pragma once
#include "daemon/host.hpp"
#include "daemon/network.hpp"
#include "drivers/network/network_driver.hpp"

namespace lodge::daemon {

class Networks {
  public:
    explicit Networks(Host& host);

    // Definitions of earlier daemons, and the networks they left running.
    Task<> load();
    // Once per boot of the host: a network that was stopped by hand stays stopped when the daemon is restarted.
    Task<> autostart();

    // Throw Code::no_network.
    NetworkPtr find(const rpc::remote::NonnullNetwork& wire) const;
    NetworkPtr find_name(const std::string& name) const;
    NetworkPtr find_uuid(const rpc::Uuid& uuid) const;
    // By VIR_CONNECT_LIST_NETWORKS_*; 0: all.
    std::vector<NetworkPtr> list(unsigned filter) const;
    bool has_active() const;

    Task<NetworkPtr> define(xml::Network document);
    Task<NetworkPtr> create(xml::Network document); // transient, unless it is defined already
    Task<> undefine(NetworkPtr network);
    Task<> start(NetworkPtr network);
    Task<> destroy(NetworkPtr network);
    Task<> set_autostart(NetworkPtr network, bool on);
    struct Change { // as virNetworkUpdate carries it
        xml::NetworkUpdateCommand command;
        xml::NetworkUpdateSection section;
        int parent;
        std::string text;
        unsigned flags; // VIR_NETWORK_UPDATE_AFFECT_*
    };
    Task<> update(NetworkPtr network, Change change);
    Task<std::vector<drivers::Lease>> leases(NetworkPtr network, std::optional<xml::MacAddress> mac);

    // Ports of a running network: those of guests and those that clients made. network_ports.cpp
    std::vector<xml::NetworkPort> ports_of(const Network& network) const;
    xml::NetworkPort find_port(const Network& network, const rpc::Uuid& uuid) const; // throws Code::no_network_port
    // `reclaim`: the client says where it is plugged in; otherwise the network decides.
    Task<> create_port(NetworkPtr network, xml::NetworkPort port, bool reclaim);
    Task<> delete_port(NetworkPtr network, rpc::Uuid uuid);
    Task<> set_port_bandwidth(NetworkPtr network, rpc::Uuid uuid, std::optional<xml::Bandwidth> bandwidth);
    // What network hooks are told of a guest's card on a network, network_hooks.cpp: that it is plugged in, which they may
    // refuse, and that it goes.
    Task<> call_port_hook(xml::Domain guest, xml::Nic nic);
    Task<> tell_port_hook(xml::Domain guest, xml::Nic nic);
    // A card is unplugged, and with it goes what clients changed of its port, and what was promised to it.
    void forget_port(const xml::Nic& nic);
    // From now on the network promises what the port's document asks for, which may be nothing: network_promises.cpp. Throws with
    // libvirt's words where it cannot, and leaves what was promised before.
    Task<> promise(NetworkPtr network, xml::NetworkPort port);

    drivers::NetworkDriver& driver() { return driver_; }

  private:
    struct Claim {
        NetworkPtr network;
        JobQueue::Job job;
        xml::Network document;
    };
    Task<Claim> claim(xml::Network document, bool starting, std::string api_name);
    void choose_bridge(xml::Network& document);
    // After a wait: is it still ours?
    void require_current(const NetworkPtr& network) const;
    // Ends a change: a network that is neither running nor defined is forgotten.
    void settle(const NetworkPtr& network);

    Task<> call_hook(xml::Network document, std::optional<xml::NetworkPort> port, std::string operation);
    Task<> tell_hook(xml::Network document, std::optional<xml::NetworkPort> port, std::string operation, std::string phase);
    Task<> bring_up(NetworkPtr network, xml::Network document);
    Task<> store_definition(NetworkPtr network, xml::Network document);
    Task<> write_status(const Network& network, xml::Network document);
    void emit(const Network& network, unsigned event);

    NetworkPtr load_definition(const std::string& text, const std::string& file_name, const std::string& path);
    Task<> complete_definitions(std::vector<NetworkPtr> incomplete);
    Task<> adopt_running();
    Task<> adopt(std::string text, std::string path);
    Task<> load_ports(NetworkPtr network);
    Task<> keep_port(NetworkPtr network, xml::NetworkPort port);
    Task<> take_back_promise(NetworkPtr network, xml::NetworkPort port, std::optional<xml::NetworkPort> before);
    Task<> end_promise(NetworkPtr network, xml::NetworkPort before, xml::NetworkPort after);
    Task<> release_class(NetworkPtr network, unsigned class_id);

    std::string definition_file(const std::string& name) const;
    std::string autostart_link(const std::string& name) const;
    std::string status_file(const std::string& name) const;
    std::string port_folder(const std::string& name) const;
    std::string port_file(const Network& network, const rpc::Uuid& uuid) const;

    Host& host_;
    Registry<Network> networks_;
    drivers::NetworkDriver driver_;
};

} // namespace lodge::daemon
