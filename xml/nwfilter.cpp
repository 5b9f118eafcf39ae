#include "xml/nwfilter.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(FilterAction) {
    static constexpr std::string_view words[] = {"drop", "accept", "reject", "return", "continue"};
    return words;
}
std::span<const std::string_view> enum_words(FilterDirection) {
    static constexpr std::string_view words[] = {"in", "out", "inout"};
    return words;
}
std::span<const std::string_view> enum_words(FilterEntryKind) {
    static constexpr std::string_view words[] = {"rule", "filterref"};
    return words;
}

static constexpr int least_priority = -1000, greatest_priority = 1000;

bool Traits<RulePriority>::parse(RulePriority& v, std::string_view text) {
    std::int64_t value = 0;
    if (parse_signed(text, value) && value >= least_priority && value <= greatest_priority) v.value = static_cast<int>(value);
    return true;
}

bool Traits<Stateless>::parse(Stateless& v, std::string_view text) {
    std::string word(text);
    for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    v.value = word == "0" || word == "false";
    return true;
}

// ---- descriptions ----

void describe(Doc& doc, FilterRule& rule) {
    doc.required("action", rule.action);
    doc.required("direction", rule.direction);
    doc.attribute("priority", rule.priority);
    doc.attribute("statematch", rule.stateless);
    doc.choices(rule.matches, Mark::one_kind);
}

void describe(Doc& doc, FilterEntry& entry) {
    if (doc.when(entry.kind == FilterEntryKind::rule)) describe(doc, entry.rule);
    if (doc.when(entry.kind == FilterEntryKind::filterref)) describe(doc, entry.reference);
}

struct ChainKind {
    std::string_view prefix;
    int priority; // unless the document names one
};
static constexpr ChainKind chain_kinds[] = {{"mac", -800},  {"vlan", -750}, {"stp", 0},    {"arp", -500},
                                            {"rarp", -400}, {"ipv4", -700}, {"ipv6", -600}};

// A chain is "root", or has a name that tells by its beginning which packets go through it.
static int chain_priority(const std::string& chain) {
    constexpr std::size_t longest = 12;
    const auto refuse = [](const std::string& why) { rpc::fail(From::nwfilter, Code::invalid_arg, "{}", why); };
    if (chain.size() > longest) refuse(fmt::format("Name of chain is longer than {} characters", longest));
    constexpr std::string_view others = "_.:-";
    if (!std::ranges::all_of(
            chain, [&](unsigned char c) { return std::isalnum(c) || others.find(static_cast<char>(c)) != others.npos; }))
        refuse("Chain name contains invalid characters");
    if (chain == "root") return 0;
    const auto kind = std::ranges::find_if(chain_kinds, [&](const ChainKind& each) { return chain.starts_with(each.prefix); });
    if (kind == std::end(chain_kinds))
        refuse(
            fmt::format("Invalid chain name '{}'. Please use a chain name called 'root' or any of the following prefixes: mac, "
                        "vlan, stp, arp, rarp, ipv4, ipv6",
                        chain));
    return kind->priority;
}

static void settle_chain(Filter& filter) {
    if (filter.priority && (*filter.priority < least_priority || *filter.priority > greatest_priority))
        rpc::fail(From::nwfilter, Code::invalid_arg, "Priority '{}' is outside valid range of [{},{}]", *filter.priority,
                  least_priority, greatest_priority);
    if (filter.chain.empty()) {
        filter.chain = "root";
        filter.priority.reset(); // that of a chain that is not named counts for nothing
        return;
    }
    const int usual = chain_priority(filter.chain);
    if (!filter.priority) filter.priority = usual;
    if (filter.priority == 0) filter.priority.reset();
}

// libvirt's order of reading.
static constexpr std::string_view filter_order[] = {"@name", "@priority", "@chain", "uuid"};

void describe(Doc& doc, Filter& filter) {
    doc.read_in_order(filter_order);
    doc.required("name", filter.name);
    doc.attribute("chain", filter.chain);
    doc.attribute("priority", filter.priority);
    doc.check("@chain", [&] { settle_chain(filter); });
    doc.text_child("uuid", filter.uuid);
    doc.choices(filter.entries);
}

// ---- filters ----

Filter parse_filter(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::nwfilter;
    if (own.where.empty()) own.where = "(nwfilter_definition)";
    auto filter = parse<Filter>(text, "filter", own);
    for (auto& entry : filter.entries) {
        normalize_matches(entry.rule.matches);
        if (entry.kind == FilterEntryKind::rule) continue;
        if (entry.reference.filter.empty())
            rpc::fail(From::nwfilter, Code::internal_error, "a filterref of filter '{}' names no filter", filter.name);
        normalize_filter_ref(entry.reference);
    }
    return filter;
}

std::string format_filter(const Filter& filter) { return format(filter, "filter"); }

// ---- bindings ----

static void describe(Doc& doc, BindingOwner& owner) {
    doc.text_child("name", owner.name);
    doc.text_child("uuid", owner.uuid);
}
static void describe(Doc& doc, BindingDevice& device) { doc.attribute("name", device.name); }
static void describe(Doc& doc, BindingMac& mac) { doc.attribute("address", mac.address); }

void describe(Doc& doc, FilterBinding& binding) {
    doc.child("owner", binding.owner);
    doc.child("portdev", binding.port);
    doc.child("linkdev", binding.link);
    doc.child("mac", binding.mac);
    doc.child("filterref", binding.reference);
}

namespace {
struct BindingStatus {
    FilterBinding binding;
};
void describe(Doc& doc, BindingStatus& status) { doc.child("filterbinding", status.binding); }
} // namespace

static void check_binding(FilterBinding& binding) {
    const auto require = [](bool there, const char* what) {
        if (!there) rpc::fail(From::nwfilter, Code::internal_error, "filter binding has no {}", what);
    };
    require(!binding.port.name.empty(), "port dev name");
    require(!binding.link || !binding.link->name.empty(), "link dev name");
    require(!binding.owner.name.empty(), "owner name");
    require(!binding.owner.uuid.is_nil(), "owner UUID");
    require(!binding.mac.address.empty(), "MAC address");
    const auto mac = MacAddress::parse(binding.mac.address);
    if (!mac) rpc::fail(From::nwfilter, Code::internal_error, "Unable to parse MAC '{}'", binding.mac.address);
    binding.mac.address = mac->text();
    require(!binding.reference.filter.empty(), "filter reference");
    normalize_filter_ref(binding.reference);
}

FilterBinding parse_filter_binding(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::nwfilter;
    if (own.where.empty()) own.where = "(nwfilterbinding_definition)";
    auto binding = parse<FilterBinding>(text, "filterbinding", own);
    check_binding(binding);
    return binding;
}
std::string format_filter_binding(const FilterBinding& binding) { return format(binding, "filterbinding"); }

FilterBinding parse_filter_binding_status(const std::string& text, const std::string& path) {
    auto status = parse<BindingStatus>(text, "filterbindingstatus", {.from = From::nwfilter, .where = path});
    check_binding(status.binding);
    return std::move(status.binding);
}
std::string format_filter_binding_status(const FilterBinding& binding) {
    return format(BindingStatus{binding}, "filterbindingstatus");
}

} // namespace lodge::xml
