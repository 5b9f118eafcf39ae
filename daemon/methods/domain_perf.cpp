// Counters of the host's kernel that a guest has: <perf> of the documents, and those that count now.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"
#include "daemon/params.hpp"

namespace lodge::daemon {

namespace {

void set_event(xml::Domain& document, const std::string& name, bool on) {
    const auto order = xml::perf_event_names();
    const auto place = [&](const std::string& event) { return std::ranges::find(order, event) - order.begin(); };
    auto at = std::ranges::find_if(document.perf, [&](const auto& other) { return place(other.name) >= place(name); });
    if (at == document.perf.end() || at->name != name) at = document.perf.insert(at, {name, {}});
    at->enabled = xml::YesNo(on);
}

Task<> set_perf(ClientPtr client, remote::DomainSetPerfEventsArgs args) {
    std::vector<ParamRule> rules;
    for (const auto name : xml::perf_event_names()) rules.push_back({name.data(), ParamType::boolean});
    check_params(args.params, rules);
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetPerfEvents");
    const unsigned affect = domain->affect(args.flags);
    if (wants_live(affect)) {
        // As far as it went, it counts: the document follows each.
        for (const auto& one : args.params) {
            const bool on = std::get<bool>(one.value);
            domain->machine().count_events(one.field, on);
            set_event(domain->live(), one.field, on);
        }
        domain->keep_status();
    }
    if (wants_config(affect))
        co_await change_documents(domain, api::domain_affect_config, [&](xml::Domain& document) {
            for (const auto& one : args.params) set_event(document, one.field, std::get<bool>(one.value));
        });
}

remote::DomainGetPerfEventsRet get_perf(Client& client, const remote::DomainGetPerfEventsArgs& args) {
    auto domain = find_domain(client, args.dom);
    std::set<std::string> on;
    if (wants_config(domain->affect_one(args.flags))) {
        for (const auto& event : domain->definition().document()->perf)
            if (event.enabled) on.insert(event.name);
    } else {
        on = domain->machine().counted_events();
    }
    remote::DomainGetPerfEventsRet ret;
    for (const auto view : xml::perf_event_names()) {
        const std::string name(view);
        ret.params.push_back({name, on.contains(name)});
    }
    return ret;
}

constexpr Method table[] = {
    on<remote::DomainSetPerfEventsCall, set_perf>(),
    on<remote::DomainGetPerfEventsCall, get_perf>(),
};

} // namespace

const MethodTable methods::domain_perf = table;

} // namespace lodge::daemon
