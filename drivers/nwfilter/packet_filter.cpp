#include "drivers/nwfilter/packet_filter.hpp"
#include "drivers/nwfilter/match_expression.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include <algorithm>

namespace lodge::drivers {

using xml::FilterAction;
using xml::FilterDirection;

namespace {

std::string table_of(const std::string& device) {
    const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    if (device.empty() || !std::ranges::all_of(device, plain))
        rpc::fail(rpc::From::nwfilter, rpc::Code::config_unsupported, "invalid interface name '{}'", device);
    return "lodge_" + device;
}

// One direction: from the guest ("out") or to it ("in").
class Side {
  public:
    explicit Side(bool to_guest)
        : to_guest_(to_guest) {}

    void add(const PlacedRule& placed) {
        if (is_about_connections(placed.rule))
            add_connection_rule(placed.rule);
        else if (placed.rule.direction == FilterDirection::inout || (placed.rule.direction == FilterDirection::in) == to_guest_)
            add_frame_rule(placed);
    }

    // Lines before all others of the root chain.
    void begin_with(std::vector<std::string> lines) { first_ = std::move(lines); }

    std::string chains(const std::string& device) const {
        const char* name = prefix();
        std::string out;
        for (const auto& [chain, lines] : chains_)
            if (chain != "root") out += chain_text(fmt::format("{}_{}", name, spelled(chain)), lines.sorted());
        out += chain_text(fmt::format("{}_root", name), root_lines());
        out += chain_text(fmt::format("{}_connections", name), connections_.sorted());
        const char* hook = to_guest_ ? "postrouting" : "prerouting";
        const char* match = to_guest_ ? "oifname" : "iifname";
        // The kernel knows a frame's connection from priority -200 on.
        for (const auto& [chain, priority] : {std::pair("root", -300), std::pair("connections", 0)})
            out += fmt::format("  chain {0}_{1}_hook {{\n    type filter hook {2} priority {3}; policy accept;\n"
                               "    {4} \"{5}\" jump {0}_{1}\n  }}\n",
                               name, chain, hook, priority, match, device);
        return out;
    }

  private:
    struct Lines {
        std::multimap<int, std::string> by_priority; // equal ones stay in order
        int chain_priority = 0;
        std::vector<std::string> sorted() const {
            std::vector<std::string> lines;
            for (const auto& [priority, line] : by_priority) lines.push_back(line);
            return lines;
        }
    };

    const char* prefix() const { return to_guest_ ? "in" : "out"; }
    static std::string spelled(std::string chain) {
        std::ranges::replace(chain, ':', '.');
        return chain;
    }
    static std::string chain_text(const std::string& name, const std::vector<std::string>& lines) {
        std::string out = fmt::format("  chain {} {{\n", name);
        for (const auto& line : lines) out += "    " + line + "\n";
        return out + "  }\n";
    }

    // Which frames a chain is for tells the beginning of its name.
    static std::string_view chain_condition(const std::string& chain) {
        static constexpr std::pair<std::string_view, std::string_view> conditions[] = {
            {"vlan", "ether type 0x8100 "}, {"stp", "ether daddr 01:80:c2:00:00:00 "},
            {"arp", "ether type 0x0806 "},  {"rarp", "ether type 0x8035 "},
            {"ipv4", "ether type 0x0800 "}, {"ipv6", "ether type 0x86dd "}};
        for (const auto& [start, condition] : conditions)
            if (chain.starts_with(start)) return condition;
        return "";
    }

    std::vector<std::string> root_lines() const {
        std::multimap<int, std::string> lines;
        for (const auto& [chain, content] : chains_)
            if (chain != "root")
                lines.emplace(content.chain_priority,
                              fmt::format("{}jump {}_{}", chain_condition(chain), prefix(), spelled(chain)));
        if (const auto root = chains_.find("root"); root != chains_.end())
            for (const auto& [priority, line] : root->second.by_priority) lines.emplace(priority, line);
        auto sorted = first_;
        for (const auto& [priority, line] : lines) sorted.push_back(line);
        return sorted;
    }

    // An address that a rejection would go to can be told only where a frame comes in.
    std::string_view verdict(const xml::FilterRule& rule) const {
        switch (rule.action) {
        case FilterAction::accept: return "accept";
        case FilterAction::return_: return "return";
        case FilterAction::continue_: return "continue";
        case FilterAction::reject: return is_about_connections(rule) && !to_guest_ ? "reject" : "drop";
        case FilterAction::drop: break;
        }
        return "drop";
    }

    // A rule for both directions is written for what the guest gets.
    void add_frame_rule(const PlacedRule& placed) {
        const bool swapped = !to_guest_ && placed.rule.direction == FilterDirection::inout;
        const auto match = match_expression(placed.rule, {.swapped = swapped, .to_guest = to_guest_});
        if (!match) return;
        auto& lines = chains_[placed.chain];
        lines.chain_priority = placed.chain_priority;
        lines.by_priority.emplace(placed.rule.priority.value, fmt::format("{}{}", *match, verdict(placed.rule)));
    }

    // A connection that a rule lets through has two directions: the one that the rule names begins it, the other only answers.
    void add_connection_rule(const xml::FilterRule& rule) {
        const bool both = rule.direction == FilterDirection::inout;
        const bool written_for_guest = rule.direction != FilterDirection::out;
        const bool swapped = written_for_guest != to_guest_;
        const bool has_state = std::ranges::any_of(rule.matches, [](const auto& match) { return !match.value("state").empty(); });
        if (has_state && swapped && !both) return;
        if ((both || swapped) && is_typed_icmp(rule) && !both) return; // an answer has a type of its own
        const auto match = match_expression(rule, {.swapped = swapped, .to_guest = to_guest_});
        if (!match) return;
        std::string state;
        if (rule.action == FilterAction::accept && !both && !rule.stateless.value && !has_state)
            state = swapped ? "ct state established " : "ct state { new, established } ";
        connections_.by_priority.emplace(rule.priority.value, fmt::format("{}{}{}", *match, state, verdict(rule)));
    }
    static bool is_typed_icmp(const xml::FilterRule& rule) {
        const auto kind = rule.matches.front().kind;
        if (kind != xml::FilterProtocol::icmp && kind != xml::FilterProtocol::icmpv6) return false;
        return std::ranges::any_of(rule.matches, [](const auto& match) { return !match.value("type").empty(); });
    }

    bool to_guest_;
    std::vector<std::string> first_;
    std::map<std::string, Lines> chains_; // of frames
    Lines connections_;
};

Command nft(std::string input) {
    Command command;
    command.program = "nft";
    command.args = {"-f", "-"};
    command.input = std::move(input);
    return command;
}

} // namespace

static bool learns(const std::vector<PlacedRule>& rules) {
    for (const auto& placed : rules)
        for (const auto& match : placed.rule.matches)
            if (std::ranges::find(match.values, learned_address, &xml::FilterValue::text) != match.values.end()) return true;
    return false;
}

// A set with room for one address: the first one stays.
static constexpr const char* learned_set = "  set learned {\n    type ipv4_addr\n    size 1\n    flags dynamic\n  }\n";
static std::vector<std::string> learning_lines(const std::string& mac) {
    return {fmt::format("ether saddr {} ip saddr != 0.0.0.0 add @learned {{ ip saddr }}", mac),
            fmt::format("ether saddr {} arp saddr ip != 0.0.0.0 add @learned {{ arp saddr ip }}", mac)};
}

std::string packet_filter_rules(const std::string& device, const std::string& mac, const std::vector<PlacedRule>& rules) {
    Side from_guest(false), to_guest(true);
    for (const auto& rule : rules) {
        from_guest.add(rule);
        to_guest.add(rule);
    }
    const auto table = table_of(device);
    // Adding before deleting makes the deletion valid whether it was there or not; all of it is one transaction.
    const bool learning = learns(rules);
    if (learning) from_guest.begin_with(learning_lines(mac));
    return fmt::format("add table bridge {0}\ndelete table bridge {0}\ntable bridge {0} {{\n{1}{2}{3}}}\n", table,
                       learning ? learned_set : "", from_guest.chains(device), to_guest.chains(device));
}

rpc::Task<> apply_packet_filter(std::string ruleset) { co_await run_checked(nft(std::move(ruleset))); }

rpc::Task<> remove_packet_filter(std::string device) {
    const auto table = table_of(device);
    co_await run_checked(nft(fmt::format("add table bridge {0}\ndelete table bridge {0}\n", table)));
}

} // namespace lodge::drivers
