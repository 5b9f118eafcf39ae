#include "xml/filter_ref.hpp"
#include <algorithm>
#include <map>

namespace lodge::xml {

void describe(Doc& doc, FilterParameter& parameter) {
    doc.attribute("name", parameter.name);
    doc.attribute("value", parameter.value);
}

void describe(Doc& doc, FilterRef& reference) {
    doc.attribute("filter", reference.filter);
    doc.list("parameter", reference.parameters);
}

static bool consists_of(std::string_view text, std::string_view others) {
    return std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.find(c) != others.npos;
    });
}

bool is_variable_name(std::string_view name) { return !name.empty() && consists_of(name, "_"); }

void normalize_filter_ref(FilterRef& reference) {
    std::erase_if(reference.parameters, [](const FilterParameter& parameter) {
        return !is_variable_name(parameter.name) || parameter.value.empty() || !consists_of(parameter.value, "_.:");
    });
    std::multimap<std::string, FilterParameter> sorted; // equal names stay in order
    for (auto& parameter : reference.parameters) sorted.emplace(parameter.name, std::move(parameter));
    reference.parameters.clear();
    for (auto& [name, parameter] : sorted) reference.parameters.push_back(std::move(parameter));
}

} // namespace lodge::xml
