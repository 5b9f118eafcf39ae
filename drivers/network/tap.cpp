#include "drivers/network/tap.hpp"
#include "drivers/host/netlink.hpp"
#include "rpc/error.hpp"
#include <cstring>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace lodge::drivers {

static rpc::Fd open_queue(ifreq& request, const std::string& device, const std::string& wanted) {
    rpc::Fd queue(::open(device.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!queue) rpc::fail_errno(errno, fmt::format("Unable to open {}, is tun module loaded?", device));
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

static std::optional<LinkInfo> find_bridge(Netlink& netlink, const TapRequest& request) {
    const auto& name = request.bridge;
    if (name.empty()) return std::nullopt;
    auto bridge = netlink.link(name);
    if (!bridge) rpc::fail_errno(ENODEV, fmt::format("Cannot get interface MTU on '{}'", name));
    if (bridge->kind != "bridge" && !request.on_switch)
        rpc::fail(rpc::Code::config_unsupported, "network interface '{}' is no bridge", name);
    return bridge;
}

static void gather_frames(const std::string& tap, unsigned count) {
    const rpc::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_coalesce settings{};
    settings.cmd = ETHTOOL_GCOALESCE;
    ifreq request{};
    tap.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&settings);
    bool done = ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
    settings.cmd = ETHTOOL_SCOALESCE;
    settings.rx_max_coalesced_frames = count;
    done = done && ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
    if (!done) rpc::fail_errno(errno, fmt::format("Cannot set coalesce info on '{}'", tap));
}

// The tap is there, and how it stands is somebody else's business.
static Tap open_tap(Netlink& netlink, const TapRequest& request, ifreq& kernel) {
    if (!netlink.link(request.name)) rpc::fail(rpc::Code::internal_error, "target managed='no' but specified dev doesn't exist");
    Tap tap;
    tap.name = request.name;
    while (tap.queues.size() < request.queues) tap.queues.push_back(open_queue(kernel, request.device, tap.name));
    return tap;
}

Tap create_tap(const TapRequest& request) {
    Netlink netlink;
    const auto bridge = find_bridge(netlink, request);
    const std::string wanted = request.name.empty() ? "vnet%d" : request.name;
    if (wanted.size() >= IFNAMSIZ) rpc::fail_errno(ENAMETOOLONG, fmt::format("Unable to create tap device {}", wanted));
    ifreq kernel{};
    std::strncpy(kernel.ifr_name, wanted.c_str(), IFNAMSIZ - 1);
    kernel.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (request.vnet_header ? IFF_VNET_HDR : 0) |
                                          (request.queues > 1 ? IFF_MULTI_QUEUE : 0));
    if (request.as_it_is) return open_tap(netlink, request, kernel);
    Tap tap;
    tap.queues.push_back(open_queue(kernel, request.device, wanted)); // the kernel put the number into the name
    tap.name = kernel.ifr_name;
    while (tap.queues.size() < request.queues) tap.queues.push_back(open_queue(kernel, request.device, tap.name));

    // From here on a failure closes the queues, and with the last of them the kernel removes the tap.
    const int index = netlink.index_of(tap.name);
    Netlink::Change change{.mtu = request.mtu, .mac = tap_mac(request.guest_mac)};
    const bool plugged = bridge && !request.on_switch;
    if (bridge && !change.mtu) change.mtu = bridge->mtu;
    if (plugged) change.master = bridge->index;
    netlink.change_link(index, tap.name, change);
    if (request.rx_frames) gather_frames(tap.name, *request.rx_frames);
    if (plugged && (request.isolated || !request.learn)) {
        Netlink::BridgePort port;
        if (request.isolated) port.isolated = true;
        if (!request.learn) port.learning = port.flood = false;
        netlink.change_port(index, tap.name, port);
    }
    if (request.link_up && plugged)
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

void set_tap_addresses(const std::string& name, const std::vector<xml::NicIp>& addresses,
                       const std::vector<xml::NicRoute>& routes) {
    Netlink netlink;
    const int index = netlink.index_of(name);
    for (const auto& ip : addresses) {
        AddressInfo address;
        address.index = index;
        address.address = ip.address;
        address.prefix = ip.prefix.value_or(ip.address.is_v6() ? 64 : 24);
        netlink.add_address(address);
    }
    for (const auto& route : routes) {
        RouteSettings settings;
        settings.index = index;
        settings.destination = route.address;
        settings.prefix = route.prefix.value_or(0);
        settings.gateway = route.gateway;
        if (route.metric) settings.metric = *route.metric;
        settings.v6 = route.address.is_v6();
        netlink.add_route(settings);
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
