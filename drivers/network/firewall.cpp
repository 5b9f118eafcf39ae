#include "drivers/network/firewall.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>

namespace lodge::drivers {

std::string firewall_table(const std::string& bridge) { return "lodge_" + bridge; }

// Names go into the rules in quotes, so what could end a quotation is refused.
static std::string quoted_device(const std::string& name) {
    if (name.empty() || name.find_first_of("\"\\\n; {}") != std::string::npos)
        rpc::fail(rpc::Code::config_unsupported, "invalid interface name '{}'", name);
    return "\"" + name + "\"";
}

struct RuleWriter {
    const xml::Network& network;
    std::string bridge = quoted_device(network.bridge_name());
    std::string device = network.forward && !network.forward->dev.empty() ? quoted_device(network.forward->dev) : "";
    std::string out = {};

    template<class... Args> void rule(fmt::format_string<Args...> format, Args&&... args) {
        out += "    ";
        fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
        out += '\n';
    }
    std::string from_outside() const { return device.empty() ? "" : fmt::format("iifname {} ", device); }
    std::string to_outside() const { return device.empty() ? "" : fmt::format("oifname {} ", device); }
    const xml::Nat* nat() const {
        return network.mode() == xml::ForwardMode::nat && !network.forward->nats.empty() ? &network.forward->nats.front()
                                                                                         : nullptr;
    }
    bool translated(const xml::NetworkIp& ip) const {
        if (network.mode() != xml::ForwardMode::nat) return false;
        return !ip.is_v6() || (nat() && nat()->ipv6 && *nat()->ipv6);
    }
    static std::string net(const xml::NetworkIp& ip) {
        return fmt::format("{}/{}", ip.address.network(ip.prefix_length()).text(), ip.prefix_length());
    }

    void forward_chain() {
        out += "  chain forward {\n    type filter hook forward priority filter; policy accept;\n";
        rule("iifname {0} oifname {0} accept comment \"guests among themselves\"", bridge);
        if (network.mode() != xml::ForwardMode::none)
            for (const auto& ip : network.ips) {
                const char* family = ip.is_v6() ? "ip6" : "ip";
                rule("{}oifname {} {} daddr {} {}accept", from_outside(), bridge, family, net(ip),
                     translated(ip) ? "ct state established,related " : "");
                rule("iifname {} {}{} saddr {} accept", bridge, to_outside(), family, net(ip));
            }
        rule("oifname {} reject", bridge);
        rule("iifname {} reject", bridge);
        out += "  }\n";
    }

    void translate(const xml::NetworkIp& ip) {
        const char* family = ip.is_v6() ? "ip6" : "ip";
        const auto subnet = net(ip);
        // Multicast and broadcast are meant for the network itself.
        for (const char* local : {"224.0.0.0/24", "255.255.255.255"})
            if (!ip.is_v6()) rule("ip saddr {} ip daddr {} return", subnet, local);
        if (ip.is_v6()) rule("ip6 saddr {} ip6 daddr ff02::/16 return", subnet);
        const auto match = fmt::format("{0} saddr {1} {0} daddr != {1} {2}", family, subnet, to_outside());
        std::string ports = "1024-65535", to;
        if (nat() && !nat()->ports.empty())
            ports = fmt::format("{}-{}", nat()->ports.front().start.value, nat()->ports.front().end.value);
        if (nat() && !nat()->addresses.empty() && !ip.is_v6()) {
            const auto& [start, end] = nat()->addresses.front();
            to = start == end ? start.text() : fmt::format("{}-{}", start.text(), end.text());
        }
        if (to.empty()) {
            rule("{}meta l4proto {{ tcp, udp }} masquerade to :{}", match, ports);
            rule("{}masquerade", match);
        } else {
            rule("{}meta l4proto {{ tcp, udp }} snat ip to {}:{}", match, to, ports);
            rule("{}snat ip to {}", match, to);
        }
    }

    void postrouting_chain() {
        if (std::ranges::none_of(network.ips, [&](const xml::NetworkIp& ip) { return translated(ip); })) return;
        out += "  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n";
        for (const auto& ip : network.ips)
            if (translated(ip)) translate(ip);
        out += "  }\n";
    }
};

std::string firewall_rules(const xml::Network& network, TableThere there) {
    if (network.mode() == xml::ForwardMode::open || !network.has_own_bridge()) return {};
    RuleWriter writer{network};
    const auto table = firewall_table(network.bridge_name());
    // Adding before deleting makes the deletion valid whether it was there or not; all of it is one transaction.
    writer.out = there == TableThere::no ? fmt::format("create table inet {}\n", table)
                                         : fmt::format("add table inet {0}\ndelete table inet {0}\n", table);
    writer.out += fmt::format("table inet {} {{\n", table);
    writer.forward_chain();
    writer.postrouting_chain();
    writer.out += "}\n";
    return writer.out;
}

static Command nft(std::string rules) {
    Command command;
    command.program = "nft";
    command.args = {"-f", "-"};
    command.input = std::move(rules);
    return command;
}

// ---- letting the bridge through chains of iptables ----

static std::vector<std::vector<std::string>> foreign_rules(const xml::Network& network, const ForeignChains& chains, bool v6) {
    const auto bridge = network.bridge_name();
    std::vector<std::vector<std::string>> rules;
    if (chains.forward) {
        const char* chain = chains.docker_user ? "DOCKER-USER" : "FORWARD";
        rules.push_back({chain, "-i", bridge, "-j", "ACCEPT"});
        rules.push_back({chain, "-o", bridge, "-j", "ACCEPT"});
    }
    const std::vector<std::pair<const char*, const char*>> services =
        v6 ? std::vector<std::pair<const char*, const char*>>{{"udp", "53"}, {"tcp", "53"}, {"udp", "547"}}
           : std::vector<std::pair<const char*, const char*>>{{"udp", "53"}, {"tcp", "53"}, {"udp", "67"}, {"udp", "69"}};
    for (const auto& [protocol, port] : services) {
        if (std::string_view(port) == "69" &&
            std::ranges::none_of(network.ips, [](const auto& ip) { return ip.tftp.has_value(); }))
            continue;
        if (chains.input) rules.push_back({"INPUT", "-i", bridge, "-p", protocol, "--dport", port, "-j", "ACCEPT"});
        if (chains.output) rules.push_back({"OUTPUT", "-o", bridge, "-p", protocol, "--sport", port, "-j", "ACCEPT"});
    }
    return rules;
}

static std::string iptables_program(const ForeignChains& chains, bool v6) {
    const std::string name = v6 ? "ip6tables" : "iptables";
    auto found = chains.legacy ? find_program(name + "-legacy") : std::string();
    return found.empty() ? find_program(name) : found;
}

static Command iptables(std::string program, const char* action, const std::vector<std::string>& rule) {
    Command command;
    command.program = std::move(program);
    command.args = {"-w", "5", action};
    command.args.insert(command.args.end(), rule.begin(), rule.end());
    return command;
}

static Task<> change_foreign_rules(xml::Network network, FirewallState state, bool insert) {
    for (const bool v6 : {false, true}) {
        const auto& chains = v6 ? state.v6 : state.v4;
        const auto program = iptables_program(chains, v6);
        if (!chains.any() || program.empty()) continue;
        for (const auto& rule : foreign_rules(network, chains, v6)) {
            const auto there = co_await run(iptables(program, "-C", rule));
            if (there.exit.success() == insert) continue;
            const auto done = co_await run(iptables(program, insert ? "-I" : "-D", rule));
            if (!done.exit.success()) log::warn("network {}: iptables: {}", network.name, done.reason());
        }
    }
}

static bool has_table(const FirewallState& state, const std::string& table) {
    return std::ranges::find(state.tables, table) != state.tables.end();
}

static Task<> apply_table(const xml::Network& network, const FirewallState& state) {
    auto replacement = firewall_rules(network);
    if (replacement.empty()) co_return;
    // Somebody may have made it since we looked; that and every true fault shows again below.
    if (!has_table(state, firewall_table(network.bridge_name())) &&
        (co_await run(nft(firewall_rules(network, TableThere::no)))).exit.success())
        co_return;
    co_await run_checked(nft(std::move(replacement)));
}

Task<> apply_firewall(xml::Network network, bool table) {
    const auto state = look_at_firewall();
    if (table) co_await apply_table(network, state);
    if ((state.v4.any() || state.v6.any()) && network.mode() != xml::ForwardMode::open)
        co_await change_foreign_rules(network, state, true);
}

Task<> remove_firewall(std::string bridge) {
    const auto state = look_at_firewall();
    const auto table = firewall_table(bridge);
    if (has_table(state, table)) co_await run_checked(nft(fmt::format("delete table inet {}\n", table)));
    if (!state.v4.any() && !state.v6.any()) co_return;
    xml::Network all; // every rule that we may have put there, TFTP's too
    all.name = bridge;
    all.bridge.emplace().name = bridge;
    all.ips.emplace_back().tftp.emplace();
    co_await change_foreign_rules(std::move(all), state, false);
}

} // namespace lodge::drivers
