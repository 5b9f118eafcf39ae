#include "drivers/nwfilter/match_expression.hpp"
#include "drivers/nwfilter/expand.hpp"
#include "rpc/error.hpp"
#include "xml/net_address.hpp"
#include <algorithm>

namespace lodge::drivers {

using rpc::Code;
using rpc::From;
using xml::FilterProtocol;

namespace {

// The number behind a name in a rule; numbers stand for themselves.
std::string number_of(const std::string& word) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"arp", "0x0806"},      {"rarp", "0x8035"},     {"ipv4", "0x0800"},   {"ipv6", "0x86dd"},
        {"vlan", "0x8100"},     {"Request", "1"},       {"Reply", "2"},       {"Request_Reverse", "3"},
        {"Reply_Reverse", "4"}, {"DRARP_Request", "5"}, {"DRARP_Reply", "6"}, {"DRARP_Error", "7"},
        {"InARP_Request", "8"}, {"ARP_NAK", "9"},       {"tcp", "6"},         {"udp", "17"},
        {"udplite", "136"},     {"esp", "50"},          {"ah", "51"},         {"icmp", "1"},
        {"igmp", "2"},          {"sctp", "132"},        {"icmpv6", "58"}};
    const auto at = std::ranges::find(names, word, &std::pair<std::string_view, std::string_view>::first);
    return at == std::end(names) ? word : std::string(at->second);
}

// Six bytes as a number, for fields that nftables knows by their place only.
std::string mac_number(const std::string& text) {
    std::string digits = text;
    std::erase(digits, ':');
    return "0x" + digits;
}
std::string ip_number(const std::string& text) {
    const xml::IpAddress address(text);
    const auto& bytes = address.bytes();
    return fmt::format("0x{:02x}{:02x}{:02x}{:02x}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

class Expression {
  public:
    Expression(const xml::FilterRule& rule, MatchView view)
        : rule_(rule)
        , view_(view) {}

    std::optional<std::string> build() {
        if (rule_.matches.empty()) return std::string();
        const auto protocol = rule_.matches.front().kind;
        switch (protocol) {
        case FilterProtocol::mac: macs(), compare("protocolid", "ether type"); break;
        case FilterProtocol::vlan: vlan(); break;
        case FilterProtocol::stp: stp(); break;
        case FilterProtocol::arp: arp("0x0806"); break;
        case FilterProtocol::rarp: arp("0x8035"); break;
        case FilterProtocol::ip: ip(); break;
        case FilterProtocol::ipv6: ip6(); break;
        default: connections(protocol); break;
        }
        if (impossible_) return std::nullopt;
        return std::move(out_);
    }

  private:
    struct Found {
        std::string text;
        bool negated = false;
        explicit operator bool() const { return !text.empty(); }
        const char* sign() const { return negated ? "!= " : ""; }
    };

    Found find(std::string_view name) const {
        for (const auto& match : rule_.matches)
            if (const auto& value = match.value(name); !value.empty()) return {value, match.negated()};
        return {};
    }
    template<class... Args> void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
        out_ += ' ';
    }
    // A field under the side that it has in this direction: ("srcipaddr", "saddr") or, swapped, "daddr".
    std::string side(bool source) const { return source != view_.swapped ? "s" : "d"; }

    void compare(std::string_view name, std::string_view field) {
        if (const auto found = find(name)) add("{} {}{}", field, found.sign(), number_of(found.text));
    }
    void compare_range(std::string_view first, std::string_view last, std::string_view field) {
        const auto start = find(first), end = find(last);
        if (!start) return;
        add("{} {}{}{}", field, start.sign(), start.text, end && end.text != start.text ? "-" + end.text : "");
    }
    void compare_bits(std::string_view name, std::string_view field, std::string (*number)(const std::string&)) {
        if (const auto found = find(name)) add("{} {}{}", field, found.sign(), number(found.text));
    }

    void mac(const std::string& prefix, bool source) {
        const auto address = find(prefix + "macaddr"), mask = find(prefix + "macmask");
        if (!address) return;
        const auto field = fmt::format("ether {}addr", side(source));
        if (mask)
            add("{} & {} {} {}", field, mask.text, address.negated ? "!=" : "==", address.text);
        else
            add("{} {}{}", field, address.sign(), address.text);
    }
    void macs() {
        mac("src", true);
        mac("dst", false);
    }

    void vlan() {
        macs();
        add("ether type 0x8100");
        compare("vlanid", "vlan id");
        compare("encap-protocol", "vlan type");
    }

    // Fields of a bridge protocol data unit, by their place behind Ethernet and LLC headers.
    void stp() {
        mac("src", true);
        add("ether daddr 01:80:c2:00:00:00");
        compare("type", "@ll,160,8");
        compare("flags", "@ll,168,8");
        compare_range("root-priority", "root-priority-hi", "@ll,176,16");
        masked_mac("root-address", "@ll,192,48");
        compare_range("root-cost", "root-cost-hi", "@ll,240,32");
        compare_range("sender-priority", "sender-priority-hi", "@ll,272,16");
        masked_mac("sender-address", "@ll,288,48");
        compare_range("port", "port-hi", "@ll,336,16");
        compare_range("age", "age-hi", "@ll,352,16");
        compare_range("max-age", "max-age-hi", "@ll,368,16");
        compare_range("hello-time", "hello-time-hi", "@ll,384,16");
        compare_range("forward-delay", "forward-delay-hi", "@ll,400,16");
    }
    void masked_mac(const std::string& name, std::string_view field) {
        const auto address = find(name), mask = find(name + "-mask");
        if (!address) return;
        if (mask)
            add("{} & {} {} {}", field, mac_number(mask.text), address.negated ? "!=" : "==", mac_number(address.text));
        else
            add("{} {}{}", field, address.sign(), mac_number(address.text));
    }

    // By place, because nftables' own words for ARP do not fit RARP.
    void arp(std::string_view ether_type) {
        macs();
        add("ether type {}", ether_type);
        compare("hwtype", "@nh,0,16");
        compare("protocoltype", "@nh,16,16");
        compare("opcode", "@nh,48,16");
        const auto source_mac = view_.swapped ? "@nh,144,48" : "@nh,64,48",
                   target_mac = view_.swapped ? "@nh,64,48" : "@nh,144,48";
        const auto source_ip = view_.swapped ? "@nh,192,32" : "@nh,112,32",
                   target_ip = view_.swapped ? "@nh,112,32" : "@nh,192,32";
        compare_bits("arpsrcmacaddr", source_mac, mac_number);
        compare_bits("arpdstmacaddr", target_mac, mac_number);
        arp_address("arpsrcip", source_ip, view_.swapped ? "d" : "s");
        arp_address("arpdstip", target_ip, view_.swapped ? "s" : "d");
        if (find("gratuitous").text == "true") unsupported("gratuitous");
    }
    void arp_address(const std::string& prefix, std::string_view field, const char* side) {
        const auto address = find(prefix + "addr"), mask = find(prefix + "mask");
        if (!address) return;
        if (address.text == learned_address) return add("arp {}addr ip {}{}", side, address.sign(), address.text);
        const auto length = mask ? static_cast<unsigned>(std::stoul(mask.text)) : 32U;
        const std::uint64_t bits = length == 0 ? 0 : 0xffffffffULL << (32 - length) & 0xffffffffULL;
        add("{} & 0x{:08x} {} {}", field, bits,
            address.negated ? "!=" : "==", ip_number(xml::IpAddress(address.text).network(length).text()));
    }

    void address(const std::string& prefix, bool source, const char* family) {
        const auto one = find(prefix + "addr"), mask = find(prefix + "mask"), from = find(prefix + "from"),
                   to = find(prefix + "to");
        const auto field = fmt::format("{} {}addr", family, side(source));
        const auto length = mask && one.text != learned_address ? "/" + mask.text : "";
        if (one) add("{} {}{}{}", field, one.sign(), one.text, length);
        if (from) add("{} {}{}{}", field, from.sign(), from.text, to && to.text != from.text ? "-" + to.text : "");
    }
    void addresses(const char* family) {
        address("srcip", true, family);
        address("dstip", false, family);
    }
    void ports() {
        compare_range("srcportstart", "srcportend", "th " + side(true) + "port");
        compare_range("dstportstart", "dstportend", "th " + side(false) + "port");
    }

    void ip() {
        macs();
        add("ether type 0x0800");
        addresses("ip");
        compare("protocol", "ip protocol");
        ports();
        compare("dscp", "ip dscp");
    }
    void ip6() {
        macs();
        add("ether type 0x86dd");
        addresses("ip6");
        compare("protocol", "meta l4proto");
        ports();
        compare_range("type", "typeend", "icmpv6 type");
        compare_range("code", "codeend", "icmpv6 code");
    }

    void connections(FilterProtocol protocol) {
        const auto word = xml::word(protocol);
        const bool v6 = word.ends_with("v6");
        const char* family = v6 ? "ip6" : "ip";
        add("ether type {}", v6 ? "0x86dd" : "0x0800");
        const auto name = std::string(word.substr(0, word.find("-ipv6")));
        if (name != "all") add("meta l4proto {}", number_of(name));
        // Whose card it is can be told of what the guest sends only.
        if (find("srcmacaddr") && view_.to_guest != view_.swapped) impossible_ = true;
        if (!view_.to_guest || !view_.swapped) mac_of_sender();
        addresses(family);
        ports_of(name);
        compare("dscp", fmt::format("{} dscp", family));
        if (const auto limit = find("connlimit-above")) add("ct count {}{}", limit.negated ? "" : "over ", limit.text);
        if (find("ipset")) unsupported("ipset");
        state();
    }
    void mac_of_sender() {
        if (const auto address = find("srcmacaddr")) add("ether saddr {}{}", address.sign(), address.text);
    }
    void ports_of(const std::string& name) {
        if (name == "tcp" || name == "udp" || name == "sctp") ports();
        if (name == "tcp") {
            if (const auto option = find("option")) add("tcp option {} {}", option.text, option.negated ? "missing" : "exists");
            if (const auto flags = find("flags")) tcp_flags(flags);
        }
        if (name == "icmp" || name == "icmpv6") {
            compare("type", name + " type");
            compare("code", name + " code");
        }
    }
    void tcp_flags(const Found& found) {
        const auto slash = found.text.find('/');
        const auto bits = [](std::string_view words) {
            static constexpr std::pair<std::string_view, unsigned> flags[] = {{"FIN", 1},  {"SYN", 2},  {"RST", 4},   {"PSH", 8},
                                                                              {"ACK", 16}, {"URG", 32}, {"ALL", 0x3f}};
            unsigned set = 0;
            for (const auto& [word, bit] : flags)
                if (words.find(word) != std::string_view::npos) set |= bit;
            return set;
        };
        const std::string_view text = found.text;
        add("tcp flags & 0x{:02x} {} 0x{:02x}", bits(text.substr(0, slash)),
            found.negated ? "!=" : "==", bits(text.substr(slash + 1)));
    }
    void state() {
        const auto found = find("state");
        if (!found || found.text == "NONE") return;
        std::string words = found.text;
        for (char& c : words) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        add("ct state {}{{ {} }}", found.sign(), words);
    }

    [[noreturn]] static void unsupported(const char* attribute) {
        rpc::fail(From::nwfilter, Code::config_unsupported,
                  "attribute '{}' of a filter rule cannot be put into force: nftables has nothing like it", attribute);
    }

    const xml::FilterRule& rule_;
    MatchView view_;
    std::string out_;
    bool impossible_ = false;
};

} // namespace

bool is_about_connections(const xml::FilterRule& rule) {
    return !rule.matches.empty() && rule.matches.front().kind >= FilterProtocol::tcp;
}

std::optional<std::string> match_expression(const xml::FilterRule& rule, MatchView view) {
    return Expression(rule, view).build();
}

} // namespace lodge::drivers
