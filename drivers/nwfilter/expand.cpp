#include "drivers/nwfilter/expand.hpp"
#include "rpc/error.hpp"
#include <algorithm>

namespace lodge::drivers {

using rpc::Code;
using rpc::From;

namespace {

// "$NAME", "$NAME[@1]" (iterator 1) or "$NAME[2]" (element 2).
struct Access {
    std::string name;
    bool iterator = true;
    unsigned number = 0;
};

Access access_of(const std::string& text) {
    const auto open = text.find('[');
    if (open == std::string::npos) return {text.substr(1)};
    const bool iterator = text[open + 1] == '@';
    return {text.substr(1, open - 1), iterator, static_cast<unsigned>(std::stoul(text.substr(open + (iterator ? 2 : 1))))};
}

bool is_available(const Access& access, const FilterVariables& variables) {
    const auto found = variables.find(access.name);
    return found != variables.end() && (access.iterator || access.number < found->second.size());
}

template<class F> void for_each_variable(const xml::FilterRule& rule, F use) {
    for (const auto& match : rule.matches)
        for (const auto& value : match.values)
            if (value.is_variable()) use(access_of(value.text));
}

// Lists with the same iterator go side by side, those of different ones make every combination.
using Positions = std::map<unsigned, std::size_t>; // by iterator

std::map<unsigned, std::size_t> iterator_lengths(const xml::FilterRule& rule, const FilterVariables& variables) {
    std::map<unsigned, std::size_t> lengths;
    for_each_variable(rule, [&](const Access& access) {
        if (!access.iterator) return;
        const auto length = variables.at(access.name).size();
        const auto [known, added] = lengths.emplace(access.number, length);
        if (!added && known->second != length)
            rpc::fail(From::nwfilter, Code::internal_error,
                      "Cardinality of list items must be the same for processing them in parallel");
    });
    return lengths;
}

bool advance(Positions& positions, const std::map<unsigned, std::size_t>& lengths) {
    for (const auto& [iterator, length] : lengths) {
        if (++positions[iterator] < length) return true;
        positions[iterator] = 0;
    }
    return false;
}

xml::FilterRule filled_in(xml::FilterRule rule, const FilterVariables& variables, const Positions& positions) {
    for (auto& match : rule.matches)
        for (auto& value : match.values) {
            if (!value.is_variable()) continue;
            const auto access = access_of(value.text);
            const auto& list = variables.at(access.name);
            const auto& word = list[access.iterator ? positions.at(access.number) : access.number];
            const bool learned = value.attribute->kind == xml::FilterValueKind::ipv4 && word == learned_address;
            const auto normal = learned ? word : xml::normal_filter_value(value.attribute->kind, word);
            if (!normal || normal->starts_with('$'))
                rpc::fail(From::nwfilter, Code::internal_error, "variable '{}' has the value '{}', which cannot stand for {}",
                          access.name, word, value.attribute->name);
            value.text = *normal;
        }
    return rule;
}

class Expansion {
  public:
    Expansion(const FilterLookup& lookup, bool collect_missing)
        : lookup_(lookup)
        , collect_missing_(collect_missing) {}

    std::vector<PlacedRule> rules;
    std::set<std::string> missing;

    void add(const std::string& name, const FilterVariables& variables) {
        const auto* filter = lookup_(name);
        if (!filter) rpc::fail(From::nwfilter, Code::internal_error, "referenced filter '{}' is missing", name);
        for (const auto& entry : filter->entries) {
            if (entry.kind == xml::FilterEntryKind::rule) {
                add_rule(*filter, entry.rule, variables);
            } else {
                auto inner = variables; // what stands outside wins over what a reference says
                inner.merge(filter_variables(entry.reference));
                add(entry.reference.filter, inner);
            }
        }
    }

  private:
    void add_rule(const xml::Filter& filter, const xml::FilterRule& rule, const FilterVariables& variables) {
        bool complete = true;
        for_each_variable(rule, [&](const Access& access) {
            if (is_available(access, variables)) return;
            complete = false;
            missing.insert(access.name);
        });
        if (!complete || collect_missing_) return;
        const auto lengths = iterator_lengths(rule, variables);
        Positions positions;
        for (const auto& [iterator, length] : lengths) positions[iterator] = 0;
        do rules.push_back({filled_in(rule, variables, positions), filter.chain, filter.priority.value_or(0)});
        while (advance(positions, lengths));
    }

    const FilterLookup& lookup_;
    bool collect_missing_;
};

void collect(const xml::Filter& filter, const FilterLookup& lookup, std::set<std::string>& names) {
    if (!names.insert(filter.name).second) return;
    for (const auto& entry : filter.entries) {
        if (entry.kind != xml::FilterEntryKind::filterref) continue;
        if (const auto* inner = lookup(entry.reference.filter))
            collect(*inner, lookup, names);
        else
            names.insert(entry.reference.filter);
    }
}

} // namespace

FilterVariables filter_variables(const xml::FilterRef& reference) {
    FilterVariables variables;
    for (const auto& parameter : reference.parameters) variables[parameter.name].push_back(parameter.value);
    return variables;
}

std::vector<PlacedRule> expand_filter(const std::string& name, const FilterVariables& variables, const FilterLookup& lookup) {
    Expansion expansion(lookup, false);
    expansion.add(name, variables);
    if (!expansion.missing.empty()) {
        std::string names;
        for (const auto& variable : expansion.missing) names.append(names.empty() ? "" : ", ").append(variable);
        rpc::fail(From::nwfilter, Code::internal_error,
                  "Cannot instantiate filter due to unresolvable variables or unavailable list elements: {}", names);
    }
    return std::move(expansion.rules);
}

std::set<std::string> missing_variables(const std::string& name, const FilterVariables& variables, const FilterLookup& lookup) {
    Expansion expansion(lookup, true);
    expansion.add(name, variables);
    return std::move(expansion.missing);
}

std::set<std::string> filters_within(const xml::Filter& filter, const FilterLookup& lookup) {
    std::set<std::string> names;
    collect(filter, lookup, names);
    return names;
}

} // namespace lodge::drivers
