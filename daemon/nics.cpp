#include "daemon/nics.hpp"
#include "daemon/domain.hpp"
#include "daemon/hooks.hpp"
#include "daemon/networks.hpp"
#include "daemon/nwfilters.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

using drivers::TapRequest;
using xml::NicType;

// Names that the kernel numbers; one that a document still carries from an earlier run is given anew.
static bool is_generated(const std::string& name) {
    return name.empty() || (name.starts_with("vnet") && name.find_first_not_of("0123456789", 4) == std::string::npos);
}

// What the kernel's bridges do not give a card is refused rather than left out.
void check_plug_options(Host& host, const xml::Nic& nic) {
    const std::string port = nic.virtual_port ? nic.virtual_port->type : "";
    if (nic.type == NicType::network && !port.empty()) {
        const auto network = host.networks().find_name(nic.source.network);
        rpc::fail(From::network, Code::config_unsupported, "<virtualport type='{}'> not supported for network '{}' which uses {}",
                  port, network->name(), network->current().has_own_bridge() ? "IP forwarding" : "a bridge device");
    }
    const bool tagged = nic.type == NicType::hostdev || (nic.type == NicType::bridge && port == "openvswitch") ||
                        (nic.type == NicType::direct && nic.source.mode == xml::MacvtapMode::passthrough);
    if (nic.vlan && !tagged)
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
    request.name = is_generated(nic.target.dev) ? "vnet%d" : nic.target.dev;
    if (nic.mac.address) request.guest_mac = *nic.mac.address;
    request.queues = nic.is_virtio() ? nic.driver.queues.value_or(1) : 1;
    request.vnet_header = nic.is_virtio();
    if (nic.port_isolated) request.isolated = *nic.port_isolated;
    request.link_up = nic.link != xml::NicLinkState::down;
    if (nic.source.mac_table_manager == xml::MacTableManager::libvirt) request.learn = false;
    if (nic.mtu) request.mtu = *nic.mtu;
    return request;
}

// A bridge knows no VLANs; only a switch of Open vSwitch does.
static drivers::NicBackend plug(Host& host, xml::Nic& nic) {
    check_plug_options(host, nic);
    if (nic.type != NicType::network && nic.type != NicType::bridge && nic.type != NicType::ethernet) return {};
    const TapRequest request = make_request(host, nic);
    auto tap = drivers::create_tap(request);
    nic.target.dev = tap.name;
    if (nic.type == NicType::network) {
        nic.source.bridge = request.bridge;
        nic.source.port_id = rpc::Uuid::random().text();
    }
    drivers::NicBackend backend;
    backend.taps = std::move(tap.queues);
    backend.tap_name = std::move(tap.name);
    return backend;
}

// libnss-libvirt resolves a guest's name by the MACs that are noted here. Worth a warning when it fails, not a guest.
static Task<> note_macs(Host& host, std::string domain, std::vector<std::pair<std::string, std::string>> plugs, bool present) {
    for (const auto& [bridge, mac] : plugs) {
        try {
            co_await host.networks().driver().note_guest_mac(bridge, domain, mac, present);
        } catch (const std::exception& error) {
            log::warn("{}: cannot note its MAC address: {}", domain, error.what());
        }
    }
}

// Only bridges that are ours have guests' names served by our dnsmasq.
static std::vector<std::pair<std::string, std::string>> noted_plugs(Host& host, const xml::Domain& live) {
    std::vector<std::pair<std::string, std::string>> plugs;
    for (const auto& network : host.networks().list(api::connect_list_networks_active))
        for (const auto& nic : live.devices.interfaces)
            if (network->live->has_own_bridge() && nic.type == NicType::network && nic.source.network == network->name() &&
                !nic.source.bridge.empty() && nic.mac.address)
                plugs.emplace_back(nic.source.bridge, nic.mac.address->text());
    return plugs;
}

// ---- filters ----

static xml::FilterBinding binding_of(const xml::Domain& live, const xml::Nic& nic) {
    xml::FilterBinding binding;
    binding.owner = {live.name, live.uuid};
    binding.port.name = nic.target.dev;
    binding.mac.address = nic.mac.address.value_or(xml::MacAddress{}).text();
    binding.reference = *nic.filterref;
    return binding;
}

// Before the guest may send anything. When one cannot be had, the others are given back.
static Task<> bind_filters(Host& host, std::vector<xml::FilterBinding> bindings) {
    std::exception_ptr failure;
    std::size_t done = 0;
    try {
        for (; done < bindings.size(); ++done) {
            const auto& binding = bindings[done];
            // The tap is new: what is bound to its name belongs to a tap of the past.
            if (host.nwfilters().bindings().contains(binding.port.name)) co_await host.nwfilters().unbind(binding.port.name);
            co_await host.nwfilters().bind(binding);
        }
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    while (done-- > 0) co_await host.nwfilters().release(bindings[done].port.name, bindings[done].owner.uuid);
    std::rethrow_exception(failure);
}

static std::vector<xml::FilterBinding> bindings_of(const xml::Domain& live) {
    std::vector<xml::FilterBinding> bindings;
    for (const auto& nic : live.devices.interfaces)
        if (nic.filterref && !nic.target.dev.empty()) bindings.push_back(binding_of(live, nic));
    return bindings;
}

Task<std::vector<drivers::NicBackend>> plug_nics(Host& host, xml::Domain& live) {
    std::vector<drivers::NicBackend> backends;
    if (live.type == xml::VirtType::test) co_return backends;
    // When one fails the queues of the others are closed, and with them the kernel removes their taps.
    std::exception_ptr failure;
    const bool hooked = host.hooks().has(HookKind::network);
    xml::Domain told; // the cards that hooks know of
    told.name = live.name;
    told.uuid = live.uuid;
    try {
        for (auto& nic : live.devices.interfaces) {
            backends.push_back(plug(host, nic));
            if (nic.bandwidth && !nic.target.dev.empty()) co_await drivers::set_bandwidth(nic.target.dev, *nic.bandwidth);
            if (!hooked || nic.type != NicType::network) continue;
            co_await host.networks().call_port_hook(live, nic);
            told.devices.interfaces.push_back(nic);
        }
        co_await bind_filters(host, bindings_of(live));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await tell_unplugged(host, std::move(told));
        std::rethrow_exception(failure);
    }
    co_await note_macs(host, live.name, noted_plugs(host, live), true);
    co_return backends;
}

Task<> tell_unplugged(Host& host, xml::Domain live) {
    for (const auto& nic : live.devices.interfaces)
        if (nic.type == NicType::network) co_await host.networks().tell_port_hook(live, nic);
}

// The names of taps that guests other than this one hold: a name may have been given to the next guest already.
static std::set<std::string> foreign_taps(Host& host, const xml::Domain& live) {
    std::set<std::string> names;
    for (const auto& hypervisor : host.hypervisors())
        for (const auto& domain : hypervisor->visible()) {
            if (!domain->is_active() || domain->uuid() == live.uuid) continue;
            for (const auto& nic : domain->current()->devices.interfaces) names.insert(nic.target.dev);
        }
    return names;
}

void unplug_nics(Host& host, const xml::Domain& live) {
    if (live.type == xml::VirtType::test) return;
    const auto foreign = foreign_taps(host, live);
    for (const auto& nic : live.devices.interfaces) {
        const bool ours = nic.type == NicType::network || nic.type == NicType::bridge;
        if (!ours || nic.target.dev.empty() || foreign.contains(nic.target.dev)) continue;
        try {
            drivers::remove_tap(nic.target.dev);
        } catch (const std::exception& error) {
            log::warn("{}: cannot remove its tap: {}", live.name, error.what());
        }
    }
    host.networks().forget_ports_of(live);
    for (const auto& binding : bindings_of(live))
        if (!foreign.contains(binding.port.name))
            rpc::spawn(host.executor(), live.name + ": filter", host.nwfilters().release(binding.port.name, live.uuid));
    if (auto plugs = noted_plugs(host, live); !plugs.empty())
        rpc::spawn(host.executor(), live.name + ": MAC notes", note_macs(host, live.name, std::move(plugs), false));
}

// A document with that card alone.
static xml::Domain with_one(const xml::Domain& domain, std::size_t place) {
    xml::Domain one;
    one.type = domain.type;
    one.name = domain.name;
    one.uuid = domain.uuid;
    one.devices.interfaces.push_back(domain.devices.interfaces.at(place));
    return one;
}

Task<drivers::NicBackend> plug_nic(Host& host, std::shared_ptr<xml::Domain> domain, std::size_t place) {
    xml::Domain one = with_one(*domain, place);
    auto backends = co_await plug_nics(host, one);
    domain->devices.interfaces.at(place) = std::move(one.devices.interfaces.front());
    co_return backends.empty() ? drivers::NicBackend{} : std::move(backends.front());
}

void unplug_nic(Host& host, const xml::Domain& domain, std::size_t place) {
    xml::Domain one = with_one(domain, place);
    unplug_nics(host, one);
    rpc::spawn(host.executor(), domain.name + ": hook", tell_unplugged(host, std::move(one)));
}

std::string bridge_for(Host& host, const xml::Nic& nic) { return network_request(host, nic).bridge; }

void move_plug(Host& host, const xml::Nic& nic, const std::string& tap) {
    const TapRequest request = make_request(host, nic);
    drivers::move_tap(tap, request);
}

void isolate_plug(const std::string& tap, bool isolated) { drivers::isolate_tap(tap, isolated); }

} // namespace lodge::daemon
