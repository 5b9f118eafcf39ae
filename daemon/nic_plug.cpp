#include "daemon/nic_plug.hpp"
#include "daemon/domain.hpp"
#include "daemon/networks.hpp"
#include "daemon/nics.hpp"
#include "drivers/network/bandwidth.hpp"
#include "drivers/network/macvtap.hpp"
#include "drivers/process/process.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

using drivers::TapRequest;
using xml::NicType;

// Names that are numbered; one that a document still carries from an earlier run is given anew.
static bool is_generated(std::string_view name) {
    for (const std::string_view prefix : {"vnet", "macvtap", "macvlan"})
        if (name.starts_with(prefix)) return name.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
    return name.empty();
}

static bool is_on_switch(const xml::Nic& nic) {
    const auto type = nic.actual_type();
    const auto& port = nic.actual_virtual_port();
    return (type == NicType::bridge || type == NicType::network) && port && port->type == "openvswitch";
}

// What the kernel's bridges and links do not give a card is refused rather than left out.
void check_plug_options(Host& host, const xml::Nic& nic) {
    if (nic.type == NicType::network && nic.virtual_port && !nic.virtual_port->type.empty()) {
        const auto network = host.networks().find_name(nic.source.network);
        const bool own = network->current().has_own_bridge();
        if (own || nic.virtual_port->type != "openvswitch")
            rpc::fail(From::network, Code::config_unsupported,
                      "<virtualport type='{}'> not supported for network '{}' which uses {}", nic.virtual_port->type,
                      network->name(), own ? "IP forwarding" : "a bridge device");
    }
    const auto& port = nic.actual_virtual_port();
    const bool handed_over = nic.type == NicType::hostdev || is_on_switch(nic);
    if (port && !port->type.empty() && !handed_over)
        rpc::fail(From::domain, Code::config_unsupported, "<virtualport type='{}'> is not supported for interfaces of type '{}'",
                  port->type, xml::word(nic.actual_type()));
    if (nic.actual_vlan() && !handed_over)
        rpc::fail(From::domain, Code::config_unsupported, "interface {} - vlan tag not supported for this connection type",
                  nic.mac.address.value_or(xml::MacAddress{}).text());
}

static TapRequest network_request(Host& host, const xml::Nic& nic) {
    const auto network = host.networks().find_name(nic.source.network);
    if (!network->is_active()) rpc::fail(From::network, Code::operation_invalid, "network '{}' is not active", network->name());
    return host.networks().driver().tap_request(*network->live, nic.source.portgroup);
}

static TapRequest make_request(Host& host, const xml::Nic& nic) {
    TapRequest request;
    if (nic.type == NicType::network)
        request = network_request(host, nic);
    else
        request.bridge = nic.source.bridge; // of an Ethernet NIC: none
    request.on_switch |= is_on_switch(nic);
    if (!nic.backend.tap.empty()) request.device = nic.backend.tap;
    request.as_it_is = nic.type == NicType::ethernet && nic.target.managed && !*nic.target.managed;
    if (nic.coalesce_rx_max) request.rx_frames = *nic.coalesce_rx_max;
    request.name = is_generated(nic.target.dev) && !request.as_it_is ? "vnet%d" : nic.target.dev;
    if (nic.mac.address) request.guest_mac = *nic.mac.address;
    request.queues = nic.is_virtio() ? nic.driver.queues.value_or(1) : 1;
    request.vnet_header = nic.is_virtio();
    if (nic.port_isolated) request.isolated = *nic.port_isolated;
    request.link_up = nic.link != xml::NicLinkState::down;
    if (nic.source.mac_table_manager == xml::MacTableManager::libvirt) request.learn = false;
    if (nic.mtu) request.mtu = *nic.mtu;
    return request;
}

static bool on_macvtap(const xml::Nic& nic) { return nic.actual_type() == NicType::direct; }

// A card without limits of its own has those of its group.
static std::optional<xml::Bandwidth> bandwidth_of(Host& host, const xml::Nic& nic) {
    if (nic.bandwidth || nic.type != NicType::network) return nic.bandwidth;
    const auto* group = host.networks().find_name(nic.source.network)->current().port_group(nic.source.portgroup);
    return group ? group->bandwidth : std::nullopt;
}

// Of a network that lends links of the host's.
static void choose_link(Host& host, xml::Nic& nic) {
    const auto network = host.networks().find_name(nic.source.network);
    const auto& document = network->current();
    const auto link = drivers::least_used_link(document);
    if (!link)
        rpc::fail(From::network, Code::internal_error,
                  "network '{}' requires exclusive access to interfaces, but none are available", network->name());
    nic.source.dev = *link;
    nic.source.mode = drivers::macvtap_mode(document);
    nic.source.port_id = rpc::Uuid::random().text();
    nic.actual = xml::NicActual{NicType::direct, bandwidth_of(host, nic), nic.vlan, nic.virtual_port};
}

static drivers::NicBackend plug_macvtap(Host& host, xml::Nic& nic) {
    drivers::MacvtapRequest request;
    request.parent = nic.source.dev;
    request.name = is_generated(nic.target.dev) ? "" : nic.target.dev;
    request.mode = nic.source.mode.value_or(xml::MacvtapMode::vepa);
    request.guest_mac = nic.mac.address.value_or(xml::MacAddress{});
    request.queues = nic.is_virtio() ? nic.driver.queues.value_or(1) : 1;
    request.vnet_header = nic.is_virtio();
    request.link_up = nic.link != xml::NicLinkState::down;
    auto tap = drivers::create_macvtap(request, host.networks().driver().paths().run);
    nic.target.dev = tap.name;
    return {std::move(tap.queues), std::move(tap.name)};
}

static bool lends_links(Host& host, const xml::Nic& nic) {
    if (nic.type != NicType::network) return false;
    const auto network = host.networks().find_name(nic.source.network);
    return network->is_active() && drivers::macvtap_mode(network->current()).has_value();
}

// The card's own word counts before its group's, and that before the network's.
static xml::VirtualPort switch_port_of(const xml::Network& network, const xml::PortGroup* group, const xml::Nic& nic) {
    xml::VirtualPort merged{"openvswitch", xml::VirtualPortParameters{}};
    auto& parameters = *merged.parameters;
    const auto take = [&](const std::optional<xml::VirtualPort>& port) {
        if (!port || !port->parameters) return;
        if (!parameters.interface_id) parameters.interface_id = port->parameters->interface_id;
        if (parameters.profile_id.empty()) parameters.profile_id = port->parameters->profile_id;
    };
    take(nic.virtual_port);
    if (group) take(group->virtual_port);
    take(network.virtual_port);
    if (!parameters.interface_id) parameters.interface_id = rpc::Uuid::random();
    return merged;
}

static void settle_on_network(Host& host, xml::Nic& nic, const TapRequest& request) {
    const auto& network = host.networks().find_name(nic.source.network)->current();
    const auto* group = network.port_group(nic.source.portgroup);
    place_on_network(host, nic);
    nic.source.port_id = rpc::Uuid::random().text();
    if (!request.on_switch) return;
    nic.actual->virtual_port = switch_port_of(network, group, nic);
    nic.actual->vlan = nic.vlan ? nic.vlan : group && group->vlan ? group->vlan : network.vlan;
}

static drivers::SwitchPort switch_port(const xml::Domain& guest, const xml::Nic& nic) {
    drivers::SwitchPort port;
    port.bridge = nic.source.bridge;
    port.tap = nic.target.dev;
    port.mac = nic.mac.address.value_or(xml::MacAddress{}).text();
    port.vm_id = guest.uuid.text();
    port.vlan = nic.actual_vlan();
    if (const auto& parameters = nic.actual_virtual_port()->parameters) {
        if (parameters->interface_id) port.interface_id = parameters->interface_id->text();
        port.profile = parameters->profile_id;
    }
    return port;
}

static drivers::Command script(const std::string& program, const xml::Nic& nic) {
    drivers::Command command;
    command.program = program;
    command.args = {nic.target.dev};
    return command;
}

// A card on nobody's bridge: what it leads to is the script's business.
static Task<> settle_alone(const xml::Nic& nic) {
    drivers::set_tap_addresses(nic.target.dev, nic.source.ips, nic.source.routes);
    if (!nic.script.empty()) co_await drivers::run_checked(script(nic.script, nic));
}

static drivers::Tap make_tap(Host& host, xml::Nic& nic) {
    const TapRequest request = make_request(host, nic);
    auto tap = request.as_it_is && drivers::is_macvtap(request.name)
                   ? drivers::open_macvtap(request.name, request.queues, request.vnet_header)
                   : drivers::create_tap(request);
    nic.target.dev = tap.name;
    if (nic.type == NicType::network) settle_on_network(host, nic, request);
    return tap;
}

Task<> settle_promise(Host& host, const xml::Domain& guest, const xml::Nic& nic) {
    const auto uuid = rpc::Uuid::parse(nic.source.port_id);
    if (nic.type != NicType::network || !uuid) co_return;
    const auto network = host.networks().find_name(nic.source.network);
    if (network->is_active()) co_await host.networks().promise(network, port_of(guest, nic, *uuid, *network->live));
}

// While its queues are open here a failure closes them, and with them the kernel removes the tap.
Task<drivers::NicBackend> make_plug(Host& host, const xml::Domain& guest, xml::Nic& nic) {
    check_plug_options(host, nic);
    if (lends_links(host, nic)) choose_link(host, nic);
    drivers::NicBackend backend;
    if (on_macvtap(nic)) {
        backend = plug_macvtap(host, nic);
    } else if (nic.type == NicType::network || nic.type == NicType::bridge || nic.type == NicType::ethernet) {
        auto tap = make_tap(host, nic);
        backend = {std::move(tap.queues), std::move(tap.name)};
    } else {
        co_return backend;
    }
    std::exception_ptr failure;
    try {
        co_await settle_promise(host, guest, nic);
        if (is_on_switch(nic)) co_await host.networks().driver().add_switch_port(switch_port(guest, nic));
        if (nic.type == NicType::ethernet) co_await settle_alone(nic);
        if (const auto& limits = nic.actual_bandwidth()) co_await drivers::set_bandwidth(nic.target.dev, *limits);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        pull_plug(host, guest, nic);
        std::rethrow_exception(failure);
    }
    co_return backend;
}

static Task<> pull_behind(Host& host, xml::Nic nic) {
    if (is_on_switch(nic)) co_await host.networks().driver().remove_switch_port(nic.target.dev);
    if (nic.type == NicType::ethernet && !nic.downscript.empty()) co_await drivers::run_checked(script(nic.downscript, nic));
}

void pull_plug(Host& host, const xml::Domain& guest, const xml::Nic& nic) {
    const auto type = nic.actual_type();
    host.networks().forget_port(nic);
    try {
        const bool alone = nic.source.mode == xml::MacvtapMode::passthrough;
        if (type == NicType::direct)
            drivers::remove_macvtap(nic.target.dev, alone ? nic.source.dev : "", host.networks().driver().paths().run);
        else if (type == NicType::network || type == NicType::bridge)
            drivers::remove_tap(nic.target.dev);
    } catch (const std::exception& error) {
        log::warn("{}: cannot remove its tap: {}", guest.name, error.what());
    }
    if (is_on_switch(nic) || !nic.downscript.empty())
        rpc::spawn(host.executor(), guest.name + ": " + nic.target.dev, pull_behind(host, nic));
}

void place_on_network(Host& host, xml::Nic& nic) {
    nic.source.bridge = network_request(host, nic).bridge;
    const bool own = host.networks().find_name(nic.source.network)->current().has_own_bridge();
    if (!nic.actual) nic.actual = xml::NicActual{NicType::network, {}, nic.vlan, nic.virtual_port};
    nic.actual->type = own ? NicType::network : NicType::bridge;
    nic.actual->bandwidth = bandwidth_of(host, nic);
}

void move_plug(Host& host, const xml::Nic& nic, const std::string& tap) {
    const TapRequest request = make_request(host, nic);
    drivers::move_tap(tap, request);
}

void isolate_plug(const std::string& tap, bool isolated) { drivers::isolate_tap(tap, isolated); }

} // namespace lodge::daemon
