#include "cli/parameters.hpp"
#include "cli/typed_params.hpp"

namespace lodge::cli {

void show_parameters(Session& session, const Parameters& parameters, bool unlimited, int width) {
    Json json = Json::object();
    for (const auto& one : parameters) {
        const bool none = unlimited && one.value.ul >= VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
        json[one.field] = none ? Json() : param_json(one);
        if (!session.json()) session.print("{:<{}}: {}\n", one.field, width, none ? "unlimited" : param_text(one));
    }
    if (session.json()) session.show(json);
}

Option the_domain() { return need("domain", "domain name, id or uuid", Complete::domain); }

std::vector<Option> with_affect(std::vector<Option> options) {
    options.push_back(flag("config", "affect next boot"));
    options.push_back(flag("live", "affect running domain"));
    options.push_back(flag("current", "affect current domain"));
    return options;
}

} // namespace lodge::cli
