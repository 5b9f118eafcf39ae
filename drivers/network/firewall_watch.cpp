// nftables as netlink shows it: what chains others made, and when they change them. No child process, so it costs microseconds.
#include "drivers/network/firewall.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <fstream>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

namespace asio = boost::asio;

namespace lodge::drivers {

static rpc::Fd open_netfilter() {
    rpc::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!socket) return socket; // no nftables in this kernel: nft will say so
    const timeval limit{2, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket;
}

template<class F> static void list(int socket, int type, std::uint8_t family, F each) {
    struct {
        nlmsghdr header;
        nfgenmsg body;
    } request{};
    static std::atomic<std::uint32_t> counter{1};
    const auto sequence = counter++;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = sequence;
    request.body.nfgen_family = family;
    if (::send(socket, &request, sizeof request, 0) < 0) return;
    alignas(nlmsghdr) char buffer[32 * 1024];
    for (;;) {
        const auto got = recv(socket, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        int left = static_cast<int>(got);
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
            if (header->nlmsg_seq != sequence) continue;
            if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return;
            each(header);
        }
    }
}

static ForeignChains foreign_chains(int socket, std::uint8_t family) {
    ForeignChains chains;
    list(socket, NFT_MSG_GETCHAIN, family, [&](nlmsghdr* header) {
        nlattr* facts[NFTA_CHAIN_MAX + 1];
        if (nlmsg_parse(header, sizeof(nfgenmsg), facts, NFTA_CHAIN_MAX, nullptr) < 0) return;
        if (!facts[NFTA_CHAIN_TABLE] || !facts[NFTA_CHAIN_NAME]) return;
        if (std::strcmp(nla_get_string(facts[NFTA_CHAIN_TABLE]), "filter") != 0) return; // iptables' own
        const std::string_view name = nla_get_string(facts[NFTA_CHAIN_NAME]);
        if (name == "DOCKER-USER") chains.docker_user = true;
        if (!facts[NFTA_CHAIN_POLICY] || ntohl(nla_get_u32(facts[NFTA_CHAIN_POLICY])) != NF_DROP) return;
        if (name == "INPUT") chains.input = true;
        if (name == "FORWARD") chains.forward = true;
        if (name == "OUTPUT") chains.output = true;
    });
    return chains;
}

// The old kernel side of iptables shows no policies here; where its tables are in use we ask it for nothing and simply assume the
// worst: rules that accept do no harm.
static bool legacy_in_use(const char* names) {
    std::ifstream in(names);
    for (std::string line; std::getline(in, line);)
        if (line == "filter") return true;
    return false;
}

FirewallState look_at_firewall() {
    FirewallState state;
    const auto socket = open_netfilter();
    if (!socket) return state;
    state.v4 = foreign_chains(socket.get(), NFPROTO_IPV4);
    state.v6 = foreign_chains(socket.get(), NFPROTO_IPV6);
    if (legacy_in_use("/proc/net/ip_tables_names")) state.v4.legacy = state.v4.input = state.v4.forward = true;
    if (legacy_in_use("/proc/net/ip6_tables_names")) state.v6.legacy = state.v6.input = state.v6.forward = true;
    list(socket.get(), NFT_MSG_GETTABLE, NFPROTO_INET, [&](nlmsghdr* header) {
        nlattr* facts[NFTA_TABLE_MAX + 1];
        if (nlmsg_parse(header, sizeof(nfgenmsg), facts, NFTA_TABLE_MAX, nullptr) < 0 || !facts[NFTA_TABLE_NAME]) return;
        state.tables.emplace_back(nla_get_string(facts[NFTA_TABLE_NAME]));
    });
    return state;
}

// ---- watching ----

struct FirewallGuard::Watch : std::enable_shared_from_this<Watch> {
    Watch(rpc::Executor executor, int fd, std::function<void()> told)
        : socket(executor, fd)
        , quiet(executor)
        , changed(std::move(told)) {}

    void next() {
        socket.async_wait(socket.wait_read, [self = shared_from_this()](boost::system::error_code error) {
            if (error) return;
            char buffer[16 * 1024];
            while (::recv(self->socket.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
            }
            self->settle();
            self->next();
        });
    }
    void settle() {
        quiet.expires_after(std::chrono::milliseconds(300));
        quiet.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (!error && self->changed) self->changed();
        });
    }
    asio::posix::stream_descriptor socket;
    asio::steady_timer quiet;
    std::function<void()> changed;
};

FirewallGuard::FirewallGuard(rpc::Executor executor, std::function<void()> changed) {
    auto socket = open_netfilter();
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!socket || bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return;
    const int group = NFNLGRP_NFTABLES;
    if (setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) return;
    watch_ = std::make_shared<Watch>(executor, socket.release(), std::move(changed));
    watch_->next();
}

FirewallGuard::~FirewallGuard() {
    if (!watch_) return;
    watch_->changed = nullptr;
    watch_->quiet.cancel();
    watch_->socket.close();
}

} // namespace lodge::drivers
