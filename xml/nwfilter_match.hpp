// The element inside a filter's <rule>: a protocol and what to look for in its packets. One table says which attributes a
// protocol has and what may stand in them; values are kept in the spelling that libvirt writes.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class FilterProtocol {
    arp,
    rarp,
    mac,
    vlan,
    stp,
    ip,
    ipv6,
    tcp,
    udp,
    udplite,
    esp,
    ah,
    sctp,
    icmp,
    all,
    igmp,
    tcp_ipv6,
    udp_ipv6,
    udplite_ipv6,
    esp_ipv6,
    ah_ipv6,
    sctp_ipv6,
    icmpv6,
    all_ipv6
};
std::span<const std::string_view> enum_words(FilterProtocol);

enum class FilterValueKind {
    u8,           // decimal or 0x…, as it was written
    u16,          // the same
    u32,          // the same
    count,        // 16 bits, decimal
    dscp,         // up to 63
    vlan_id,      // up to 4095
    ether_type,   // a name ("arp") or a number from 0x600 on
    encapsulated, // the same, or a length from 60 on
    arp_opcode,
    ip_protocol,
    mac,
    mac_mask,
    ipv4,
    ipv4_mask, // written as a length
    ipv6,
    ipv6_mask,
    boolean,
    comment,
    state,     // NEW,ESTABLISHED,…
    tcp_flags, // SYN,ACK/SYN
    ipset,
    ipset_flags
};

struct FilterAttribute {
    const char* name;
    FilterValueKind kind;
    const char* sign_of = nullptr; // negated when that other attribute is
};

struct FilterValue {
    const FilterAttribute* attribute = nullptr;
    std::string text; // empty: not given; "$NAME", "$NAME[@1]", "$NAME[2]": a variable
    bool is_variable() const { return text.starts_with('$'); }
};
template<> struct Traits<FilterValue> {
    static bool present(const FilterValue& v) { return !v.text.empty(); }
    static bool parse(FilterValue& v, std::string_view text); // refuses by itself, naming the attribute
    static void format(const FilterValue& v, std::string& out) { out += v.text; }
    static void random(FilterValue& v, Random& r);
};

struct FilterMatch {
    FilterProtocol kind = FilterProtocol::all;
    std::string match;               // "no": none of the values may be there
    std::vector<FilterValue> values; // as filter_attributes(kind)
    bool negated() const { return match == "no"; }
    // Empty: not given.
    const std::string& value(std::string_view name) const;
};
void describe(Doc& doc, FilterMatch& match);

std::span<const FilterAttribute> filter_attributes(FilterProtocol protocol);
// A value in its normal spelling; nothing when it does not fit the kind.
std::optional<std::string> normal_filter_value(FilterValueKind kind, std::string_view text);
std::string random_filter_value(FilterValueKind kind, Random& random);

// A rule's elements as libvirt keeps them: those of the first one's protocol together, split again where `match` changes.
void normalize_matches(std::vector<FilterMatch>& matches);

} // namespace lodge::xml
