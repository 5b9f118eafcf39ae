// The kernel's side of host interfaces: a picture of it that can be put back, and the live move of addresses and routes from one
// link to another. These block: call them on the worker pool.
#pragma once
#include "drivers/host/netlink.hpp"
#include <nlohmann/json_fwd.hpp>

namespace lodge::drivers {

struct HostState {
    std::vector<LinkInfo> links;
    std::vector<AddressInfo> addresses;
    std::vector<RouteInfo> routes;

    static HostState take(Netlink& netlink);
    const LinkInfo* link(const std::string& name) const;
    const LinkInfo* link(int index) const;
    const LinkInfo& require(const std::string& name) const; // throws system_error "No such device"
    std::vector<const LinkInfo*> ports_of(int master) const;

    // Makes the kernel look like this again: ports leave masters that they did not have, addresses and routes come back, bridges,
    // bonds and VLANs that are not in the picture go. Goes on after a failure and throws the first at the end.
    // Links are known by their names: one that was made anew has another index.
    void restore(Netlink& netlink) const;
    HostState renumbered(const std::vector<LinkInfo>& now) const;

    // Kept on disk between changeBegin and changeRollback.
    nlohmann::json to_json() const;
    static HostState from_json(const nlohmann::json& json);
};

// Everything that was reached by way of `from` is reached by way of `to` afterwards: addresses with their lifetimes, then routes.
// A route is replaced, not removed and added, so that there is never a moment without it.
void move_addresses(Netlink& netlink, const LinkInfo& from, const LinkInfo& to);

} // namespace lodge::drivers
