// What a rule looks for, as nftables' bridge family says it. Pure.
#pragma once
#include "xml/nwfilter.hpp"

namespace lodge::drivers {

// Rules about frames (mac, arp, ip, …) are judged first; then those about connections (tcp, icmp, all, …), which know of states.
bool is_about_connections(const xml::FilterRule& rule);

struct MatchView {
    bool swapped = false; // the other direction of the traffic that the rule is written for: source and destination change places
    bool to_guest = false;
};
// "ether type arp arp operation 1 "; empty: everything. Nothing when the rule has no meaning in that direction. Refuses with
// Code::config_unsupported what nftables cannot look for.
std::optional<std::string> match_expression(const xml::FilterRule& rule, MatchView view);

} // namespace lodge::drivers
