// What networks promise to the cards on them: a floor under their share of what the bridge lets in (<inbound floor>). The port of
// such a card is kept in /run with its traffic class, so that a new daemon, or libvirt's, knows what is promised.
#include "daemon/host.hpp"
#include "daemon/networks.hpp"
#include "daemon/store.hpp"
#include "drivers/network/bandwidth.hpp"
#include "rpc/log.hpp"
#include "xml/domain/nic.hpp"
#include <charconv>

namespace lodge::daemon {

namespace {

std::uint64_t floor_of(const xml::NetworkPort& port) {
    const auto& bandwidth = port.bandwidth;
    return bandwidth && bandwidth->inbound && bandwidth->inbound->floor ? bandwidth->inbound->floor->value : 0;
}

const xml::BandwidthRate* limit_of(const Network& network) {
    if (!network.is_active()) return nullptr;
    const auto& bandwidth = network.live->bandwidth;
    return bandwidth && bandwidth->inbound ? &*bandwidth->inbound : nullptr;
}

bool can_promise(const xml::Network& network) {
    using enum xml::ForwardMode;
    const auto mode = network.mode();
    return mode == none || mode == nat || mode == route || mode == open;
}

// libvirt's rules (networkCheckBandwidth), and words.
void check_promise(const Network& network, const xml::NetworkPort& port, std::uint64_t promised) {
    const auto& mac = port.mac.address;
    const auto* limit = limit_of(network);
    if (!can_promise(*network.live))
        rpc::fail(From::network, Code::operation_unsupported,
                  "Invalid use of 'floor' on interface with MAC address {} - 'floor' is only supported for interface type "
                  "'network' with forward type 'nat', 'route', 'open' or none",
                  mac);
    if (!limit)
        rpc::fail(From::network, Code::operation_unsupported,
                  "Invalid use of 'floor' on interface with MAC address {} - network '{}' has no inbound QoS set", mac,
                  network.name());
    const bool has_peak = limit->peak.has_value();
    const auto most = has_peak ? limit->peak->value : limit->average->value;
    if (promised <= most) return;
    rpc::fail(From::network, Code::operation_invalid,
              "Cannot plug '{}' interface into '{}' because new combined inbound floor={} would overcommit {}={} on network '{}'",
              mac, network.live->bridge_name(), promised, has_peak ? "peak" : "average", most, network.name());
}

// Behind all that were given last: one that is given back may still be on its way out of the kernel.
unsigned next_class(const Network& network, unsigned last) {
    const auto used = promised_classes(network.ports);
    for (unsigned id = last + 1;; ++id) {
        if (id > 0xffff) id = 3;
        if (!used.contains(id)) return id;
    }
}

} // namespace

std::set<unsigned> promised_classes(const std::map<rpc::Uuid, xml::NetworkPort>& ports) {
    std::set<unsigned> classes;
    for (const auto& [uuid, port] : ports)
        if (const auto id = class_of(port)) classes.insert(id);
    return classes;
}

std::uint64_t promised_sum(const std::map<rpc::Uuid, xml::NetworkPort>& ports) {
    std::uint64_t sum = 0;
    for (const auto& [uuid, port] : ports)
        if (class_of(port)) sum += floor_of(port);
    return sum;
}

unsigned class_of(const xml::NetworkPort& port) {
    if (!port.bandwidth) return 0;
    const auto& text = port.bandwidth->class_id;
    unsigned id = 0;
    std::from_chars(text.data(), text.data() + text.size(), id);
    return id;
}

static drivers::Promise promise_to(const xml::NetworkPort& port) {
    return {class_of(port), xml::MacAddress::parse(port.mac.address).value_or(xml::MacAddress{}), floor_of(port)};
}

// Entered before the first wait, so that two cards at once cannot both have what is left.
Task<> Networks::promise(NetworkPtr network, xml::NetworkPort port) {
    const auto present = network->ports.find(port.uuid);
    const auto before = present == network->ports.end() ? std::nullopt : std::optional(present->second);
    const auto class_id = before ? class_of(*before) : 0;
    const auto floor = floor_of(port);
    if (!floor && !class_id) co_return;
    if (!floor) co_return co_await end_promise(network, *before, port);
    const auto sum = promised_sum(network->ports) - (class_id ? floor_of(*before) : 0) + floor;
    check_promise(*network, port, sum);
    if (!class_id) network->last_class = next_class(*network, network->last_class);
    port.bandwidth->class_id = std::to_string(class_id ? class_id : network->last_class);
    network->ports[port.uuid] = port;
    std::exception_ptr failure;
    try {
        const auto bridge = network->live->bridge_name();
        const auto limit = *limit_of(*network);
        if (class_id)
            co_await drivers::change_promise(bridge, limit, promise_to(port), sum);
        else
            co_await drivers::add_promise(bridge, limit, promise_to(port), sum);
        if (!network->is_active()) // stopped meanwhile, and its bridge is gone
            rpc::fail(From::network, Code::operation_invalid, "network '{}' is not active", network->name());
        co_await keep_port(network, port);
        co_await write_status(*network, *network->live);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await take_back_promise(network, port, before);
    std::rethrow_exception(failure);
}

Task<> Networks::take_back_promise(NetworkPtr network, xml::NetworkPort port, std::optional<xml::NetworkPort> before) {
    network->ports.erase(port.uuid);
    if (before && network->is_active()) network->ports[port.uuid] = *before;
    try {
        if (!before || !network->is_active())
            store::remove_now(port_file(*network, port.uuid));
        else
            co_await keep_port(network, *before);
        if (before && class_of(*before) && network->is_active())
            co_await drivers::change_promise(network->live->bridge_name(), *limit_of(*network), promise_to(*before),
                                             promised_sum(network->ports));
        else
            co_await release_class(network, class_of(port));
    } catch (const std::exception& error) {
        log::warn("network {}: cannot take back what was promised to {}: {}", network->name(), port.mac.address, error.what());
    }
}

// The port stays as it is without a class: clients may have changed more of it.
Task<> Networks::end_promise(NetworkPtr network, xml::NetworkPort before, xml::NetworkPort after) {
    if (after.bandwidth) after.bandwidth->class_id.clear();
    network->ports[after.uuid] = after;
    co_await keep_port(network, after);
    co_await release_class(network, class_of(before));
}

Task<> Networks::release_class(NetworkPtr network, unsigned class_id) {
    if (!network->is_active()) co_return;
    if (const auto* limit = limit_of(*network))
        co_await drivers::remove_promise(network->live->bridge_name(), *limit, class_id, promised_sum(network->ports));
    if (network->is_active()) co_await write_status(*network, *network->live);
}

void Networks::forget_port(const xml::Nic& nic) {
    const auto uuid = rpc::Uuid::parse(nic.source.port_id);
    const auto network = networks_.by_name(nic.source.network);
    if (!uuid || !network) return;
    const auto kept = network->ports.find(*uuid);
    if (kept == network->ports.end()) return;
    const auto class_id = class_of(kept->second);
    network->ports.erase(kept);
    try {
        store::remove_now(port_file(*network, *uuid));
    } catch (const std::exception& error) {
        log::warn("network {}: {}", network->name(), error.what());
    }
    if (class_id) rpc::spawn(host_.executor(), "network " + network->name() + ": promise", release_class(network, class_id));
}

} // namespace lodge::daemon
