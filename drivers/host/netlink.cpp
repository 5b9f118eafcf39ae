#include "drivers/host/netlink.hpp"
#include "rpc/error.hpp"
#include <cstring>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

namespace lodge::drivers {

using Message = std::unique_ptr<nl_msg, void (*)(nl_msg*)>;

static Message make(int type, int flags, const void* header, std::size_t length) {
    Message message(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags), nlmsg_free);
    if (!message) throw std::bad_alloc();
    nlmsg_append(message.get(), const_cast<void*>(header), length, NLMSG_ALIGNTO);
    return message;
}
static Message make_link(int type, int flags, const ifinfomsg& header) { return make(type, flags, &header, sizeof header); }

Netlink::Netlink()
    : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    if (!socket_) rpc::fail_errno(errno, "cannot open a netlink socket");
    const int on = 1;
    // Old kernels know neither; then errors have no words and dumps are filtered here.
    setsockopt(socket_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(socket_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    const int size = 1 << 20;
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    const timeval limit{5, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
        rpc::fail_errno(errno, "cannot bind a netlink socket");
}

// ---- exchange ----

void Netlink::send(nl_msg* message) {
    auto* header = nlmsg_hdr(message);
    header->nlmsg_seq = ++sequence_;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (sendto(socket_.get(), header, header->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0)
        rpc::fail_errno(errno, "cannot write to the netlink socket");
}

static std::string reason_of(nlmsghdr* header) {
    if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return {};
    const auto* error = static_cast<nlmsgerr*>(nlmsg_data(header));
    std::size_t skip = sizeof *error;
    if (!(header->nlmsg_flags & NLM_F_CAPPED)) skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
    const auto* text = nlmsg_find_attr(header, static_cast<int>(NLMSG_ALIGN(skip)), NLMSGERR_ATTR_MSG);
    return text ? std::string(nla_get_string(const_cast<nlattr*>(text))) : std::string();
}

// Hands over the messages that answer the last request until `each` returns true.
template<class F> static void receive(int socket, std::uint32_t sequence, F each) {
    alignas(nlmsghdr) char buffer[64 * 1024];
    for (;;) {
        const auto got = recv(socket, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rpc::fail_errno(errno, "cannot read from the netlink socket");
        int left = static_cast<int>(got);
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(header, left); header = nlmsg_next(header, &left))
            if (header->nlmsg_seq == sequence && each(header)) return;
    }
}

int Netlink::acknowledged(nl_msg* message, std::string& reason) {
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_ACK;
    send(message);
    int result = 0;
    receive(socket_.get(), sequence_, [&](nlmsghdr* header) {
        if (header->nlmsg_type != NLMSG_ERROR) return false;
        result = -static_cast<nlmsgerr*>(nlmsg_data(header))->error;
        if (result) reason = reason_of(header);
        return true;
    });
    return result;
}

void Netlink::require(nl_msg* message, const std::string& what) {
    std::string reason;
    const int error = acknowledged(message, reason);
    if (error) rpc::fail_errno(error, reason.empty() ? what : fmt::format("{} ({})", what, reason));
}

template<class F> void Netlink::dump(nl_msg* message, F each) {
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_DUMP;
    send(message);
    receive(socket_.get(), sequence_, [&](nlmsghdr* header) {
        if (header->nlmsg_type == NLMSG_DONE) return true;
        if (header->nlmsg_type == NLMSG_ERROR)
            rpc::fail_errno(-static_cast<nlmsgerr*>(nlmsg_data(header))->error, "cannot list links, addresses or routes");
        each(header);
        return false;
    });
}

// ---- reading ----

static std::uint32_t number(nlattr* attribute) {
    switch (nla_len(attribute)) {
    case 1: return nla_get_u8(attribute);
    case 2: return nla_get_u16(attribute);
    case 4: return nla_get_u32(attribute);
    default: return 0;
    }
}

static xml::IpAddress address_of(nlattr* attribute, bool v6) {
    const auto* bytes = static_cast<const std::uint8_t*>(nla_data(attribute));
    if (nla_len(attribute) < (v6 ? 16 : 4)) return {};
    if (!v6) return xml::IpAddress(fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]));
    std::string text;
    for (int i = 0; i < 16; i += 2) text += fmt::format("{}{:x}", i ? ":" : "", bytes[i] << 8 | bytes[i + 1]);
    return xml::IpAddress(text);
}

static void read_bond(LinkInfo& link, nlattr* data) {
    nlattr* facts[IFLA_BOND_MAX + 1];
    if (nla_parse_nested(facts, IFLA_BOND_MAX, data, nullptr) < 0) return;
    const auto take = [&](int which, auto& into) {
        if (facts[which]) into = static_cast<std::remove_reference_t<decltype(into)>>(number(facts[which]));
    };
    take(IFLA_BOND_MODE, link.bond.mode);
    take(IFLA_BOND_MIIMON, link.bond.miimon);
    take(IFLA_BOND_UPDELAY, link.bond.up_delay);
    take(IFLA_BOND_DOWNDELAY, link.bond.down_delay);
    take(IFLA_BOND_USE_CARRIER, link.bond.use_carrier);
    take(IFLA_BOND_ARP_INTERVAL, link.bond.arp_interval);
    take(IFLA_BOND_ARP_VALIDATE, link.bond.arp_validate);
    if (!facts[IFLA_BOND_ARP_IP_TARGET]) return;
    int left;
    nlattr* target;
    nla_for_each_nested(target, facts[IFLA_BOND_ARP_IP_TARGET], left)
        link.bond.arp_targets.push_back(address_of(target, false).text());
}

static void read_link_kind(LinkInfo& link, nlattr* info) {
    nlattr* parts[IFLA_INFO_MAX + 1];
    if (nla_parse_nested(parts, IFLA_INFO_MAX, info, nullptr) < 0) return;
    if (parts[IFLA_INFO_KIND]) link.kind = nla_get_string(parts[IFLA_INFO_KIND]);
    if (parts[IFLA_INFO_SLAVE_KIND]) link.slave_kind = nla_get_string(parts[IFLA_INFO_SLAVE_KIND]);
    if (!parts[IFLA_INFO_DATA]) return;
    if (link.kind == "bond") read_bond(link, parts[IFLA_INFO_DATA]);
    if (link.kind == "bridge") {
        nlattr* facts[IFLA_BR_MAX + 1];
        if (nla_parse_nested(facts, IFLA_BR_MAX, parts[IFLA_INFO_DATA], nullptr) < 0) return;
        if (facts[IFLA_BR_FORWARD_DELAY]) link.forward_delay = number(facts[IFLA_BR_FORWARD_DELAY]);
        if (facts[IFLA_BR_STP_STATE]) link.stp = number(facts[IFLA_BR_STP_STATE]);
    } else if (link.kind == "vlan") {
        nlattr* facts[IFLA_VLAN_MAX + 1];
        if (nla_parse_nested(facts, IFLA_VLAN_MAX, parts[IFLA_INFO_DATA], nullptr) < 0) return;
        if (facts[IFLA_VLAN_ID]) link.vlan_id = static_cast<std::uint16_t>(number(facts[IFLA_VLAN_ID]));
    }
}

static LinkInfo read_link(nlmsghdr* header) {
    const auto* info = static_cast<ifinfomsg*>(nlmsg_data(header));
    nlattr* facts[IFLA_MAX + 1];
    LinkInfo link;
    link.index = info->ifi_index;
    link.type = info->ifi_type;
    link.flags = info->ifi_flags;
    if (nlmsg_parse(header, sizeof *info, facts, IFLA_MAX, nullptr) < 0) return link;
    if (facts[IFLA_IFNAME]) link.name = nla_get_string(facts[IFLA_IFNAME]);
    if (facts[IFLA_MTU]) link.mtu = number(facts[IFLA_MTU]);
    if (facts[IFLA_MASTER]) link.master = static_cast<int>(number(facts[IFLA_MASTER]));
    if (facts[IFLA_LINK]) link.parent = static_cast<int>(number(facts[IFLA_LINK]));
    if (facts[IFLA_OPERSTATE]) link.operstate = static_cast<std::uint8_t>(number(facts[IFLA_OPERSTATE]));
    if (facts[IFLA_ADDRESS] && nla_len(facts[IFLA_ADDRESS]) == 6) {
        xml::MacAddress mac;
        std::memcpy(mac.bytes.data(), nla_data(facts[IFLA_ADDRESS]), 6);
        link.mac = mac.text();
    }
    if (facts[IFLA_STATS64]) {
        rtnl_link_stats64 stats{};
        std::memcpy(&stats, nla_data(facts[IFLA_STATS64]),
                    std::min(sizeof stats, static_cast<std::size_t>(nla_len(facts[IFLA_STATS64]))));
        link.stats = {stats.rx_bytes, stats.rx_packets, stats.rx_errors, stats.rx_dropped,
                      stats.tx_bytes, stats.tx_packets, stats.tx_errors, stats.tx_dropped};
    }
    if (facts[IFLA_LINKINFO]) read_link_kind(link, facts[IFLA_LINKINFO]);
    return link;
}

std::vector<LinkInfo> Netlink::links() {
    std::vector<LinkInfo> found;
    auto message = make_link(RTM_GETLINK, 0, {});
    dump(message.get(), [&](nlmsghdr* header) {
        if (header->nlmsg_type == RTM_NEWLINK) found.push_back(read_link(header));
    });
    return found;
}

std::optional<LinkInfo> Netlink::link(const std::string& name) {
    if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
    auto message = make_link(RTM_GETLINK, 0, {});
    nla_put_string(message.get(), IFLA_IFNAME, name.c_str());
    send(message.get());
    std::optional<LinkInfo> found;
    receive(socket_.get(), sequence_, [&](nlmsghdr* header) {
        if (header->nlmsg_type == RTM_NEWLINK) found = read_link(header);
        return true;
    });
    return found;
}

int Netlink::index_of(const std::string& name) {
    const auto found = link(name);
    if (!found) rpc::fail_errno(ENODEV, fmt::format("Unable to get index for interface {}", name));
    return found->index;
}

std::vector<AddressInfo> Netlink::addresses() {
    std::vector<AddressInfo> found;
    ifaddrmsg request{};
    auto message = make(RTM_GETADDR, 0, &request, sizeof request);
    dump(message.get(), [&](nlmsghdr* header) {
        if (header->nlmsg_type != RTM_NEWADDR) return;
        const auto* info = static_cast<ifaddrmsg*>(nlmsg_data(header));
        nlattr* facts[IFA_MAX + 1];
        if (nlmsg_parse(header, sizeof *info, facts, IFA_MAX, nullptr) < 0) return;
        auto* address = facts[IFA_LOCAL] ? facts[IFA_LOCAL] : facts[IFA_ADDRESS];
        if (!address || (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)) return;
        AddressInfo each;
        each.index = static_cast<int>(info->ifa_index);
        each.address = address_of(address, info->ifa_family == AF_INET6);
        each.prefix = info->ifa_prefixlen;
        each.scope = info->ifa_scope;
        each.flags = facts[IFA_FLAGS] ? number(facts[IFA_FLAGS]) : info->ifa_flags;
        if (facts[IFA_CACHEINFO]) {
            ifa_cacheinfo cache;
            std::memcpy(&cache, nla_data(facts[IFA_CACHEINFO]), sizeof cache);
            each.valid = cache.ifa_valid;
            each.preferred = cache.ifa_prefered;
        }
        found.push_back(each);
    });
    return found;
}

std::vector<AddressInfo> Netlink::addresses(int index) {
    auto found = addresses();
    std::erase_if(found, [&](const AddressInfo& each) { return each.index != index; });
    return found;
}

std::vector<NeighbourInfo> Netlink::neighbours() {
    std::vector<NeighbourInfo> found;
    ndmsg request{};
    auto message = make(RTM_GETNEIGH, 0, &request, sizeof request);
    dump(message.get(), [&](nlmsghdr* header) {
        if (header->nlmsg_type != RTM_NEWNEIGH) return;
        const auto* info = static_cast<ndmsg*>(nlmsg_data(header));
        nlattr* facts[NDA_MAX + 1];
        if (nlmsg_parse(header, sizeof *info, facts, NDA_MAX, nullptr) < 0) return;
        constexpr unsigned useless = NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP;
        if (!facts[NDA_DST] || !facts[NDA_LLADDR] || (info->ndm_state & useless) || nla_len(facts[NDA_LLADDR]) != 6) return;
        if (info->ndm_family != AF_INET && info->ndm_family != AF_INET6) return;
        const auto* mac = static_cast<const std::uint8_t*>(nla_data(facts[NDA_LLADDR]));
        found.push_back({info->ndm_ifindex, fmt::format("{:02x}", fmt::join(mac, mac + 6, ":")),
                         address_of(facts[NDA_DST], info->ndm_family == AF_INET6)});
    });
    return found;
}

static std::optional<RouteInfo> read_route(nlmsghdr* header) {
    const auto* info = static_cast<rtmsg*>(nlmsg_data(header));
    nlattr* facts[RTA_MAX + 1];
    if (nlmsg_parse(header, sizeof *info, facts, RTA_MAX, nullptr) < 0) return std::nullopt;
    RouteInfo route;
    route.v6 = info->rtm_family == AF_INET6;
    const auto table = facts[RTA_TABLE] ? number(facts[RTA_TABLE]) : info->rtm_table;
    if (table != RT_TABLE_MAIN || (info->rtm_flags & RTM_F_CLONED)) return std::nullopt;
    route.table = info->rtm_table;
    route.prefix = info->rtm_dst_len;
    route.protocol = info->rtm_protocol;
    route.scope = info->rtm_scope;
    route.type = info->rtm_type;
    if (facts[RTA_DST]) route.destination = address_of(facts[RTA_DST], route.v6);
    if (facts[RTA_GATEWAY]) route.gateway = address_of(facts[RTA_GATEWAY], route.v6);
    if (facts[RTA_OIF]) route.index = static_cast<int>(number(facts[RTA_OIF]));
    if (facts[RTA_PRIORITY]) route.metric = number(facts[RTA_PRIORITY]);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(header);
    route.message.assign(bytes, bytes + header->nlmsg_len);
    return route;
}

std::vector<RouteInfo> Netlink::routes() {
    std::vector<RouteInfo> found;
    for (const unsigned char family : {AF_INET, AF_INET6}) {
        rtmsg request{};
        request.rtm_family = family;
        auto message = make(RTM_GETROUTE, 0, &request, sizeof request);
        dump(message.get(), [&](nlmsghdr* header) {
            if (header->nlmsg_type != RTM_NEWROUTE) return;
            if (auto route = read_route(header)) found.push_back(std::move(*route));
        });
    }
    return found;
}

// ---- changing links ----

void Netlink::create_bridge(const BridgeSettings& settings) {
    auto message = make_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {});
    auto* m = message.get();
    nla_put_string(m, IFLA_IFNAME, settings.name.c_str());
    if (settings.mac) nla_put(m, IFLA_ADDRESS, 6, settings.mac->bytes.data());
    if (settings.mtu) nla_put_u32(m, IFLA_MTU, *settings.mtu);
    auto* info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "bridge");
    auto* data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u32(m, IFLA_BR_FORWARD_DELAY, settings.forward_delay);
    nla_put_u32(m, IFLA_BR_STP_STATE, settings.stp);
    if (settings.vlan_filtering) nla_put_u8(m, IFLA_BR_VLAN_FILTERING, 1);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    require(m, fmt::format("Unable to create bridge {}", settings.name));
}

void Netlink::create_vlan(const std::string& name, int parent, std::uint16_t id) {
    auto message = make_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {});
    auto* m = message.get();
    nla_put_string(m, IFLA_IFNAME, name.c_str());
    nla_put_u32(m, IFLA_LINK, static_cast<std::uint32_t>(parent));
    auto* info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "vlan");
    auto* data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u16(m, IFLA_VLAN_ID, id);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    require(m, fmt::format("Unable to create VLAN interface {}", name));
}

bool Netlink::create_macvtap(const std::string& name, const LinkInfo& parent, std::uint32_t mode, const xml::MacAddress& mac) {
    auto message = make_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {});
    auto* m = message.get();
    nla_put_string(m, IFLA_IFNAME, name.c_str());
    nla_put_u32(m, IFLA_LINK, static_cast<std::uint32_t>(parent.index));
    nla_put(m, IFLA_ADDRESS, static_cast<int>(mac.bytes.size()), mac.bytes.data());
    auto* info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "macvtap");
    auto* data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u32(m, IFLA_MACVLAN_MODE, mode);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    std::string reason;
    const int error = acknowledged(m, reason);
    if (error == EEXIST) return false;
    if (error) rpc::fail_errno(error, fmt::format("error creating macvtap interface {}@{} ({})", name, parent.name, mac.text()));
    return true;
}

void Netlink::create_bond(const std::string& name, const BondSettings& settings) {
    auto message = make_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, {});
    auto* m = message.get();
    nla_put_string(m, IFLA_IFNAME, name.c_str());
    auto* info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "bond");
    auto* data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u8(m, IFLA_BOND_MODE, settings.mode);
    if (settings.arp_interval) {
        nla_put_u32(m, IFLA_BOND_ARP_INTERVAL, settings.arp_interval);
        auto* targets = nla_nest_start(m, IFLA_BOND_ARP_IP_TARGET);
        for (std::size_t i = 0; i < settings.arp_targets.size(); ++i)
            nla_put(m, static_cast<int>(i), 4, xml::IpAddress(settings.arp_targets[i]).bytes().data());
        nla_nest_end(m, targets);
        if (settings.arp_validate) nla_put_u32(m, IFLA_BOND_ARP_VALIDATE, settings.arp_validate);
    } else {
        nla_put_u32(m, IFLA_BOND_MIIMON, settings.miimon ? settings.miimon : 100);
        if (settings.up_delay) nla_put_u32(m, IFLA_BOND_UPDELAY, settings.up_delay);
        if (settings.down_delay) nla_put_u32(m, IFLA_BOND_DOWNDELAY, settings.down_delay);
        nla_put_u8(m, IFLA_BOND_USE_CARRIER, settings.use_carrier);
    }
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    require(m, fmt::format("Unable to create bond {}", name));
}

void Netlink::delete_link(int index, const std::string& name) {
    ifinfomsg header{};
    header.ifi_index = index;
    auto message = make_link(RTM_DELLINK, 0, header);
    require(message.get(), fmt::format("Unable to delete interface {}", name));
}

void Netlink::change_link(int index, const std::string& name, const Change& change) {
    ifinfomsg header{};
    header.ifi_index = index;
    if (change.up) {
        header.ifi_change = IFF_UP;
        header.ifi_flags = *change.up ? IFF_UP : 0;
    }
    auto message = make_link(RTM_SETLINK, 0, header);
    auto* m = message.get();
    if (change.mtu) nla_put_u32(m, IFLA_MTU, *change.mtu);
    if (change.mac) nla_put(m, IFLA_ADDRESS, 6, change.mac->bytes.data());
    if (change.master) nla_put_u32(m, IFLA_MASTER, static_cast<std::uint32_t>(*change.master));
    require(m, fmt::format("Unable to change interface {}", name));
}

void Netlink::change_port(int index, const std::string& name, const BridgePort& change) {
    ifinfomsg header{};
    header.ifi_family = AF_BRIDGE;
    header.ifi_index = index;
    auto message = make_link(RTM_SETLINK, 0, header);
    auto* m = message.get();
    auto* nest = nla_nest_start(m, IFLA_PROTINFO | NLA_F_NESTED);
    if (change.isolated) nla_put_u8(m, IFLA_BRPORT_ISOLATED, *change.isolated);
    if (change.learning) nla_put_u8(m, IFLA_BRPORT_LEARNING, *change.learning);
    if (change.flood) nla_put_u8(m, IFLA_BRPORT_UNICAST_FLOOD, *change.flood);
    nla_nest_end(m, nest);
    require(m, fmt::format("Unable to change bridge port {}", name));
}

void Netlink::change_bridge(int index, const std::string& name, std::optional<bool> stp, std::optional<unsigned> forward_delay) {
    ifinfomsg header{};
    header.ifi_index = index;
    auto message = make_link(RTM_NEWLINK, 0, header);
    auto* m = message.get();
    auto* info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "bridge");
    auto* data = nla_nest_start(m, IFLA_INFO_DATA);
    if (forward_delay) nla_put_u32(m, IFLA_BR_FORWARD_DELAY, *forward_delay);
    if (stp) nla_put_u32(m, IFLA_BR_STP_STATE, *stp);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    require(m, fmt::format("Unable to change bridge {}", name));
}

// ---- changing addresses and routes ----

static Message address_message(int type, int flags, const AddressInfo& address) {
    ifaddrmsg header{};
    header.ifa_family = address.address.is_v6() ? AF_INET6 : AF_INET;
    header.ifa_prefixlen = static_cast<unsigned char>(address.prefix);
    header.ifa_scope = static_cast<unsigned char>(address.scope);
    header.ifa_index = static_cast<unsigned>(address.index);
    auto message = make(type, flags, &header, sizeof header);
    const int length = static_cast<int>(address.address.bits() / 8);
    nla_put(message.get(), IFA_LOCAL, length, address.address.bytes().data());
    nla_put(message.get(), IFA_ADDRESS, length, address.address.bytes().data());
    return message;
}

void Netlink::add_address(const AddressInfo& address, bool replace) {
    auto message = address_message(RTM_NEWADDR, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL), address);
    auto* m = message.get();
    if (address.address.is_v4() && address.prefix < 31)
        nla_put(m, IFA_BROADCAST, 4, address.address.broadcast(address.prefix).bytes().data());
    // Duplicate detection would keep an address of ours unusable until a first port appears.
    const unsigned kept = address.flags & (IFA_F_NOPREFIXROUTE | IFA_F_MANAGETEMPADDR | IFA_F_MCAUTOJOIN);
    if (address.address.is_v6())
        nla_put_u32(m, IFA_FLAGS, kept | IFA_F_NODAD);
    else if (kept)
        nla_put_u32(m, IFA_FLAGS, kept);
    if (address.valid != 0xffffffff) {
        ifa_cacheinfo cache{};
        cache.ifa_valid = address.valid;
        cache.ifa_prefered = address.preferred;
        nla_put(m, IFA_CACHEINFO, sizeof cache, &cache);
    }
    require(m, fmt::format("Failed to add IP address {}/{}", address.address.text(), address.prefix));
}

void Netlink::remove_address(const AddressInfo& address) {
    auto message = address_message(RTM_DELADDR, 0, address);
    require(message.get(), fmt::format("Failed to remove IP address {}/{}", address.address.text(), address.prefix));
}

void Netlink::add_route(const RouteSettings& route) {
    rtmsg header{};
    header.rtm_family = route.v6 ? AF_INET6 : AF_INET;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = route.boot ? RTPROT_BOOT : RTPROT_STATIC;
    header.rtm_scope = route.gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    header.rtm_dst_len = static_cast<unsigned char>(route.prefix);
    auto message = make(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    auto* m = message.get();
    const int length = route.v6 ? 16 : 4;
    if (route.prefix) nla_put(m, RTA_DST, length, route.destination.bytes().data());
    if (!route.gateway.empty()) nla_put(m, RTA_GATEWAY, length, route.gateway.bytes().data());
    nla_put_u32(m, RTA_OIF, static_cast<std::uint32_t>(route.index));
    if (route.metric) nla_put_u32(m, RTA_PRIORITY, *route.metric);
    require(m, fmt::format("Failed to add route {}/{}", route.destination.text(), route.prefix));
}

static Message route_message(int type, int flags, const RouteInfo& route, std::optional<int> index) {
    auto* old = reinterpret_cast<nlmsghdr*>(const_cast<std::uint8_t*>(route.message.data()));
    rtmsg header = *static_cast<rtmsg*>(nlmsg_data(old));
    header.rtm_flags = 0;
    auto message = make(type, flags, &header, sizeof header);
    int left;
    nlattr* attribute;
    nlmsg_for_each_attr(attribute, old, sizeof header, left) {
        const int kind = nla_type(attribute);
        if (kind == RTA_CACHEINFO || kind == RTA_MULTIPATH) continue;
        if (kind == RTA_OIF && index)
            nla_put_u32(message.get(), RTA_OIF, static_cast<std::uint32_t>(*index));
        else
            nla_put(message.get(), kind, nla_len(attribute), nla_data(attribute));
    }
    return message;
}

void Netlink::remove_route(const RouteInfo& route) {
    auto message = route_message(RTM_DELROUTE, 0, route, std::nullopt);
    require(message.get(), fmt::format("Failed to remove route {}/{}", route.destination.text(), route.prefix));
}

void Netlink::add_route_like(const RouteInfo& route, int index) {
    auto message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, index);
    require(message.get(), fmt::format("Failed to add route {}/{}", route.destination.text(), route.prefix));
}

} // namespace lodge::drivers
