// <filter>: what packets of a guest's network card may pass. Rules and references to other filters, in the order of the document.
#pragma once
#include "xml/filter_ref.hpp"
#include "xml/net_address.hpp"
#include "xml/nwfilter_match.hpp"

namespace lodge::xml {

enum class FilterAction { drop, accept, reject, return_, continue_ };
std::span<const std::string_view> enum_words(FilterAction);
enum class FilterDirection { in, out, inout }; // as the guest sees it
std::span<const std::string_view> enum_words(FilterDirection);

// -1000 … 1000, low ones first; what is no such number counts as the middle.
struct RulePriority {
    int value = 500;
};
template<> struct Traits<RulePriority> {
    static bool present(RulePriority) { return true; }
    static bool parse(RulePriority& v, std::string_view text);
    static void format(RulePriority v, std::string& out) { out += std::to_string(v.value); }
    static void random(RulePriority& v, Random& r) { v.value = static_cast<int>(r() % 2001) - 1000; }
};
// statematch='false': no connection tracking.
struct Stateless {
    bool value = false;
};
template<> struct Traits<Stateless> {
    static bool present(Stateless v) { return v.value; }
    static bool parse(Stateless& v, std::string_view text);
    static void format(Stateless, std::string& out) { out += "false"; }
    static void random(Stateless& v, Random& r) { v.value = r() & 1; }
};

struct FilterRule {
    FilterAction action = FilterAction::drop;
    FilterDirection direction = FilterDirection::in;
    RulePriority priority;
    Stateless stateless;
    std::vector<FilterMatch> matches; // of one protocol; empty: every packet
};

enum class FilterEntryKind { rule, filterref };
std::span<const std::string_view> enum_words(FilterEntryKind);
struct FilterEntry {
    FilterEntryKind kind = FilterEntryKind::rule;
    FilterRule rule;
    FilterRef reference;
};

struct Filter {
    std::string name;
    std::string chain;           // "root" unless named
    std::optional<int> priority; // of the chain; absent: 0
    rpc::Uuid uuid;
    std::vector<FilterEntry> entries;
};
void describe(Doc& doc, FilterRule& rule);
void describe(Doc& doc, FilterEntry& entry);
void describe(Doc& doc, Filter& filter);

// In normal form; without a UUID when the document has none.
Filter parse_filter(const std::string& text, const ReadOptions& options = {});
std::string format_filter(const Filter& filter);

// <filterbinding>: a filter at work on an interface of the host.
struct BindingOwner {
    std::string name;
    rpc::Uuid uuid;
};
struct BindingDevice {
    std::string name;
};
struct BindingMac {
    std::string address;
};
struct FilterBinding {
    BindingOwner owner;
    BindingDevice port;                // the tap
    std::optional<BindingDevice> link; // below a direct (macvtap) interface
    BindingMac mac;
    FilterRef reference;
};
void describe(Doc& doc, FilterBinding& binding);

FilterBinding parse_filter_binding(const std::string& text, const ReadOptions& options = {});
std::string format_filter_binding(const FilterBinding& binding);
// As kept in /run: <filterbindingstatus> around it.
FilterBinding parse_filter_binding_status(const std::string& text, const std::string& path);
std::string format_filter_binding_status(const FilterBinding& binding);

} // namespace lodge::xml
