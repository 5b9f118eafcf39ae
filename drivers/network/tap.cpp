#include "drivers/host/netlink.hpp"
#include "drivers/network/network_driver.hpp"
#include "rpc/error.hpp"
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace lodge::drivers {

static rpc::Fd open_queue(ifreq& request, const std::string& wanted) {
    rpc::Fd queue(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!queue) rpc::fail_errno(errno, "Unable to open /dev/net/tun, is tun module loaded?");
    if (ioctl(queue.get(), TUNSETIFF, &request) < 0)
        rpc::fail_errno(errno, fmt::format("Unable to create tap device {}", wanted));
    return queue;
}

// The bridge takes the lowest address of its ports as its own unless told otherwise; 0xfe in front is never the lowest.
static xml::MacAddress tap_mac(xml::MacAddress guest) {
    guest.bytes[0] = guest.bytes[0] == 0xfe ? 0xfa : 0xfe;
    return guest;
}

static std::vector<rpc::Fd> open_vhosts(unsigned count) {
    std::vector<rpc::Fd> vhosts;
    for (unsigned i = 0; i < count; ++i) {
        rpc::Fd vhost(::open("/dev/vhost-net", O_RDWR | O_CLOEXEC));
        if (!vhost) return {}; // QEMU moves the packets itself then
        vhosts.push_back(std::move(vhost));
    }
    return vhosts;
}

// The kernel knows no forward delay below 2 s while STP is on, whatever the document says; but a port that already forwards when
// STP is turned on goes on doing so. Only for bridges whose ports are guests, where nothing can loop meanwhile.
static void plug_in(Netlink& netlink, const LinkInfo& bridge, int index, const std::string& name, bool at_once) {
    const bool pause = at_once && bridge.stp == 1;
    if (pause) netlink.change_bridge(bridge.index, bridge.name, false, std::nullopt);
    try {
        netlink.change_link(index, name, {.up = true});
    } catch (...) {
        if (pause) netlink.change_bridge(bridge.index, bridge.name, true, std::nullopt);
        throw;
    }
    if (pause) netlink.change_bridge(bridge.index, bridge.name, true, std::nullopt);
}

static std::optional<LinkInfo> find_bridge(Netlink& netlink, const std::string& name) {
    if (name.empty()) return std::nullopt;
    auto bridge = netlink.link(name);
    if (!bridge) rpc::fail_errno(ENODEV, fmt::format("Cannot get interface MTU on '{}'", name));
    if (bridge->kind != "bridge") rpc::fail(rpc::Code::config_unsupported, "network interface '{}' is no bridge", name);
    return bridge;
}

Tap create_tap(const TapRequest& request) {
    Netlink netlink;
    const auto bridge = find_bridge(netlink, request.bridge);
    const std::string wanted = request.name.empty() ? "vnet%d" : request.name;
    if (wanted.size() >= IFNAMSIZ) rpc::fail_errno(ENAMETOOLONG, fmt::format("Unable to create tap device {}", wanted));
    ifreq kernel{};
    std::strncpy(kernel.ifr_name, wanted.c_str(), IFNAMSIZ - 1);
    kernel.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (request.vnet_header ? IFF_VNET_HDR : 0) |
                                          (request.queues > 1 ? IFF_MULTI_QUEUE : 0));
    Tap tap;
    tap.queues.push_back(open_queue(kernel, wanted)); // the kernel put the number into the name
    tap.name = kernel.ifr_name;
    while (tap.queues.size() < request.queues) tap.queues.push_back(open_queue(kernel, tap.name));

    // From here on a failure closes the queues, and with the last of them the kernel removes the tap.
    const int index = netlink.index_of(tap.name);
    Netlink::Change change{.mtu = request.mtu, .mac = tap_mac(request.guest_mac)};
    if (bridge) {
        change.master = bridge->index;
        if (!change.mtu) change.mtu = bridge->mtu;
    }
    netlink.change_link(index, tap.name, change);
    if (bridge && (request.isolated || !request.learn)) {
        Netlink::BridgePort port;
        if (request.isolated) port.isolated = true;
        if (!request.learn) port.learning = port.flood = false;
        netlink.change_port(index, tap.name, port);
    }
    if (request.link_up && bridge)
        plug_in(netlink, *bridge, index, tap.name, request.forward_at_once);
    else if (request.link_up)
        netlink.change_link(index, tap.name, {.up = true});
    if (request.vhost) tap.vhosts = open_vhosts(request.queues);
    return tap;
}

void remove_tap(const std::string& name) {
    Netlink netlink;
    const auto link = netlink.link(name);
    if (!link || link->kind != "tun") return;
    try {
        netlink.delete_link(link->index, name);
    } catch (const rpc::Error&) {
        if (netlink.link(name)) throw; // it went by itself
    }
}

void set_tap_link(const std::string& name, bool up) {
    Netlink netlink;
    netlink.change_link(netlink.index_of(name), name, {.up = up});
}

void isolate_tap(const std::string& name, bool isolated) {
    Netlink netlink;
    Netlink::BridgePort port;
    port.isolated = isolated;
    netlink.change_port(netlink.index_of(name), name, port);
}

void move_tap(const std::string& name, const TapRequest& request) {
    Netlink netlink;
    const auto bridge = netlink.link(request.bridge);
    if (!bridge) rpc::fail(rpc::Code::operation_failed, "bridge {} doesn't exist", request.bridge);
    if (bridge->kind != "bridge") rpc::fail(rpc::Code::config_unsupported, "network interface '{}' is no bridge", request.bridge);
    const int index = netlink.index_of(name);
    const auto before = netlink.link(name);
    netlink.change_link(index, name, {.master = bridge->index});
    if (!request.isolated && request.learn) return;
    try {
        Netlink::BridgePort port;
        if (request.isolated) port.isolated = true;
        if (!request.learn) port.learning = port.flood = false;
        netlink.change_port(index, name, port);
    } catch (...) {
        if (before && before->master) netlink.change_link(index, name, {.master = before->master});
        throw;
    }
}

} // namespace lodge::drivers
