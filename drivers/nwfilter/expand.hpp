// From a filter and what it refers to, with the variables of one interface, to rules in which nothing is left to be looked up.
// Pure.
#pragma once
#include "xml/nwfilter.hpp"
#include <functional>
#include <map>
#include <set>

namespace lodge::drivers {

// A rule where it stands: chains are visited by their priority, rules of a chain by theirs.
struct PlacedRule {
    xml::FilterRule rule; // without variables
    std::string chain;
    int chain_priority = 0;
};

// As the value of a variable: the address that the guest is first seen to use, which the packet filter itself remembers.
inline constexpr const char* learned_address = "@learned";

using FilterVariables = std::map<std::string, std::vector<std::string>>;
using FilterLookup = std::function<const xml::Filter*(const std::string& name)>; // null: none of that name

FilterVariables filter_variables(const xml::FilterRef& reference);

// Refuses with Code::internal_error what refers to a missing filter or to variables that have no value.
std::vector<PlacedRule> expand_filter(const std::string& name, const FilterVariables& variables, const FilterLookup& lookup);
// Names of all filters that a filter consists of, itself included.
std::set<std::string> filters_within(const xml::Filter& filter, const FilterLookup& lookup);
// Variables that are used and not given.
std::set<std::string> missing_variables(const std::string& name, const FilterVariables& variables, const FilterLookup& lookup);

} // namespace lodge::drivers
