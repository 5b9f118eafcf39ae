#include "drivers/network/network_driver.hpp"
#include "drivers/host/netlink.hpp"
#include "drivers/network/bandwidth.hpp"
#include "drivers/network/bridge.hpp"
#include "drivers/network/dnsmasq.hpp"
#include "drivers/network/firewall.hpp"
#include "drivers/network/lease_file.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

namespace lodge::drivers {

using rpc::Code;

struct NetworkDriver::Running {
    xml::Network network;
    std::shared_ptr<Dnsmasq> dnsmasq; // null: nothing to serve
};

NetworkDriver::NetworkDriver(rpc::Executor executor, NetworkPaths paths)
    : executor_(std::move(executor))
    , paths_(std::move(paths))
    , running_(std::make_shared<std::map<std::string, std::shared_ptr<Running>>>()) {}

NetworkDriver::~NetworkDriver() {
    for (const auto& [name, running] : *running_)
        if (running->dnsmasq) running->dnsmasq->forget();
}

std::string NetworkDriver::pick_bridge_name(const std::set<std::string>& taken, const std::string& pattern) {
    const auto percent = pattern.find("%d");
    if (percent == std::string::npos) return pattern;
    Netlink netlink;
    for (int number = 0; number < 65536; ++number) {
        auto name = pattern.substr(0, percent) + std::to_string(number) + pattern.substr(percent + 2);
        if (!taken.contains(name) && !netlink.link(name)) return name;
    }
    rpc::fail(Code::internal_error, "Bridge generation exceeded max id {}", 65535);
}

// ---- up and down ----

// Both at once; ends when both have ended, with the failure of either.
static Task<> both(Task<> one, Task<> other) {
    struct State {
        explicit State(Executor executor)
            : done(std::move(executor)) {}
        rpc::Signal done;
        std::exception_ptr failure;
    };
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto state = std::make_shared<State>(executor);
    boost::asio::co_spawn(executor, std::move(other), [state](std::exception_ptr failure) {
        state->failure = failure;
        state->done.set();
    });
    std::exception_ptr failure;
    try {
        co_await std::move(one);
    } catch (...) {
        failure = std::current_exception();
    }
    co_await state->done.wait();
    if (failure || state->failure) std::rethrow_exception(failure ? failure : state->failure);
}

static Task<> serve(std::shared_ptr<Dnsmasq> dnsmasq) {
    if (dnsmasq) co_await Dnsmasq::start(dnsmasq);
}

// firewalld sorts interfaces into zones; asking for one without it running is a mistake of the administrator.
static Task<> join_zone(xml::Network network) {
    if (!network.bridge || network.bridge->zone.empty()) co_return;
    Command command;
    command.program = "firewall-cmd";
    command.args = {"--zone=" + network.bridge->zone, "--change-interface=" + network.bridge->name};
    if (!std::filesystem::exists("/run/firewalld.pid") && !std::filesystem::exists("/run/firewalld"))
        rpc::fail(Code::internal_error, "zone {} requested for network {} but firewalld is not active", network.bridge->zone,
                  network.name);
    co_await run_checked(std::move(command));
}

Task<> NetworkDriver::bring_up(NetworkDriver* driver, std::shared_ptr<Running> running) {
    const auto& network = running->network;
    co_await rpc::blocking([&network] { bring_up_bridge(network); });
    if (needs_dnsmasq(network)) running->dnsmasq = std::make_shared<Dnsmasq>(driver->executor_, driver->paths_, network);
    co_await join_zone(network);
    if (network.bandwidth) co_await set_shared_bandwidth(network.bridge_name(), *network.bandwidth);
    co_await both(serve(running->dnsmasq), apply_firewall(network));
}

Task<> NetworkDriver::start(xml::Network network) {
    xml::check_network_support(network);
    auto running = std::make_shared<Running>();
    running->network = std::move(network);
    const auto name = running->network.name;
    if (!running->network.has_own_bridge()) {
        if (running->network.bandwidth)
            co_await set_shared_bandwidth(running->network.bridge_name(), *running->network.bandwidth);
        (*running_)[name] = running;
        co_return;
    }
    std::exception_ptr failure;
    bool made = false;
    try {
        made = !co_await rpc::blocking_result([bridge = running->network.bridge_name()] { return bridge_is_up(bridge); });
        co_await bring_up(this, running);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (running->dnsmasq) running->dnsmasq->forget();
        try {
            if (made) co_await stop(running->network); // what stood before us stays
        } catch (const std::exception& error) {
            log::warn("network {}: cleaning up: {}", name, error.what());
        }
        std::rethrow_exception(failure);
    }
    (*running_)[name] = running;
    watch_firewall();
    log::info("network {}: up on {}", name, running->network.bridge_name());
}

Task<> NetworkDriver::stop(xml::Network network) {
    const auto found = running_->find(network.name);
    auto running = found == running_->end() ? nullptr : found->second;
    if (running) running_->erase(found);
    if (!network.has_own_bridge()) {
        if (network.bandwidth) co_await clear_bandwidth(network.bridge_name());
        co_return;
    }
    auto dnsmasq = running && running->dnsmasq ? running->dnsmasq : std::make_shared<Dnsmasq>(executor_, paths_, network);
    const auto bridge = network.bridge_name();
    std::exception_ptr failure;
    try {
        co_await both(Dnsmasq::stop(dnsmasq), remove_firewall(bridge));
    } catch (...) {
        failure = std::current_exception(); // the bridge goes all the same
    }
    co_await rpc::blocking([bridge] { take_down_bridge(bridge); });
    if (failure) std::rethrow_exception(failure);
    if (running) log::info("network {}: down", network.name);
}

Task<> NetworkDriver::forget(xml::Network network) {
    const auto files = dnsmasq_files(paths_, network);
    const bool own = network.has_own_bridge() && !network.bridge_name().empty();
    co_await rpc::blocking([&files, own] {
        std::error_code ignored;
        for (const auto& each : {files.conf, files.hosts, files.additional_hosts, files.pid})
            std::filesystem::remove(each, ignored);
        if (own)
            for (const auto& each : {files.status, files.macs}) std::filesystem::remove(each, ignored);
    });
}

Task<bool> NetworkDriver::adopt(xml::Network network) {
    auto running = std::make_shared<Running>();
    running->network = std::move(network);
    const auto& document = running->network;
    if (document.has_own_bridge()) {
        const auto bridge = document.bridge_name();
        if (!co_await rpc::blocking_result([bridge] { return bridge_is_up(bridge); })) co_return false;
        if (needs_dnsmasq(document)) {
            running->dnsmasq = std::make_shared<Dnsmasq>(executor_, paths_, document);
            co_await Dnsmasq::adopt(running->dnsmasq);
        }
        const auto state = look_at_firewall();
        const bool there = std::ranges::find(state.tables, firewall_table(bridge)) != state.tables.end();
        if (!there || state.v4.any() || state.v6.any()) co_await apply_firewall(document);
    }
    (*running_)[document.name] = running;
    watch_firewall();
    co_return true;
}

Task<> NetworkDriver::update(xml::Network before, xml::Network after) {
    const auto found = running_->find(after.name);
    if (found == running_->end()) rpc::fail(Code::operation_invalid, "network '{}' is not active", after.name);
    auto running = found->second;
    running->network = after;
    if (!after.has_own_bridge()) co_return;
    if (!running->dnsmasq && needs_dnsmasq(after)) {
        running->dnsmasq = std::make_shared<Dnsmasq>(executor_, paths_, after);
        co_await Dnsmasq::start(running->dnsmasq);
    } else if (running->dnsmasq) {
        co_await Dnsmasq::update(running->dnsmasq, after);
    }
    if (firewall_rules(before) != firewall_rules(after)) co_await apply_firewall(after);
}

// ---- others at the packet filter ----

void NetworkDriver::watch_firewall() {
    if (guard_) return;
    guard_ = std::make_unique<FirewallGuard>(
        executor_, [this] { rpc::spawn(executor_, "packet filter of networks", repair_firewall(running_)); });
}

Task<> NetworkDriver::repair_firewall(std::shared_ptr<std::map<std::string, std::shared_ptr<Running>>> all) {
    const auto state = look_at_firewall();
    std::vector<xml::Network> networks;
    for (const auto& [name, running] : *all) networks.push_back(running->network);
    for (const auto& network : networks) {
        if (!network.has_own_bridge() || network.mode() == xml::ForwardMode::open) continue;
        const bool there = std::ranges::find(state.tables, firewall_table(network.bridge_name())) != state.tables.end();
        if (there && !state.v4.any() && !state.v6.any()) continue;
        if (!there) log::warn("network {}: its packet filter was removed by somebody, putting it back", network.name);
        if (!all->contains(network.name)) continue; // stopped while we worked on another
        co_await apply_firewall(network, !there);
    }
}

// ---- leases and guests ----

Task<std::vector<Lease>> NetworkDriver::leases(xml::Network network, std::optional<xml::MacAddress> mac) {
    const auto file = dnsmasq_files(paths_, network).status;
    const auto entries = co_await rpc::blocking_result([file] { return read_leases(file); });
    const auto now = std::time(nullptr);
    std::vector<Lease> found;
    for (const auto& entry : entries) {
        const auto parsed = xml::MacAddress::parse(entry.mac);
        if ((mac && parsed != mac) || (entry.expiry != 0 && entry.expiry < now)) continue;
        Lease lease;
        lease.interface = network.bridge_name();
        lease.expiry = entry.expiry;
        lease.ipv6 = entry.is_v6();
        lease.mac = entry.mac;
        lease.iaid = entry.iaid;
        lease.ip = entry.ip;
        lease.hostname = entry.hostname;
        lease.client_id = entry.client_id;
        const xml::IpAddress address(entry.ip);
        for (const auto& ip : network.ips)
            if (ip.is_v6() == address.is_v6() && ip.address.network(ip.prefix_length()) == address.network(ip.prefix_length()))
                lease.prefix = ip.prefix_length();
        found.push_back(std::move(lease));
    }
    co_return found;
}

TapRequest NetworkDriver::tap_request(const xml::Network& network, const std::string& port_group) const {
    const auto* group = network.port_group(port_group);
    if (!port_group.empty() && !group)
        rpc::fail(Code::config_unsupported, "network '{}' has no portgroup '{}'", network.name, port_group);
    const auto& port = group && group->virtual_port ? group->virtual_port : network.virtual_port;
    const bool on_switch = port && port->type == "openvswitch" && !network.has_own_bridge();
    if (port && !port->type.empty() && !on_switch)
        rpc::fail(Code::config_unsupported, "<virtualport type='{}'> not supported for network '{}' which uses {}", port->type,
                  network.name, network.has_own_bridge() ? "IP forwarding" : "a bridge device");
    if (network.bridge_name().empty())
        rpc::fail(Code::config_unsupported, "network '{}' with forward mode='{}' has no bridge to plug a guest into",
                  network.name, xml::word(network.mode()));
    TapRequest request;
    request.bridge = network.bridge_name();
    request.on_switch = on_switch;
    request.isolated = network.port && network.port->isolated && *network.port->isolated;
    request.learn = network.bridge->mac_table_manager != xml::BridgeMacTable::libvirt;
    if (network.mtu) request.mtu = network.mtu->size;
    request.forward_at_once = network.has_own_bridge() && network.bridge->delay.value_or(0) == 0;
    return request;
}

Task<> NetworkDriver::note_guest_mac(std::string bridge, std::string domain, std::string mac, bool present) {
    const auto file = paths_.dnsmasq / (bridge + ".macs");
    co_await rpc::blocking([&] {
        auto json = nlohmann::ordered_json::parse(std::ifstream(file), nullptr, false);
        if (!json.is_array()) json = nlohmann::ordered_json::array();
        auto guest = std::find_if(json.begin(), json.end(), [&](const auto& each) { return each.value("domain", "") == domain; });
        if (guest == json.end()) {
            if (!present) return;
            json.push_back({{"domain", domain}, {"macs", nlohmann::ordered_json::array()}});
            guest = std::prev(json.end());
        }
        auto& macs = (*guest)["macs"];
        const auto at = std::find(macs.begin(), macs.end(), mac);
        if (present == (at != macs.end())) return;
        if (present)
            macs.push_back(mac);
        else
            macs.erase(at);
        if (macs.empty()) json.erase(guest);
        const auto aside = file.string() + ".new";
        std::ofstream(aside, std::ios::trunc) << json.dump(2) << '\n';
        std::filesystem::rename(aside, file);
    });
}

} // namespace lodge::drivers
