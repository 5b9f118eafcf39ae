// <filterref filter='clean-traffic'><parameter name='IP' value='10.1.1.2'/></filterref>: how NICs, filters and filter bindings
// use a filter, and with which variables.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

struct FilterParameter {
    std::string name, value;
};
struct FilterRef {
    std::string filter;
    std::vector<FilterParameter> parameters;
};
void describe(Doc& doc, FilterParameter& parameter);
void describe(Doc& doc, FilterRef& reference);

// Sorts parameters by name; those of one name are a list and keep their order. What is no variable or no value is dropped.
void normalize_filter_ref(FilterRef& reference);
bool is_variable_name(std::string_view name);

} // namespace lodge::xml
