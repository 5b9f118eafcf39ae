// Guests beside the host on one of its links. The kernel makes /dev/tapN with the link; QEMU gets it by descriptor.
#include "drivers/network/macvtap.hpp"
#include "drivers/host/netlink.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace lodge::drivers {

namespace {

std::uint32_t kernel_mode(xml::MacvtapMode mode) {
    switch (mode) {
    case xml::MacvtapMode::private_: return MACVLAN_MODE_PRIVATE;
    case xml::MacvtapMode::bridge: return MACVLAN_MODE_BRIDGE;
    case xml::MacvtapMode::passthrough: return MACVLAN_MODE_PASSTHRU;
    default: return MACVLAN_MODE_VEPA;
    }
}

std::string create(Netlink& netlink, const LinkInfo& parent, const MacvtapRequest& request) {
    const auto mode = kernel_mode(request.mode);
    if (!request.name.empty()) {
        if (!netlink.create_macvtap(request.name, parent, mode, request.guest_mac))
            rpc::fail_errno(EEXIST, fmt::format("Unable to create macvtap device {}", request.name));
        return request.name;
    }
    for (unsigned number = 0;; ++number) {
        auto name = fmt::format("macvtap{}", number);
        if (netlink.create_macvtap(name, parent, mode, request.guest_mac)) return name;
    }
}

rpc::Fd open_queue(const std::string& name, int index, bool vnet_header, bool several) {
    const std::string path = fmt::format("/dev/tap{}", index);
    rpc::Fd queue(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!queue) rpc::fail_errno(errno, fmt::format("cannot open macvtap tap device {}", path));
    ifreq kernel{};
    name.copy(kernel.ifr_name, IFNAMSIZ - 1);
    kernel.ifr_flags =
        static_cast<short>(IFF_TAP | IFF_NO_PI | (vnet_header ? IFF_VNET_HDR : 0) | (several ? IFF_MULTI_QUEUE : 0));
    if (::ioctl(queue.get(), TUNSETIFF, &kernel) < 0)
        rpc::fail_errno(errno, fmt::format("unable to set the flags of macvtap device {}", name));
    return queue;
}

// ---- passthrough ----

// Whoever has the link has its address, too: that must not change before it is known that the link is free.
void require_free(Netlink& netlink, const LinkInfo& parent) {
    for (const auto& link : netlink.links())
        if (link.kind == "macvtap" && link.parent == parent.index)
            rpc::fail_errno(EBUSY, fmt::format("cannot give link {} to one guest alone: {} is on it", parent.name, link.name));
}

std::filesystem::path own_address_file(const std::filesystem::path& run, const std::string& parent) {
    return run / (parent + ".address");
}

void borrow_address(Netlink& netlink, const LinkInfo& parent, const MacvtapRequest& request, const std::filesystem::path& run) {
    const auto file = own_address_file(run, parent.name);
    if (!std::filesystem::exists(file)) {
        std::filesystem::create_directories(run);
        std::ofstream(file) << parent.mac << '\n';
    }
    netlink.change_link(parent.index, parent.name, {.mac = request.guest_mac});
}

void give_address_back(Netlink& netlink, const std::string& parent, const std::filesystem::path& run) {
    const auto file = own_address_file(run, parent);
    const auto mac = xml::MacAddress::parse(read_small_file(file));
    const auto link = mac ? netlink.link(parent) : std::nullopt;
    if (link) netlink.change_link(link->index, parent, {.mac = *mac});
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
}

} // namespace

std::optional<xml::MacvtapMode> macvtap_mode(const xml::Network& network) {
    switch (network.mode()) {
    case xml::ForwardMode::private_: return xml::MacvtapMode::private_;
    case xml::ForwardMode::vepa: return xml::MacvtapMode::vepa;
    case xml::ForwardMode::passthrough: return xml::MacvtapMode::passthrough;
    case xml::ForwardMode::bridge:
        if (network.bridge_name().empty()) return xml::MacvtapMode::bridge;
        return std::nullopt;
    default: return std::nullopt;
    }
}

std::optional<std::string> least_used_link(const xml::Network& network) {
    std::map<int, unsigned> counts;
    const auto links = Netlink().links();
    for (const auto& link : links)
        if (link.kind == "macvtap") ++counts[link.parent];
    const bool alone = network.mode() == xml::ForwardMode::passthrough;
    std::optional<std::string> best;
    unsigned least = alone ? 1 : ~0u;
    for (const auto& lent : network.forward->interfaces) {
        const auto link = std::ranges::find(links, lent.dev, &LinkInfo::name);
        const unsigned count = link == links.end() ? 0 : counts[link->index];
        if (count >= least) continue;
        least = count;
        best = lent.dev;
    }
    return best;
}

Tap create_macvtap(const MacvtapRequest& request, const std::filesystem::path& run) {
    Netlink netlink;
    const auto parent = netlink.link(request.parent);
    if (!parent) rpc::fail_errno(ENODEV, fmt::format("Unable to get index for interface {}", request.parent));
    const bool alone = request.mode == xml::MacvtapMode::passthrough;
    if (alone) require_free(netlink, *parent);
    Tap tap;
    try {
        if (alone) borrow_address(netlink, *parent, request, run);
        tap.name = create(netlink, *parent, request);
        const int index = netlink.index_of(tap.name);
        if (request.link_up) netlink.change_link(index, tap.name, {.up = true});
        while (tap.queues.size() < request.queues)
            tap.queues.push_back(open_queue(tap.name, index, request.vnet_header, request.queues > 1));
    } catch (...) {
        const auto failure = std::current_exception();
        try {
            remove_macvtap(tap.name, alone ? request.parent : "", run);
        } catch (const rpc::Error& error) {
            log::warn("macvtap on {}: cleaning up: {}", request.parent, error.what());
        }
        std::rethrow_exception(failure);
    }
    return tap;
}

bool is_macvtap(const std::string& name) {
    const auto link = Netlink().link(name);
    return link && link->kind == "macvtap";
}

Tap open_macvtap(const std::string& name, unsigned queues, bool vnet_header) {
    const int index = Netlink().index_of(name);
    Tap tap;
    tap.name = name;
    while (tap.queues.size() < queues) tap.queues.push_back(open_queue(name, index, vnet_header, queues > 1));
    return tap;
}

void remove_macvtap(const std::string& name, const std::string& parent, const std::filesystem::path& run) {
    Netlink netlink;
    if (const auto link = name.empty() ? std::nullopt : netlink.link(name); link && link->kind == "macvtap") {
        try {
            netlink.delete_link(link->index, name);
        } catch (const rpc::Error&) {
            if (netlink.link(name)) throw; // it went by itself
        }
    }
    if (!parent.empty()) give_address_back(netlink, parent, run);
}

} // namespace lodge::drivers
