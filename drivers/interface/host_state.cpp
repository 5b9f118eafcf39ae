#include "drivers/interface/host_state.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <linux/rtnetlink.h>
#include <map>
#include <nlohmann/json.hpp>

namespace lodge::drivers {

using Json = nlohmann::json;

HostState HostState::take(Netlink& netlink) { return {netlink.links(), netlink.addresses(), netlink.routes()}; }

const LinkInfo* HostState::link(const std::string& name) const {
    const auto at = std::ranges::find(links, name, &LinkInfo::name);
    return at == links.end() ? nullptr : &*at;
}
const LinkInfo* HostState::link(int index) const {
    const auto at = std::ranges::find(links, index, &LinkInfo::index);
    return at == links.end() ? nullptr : &*at;
}
const LinkInfo& HostState::require(const std::string& name) const {
    const auto* found = link(name);
    if (!found) rpc::fail_errno(ENODEV, fmt::format("Unable to get index for interface {}", name));
    return *found;
}
std::vector<const LinkInfo*> HostState::ports_of(int master) const {
    std::vector<const LinkInfo*> ports;
    for (const auto& each : links)
        if (each.master == master) ports.push_back(&each);
    return ports;
}

static bool link_local(const AddressInfo& address) {
    return address.address.is_v6() && address.address.bytes()[0] == 0xfe && (address.address.bytes()[1] & 0xc0) == 0x80;
}

// What the kernel makes by itself for each address or link.
static bool automatic(const RouteInfo& route) {
    if (route.protocol == RTPROT_KERNEL || route.type != RTN_UNICAST) return true;
    return route.v6 && !route.is_default() && route.destination.bytes()[0] == 0xfe && route.destination.bytes()[1] == 0x80;
}

// Routes to neighbours first: gateways are reached through them.
static std::vector<RouteInfo> movable_routes(const std::vector<RouteInfo>& routes, int index) {
    std::vector<RouteInfo> found;
    for (const auto& route : routes)
        if (route.index == index && !automatic(route)) found.push_back(route);
    std::ranges::sort(found, {}, [](const RouteInfo& route) { return !route.gateway.empty(); });
    return found;
}

void move_addresses(Netlink& netlink, const LinkInfo& from, const LinkInfo& to) {
    const auto addresses = netlink.addresses(from.index);
    const auto routes = movable_routes(netlink.routes(), from.index);
    for (auto address : addresses) {
        if (link_local(address)) continue; // each link has its own
        address.index = to.index;
        netlink.add_address(address, true);
    }
    for (const auto& route : routes) netlink.add_route_like(route, to.index);
    for (const auto& address : addresses)
        if (!link_local(address)) netlink.remove_address(address);
    // What could not be replaced because its old form was tied to the link.
    for (const auto& route : movable_routes(netlink.routes(), from.index)) netlink.remove_route(route);
}

// ---- putting back ----

namespace {

bool virtual_master(const LinkInfo& link) { return link.kind == "bridge" || link.kind == "bond" || link.kind == "vlan"; }
bool same_address(const AddressInfo& a, const AddressInfo& b) {
    return a.index == b.index && a.address == b.address && a.prefix == b.prefix;
}
bool same_route(const RouteInfo& a, const RouteInfo& b) {
    return a.index == b.index && a.v6 == b.v6 && a.destination == b.destination && a.prefix == b.prefix &&
           a.gateway == b.gateway && a.metric == b.metric;
}

struct Restorer {
    Netlink& netlink;
    const HostState& wanted;
    std::exception_ptr failure = {};

    // One step that fails must not keep the others from being done.
    template<class F> void attempt(F step) {
        try {
            step();
        } catch (...) {
            if (!failure) failure = std::current_exception();
        }
    }

    void masters() {
        for (const auto& now : netlink.links()) {
            const auto* then = wanted.link(now.index);
            if (!then || then->name != now.name) continue;
            if (then->master != now.master) attempt([&] { netlink.change_link(now.index, now.name, {.master = then->master}); });
            if (then->is_up() && !now.is_up()) attempt([&] { netlink.change_link(now.index, now.name, {.up = true}); });
        }
    }
    void addresses() {
        const auto now = netlink.addresses();
        for (const auto& each : wanted.addresses)
            if (!link_local(each) && std::ranges::none_of(now, [&](const auto& other) { return same_address(each, other); }))
                attempt([&] { netlink.add_address(each, true); });
    }
    void routes() {
        const auto now = netlink.routes();
        for (const bool through_gateway : {false, true})
            for (const auto& each : wanted.routes)
                if (each.index && !automatic(each) && each.gateway.empty() != through_gateway &&
                    std::ranges::none_of(now, [&](const auto& other) { return same_route(each, other); }))
                    attempt([&] { netlink.add_route_like(each, each.index); });
    }
    void newcomers() {
        for (const auto& now : netlink.links())
            if (!wanted.link(now.index) && virtual_master(now)) attempt([&] { netlink.delete_link(now.index, now.name); });
        for (const auto& now : netlink.addresses())
            if (wanted.link(now.index) && !link_local(now) &&
                std::ranges::none_of(wanted.addresses, [&](const auto& each) { return same_address(each, now); }))
                attempt([&] { netlink.remove_address(now); });
        for (const auto& now : netlink.links()) {
            const auto* then = wanted.link(now.index);
            if (then && !then->is_up() && now.is_up()) attempt([&] { netlink.change_link(now.index, now.name, {.up = false}); });
        }
    }
};

} // namespace

HostState HostState::renumbered(const std::vector<LinkInfo>& now) const {
    std::map<int, int> numbers;
    for (const auto& then : links)
        if (const auto at = std::ranges::find(now, then.name, &LinkInfo::name); at != now.end()) numbers[then.index] = at->index;
    const auto number = [&](int index) { return numbers.contains(index) ? numbers[index] : index; };
    auto state = *this;
    for (auto& each : state.links) each.index = number(each.index), each.master = number(each.master);
    for (auto& each : state.addresses) each.index = number(each.index);
    for (auto& each : state.routes) each.index = number(each.index);
    return state;
}

void HostState::restore(Netlink& netlink) const {
    const auto wanted = renumbered(netlink.links());
    Restorer restorer{netlink, wanted};
    restorer.masters();
    restorer.addresses();
    restorer.routes();
    restorer.newcomers();
    restorer.routes(); // the kernel dropped what hung on the newcomers
    if (restorer.failure) std::rethrow_exception(restorer.failure);
}

// ---- on disk ----

Json HostState::to_json() const {
    auto json = Json{{"links", Json::array()}, {"addresses", Json::array()}, {"routes", Json::array()}};
    for (const auto& each : links)
        json["links"].push_back({{"index", each.index},
                                 {"name", each.name},
                                 {"kind", each.kind},
                                 {"flags", each.flags},
                                 {"mtu", each.mtu},
                                 {"mac", each.mac},
                                 {"master", each.master}});
    for (const auto& each : addresses)
        json["addresses"].push_back({{"index", each.index},
                                     {"address", each.address.text()},
                                     {"prefix", each.prefix},
                                     {"scope", each.scope},
                                     {"flags", each.flags},
                                     {"valid", each.valid},
                                     {"preferred", each.preferred}});
    for (const auto& each : routes)
        json["routes"].push_back({{"index", each.index},
                                  {"v6", each.v6},
                                  {"destination", each.destination.text()},
                                  {"prefix", each.prefix},
                                  {"gateway", each.gateway.text()},
                                  {"metric", each.metric ? Json(*each.metric) : Json()},
                                  {"protocol", each.protocol},
                                  {"type", each.type},
                                  {"message", each.message}});
    return json;
}

HostState HostState::from_json(const Json& json) {
    HostState state;
    for (const auto& each : json.at("links")) {
        LinkInfo link;
        each.at("index").get_to(link.index);
        each.at("name").get_to(link.name);
        each.at("kind").get_to(link.kind);
        each.at("flags").get_to(link.flags);
        each.at("mtu").get_to(link.mtu);
        each.at("mac").get_to(link.mac);
        each.at("master").get_to(link.master);
        state.links.push_back(std::move(link));
    }
    for (const auto& each : json.at("addresses")) {
        AddressInfo address;
        each.at("index").get_to(address.index);
        address.address = xml::IpAddress(each.at("address").get<std::string>());
        each.at("prefix").get_to(address.prefix);
        each.at("scope").get_to(address.scope);
        each.at("flags").get_to(address.flags);
        each.at("valid").get_to(address.valid);
        each.at("preferred").get_to(address.preferred);
        state.addresses.push_back(std::move(address));
    }
    for (const auto& each : json.at("routes")) {
        RouteInfo route;
        each.at("index").get_to(route.index);
        each.at("v6").get_to(route.v6);
        route.destination = xml::IpAddress(each.at("destination").get<std::string>());
        each.at("prefix").get_to(route.prefix);
        route.gateway = xml::IpAddress(each.at("gateway").get<std::string>());
        if (!each.at("metric").is_null()) route.metric = each.at("metric").get<std::uint32_t>();
        each.at("protocol").get_to(route.protocol);
        each.at("type").get_to(route.type);
        each.at("message").get_to(route.message);
        state.routes.push_back(std::move(route));
    }
    return state;
}

} // namespace lodge::drivers
