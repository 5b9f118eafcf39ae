// Everything the daemon keeps: its configuration, clients, hypervisors with their domains, networks, storage pools, host
// interfaces and events. One instance, made by main, used from the control thread only.
#pragma once
#include "daemon/client.hpp"
#include "daemon/config.hpp"
#include "daemon/events.hpp"
#include "daemon/idle.hpp"
#include "daemon/registry.hpp"
#include "drivers/driver.hpp"
#include "drivers/interface/interface_driver.hpp"
#include <boost/asio/io_context.hpp>
#include <set>

namespace lodge::daemon {

class Domain;
class Hooks;
class Networks;
class Pools;
class NodeDevices;
class NwFilters;
class Secrets;
using DomainPtr = std::shared_ptr<Domain>;

// A driver and the domains that live on it.
class Hypervisor {
  public:
    Hypervisor(Host& host, std::unique_ptr<drivers::Driver> driver, bool persistent);

    Host& host() { return host_; }
    drivers::Driver& driver() { return *driver_; }
    // False: nothing is kept on disk (guests that exist only in memory).
    bool is_persistent() const { return persistent_; }
    From error_domain() const { return driver_->error_domain(); }

    Registry<Domain> domains;
    // By what a client holds; throws Code::no_domain. A domain that is being made is not seen yet.
    DomainPtr find(const rpc::Uuid& uuid, const std::string& name);
    DomainPtr find_name(const std::string& name);
    DomainPtr find_uuid(const rpc::Uuid& uuid);
    DomainPtr find_id(int id);
    std::vector<DomainPtr> visible() const;
    int take_id() { return ++last_id_; }
    void seen_id(int id) { last_id_ = std::max(last_id_, id); }

    std::string definition_file(const std::string& name) const;
    std::string autostart_link(const std::string& name) const;
    std::string status_file(const std::string& name) const;
    std::string save_file(const std::string& name) const; // of a managed save
    std::string lib_folder() const;

    // Definitions and running guests of an earlier daemon. A broken file is reported and left alone.
    Task<> load();
    Task<> autostart();
    bool has_active() const;

  private:
    Task<> load_definitions(); // load_definitions.cpp
    void load_managed_saves();
    Task<> load_built_in();
    Task<> adopt_running();

    Host& host_;
    std::unique_ptr<drivers::Driver> driver_;
    bool persistent_;
    int last_id_ = 0;
};

class Host {
  public:
    Host(boost::asio::io_context& io, Config config, drivers::Paths paths);
    ~Host();

    rpc::Executor executor() { return io_.get_executor(); }
    boost::asio::io_context& io() { return io_; }
    const Config& config() const { return config_; }
    const drivers::Paths& paths() const { return paths_; }
    EventHub& events() { return events_; }
    const Hooks& hooks() { return *hooks_; }
    Networks& networks() { return *networks_; }
    Pools& pools() { return *pools_; }
    Secrets& secrets() { return *secrets_; }
    NwFilters& nwfilters() { return *nwfilters_; }
    NodeDevices& node_devices() { return *node_devices_; }
    drivers::InterfaceDriver& interfaces() { return *interfaces_; }
    Idle& idle() { return idle_; }

    Hypervisor& add_hypervisor(std::unique_ptr<drivers::Driver> driver, bool persistent);
    // By the scheme of a URI ("qemu", "test"); null: none.
    Hypervisor* hypervisor(const std::string& scheme);
    const std::vector<std::unique_ptr<Hypervisor>>& hypervisors() const { return hypervisors_; }

    Task<> load();

    // A new connection on one of the daemon's sockets.
    void accept(Fd socket, Door door);
    void forget_client(const ClientPtr& client);
    const std::set<ClientPtr>& clients() const { return clients_; }

    int max_clients(Door door) const;
    std::size_t client_count(Door door) const;
    std::size_t anonymous_count() const;
    Config& mutable_config() { return config_; } // the admin program changes limits while running

  private:
    boost::asio::io_context& io_;
    Config config_;
    drivers::Paths paths_;
    EventHub events_;
    std::unique_ptr<Hooks> hooks_;
    std::unique_ptr<Networks> networks_;
    std::unique_ptr<Pools> pools_;
    std::unique_ptr<Secrets> secrets_;
    std::unique_ptr<NwFilters> nwfilters_;
    std::unique_ptr<NodeDevices> node_devices_;
    std::unique_ptr<drivers::InterfaceDriver> interfaces_;
    std::vector<std::unique_ptr<Hypervisor>> hypervisors_;
    std::set<ClientPtr> clients_;
    Idle idle_{*this, io_};
    std::uint64_t last_client_ = 0;
};

} // namespace lodge::daemon
