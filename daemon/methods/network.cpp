// Virtual networks: the calls of virsh net-*.
#include "daemon/method.hpp"
#include "daemon/networks.hpp"
#include "daemon/nics.hpp"
#include "daemon/schema.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using rpc::Nothing;

// The networks are the host's; guests that exist only in memory have no host.
Networks& networks(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "networks of the test driver");
    return client.host().networks();
}

NetworkPtr find(Client& client, const remote::NonnullNetwork& named) { return networks(client).find(named); }

// ---- lists and look-ups ----

std::vector<std::string> names(Client& client, unsigned filter, std::int32_t max) {
    if (max < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    std::vector<std::string> found;
    for (const auto& network : networks(client).list(filter))
        if (found.size() < static_cast<std::size_t>(max)) found.push_back(network->name());
    return found;
}

std::int32_t count(Client& client, unsigned filter) { return static_cast<std::int32_t>(networks(client).list(filter).size()); }

remote::ConnectNumOfNetworksRet num_active(Client& client, const Nothing&) {
    return {count(client, api::connect_list_networks_active)};
}
remote::ConnectNumOfDefinedNetworksRet num_inactive(Client& client, const Nothing&) {
    return {count(client, api::connect_list_networks_inactive)};
}
remote::ConnectListNetworksRet list_active(Client& client, const remote::ConnectListNetworksArgs& args) {
    return {names(client, api::connect_list_networks_active, args.maxnames)};
}
remote::ConnectListDefinedNetworksRet list_inactive(Client& client, const remote::ConnectListDefinedNetworksArgs& args) {
    return {names(client, api::connect_list_networks_inactive, args.maxnames)};
}

void check_filter(unsigned flags) {
    constexpr unsigned known = api::connect_list_networks_active | api::connect_list_networks_inactive |
                               api::connect_list_networks_persistent | api::connect_list_networks_transient |
                               api::connect_list_networks_autostart | api::connect_list_networks_no_autostart;
    if (flags & ~known)
        rpc::fail(Code::invalid_arg, "unsupported flags (0x{:x}) in function networkConnectListAllNetworks", flags & ~known);
}

remote::ConnectListAllNetworksRet list_all(Client& client, const remote::ConnectListAllNetworksArgs& args) {
    check_filter(args.flags);
    const auto found = networks(client).list(args.flags);
    remote::ConnectListAllNetworksRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& network : found) ret.nets.push_back(network->wire());
    return ret;
}

remote::NetworkLookupByNameRet lookup_by_name(Client& client, const remote::NetworkLookupByNameArgs& args) {
    return {networks(client).find_name(args.name)->wire()};
}
remote::NetworkLookupByUuidRet lookup_by_uuid(Client& client, const remote::NetworkLookupByUuidArgs& args) {
    return {networks(client).find_uuid(args.uuid)->wire()};
}

// ---- facts of one network ----

remote::NetworkIsActiveRet is_active(Client& client, const remote::NetworkIsActiveArgs& args) {
    return {find(client, args.net)->is_active()};
}
remote::NetworkIsPersistentRet is_persistent(Client& client, const remote::NetworkIsPersistentArgs& args) {
    return {find(client, args.net)->is_persistent()};
}
remote::NetworkGetAutostartRet get_autostart(Client& client, const remote::NetworkGetAutostartArgs& args) {
    return {find(client, args.net)->autostart};
}

remote::NetworkGetBridgeNameRet get_bridge_name(Client& client, const remote::NetworkGetBridgeNameArgs& args) {
    const auto network = find(client, args.net);
    const std::string bridge = network->current().bridge_name();
    if (bridge.empty())
        rpc::fail(From::network, Code::internal_error, "network '{}' does not have a bridge name.", network->name());
    return {bridge};
}

remote::NetworkGetXmlDescRet get_xml_desc(Client& client, const remote::NetworkGetXmlDescArgs& args) {
    const auto network = find(client, args.net);
    if ((args.flags & api::network_xml_inactive) || !network->is_active())
        return {xml::format_network(network->inactive(), {.live = false})};
    xml::Network document = *network->live;
    const auto plugged = networks(client).ports_of(*network).size();
    if (plugged > 0) document.connections = static_cast<unsigned>(plugged);
    return {xml::format_network(document, {.live = true})};
}

Task<remote::NetworkGetDhcpLeasesRet> get_dhcp_leases(ClientPtr client, remote::NetworkGetDhcpLeasesArgs args) {
    auto network = find(*client, args.net);
    std::optional<xml::MacAddress> mac;
    if (args.mac) {
        mac = xml::MacAddress::parse(*args.mac);
        if (!mac) rpc::fail(From::network, Code::invalid_mac, "{}", *args.mac);
    }
    const auto word = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
    remote::NetworkGetDhcpLeasesRet ret;
    for (const auto& lease : co_await networks(*client).leases(network, mac)) {
        ++ret.ret;
        if (!args.need_results) continue;
        ret.leases.push_back({.iface = lease.interface,
                              .expirytime = lease.expiry,
                              .type = static_cast<std::int32_t>(lease.ipv6 ? api::ip_addr_type_ipv6 : api::ip_addr_type_ipv4),
                              .mac = word(lease.mac),
                              .iaid = word(lease.iaid),
                              .ipaddr = lease.ip,
                              .prefix = lease.prefix,
                              .hostname = word(lease.hostname),
                              .clientid = word(lease.client_id)});
    }
    co_return ret;
}

// ---- changes ----

template<class Args> Task<remote::NonnullNetwork> define(ClientPtr client, Args args) {
    auto network = co_await networks(*client).define(xml::parse_network(args.xml, {.from = From::network, .where = {}}));
    co_return network->wire();
}
Task<remote::NetworkDefineXmlRet> define_xml(ClientPtr client, remote::NetworkDefineXmlArgs args) {
    co_return remote::NetworkDefineXmlRet{co_await define(std::move(client), std::move(args))};
}
Task<remote::NetworkDefineXmlFlagsRet> define_xml_flags(ClientPtr client, remote::NetworkDefineXmlFlagsArgs args) {
    co_await validate_if(args.flags & api::network_define_validate, args.xml, "network.rng");
    co_return remote::NetworkDefineXmlFlagsRet{co_await define(std::move(client), std::move(args))};
}

template<class Args> Task<remote::NonnullNetwork> create_from(ClientPtr client, Args args) {
    auto network = co_await networks(*client).create(xml::parse_network(args.xml, {.from = From::network, .where = {}}));
    co_return network->wire();
}
Task<remote::NetworkCreateXmlRet> create_xml(ClientPtr client, remote::NetworkCreateXmlArgs args) {
    co_return remote::NetworkCreateXmlRet{co_await create_from(std::move(client), std::move(args))};
}
Task<remote::NetworkCreateXmlFlagsRet> create_xml_flags(ClientPtr client, remote::NetworkCreateXmlFlagsArgs args) {
    co_await validate_if(args.flags & api::network_create_validate, args.xml, "network.rng");
    co_return remote::NetworkCreateXmlFlagsRet{co_await create_from(std::move(client), std::move(args))};
}

Task<> create(ClientPtr client, remote::NetworkCreateArgs args) {
    auto network = find(*client, args.net);
    co_await networks(*client).start(std::move(network));
}
Task<> destroy(ClientPtr client, remote::NetworkDestroyArgs args) {
    auto network = find(*client, args.net);
    co_await networks(*client).destroy(std::move(network));
}
Task<> undefine(ClientPtr client, remote::NetworkUndefineArgs args) {
    auto network = find(*client, args.net);
    co_await networks(*client).undefine(std::move(network));
}
Task<> set_autostart(ClientPtr client, remote::NetworkSetAutostartArgs args) {
    auto network = find(*client, args.net);
    co_await networks(*client).set_autostart(std::move(network), args.autostart != 0);
}

Task<> update(ClientPtr client, remote::NetworkUpdateArgs args) {
    auto network = find(*client, args.net);
    Networks::Change change{static_cast<xml::NetworkUpdateCommand>(args.command),
                            static_cast<xml::NetworkUpdateSection>(args.section), args.parentIndex, std::move(args.xml),
                            args.flags};
    co_await networks(*client).update(std::move(network), std::move(change));
}

// ---- events ----

remote::ConnectNetworkEventRegisterAnyRet register_event(Client& client, const remote::ConnectNetworkEventRegisterAnyArgs& args) {
    networks(client);
    if (args.eventID < 0 || args.eventID >= static_cast<int>(api::network_event_id_last))
        rpc::fail(From::rpc, Code::internal_error, "unsupported network event ID {}", args.eventID);
    Subscription subscription{
        .client = &client, .kind = EventKind::network, .event = args.eventID, .scope = nullptr, .object = {}, .pattern = {}};
    if (args.net) subscription.object = find(client, *args.net)->uuid();
    return {client.host().events().add(std::move(subscription))};
}

void deregister_event(Client& client, const remote::ConnectNetworkEventDeregisterAnyArgs& args) {
    client.host().events().remove_known(client, EventKind::network, args.callbackID, "network");
}

// ---- ports: what is plugged into a running network ----

NetworkPtr find_running(Client& client, const remote::NonnullNetwork& named) {
    auto network = find(client, named);
    if (!network->is_active()) rpc::fail(From::network, Code::operation_invalid, "network '{}' is not active", network->name());
    return network;
}

xml::NetworkPort find_port(Client& client, const remote::NonnullNetworkPort& named) {
    return networks(client).find_port(*find(client, named.net), named.uuid);
}

remote::NetworkListAllPortsRet list_all_ports(Client& client, const remote::NetworkListAllPortsArgs& args) {
    const auto network = find_running(client, args.network);
    const auto ports = networks(client).ports_of(*network);
    remote::NetworkListAllPortsRet ret{{}, static_cast<std::uint32_t>(ports.size())};
    if (args.need_results)
        for (const auto& port : ports) ret.ports.push_back({network->wire(), port.uuid});
    return ret;
}

remote::NetworkPortLookupByUuidRet lookup_port(Client& client, const remote::NetworkPortLookupByUuidArgs& args) {
    const auto network = find(client, args.network);
    return {{network->wire(), networks(client).find_port(*network, args.uuid).uuid}};
}

remote::NetworkPortGetXmlDescRet get_port_xml(Client& client, const remote::NetworkPortGetXmlDescArgs& args) {
    return {xml::format_network_port(find_port(client, args.port))};
}

Task<remote::NetworkPortCreateXmlRet> create_port(ClientPtr client, remote::NetworkPortCreateXmlArgs args) {
    co_await validate_if(args.flags & api::network_port_create_validate, args.xml, "networkport.rng");
    auto network = find(*client, args.network);
    auto port = xml::parse_network_port(args.xml);
    remote::NetworkPortCreateXmlRet ret{{network->wire(), port.uuid}};
    co_await networks(*client).create_port(std::move(network), std::move(port), args.flags & api::network_port_create_reclaim);
    co_return ret;
}

Task<> delete_port(ClientPtr client, remote::NetworkPortDeleteArgs args) {
    auto network = find(*client, args.port.net);
    co_await networks(*client).delete_port(std::move(network), args.port.uuid);
}

// The names of virNetworkPortSetParameters, each with its place in the document.
struct BandwidthParameter {
    const char* name;
    std::optional<xml::BandwidthRate> xml::Bandwidth::* side;
    std::optional<xml::Rate> xml::BandwidthRate::* rate;
};
constexpr BandwidthParameter bandwidth_parameters[] = {
    {api::network_port_bandwidth_in_average, &xml::Bandwidth::inbound, &xml::BandwidthRate::average},
    {api::network_port_bandwidth_in_peak, &xml::Bandwidth::inbound, &xml::BandwidthRate::peak},
    {api::network_port_bandwidth_in_floor, &xml::Bandwidth::inbound, &xml::BandwidthRate::floor},
    {api::network_port_bandwidth_in_burst, &xml::Bandwidth::inbound, &xml::BandwidthRate::burst},
    {api::network_port_bandwidth_out_average, &xml::Bandwidth::outbound, &xml::BandwidthRate::average},
    {api::network_port_bandwidth_out_peak, &xml::Bandwidth::outbound, &xml::BandwidthRate::peak},
    {api::network_port_bandwidth_out_burst, &xml::Bandwidth::outbound, &xml::BandwidthRate::burst}};

remote::NetworkPortGetParametersRet get_port_parameters(Client& client, const remote::NetworkPortGetParametersArgs& args) {
    const auto port = find_port(client, args.port);
    find_running(client, args.port.net);
    remote::NetworkPortGetParametersRet ret;
    for (const auto& parameter : bandwidth_parameters) {
        if (!port.bandwidth || !(port.bandwidth.value().*parameter.side)) continue;
        const auto rate = *(port.bandwidth.value().*parameter.side).*parameter.rate;
        ret.params.push_back({parameter.name, static_cast<std::uint32_t>(rate ? rate->value : 0)});
    }
    ret.nparams = static_cast<std::int32_t>(ret.params.size());
    if (args.nparams == 0) ret.params.clear();
    return ret;
}

Task<> set_port_parameters(ClientPtr client, remote::NetworkPortSetParametersArgs args) {
    xml::Bandwidth bandwidth;
    for (const auto& given : args.params) {
        const auto at = std::ranges::find(bandwidth_parameters, given.field, &BandwidthParameter::name);
        const auto* value = std::get_if<std::uint32_t>(&given.value);
        if (at == std::end(bandwidth_parameters))
            rpc::fail(From::none, Code::invalid_arg, "parameter '{}' not supported", given.field);
        if (!value) rpc::fail(From::none, Code::invalid_arg, "invalid type for parameter '{}', expected 'uint'", given.field);
        if (*value == 0) continue;
        auto& side = bandwidth.*at->side;
        if (!side) side.emplace();
        *side.*at->rate = xml::Rate{*value};
    }
    // A side without average or floor says nothing.
    if (bandwidth.inbound && !bandwidth.inbound->average && !bandwidth.inbound->floor) bandwidth.inbound.reset();
    if (bandwidth.outbound && !bandwidth.outbound->average) bandwidth.outbound.reset();
    const bool any = bandwidth.inbound || bandwidth.outbound;
    co_await networks(*client).set_port_bandwidth(find(*client, args.port.net), args.port.uuid,
                                                  any ? std::optional(bandwidth) : std::nullopt);
}

constexpr Method table[] = {
    on<remote::ConnectNumOfNetworksCall, num_active>(),
    on<remote::ConnectNumOfDefinedNetworksCall, num_inactive>(),
    on<remote::ConnectListNetworksCall, list_active>(),
    on<remote::ConnectListDefinedNetworksCall, list_inactive>(),
    on<remote::ConnectListAllNetworksCall, list_all>(),
    on<remote::NetworkLookupByNameCall, lookup_by_name>(),
    on<remote::NetworkLookupByUuidCall, lookup_by_uuid>(),
    on<remote::NetworkIsActiveCall, is_active>(),
    on<remote::NetworkIsPersistentCall, is_persistent>(),
    on<remote::NetworkGetAutostartCall, get_autostart>(),
    on<remote::NetworkGetBridgeNameCall, get_bridge_name>(),
    on<remote::NetworkGetXmlDescCall, get_xml_desc>(),
    on<remote::NetworkGetDhcpLeasesCall, get_dhcp_leases>(),
    on<remote::NetworkDefineXmlCall, define_xml>(),
    on<remote::NetworkDefineXmlFlagsCall, define_xml_flags>(),
    on<remote::NetworkCreateXmlCall, create_xml>(),
    on<remote::NetworkCreateXmlFlagsCall, create_xml_flags>(),
    on<remote::NetworkCreateCall, create>(),
    on<remote::NetworkDestroyCall, destroy>(),
    on<remote::NetworkUndefineCall, undefine>(),
    on<remote::NetworkSetAutostartCall, set_autostart>(),
    on<remote::NetworkUpdateCall, update>(),
    on<remote::ConnectNetworkEventRegisterAnyCall, register_event>(),
    on<remote::ConnectNetworkEventDeregisterAnyCall, deregister_event>(),
    on<remote::NetworkListAllPortsCall, list_all_ports>(),
    on<remote::NetworkPortLookupByUuidCall, lookup_port>(),
    on<remote::NetworkPortGetXmlDescCall, get_port_xml>(),
    on<remote::NetworkPortCreateXmlCall, create_port>(),
    on<remote::NetworkPortDeleteCall, delete_port>(),
    on<remote::NetworkPortGetParametersCall, get_port_parameters>(),
    on<remote::NetworkPortSetParametersCall, set_port_parameters>(),
};

} // namespace

const MethodTable methods::network = table;

} // namespace lodge::daemon
