// How the values of filter rules are spelled: each kind takes what libvirt takes and gives what libvirt writes.
#include "xml/filter_ref.hpp"
#include "xml/net_address.hpp"
#include "xml/nwfilter_match.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

using enum FilterValueKind;
using Text = std::optional<std::string>;

struct Word {
    std::string_view name;
    std::uint64_t value;
};
constexpr Word ether_types[] = {{"arp", 0x0806}, {"rarp", 0x8035}, {"ipv4", 0x0800}, {"ipv6", 0x86dd}, {"vlan", 0x8100}};
constexpr Word arp_opcodes[] = {{"Request", 1},       {"Reply", 2},         {"Request_Reverse", 3},
                                {"Reply_Reverse", 4}, {"DRARP_Request", 5}, {"DRARP_Reply", 6},
                                {"DRARP_Error", 7},   {"InARP_Request", 8}, {"ARP_NAK", 9}};
constexpr Word ip_protocols[] = {{"tcp", 6},  {"udp", 17}, {"udplite", 136}, {"esp", 50},   {"ah", 51},
                                 {"icmp", 1}, {"igmp", 2}, {"sctp", 132},    {"icmpv6", 58}};
constexpr Word states[] = {{"NEW", 2}, {"ESTABLISHED", 4}, {"RELATED", 8}, {"INVALID", 16}, {"NONE", 32}};
constexpr Word tcp_flag_words[] = {{"FIN", 1},  {"SYN", 2},  {"RST", 4},    {"PSH", 8},
                                   {"ACK", 16}, {"URG", 32}, {"ALL", 0x3f}, {"NONE", 0}};

bool same_word(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return std::tolower(x) == std::tolower(y); });
}
const Word* by_name(std::span<const Word> words, std::string_view name) {
    const auto at = std::ranges::find_if(words, [&](const Word& word) { return same_word(word.name, name); });
    return at == words.end() ? nullptr : &*at;
}
const Word* by_value(std::span<const Word> words, std::uint64_t value) {
    const auto at = std::ranges::find(words, value, &Word::value);
    return at == words.end() ? nullptr : &*at;
}

struct Number {
    std::uint64_t value;
    bool hex;
    std::string text() const { return hex ? fmt::format("0x{:x}", value) : std::to_string(value); }
};

std::optional<std::uint64_t> digits(std::string_view text, int base) {
    text = text.substr(std::min(text.find_first_not_of(" \t\n"), text.size()));
    if (text.starts_with('+')) text.remove_prefix(1);
    if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Decimal if it can be read so and fits, else hexadecimal, with or without "0x".
std::optional<Number> number(std::string_view text, std::uint64_t limit) {
    if (const auto value = digits(text, 10); value && *value <= limit) return Number{*value, false};
    if (const auto value = digits(text, 16); value && *value <= limit) return Number{*value, true};
    return std::nullopt;
}

Text plain_number(std::string_view text, std::uint64_t type_limit, std::uint64_t limit) {
    const auto value = number(text, type_limit);
    return value && value->value <= limit ? Text(value->text()) : std::nullopt;
}

// A number or a name; written by name where there is one.
Text named_number(std::string_view text, std::span<const Word> words, std::uint64_t least, std::uint64_t limit, bool keep_hex) {
    const auto value = number(text, limit);
    if (!value) {
        const auto* word = by_name(words, text);
        return word ? Text(word->name) : std::nullopt;
    }
    if (value->value < least) return std::nullopt;
    if (const auto* word = by_value(words, value->value)) return std::string(word->name);
    return keep_hex ? value->text() : std::to_string(value->value);
}

Text mac_text(std::string_view text, bool is_mask) {
    const auto address = MacAddress::parse(text);
    if (!address) return std::nullopt;
    if (!is_mask) return address->text();
    bool ended = false; // ones first, then only zeros
    for (const auto byte : address->bytes)
        for (int bit = 7; bit >= 0; --bit) {
            const bool set = (byte >> bit) & 1;
            if (ended && set) return std::nullopt;
            ended = ended || !set;
        }
    return address->text();
}

Text ip_text(std::string_view text, bool v6) {
    const IpAddress address(text);
    return address.valid() && address.is_v6() == v6 ? Text(address.text()) : std::nullopt;
}

Text ip_mask_text(std::string_view text, bool v6) {
    if (const auto length = digits(text, 10)) return *length <= (v6 ? 128U : 32U) ? Text(std::to_string(*length)) : std::nullopt;
    const IpAddress address(text);
    if (!address.valid() || address.is_v6() != v6) return std::nullopt;
    const auto length = address.as_netmask();
    return length ? Text(std::to_string(*length)) : std::nullopt;
}

// Words in any order with commas or blanks, or nothing, between.
std::optional<std::uint64_t> word_set(std::string_view text, std::span<const Word> words) {
    std::uint64_t set = 0;
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(", \t\n\r"), text.size()));
        if (text.empty()) return set;
        const auto at =
            std::ranges::find_if(words, [&](const Word& word) { return same_word(word.name, text.substr(0, word.name.size())); });
        if (at == words.end()) return std::nullopt;
        set |= at->value;
        text.remove_prefix(at->name.size());
    }
}

std::string join(std::uint64_t set, std::span<const Word> words) {
    std::string text;
    for (const auto& word : words)
        if (std::has_single_bit(word.value) && (set & word.value)) text.append(text.empty() ? "" : ",").append(word.name);
    return text;
}

Text state_text(std::string_view text) {
    const auto set = word_set(text, states);
    if (!set) return std::nullopt;
    return *set & by_name(states, "NONE")->value ? std::string("NONE") : join(*set, states);
}

Text flags_text(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto mask = word_set(text.substr(0, slash), tcp_flag_words), flags = word_set(text.substr(slash + 1), tcp_flag_words);
    if (!mask || !flags) return std::nullopt;
    const auto half = [](std::uint64_t set) {
        return set == 0 ? std::string("NONE") : set == 0x3f ? "ALL" : join(set, tcp_flag_words);
    };
    return half(*mask) + "/" + half(*flags);
}

Text ipset_text(std::string_view text) {
    constexpr std::size_t longest = 31;
    const bool allowed = std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) || std::string_view("_.:-+ ").find(static_cast<char>(c)) != std::string_view::npos;
    });
    return text.size() <= longest && allowed ? Text(text) : std::nullopt;
}

Text ipset_flags_text(std::string_view text) {
    std::string out;
    for (int left = 6; left > 0; --left) {
        const auto word = text.substr(0, 3);
        if (!same_word(word, "src") && !same_word(word, "dst")) return std::nullopt;
        out += same_word(word, "src") ? "src" : "dst";
        text.remove_prefix(3);
        if (text.empty()) return out;
        if (text[0] != ',') return std::nullopt;
        text.remove_prefix(1);
        out += ',';
    }
    return std::nullopt;
}

Text comment_text(std::string_view text) {
    constexpr std::size_t longest = 256; // what the packet filter can keep
    auto length = std::min(text.size(), longest);
    while (length < text.size() && length > 0 && (text[length] & 0xc0) == 0x80) --length;
    return std::string(text.substr(0, length));
}

// "$NAME", "$NAME[3]" (an element) or "$NAME[@1]" (an iterator; @0 when none is named).
Text variable_text(std::string_view text) {
    constexpr std::uint64_t last_iterator = 65535;
    const auto open = text.find('[');
    const auto name = text.substr(1, open == std::string_view::npos ? open : open - 1);
    if (!is_variable_name(name)) return std::nullopt;
    if (open == std::string_view::npos) return std::string(text);
    auto index = trim(text.substr(open + 1));
    if (!index.ends_with(']')) return std::nullopt;
    index.remove_suffix(1);
    const bool iterator = index.starts_with('@');
    if (iterator) index.remove_prefix(1);
    const auto value = digits(trim(index), 10);
    if (!value || (iterator && *value > last_iterator) || *value > UINT32_MAX) return std::nullopt;
    if (iterator && *value == 0) return fmt::format("${}", name);
    return fmt::format("${}[{}{}]", name, iterator ? "@" : "", *value);
}

} // namespace

Text normal_filter_value(FilterValueKind kind, std::string_view text) {
    if (text.starts_with('$')) return variable_text(text);
    switch (kind) {
    case u8: return plain_number(text, 0xff, 0xff);
    case u16: return plain_number(text, 0xffff, 0xffff);
    case u32: return plain_number(text, UINT32_MAX, UINT32_MAX);
    case count: {
        const auto value = digits(text, 10);
        return value && *value <= 0xffff ? Text(std::to_string(*value)) : std::nullopt;
    }
    case dscp: return plain_number(text, 0xff, 63);
    case vlan_id: return plain_number(text, 0xffff, 4095);
    case ether_type: return named_number(text, ether_types, 0x600, 0xffff, true);
    case encapsulated: return named_number(text, ether_types, 0x3c, 0xffff, true);
    case arp_opcode: return named_number(text, arp_opcodes, 0, 0xffff, false);
    case ip_protocol: return named_number(text, ip_protocols, 0, 0xff, true);
    case mac: return mac_text(text, false);
    case mac_mask: return mac_text(text, true);
    case ipv4: return ip_text(text, false);
    case ipv4_mask: return ip_mask_text(text, false);
    case ipv6: return ip_text(text, true);
    case ipv6_mask: return ip_mask_text(text, true);
    case boolean: return text == "true" || text == "1" || text == "yes" ? "true" : "false";
    case comment: return comment_text(text);
    case state: return state_text(text);
    case tcp_flags: return flags_text(text);
    case ipset: return ipset_text(text);
    case ipset_flags: return ipset_flags_text(text);
    }
    return std::nullopt;
}

std::string random_filter_value(FilterValueKind kind, Random& random) {
    static constexpr std::string_view samples[][3] = {
        {"7", "0x1f", "255"},
        {"80", "0xabc", "65535"},
        {"70000", "0xabcdef", "1"},
        {"3", "17", "65535"},
        {"2", "0x3f", "63"},
        {"1", "0xfff", "4095"},
        {"arp", "0x9000", "36864"},
        {"vlan", "0x3c", "60"},
        {"Request", "ARP_NAK", "77"},
        {"tcp", "33", "0x58"},
        {"52:54:00:00:00:01", "01:80:c2:00:00:00", "$MAC"},
        {"ff:ff:ff:00:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"},
        {"10.1.2.3", "$IP", "$IP[@1]"},
        {"24", "0", "32"},
        {"2001:db8::1", "$IPV6", "$IPV6[2]"},
        {"64", "0", "128"},
        {"true", "false", "$ON"},
        {"<why> & 'how'", "c", "because"},
        {"NEW", "NEW,ESTABLISHED", "NONE"},
        {"SYN,ACK/SYN", "ALL/NONE", "RST/NONE"},
        {"set", "a:_.-+ b", "$SET"},
        {"src", "src,dst", "dst,dst,dst,dst,dst,src"},
    };
    return std::string(samples[static_cast<std::size_t>(kind)][random() % 3]);
}

} // namespace lodge::xml
