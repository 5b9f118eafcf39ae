// What is plugged into running networks. Of a guest's plug nothing is kept: its live document says it all, unless a client has
// changed it. What clients plugged in by themselves is kept in /run, as libvirt keeps it.
#include "daemon/domain.hpp"
#include "daemon/networks.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

std::string Networks::port_folder(const std::string& name) const { return host_.paths().run + "/network/" + name + "/ports"; }
std::string Networks::port_file(const Network& network, const rpc::Uuid& uuid) const {
    return port_folder(network.name()) + "/" + uuid.text() + ".xml";
}

// ---- guests' plugs ----

xml::NetworkPort port_of(const xml::Domain& guest, const xml::Nic& nic, const rpc::Uuid& uuid, const xml::Network& network) {
    xml::NetworkPort port;
    port.uuid = uuid;
    port.owner = {guest.name, guest.uuid};
    port.group = nic.source.portgroup;
    port.mac.address = nic.mac.address.value_or(xml::MacAddress{}).text();
    port.bandwidth = nic.actual_bandwidth();
    port.vlan = nic.actual_vlan();
    port.virtual_port = nic.actual_virtual_port();
    if (nic.port_isolated) port.port = xml::PortIsolation{nic.port_isolated};
    if (nic.trust_guest_rx_filters) port.rx_filters = xml::PortRxFilters{nic.trust_guest_rx_filters};
    try {
        xml::complete_network_port(port, network);
    } catch (const rpc::Error&) {
        // The network has changed since; the guest runs all the same.
    }
    return port;
}

static void add_guest_ports(const xml::Domain& guest, const Network& network, std::map<rpc::Uuid, xml::NetworkPort>& ports) {
    for (const auto& nic : guest.devices.interfaces) {
        const auto uuid = rpc::Uuid::parse(nic.source.port_id);
        if (nic.type != xml::NicType::network || nic.source.network != network.name() || !uuid) continue;
        if (!ports.contains(*uuid)) ports.emplace(*uuid, port_of(guest, nic, *uuid, *network.live));
    }
}

std::vector<xml::NetworkPort> Networks::ports_of(const Network& network) const {
    std::vector<xml::NetworkPort> found;
    if (!network.is_active()) return found;
    auto ports = network.ports;
    for (const auto& hypervisor : host_.hypervisors()) {
        if (!hypervisor->is_persistent()) continue;
        for (const auto& domain : hypervisor->visible())
            if (domain->is_active()) add_guest_ports(*domain->current(), network, ports);
    }
    for (auto& [uuid, port] : ports) found.push_back(std::move(port));
    return found;
}

xml::NetworkPort Networks::find_port(const Network& network, const rpc::Uuid& uuid) const {
    for (auto& port : ports_of(network))
        if (port.uuid == uuid) return port;
    rpc::fail(From::network, Code::no_network_port, "Network port with UUID {} does not exist", uuid.text());
}

// ---- changes ----

static void require_running(const Network& network) {
    if (!network.is_active()) rpc::fail(From::network, Code::operation_invalid, "network '{}' is not active", network.name());
}

Task<> Networks::keep_port(NetworkPtr network, xml::NetworkPort port) {
    co_await store::replace_volatile(port_file(*network, port.uuid), xml::format_network_port(port));
    network->ports[port.uuid] = std::move(port);
}

Task<> Networks::create_port(NetworkPtr network, xml::NetworkPort port, bool reclaim) {
    auto job = co_await network->acquire("virNetworkPortCreateXML");
    require_running(*network);
    if (reclaim && !port.plug) rpc::fail(From::network, Code::invalid_arg, "Port reclaim requested but plug type is none");
    if (!reclaim && port.plug)
        rpc::fail(From::network, Code::invalid_arg, "Port reclaim not requested but plug type is not none");
    if (!reclaim) xml::complete_network_port(port, *network->live);
    for (const auto& known : ports_of(*network))
        if (known.uuid == port.uuid)
            rpc::fail(From::network, Code::network_port_exist, "Network port with UUID {} already exists", port.uuid.text());
    co_await call_hook(*network->live, port, "port-created");
    co_await promise(network, port);
    if (!network->ports.contains(port.uuid)) co_await keep_port(network, std::move(port));
}

// Whose guest runs, its plug stays.
Task<> Networks::delete_port(NetworkPtr network, rpc::Uuid uuid) {
    auto job = co_await network->acquire("virNetworkPortDelete");
    const auto port = find_port(*network, uuid);
    for (const auto& hypervisor : host_.hypervisors()) {
        const auto owner = hypervisor->domains.by_uuid(port.owner.uuid);
        if (!owner || !owner->is_active()) continue;
        std::map<rpc::Uuid, xml::NetworkPort> plugs;
        add_guest_ports(*owner->current(), *network, plugs);
        if (plugs.contains(uuid))
            rpc::fail(From::network, Code::operation_invalid, "network port {} is in use by domain '{}'", uuid.text(),
                      owner->name());
    }
    store::remove_now(port_file(*network, uuid));
    network->ports.erase(uuid);
    if (const auto class_id = class_of(port)) co_await release_class(network, class_id);
    co_await tell_hook(network->current(), port, "port-deleted", "begin");
}

Task<> Networks::set_port_bandwidth(NetworkPtr network, rpc::Uuid uuid, std::optional<xml::Bandwidth> bandwidth) {
    auto job = co_await network->acquire("virNetworkPortSetParameters");
    auto port = find_port(*network, uuid);
    require_running(*network);
    port.bandwidth = std::move(bandwidth);
    co_await promise(network, port);
    const auto kept = network->ports.find(uuid);
    if (kept == network->ports.end() || !class_of(kept->second)) co_await keep_port(network, std::move(port));
}

Task<> Networks::load_ports(NetworkPtr network) {
    const std::string folder = port_folder(network->name());
    for (const auto& file : co_await rpc::blocking_result([folder] { return store::read_folder(folder); })) {
        try {
            if (!file.error.empty()) rpc::fail(Code::internal_error, "{}", file.error);
            auto port = xml::parse_network_port(file.text, {.from = From::network, .where = file.path});
            network->ports[port.uuid] = std::move(port);
        } catch (const std::exception& error) {
            log::error("cannot take up the network port of {}: {}", file.path, error.what());
        }
    }
}

} // namespace lodge::daemon
