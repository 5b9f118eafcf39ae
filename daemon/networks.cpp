// What can be done to a network. See network_files.cpp for what happens at start-up.
#include "daemon/networks.hpp"
#include "daemon/store.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/log.hpp"
#include <unistd.h>

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

template<class... Args> [[noreturn]] static void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::network, code, format, std::forward<Args>(args)...);
}

// ---- look-ups ----

NetworkPtr Networks::find_name(const std::string& name) const {
    auto network = networks_.by_name(name);
    if (!network || !network->exists()) refuse(Code::no_network, "no network with matching name '{}'", name);
    return network;
}

NetworkPtr Networks::find_uuid(const rpc::Uuid& uuid) const {
    auto network = networks_.by_uuid(uuid);
    if (!network || !network->exists()) refuse(Code::no_network, "no network with matching uuid '{}'", uuid.text());
    return network;
}

NetworkPtr Networks::find(const remote::NonnullNetwork& wire) const {
    auto network = networks_.by_uuid(wire.uuid);
    if (!network || !network->exists())
        refuse(Code::no_network, "no network with matching uuid '{}' ({})", wire.uuid.text(), wire.name);
    return network;
}

std::vector<NetworkPtr> Networks::list(unsigned filter) const {
    std::vector<NetworkPtr> found;
    for (const auto& [name, network] : networks_.all())
        if (network->exists() && matches_network_filter(*network, filter)) found.push_back(network);
    return found;
}

bool Networks::has_active() const {
    return std::ranges::any_of(networks_.all(), [](const auto& entry) { return entry.second->is_active(); });
}

void Networks::require_current(const NetworkPtr& network) const {
    if (networks_.by_uuid(network->uuid()) != network || !network->exists())
        refuse(Code::no_network, "no network with matching uuid '{}' ({})", network->uuid().text(), network->name());
}

void Networks::settle(const NetworkPtr& network) {
    network->claimed_bridge.clear();
    if (!network->exists() && networks_.by_uuid(network->uuid()) == network) networks_.remove(*network);
}

void Networks::emit(const Network& network, unsigned event) {
    host_.events().emit<remote::NetworkEventLifecycleCall>(
        EventKind::network, api::network_event_id_lifecycle, nullptr, network.uuid(),
        {.callbackID = 0, .net = network.wire(), .event = static_cast<std::int32_t>(event), .detail = 0});
}

// ---- coming in ----

// A network with a bridge of its own gets a free name for it, or keeps the one it asks for when nobody else has it.
void Networks::choose_bridge(xml::Network& document) {
    if (!document.has_own_bridge()) return;
    std::set<std::string> taken;
    for (const auto& [name, network] : networks_.all()) {
        if (name == document.name) continue;
        if (network->live) taken.insert(network->live->bridge_name());
        if (network->definition) taken.insert(network->definition->bridge_name());
        taken.insert(network->claimed_bridge);
    }
    if (!document.bridge) document.bridge.emplace();
    std::string& bridge = document.bridge->name;
    if (bridge.empty() || bridge.find("%d") != std::string::npos)
        bridge = driver_.pick_bridge_name(taken, bridge.empty() ? "virbr%d" : bridge);
    else if (taken.contains(bridge))
        refuse(Code::internal_error, "bridge name '{}' already in use.", bridge);
}

// Checks a new document against all others, and takes the job of the network that it is for.
Task<Networks::Claim> Networks::claim(xml::Network document, bool starting, std::string api_name) {
    const std::string wish = document.bridge_name();
    xml::complete_network(document);
    for (;;) {
        choose_bridge(document);
        xml::check_network_support(document);
        auto network = networks_.by_uuid(document.uuid);
        check_network_conflict(document, network.get(), networks_.by_name(document.name).get(), starting);
        if (!network) {
            network = std::make_shared<Network>(document.name, document.uuid);
            networks_.add(network);
        }
        auto job = co_await network->acquire(api_name);
        // Gone while we waited: whoever held it has removed it.
        if (networks_.by_uuid(document.uuid) != network) continue;
        if (document.bridge) document.bridge->name = wish;
        choose_bridge(document);
        check_network_conflict(document, network.get(), nullptr, starting);
        network->claimed_bridge = document.bridge_name();
        co_return Claim{std::move(network), std::move(job), std::move(document)};
    }
}

Task<> Networks::store_definition(NetworkPtr network, xml::Network document) {
    const std::string text = store::definition_header("virsh net-edit " + network->name()) +
                             xml::format_network(document, {.live = false, .secret = true});
    co_await store::replace(definition_file(network->name()), text);
    network->definition = std::move(document);
}

Task<NetworkPtr> Networks::define(xml::Network document) {
    auto claimed = co_await claim(std::move(document), false, "virNetworkDefineXML");
    auto network = claimed.network;
    std::exception_ptr failure;
    try {
        co_await store_definition(network, std::move(claimed.document));
    } catch (...) {
        failure = std::current_exception();
    }
    settle(network);
    if (failure) std::rethrow_exception(failure);
    log::info("network {}: defined", network->name());
    emit(*network, api::network_event_defined);
    co_return network;
}

Task<NetworkPtr> Networks::create(xml::Network document) {
    auto claimed = co_await claim(std::move(document), true, "virNetworkCreateXML");
    auto network = claimed.network;
    std::exception_ptr failure;
    try {
        co_await bring_up(network, std::move(claimed.document));
    } catch (...) {
        failure = std::current_exception();
    }
    settle(network);
    if (failure) std::rethrow_exception(failure);
    co_return network;
}

// ---- up and down ----

Task<> Networks::write_status(const Network& network, xml::Network document) {
    const auto& name = network.name();
    co_await store::replace_volatile(status_file(name), store::definition_header("virsh net-edit " + name) +
                                                            format_network_status(document, network.ports));
}

Task<> Networks::bring_up(NetworkPtr network, xml::Network document) {
    xml::complete_running_network(document);
    co_await rpc::blocking([&document] { drivers::find_virtual_functions(document); });
    co_await call_hook(document, {}, "start");
    co_await driver_.start(document);
    std::exception_ptr failure;
    try {
        co_await call_hook(document, {}, "started");
        co_await write_status(*network, document);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await driver_.stop(document);
        co_await tell_hook(document, {}, "stopped", "end");
        std::rethrow_exception(failure);
    }
    network->live = std::move(document);
    log::debug("network {}: started", network->name());
    emit(*network, api::network_event_started);
}

Task<> Networks::start(NetworkPtr network) {
    auto job = co_await network->acquire("virNetworkCreate");
    require_current(network);
    if (network->is_active()) refuse(Code::operation_invalid, "network is already active");
    co_await bring_up(network, *network->definition);
}

Task<> Networks::destroy(NetworkPtr network) {
    auto job = co_await network->acquire("virNetworkDestroy");
    require_current(network);
    if (!network->is_active()) refuse(Code::operation_invalid, "network '{}' is not active", network->name());
    const xml::Network document = *network->live;
    co_await driver_.stop(document);
    store::remove_now(status_file(network->name()));
    co_await tell_hook(document, {}, "stopped", "end");
    network->live.reset();
    for (const auto& [uuid, port] : network->ports) store::remove_now(port_file(*network, uuid));
    network->ports.clear();
    if (!network->is_persistent()) co_await driver_.forget(document);
    settle(network);
    log::debug("network {}: stopped", network->name());
    emit(*network, api::network_event_stopped);
}

// ---- definitions ----

Task<> Networks::undefine(NetworkPtr network) {
    auto job = co_await network->acquire("virNetworkUndefine");
    require_current(network);
    if (!network->is_persistent()) refuse(Code::operation_invalid, "can't undefine transient network");
    // The link first: broken off here, the network is merely no longer started by itself.
    co_await store::set_link(autostart_link(network->name()), {}, false);
    network->autostart = false;
    co_await store::remove(definition_file(network->name()));
    const xml::Network document = *network->definition;
    network->definition.reset();
    if (!network->is_active()) co_await driver_.forget(document);
    settle(network);
    log::info("network {}: undefined", network->name());
    emit(*network, api::network_event_undefined);
}

Task<> Networks::set_autostart(NetworkPtr network, bool on) {
    auto job = co_await network->acquire("virNetworkSetAutostart");
    require_current(network);
    if (!network->is_persistent()) refuse(Code::operation_invalid, "cannot set autostart for transient network");
    if (network->autostart == on) co_return;
    co_await store::set_link(autostart_link(network->name()), definition_file(network->name()), on);
    network->autostart = on;
}

// ---- changes of parts ----

// VIR_NETWORK_UPDATE_AFFECT_CURRENT becomes LIVE or CONFIG; refuses what does not fit the network's state.
static unsigned affected(const Network& network, unsigned flags) {
    if (flags == api::network_update_affect_current)
        flags = network.is_active() ? api::network_update_affect_live : api::network_update_affect_config;
    if ((flags & api::network_update_affect_live) && !network.is_active())
        refuse(Code::operation_invalid, "network is not running");
    if ((flags & api::network_update_affect_config) && !network.is_persistent())
        refuse(Code::operation_invalid, "cannot change persistent config of a transient network");
    return flags;
}

Task<> Networks::update(NetworkPtr network, Change change) {
    auto job = co_await network->acquire("virNetworkUpdate");
    require_current(network);
    const unsigned flags = affected(*network, change.flags);
    const auto changed = [&](const xml::Network& before) {
        xml::Network after = before;
        xml::update_network(after, change.command, change.section, change.parent, change.text);
        return after;
    };
    std::optional<xml::Network> live, definition;
    if (flags & api::network_update_affect_config) definition = changed(*network->definition);
    if (flags & api::network_update_affect_live) live = changed(*network->live);

    const auto before = network->definition;
    if (definition) co_await store_definition(network, *definition);
    if (!live) co_return co_await call_hook(network->current(), {}, "updated");
    std::exception_ptr failure;
    try {
        co_await driver_.update(*network->live, *live);
        co_await write_status(*network, *live);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (definition) co_await store_definition(network, *before);
        std::rethrow_exception(failure);
    }
    network->live = std::move(live);
    co_await call_hook(*network->live, {}, "updated");
}

Task<std::vector<drivers::Lease>> Networks::leases(NetworkPtr network, std::optional<xml::MacAddress> mac) {
    co_return co_await driver_.leases(network->current(), mac);
}

} // namespace lodge::daemon
