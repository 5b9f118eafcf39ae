#include "daemon/host.hpp"
#include "daemon/domain.hpp"
#include "daemon/hooks.hpp"
#include "daemon/networks.hpp"
#include "daemon/node_devices.hpp"
#include "daemon/nwfilters.hpp"
#include "daemon/pools.hpp"
#include "daemon/secrets.hpp"
#include "rpc/log.hpp"
#include <sys/socket.h>

namespace lodge::daemon {

Host::Host(boost::asio::io_context& io, Config config, drivers::Paths paths)
    : io_(io)
    , config_(std::move(config))
    , paths_(std::move(paths))
    , hooks_(std::make_unique<Hooks>(paths_.etc + "/hooks", std::chrono::seconds(config_.hook_timeout)))
    , networks_(std::make_unique<Networks>(*this))
    , pools_(std::make_unique<Pools>(*this))
    , secrets_(std::make_unique<Secrets>(*this))
    , nwfilters_(std::make_unique<NwFilters>(*this))
    , node_devices_(std::make_unique<NodeDevices>(*this))
    , interfaces_(
          std::make_unique<drivers::InterfaceDriver>(drivers::InterfacePaths{.root = "/", .state = paths_.lib + "/interface"})) {}

Host::~Host() = default;

Hypervisor& Host::add_hypervisor(std::unique_ptr<drivers::Driver> driver, bool persistent) {
    hypervisors_.push_back(std::make_unique<Hypervisor>(*this, std::move(driver), persistent));
    return *hypervisors_.back();
}

Hypervisor* Host::hypervisor(const std::string& scheme) {
    for (const auto& hypervisor : hypervisors_)
        if (hypervisor->driver().scheme() == scheme) return hypervisor.get();
    return nullptr;
}

Task<> Host::load() {
    co_await secrets_->load();
    co_await nwfilters_->load();
    co_await networks_->load();
    co_await pools_->load();
    for (const auto& hypervisor : hypervisors_) co_await hypervisor->load();
}

int Host::max_clients(Door door) const { return door == Door::admin ? config_.admin_max_clients : config_.max_clients; }

std::size_t Host::client_count(Door door) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(clients_, [&](const ClientPtr& c) { return (c->door() == Door::admin) == (door == Door::admin); }));
}

std::size_t Host::anonymous_count() const {
    return static_cast<std::size_t>(std::ranges::count_if(clients_, [](const ClientPtr& c) { return !c->is_authenticated(); }));
}

void Host::forget_client(const ClientPtr& client) {
    clients_.erase(client);
    idle_.consider();
}

void Host::accept(Fd socket, Door door) {
    if (client_count(door) >= static_cast<std::size_t>(max_clients(door))) {
        log::warn("too many clients ({}), connection refused; see max_clients in the configuration", max_clients(door));
        return;
    }
    Credentials credentials;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) credentials = {peer.pid, peer.uid, peer.gid};
    rpc::SessionLimits limits;
    limits.keepalive_interval = door == Door::admin ? config_.admin_keepalive_interval : config_.keepalive_interval;
    limits.keepalive_count = door == Door::admin ? config_.admin_keepalive_count : config_.keepalive_count;
    auto session = std::make_shared<rpc::Session>(executor(), std::move(socket), limits);
    auto client = std::make_shared<Client>(*this, session, door, credentials, ++last_client_);
    clients_.insert(client);
    idle_.consider();
    session->start(client);
    // The admin program has no procedures for it: who may open the admin socket is an administrator.
    if (door == Door::admin) client->authenticate();
}

} // namespace lodge::daemon
