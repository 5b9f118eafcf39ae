#include "xml/nwfilter_match.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(FilterProtocol) {
    static constexpr std::string_view words[] = {"arp",          "rarp",     "mac",     "vlan",      "stp",      "ip",
                                                 "ipv6",         "tcp",      "udp",     "udplite",   "esp",      "ah",
                                                 "sctp",         "icmp",     "all",     "igmp",      "tcp-ipv6", "udp-ipv6",
                                                 "udplite-ipv6", "esp-ipv6", "ah-ipv6", "sctp-ipv6", "icmpv6",   "all-ipv6"};
    return words;
}

// ---- which attributes a protocol has, in the order of output ----

using Attributes = std::vector<FilterAttribute>;
using enum FilterValueKind;

static Attributes operator+(Attributes a, const Attributes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

static const Attributes macs = {
    {"srcmacaddr", mac}, {"srcmacmask", mac_mask, "srcmacaddr"}, {"dstmacaddr", mac}, {"dstmacmask", mac_mask, "dstmacaddr"}};
static const Attributes remark = {{"comment", comment}};

static Attributes addresses(FilterValueKind address, FilterValueKind mask) {
    return {{"srcipaddr", address}, {"srcipmask", mask, "srcipaddr"}, {"dstipaddr", address}, {"dstipmask", mask, "dstipaddr"}};
}
static const Attributes ports = {{"srcportstart", u16}, {"srcportend", u16}, {"dstportstart", u16}, {"dstportend", u16}};

static const Attributes vlan = macs + Attributes{{"vlanid", vlan_id}, {"encap-protocol", encapsulated}} + remark;

static const Attributes stp = Attributes{{"srcmacaddr", mac},
                                         {"srcmacmask", mac_mask, "srcmacaddr"},
                                         {"type", u8},
                                         {"flags", u8},
                                         {"root-priority", u16},
                                         {"root-priority-hi", u16, "root-priority"},
                                         {"root-address", mac},
                                         {"root-address-mask", mac_mask, "root-address"},
                                         {"root-cost", u32},
                                         {"root-cost-hi", u32, "root-cost"},
                                         {"sender-priority", u16},
                                         {"sender-priority-hi", u16, "sender-priority"},
                                         {"sender-address", mac},
                                         {"sender-address-mask", mac_mask, "sender-address"},
                                         {"port", u16},
                                         {"port-hi", u16, "port"},
                                         {"age", u16},
                                         {"age-hi", u16, "age"},
                                         {"max-age", u16},
                                         {"max-age-hi", u16, "max-age"},
                                         {"hello-time", u16},
                                         {"hello-time-hi", u16, "hello-time"},
                                         {"forward-delay", u16},
                                         {"forward-delay-hi", u16, "forward-delay"}} +
                              remark;

static const Attributes arp = macs +
                              Attributes{{"hwtype", u16},
                                         {"protocoltype", u16},
                                         {"opcode", arp_opcode},
                                         {"arpsrcmacaddr", mac},
                                         {"arpdstmacaddr", mac},
                                         {"arpsrcipaddr", ipv4},
                                         {"arpsrcipmask", ipv4_mask},
                                         {"arpdstipaddr", ipv4},
                                         {"arpdstipmask", ipv4_mask},
                                         {"gratuitous", boolean}} +
                              remark;

static const Attributes ip =
    macs + addresses(ipv4, ipv4_mask) + Attributes{{"protocol", ip_protocol}} + ports + Attributes{{"dscp", dscp}} + remark;
static const Attributes ip6 = macs + addresses(ipv6, ipv6_mask) + Attributes{{"protocol", ip_protocol}} + ports +
                              Attributes{{"type", u8}, {"typeend", u8, "type"}, {"code", u8, "type"}, {"codeend", u8, "type"}} +
                              remark;

// Layers above IP: what the connection tracking of the host looks at.
static Attributes transport(FilterValueKind address, FilterValueKind mask, const Attributes& own) {
    return Attributes{{"srcmacaddr", mac}} + addresses(address, mask) +
           Attributes{{"srcipfrom", address},
                      {"srcipto", address, "srcipfrom"},
                      {"dstipfrom", address},
                      {"dstipto", address, "dstipfrom"},
                      {"dscp", dscp},
                      {"connlimit-above", count},
                      {"state", state},
                      {"ipset", ipset},
                      {"ipsetflags", ipset_flags}} +
           own + remark;
}
static Attributes v4(const Attributes& own) { return transport(ipv4, ipv4_mask, own); }
static Attributes v6(const Attributes& own) { return transport(ipv6, ipv6_mask, own); }

static const Attributes signed_ports = {{"srcportstart", u16},
                                        {"srcportend", u16, "srcportstart"},
                                        {"dstportstart", u16, "srcportstart"},
                                        {"dstportend", u16, "srcportstart"}};
static const Attributes option = {{"option", u8}};
static const Attributes types = {{"type", u8}, {"code", u8, "type"}};

// In the order of FilterProtocol.
static const Attributes tables[] = {arp,
                                    arp,
                                    macs + Attributes{{"protocolid", ether_type}} + remark,
                                    vlan,
                                    stp,
                                    ip,
                                    ip6,
                                    v4(signed_ports + option + Attributes{{"flags", tcp_flags}}),
                                    v4(signed_ports),
                                    v4({}),
                                    v4({}),
                                    v4({}),
                                    v4(signed_ports),
                                    v4(types),
                                    v4({}),
                                    v4({}),
                                    v6(signed_ports + option),
                                    v6(signed_ports),
                                    v6({}),
                                    v6({}),
                                    v6({}),
                                    v6(signed_ports),
                                    v6(types),
                                    v6({})};

std::span<const FilterAttribute> filter_attributes(FilterProtocol protocol) { return tables[static_cast<std::size_t>(protocol)]; }

static std::size_t index_of(FilterProtocol protocol, std::string_view name) {
    const auto all = filter_attributes(protocol);
    return static_cast<std::size_t>(std::ranges::find(all, name, &FilterAttribute::name) - all.begin());
}

// ---- the element ----

bool Traits<FilterValue>::parse(FilterValue& v, std::string_view text) {
    auto normal = normal_filter_value(v.attribute->kind, text);
    if (!normal) rpc::fail(From::nwfilter, Code::internal_error, "{} has illegal value {}", v.attribute->name, text);
    v.text = std::move(*normal);
    return true;
}

void Traits<FilterValue>::random(FilterValue& v, Random& r) { v.text = random_filter_value(v.attribute->kind, r); }

const std::string& FilterMatch::value(std::string_view name) const {
    static const std::string none;
    const auto index = index_of(kind, name);
    return index < values.size() ? values[index].text : none;
}

void describe(Doc& doc, FilterMatch& match) {
    doc.attribute("match", match.match);
    const auto attributes = filter_attributes(match.kind);
    match.values.resize(attributes.size());
    for (std::size_t i = 0; i < attributes.size(); ++i) {
        match.values[i].attribute = &attributes[i];
        doc.attribute(attributes[i].name, match.values[i]);
    }
}

// ---- normal form of a rule's elements ----

namespace {

struct Item {
    FilterValue value;
    bool negated = false;
};

// All values of one protocol, each with its sign; what comes later wins.
std::vector<Item> merge(const std::vector<FilterMatch>& matches, FilterProtocol protocol) {
    std::vector<Item> items(filter_attributes(protocol).size());
    for (const auto& match : matches)
        for (std::size_t i = 0; i < match.values.size(); ++i)
            if (!match.values[i].text.empty()) items[i] = {match.values[i], match.negated()};
    return items;
}

void copy_signs(std::vector<Item>& items, FilterProtocol protocol) {
    const auto attributes = filter_attributes(protocol);
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (!attributes[i].sign_of) continue;
        const auto& leader = items[index_of(protocol, attributes[i].sign_of)];
        items[i].negated = !leader.value.text.empty() && leader.negated;
    }
}

// A set without flags is compared with the source; flags are taken only where nothing but a set can be meant.
void settle_ipset(std::vector<Item>& items, FilterProtocol protocol) {
    const auto at = index_of(protocol, "ipset");
    if (at == items.size() || protocol == FilterProtocol::all || protocol == FilterProtocol::all_ipv6) return;
    auto &set = items[at].value, &flags = items[at + 1].value;
    if (!set.text.empty() && flags.text.empty()) {
        flags.text = "src";
        items[at + 1].negated = false;
    } else {
        set.text.clear();
        flags.text.clear();
    }
}

std::vector<FilterMatch> split(const std::vector<Item>& items, FilterProtocol protocol) {
    std::vector<FilterMatch> matches;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].value.text.empty()) continue;
        if (matches.empty() || matches.back().negated() != items[i].negated) {
            FilterMatch match;
            match.kind = protocol;
            match.match = items[i].negated ? "no" : "";
            match.values.resize(items.size());
            matches.push_back(std::move(match));
        }
        matches.back().values[i] = items[i].value;
    }
    if (matches.empty()) matches.emplace_back().kind = protocol;
    return matches;
}

// Ports mean something only in protocols that have them.
void check_ports(const std::vector<Item>& items, FilterProtocol protocol) {
    if (protocol != FilterProtocol::ip && protocol != FilterProtocol::ipv6) return;
    const auto value = [&](std::string_view name) -> const std::string& { return items[index_of(protocol, name)].value.text; };
    if (std::ranges::all_of(ports, [&](const FilterAttribute& port) { return value(port.name).empty(); })) return;
    static constexpr std::string_view with_ports[] = {"tcp", "udp", "sctp", "33", "0x21"};
    if (std::ranges::find(with_ports, value("protocol")) != std::end(with_ports)) return;
    rpc::fail(
        From::nwfilter, Code::internal_error,
        "{} rule with port specification requires protocol specification with protocol to be either one of tcp(6), udp(17), "
        "dccp(33), or sctp(132)",
        protocol == FilterProtocol::ip ? "IP" : "IPv6");
}

} // namespace

void normalize_matches(std::vector<FilterMatch>& matches) {
    if (matches.empty()) return;
    const auto protocol = matches.front().kind;
    auto items = merge(matches, protocol);
    check_ports(items, protocol);
    copy_signs(items, protocol);
    settle_ipset(items, protocol);
    matches = split(items, protocol);
}

} // namespace lodge::xml
