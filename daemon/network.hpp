// A virtual network as the daemon keeps it: defined, running or both. Holds facts only; Networks changes them.
#pragma once
#include "daemon/job_queue.hpp"
#include "rpc/generated/remote.hpp"
#include "xml/network_port.hpp"

namespace lodge::xml {
struct Domain;
struct Nic;
} // namespace lodge::xml

namespace lodge::daemon {

class Network : public std::enable_shared_from_this<Network> {
  public:
    Network(std::string name, rpc::Uuid uuid)
        : name_(std::move(name))
        , uuid_(uuid) {}

    const std::string& name() const { return name_; }
    const rpc::Uuid& uuid() const { return uuid_; }
    rpc::remote::NonnullNetwork wire() const { return {name_, uuid_}; }

    bool is_active() const { return live.has_value(); }
    bool is_persistent() const { return definition.has_value(); }
    // Neither running nor defined: on its way in or out, seen by nobody.
    bool exists() const { return is_active() || is_persistent(); }
    // What runs now, else what is defined. Only of a network that exists.
    const xml::Network& current() const { return live ? *live : *definition; }
    // What the next start will bring up; a transient network has only what runs.
    const xml::Network& inactive() const { return definition ? *definition : *live; }

    rpc::Task<JobQueue::Job> acquire(std::string api_name) { return jobs_.acquire(shared_from_this(), std::move(api_name)); }

    std::optional<xml::Network> live, definition;
    // What clients plugged in, and what they changed of guests' plugs; the rest of these their live documents tell.
    std::map<rpc::Uuid, xml::NetworkPort> ports;
    unsigned last_class = 2; // of traffic, given to a port; the first are the bridge's own
    bool autostart = false;
    // The bridge of a definition that is on its way in: nobody else may pick it meanwhile.
    std::string claimed_bridge;

  private:
    std::string name_;
    rpc::Uuid uuid_;
    JobQueue jobs_;
};

using NetworkPtr = std::shared_ptr<Network>;

// The status file of a running network, in libvirt's form: either daemon takes up what the other left running.
struct NetworkStatus {
    struct ClassIds {
        std::string bitmap; // of traffic classes that are in use
    };
    struct Floor {
        std::uint64_t sum = 0; // kB/s that are promised
    };
    ClassIds class_ids;
    Floor floor;
    xml::Network network;
};
std::string format_network_status(const xml::Network& network, const std::map<rpc::Uuid, xml::NetworkPort>& ports);
xml::Network parse_network_status(const std::string& text, const std::string& path);

// The port that a guest's card is, as its network sees it.
xml::NetworkPort port_of(const xml::Domain& guest, const xml::Nic& nic, const rpc::Uuid& uuid, const xml::Network& network);

// Of the ports to which something was promised (network_promises.cpp).
std::set<unsigned> promised_classes(const std::map<rpc::Uuid, xml::NetworkPort>& ports);
std::uint64_t promised_sum(const std::map<rpc::Uuid, xml::NetworkPort>& ports); // kB/s
unsigned class_of(const xml::NetworkPort& port);                                // 0: nothing was promised

// The rules of virConnectListAllNetworks: filters of one group are alternatives, groups must all be met.
bool matches_network_filter(const Network& network, unsigned flags);
// May a document with this name and uuid come in? Throws with libvirt's words. `starting`: as a running network.
void check_network_conflict(const xml::Network& document, const Network* same_uuid, const Network* same_name, bool starting);

} // namespace lodge::daemon
