#include "daemon/nics.hpp"
#include "daemon/domain.hpp"
#include "daemon/hooks.hpp"
#include "daemon/networks.hpp"
#include "daemon/nic_plug.hpp"
#include "daemon/nwfilters.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

using xml::NicType;

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
    std::exception_ptr failure;
    const bool hooked = host.hooks().has(HookKind::network);
    xml::Domain told; // the cards that hooks know of
    told.name = live.name;
    told.uuid = live.uuid;
    try {
        for (auto& nic : live.devices.interfaces) {
            backends.push_back(co_await make_plug(host, live, nic));
            if (!hooked || nic.type != NicType::network) continue;
            co_await host.networks().call_port_hook(live, nic);
            told.devices.interfaces.push_back(nic);
        }
        co_await bind_filters(host, bindings_of(live));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        for (std::size_t i = 0; i < backends.size(); ++i) pull_plug(host, live, live.devices.interfaces[i]);
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
    for (const auto& nic : live.devices.interfaces)
        if (!nic.target.dev.empty() && !foreign.contains(nic.target.dev)) pull_plug(host, live, nic);
    for (const auto& nic : live.devices.interfaces) host.networks().forget_port(nic);
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

} // namespace lodge::daemon
