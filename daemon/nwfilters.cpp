#include "daemon/nwfilters.hpp"
#include "daemon/store.hpp"
#include "drivers/nwfilter/packet_filter.hpp"
#include "rpc/log.hpp"
#include <net/if.h>

namespace lodge::daemon {

template<class... Args> [[noreturn]] static void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::nwfilter, code, format, std::forward<Args>(args)...);
}

rpc::remote::NonnullNwfilterBinding wire(const xml::FilterBinding& binding) {
    return {binding.port.name, binding.reference.filter};
}

// ---- look-ups ----

NwFilterPtr NwFilters::find_name(const std::string& name) const {
    auto filter = filters_.by_name(name);
    if (!filter) refuse(Code::no_nwfilter, "no nwfilter with matching name '{}'", name);
    return filter;
}

NwFilterPtr NwFilters::find_uuid(const rpc::Uuid& uuid) const {
    auto filter = filters_.by_uuid(uuid);
    if (!filter) refuse(Code::no_nwfilter, "no nwfilter with matching uuid '{}'", uuid.text());
    return filter;
}

const xml::FilterBinding& NwFilters::find_binding(const std::string& port) const {
    const auto found = bindings_.find(port);
    if (found == bindings_.end()) refuse(Code::no_nwfilter_binding, "no nwfilter binding for port dev '{}'", port);
    return found->second;
}

drivers::FilterLookup NwFilters::lookup(FilterDocument replacement) const {
    return [this, replacement](const std::string& name) -> const xml::Filter* {
        if (replacement && replacement->name == name) return replacement.get();
        const auto filter = filters_.by_name(name);
        return filter ? filter->document.get() : nullptr;
    };
}

bool NwFilters::uses(const xml::FilterBinding& binding, const std::string& filter) const {
    const auto top = filters_.by_name(binding.reference.filter);
    return top && drivers::filters_within(*top->document, lookup(nullptr)).contains(filter);
}

// ---- interfaces ----

// Where nobody says which address a guest has, it is learned, unless that is turned off.
static void learn_address(const std::string& filter, drivers::FilterVariables& variables, const drivers::FilterLookup& lookup) {
    if (drivers::missing_variables(filter, variables, lookup) != std::set<std::string>{"IP"}) return;
    const auto found = variables.find("CTRL_IP_LEARNING");
    std::string how = found == variables.end() ? "any" : found->second.front();
    for (char& c : how) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (how == "any")
        variables["IP"] = {drivers::learned_address};
    else if (how == "dhcp")
        refuse(Code::config_unsupported, "filter '{}': addresses cannot be learned from DHCP alone; name them with IP", filter);
    else if (how != "none")
        refuse(Code::parse_failed, "filter '{}' learning value '{}' invalid.", filter, how);
}

// An interface that is not there (yet) is no error.
std::string NwFilters::ruleset_of(xml::FilterBinding& binding, const FilterDocument& replacement) const {
    const auto& port = binding.port.name;
    if (if_nametoindex(port.c_str()) == 0) return {};
    auto& parameters = binding.reference.parameters;
    if (std::ranges::find(parameters, "MAC", &xml::FilterParameter::name) == parameters.end())
        parameters.push_back({"MAC", binding.mac.address});
    xml::normalize_filter_ref(binding.reference);
    auto variables = drivers::filter_variables(binding.reference);
    learn_address(binding.reference.filter, variables, lookup(replacement));
    const auto rules = drivers::expand_filter(binding.reference.filter, variables, lookup(replacement));
    return drivers::packet_filter_rules(port, binding.mac.address, rules);
}

Task<xml::FilterBinding> NwFilters::put_in_place(xml::FilterBinding binding, FilterDocument replacement) {
    if (auto ruleset = ruleset_of(binding, replacement); !ruleset.empty())
        co_await drivers::apply_packet_filter(std::move(ruleset));
    co_return binding;
}

Task<> NwFilters::put_all_in_place(std::string filter, FilterDocument replacement) {
    for (auto& [port, binding] : bindings_)
        if (uses(binding, filter)) binding = co_await put_in_place(binding, replacement);
}

// All interfaces that use a filter get its new rules, or, should one of them refuse, keep the former ones.
Task<> NwFilters::change_everywhere(FilterDocument changed) {
    std::exception_ptr failure;
    try {
        co_await put_all_in_place(changed->name, changed);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await put_all_in_place(changed->name, nullptr);
    std::rethrow_exception(failure);
}

// ---- filters ----

void NwFilters::check_conflict(const xml::Filter& document) const {
    if (const auto same = filters_.by_uuid(document.uuid)) {
        if (same->name() != document.name)
            refuse(Code::operation_failed, "filter with same UUID but different name ('{}') already exists", same->name());
    } else if (const auto other = filters_.by_name(document.name)) {
        refuse(Code::operation_failed, "filter '{}' already exists with uuid {}", document.name, other->uuid().text());
    }
    for (const auto& entry : document.entries) {
        if (entry.kind != xml::FilterEntryKind::filterref) continue;
        const auto inner = filters_.by_name(entry.reference.filter);
        if (entry.reference.filter == document.name ||
            (inner && drivers::filters_within(*inner->document, lookup(nullptr)).contains(document.name)))
            refuse(Code::operation_failed, "filter would introduce a loop");
    }
}

Task<> NwFilters::store_definition(FilterDocument document) {
    co_await store::replace(definition_file(document->name),
                            store::definition_header("virsh nwfilter-edit " + document->name) + xml::format_filter(*document));
}

Task<NwFilterPtr> NwFilters::define(xml::Filter filter) {
    auto job = co_await acquire("virNWFilterDefineXML");
    if (filter.uuid.is_nil()) filter.uuid = rpc::Uuid::random();
    check_conflict(filter);
    const auto document = std::make_shared<const xml::Filter>(std::move(filter));
    auto known = filters_.by_uuid(document->uuid);
    if (known) co_await change_everywhere(document);
    std::exception_ptr failure;
    try {
        co_await store_definition(document);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await put_all_in_place(document->name, nullptr);
        std::rethrow_exception(failure);
    }
    if (known) {
        known->document = document;
    } else {
        known = std::make_shared<NwFilter>(document);
        filters_.add(known);
    }
    co_return known;
}

Task<> NwFilters::undefine(rpc::Uuid uuid) {
    auto job = co_await acquire("virNWFilterUndefine");
    const auto filter = find_uuid(uuid);
    for (const auto& [port, binding] : bindings_)
        if (uses(binding, filter->name())) refuse(Code::operation_invalid, "nwfilter is in use");
    co_await store::remove(definition_file(filter->name()));
    filters_.remove(*filter);
}

// ---- bindings ----

Task<> NwFilters::bind(xml::FilterBinding binding) {
    auto job = co_await acquire("virNWFilterBindingCreateXML");
    const std::string port = binding.port.name;
    if (bindings_.contains(port)) refuse(Code::operation_failed, "binding '{}' already exists", port);
    binding = co_await put_in_place(std::move(binding), nullptr);
    std::exception_ptr failure;
    try {
        co_await store::replace_volatile(binding_file(port), store::definition_header("virsh nwfilter-binding-create") +
                                                                 xml::format_filter_binding_status(binding));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await drivers::remove_packet_filter(port);
        std::rethrow_exception(failure);
    }
    bindings_.emplace(port, std::move(binding));
}

Task<> NwFilters::unbind(std::string port) {
    auto job = co_await acquire("virNWFilterBindingDelete");
    find_binding(port);
    co_await remove_binding(port);
}

Task<> NwFilters::release(std::string port, rpc::Uuid owner) {
    auto job = co_await acquire("virNWFilterBindingDelete");
    const auto found = bindings_.find(port);
    if (found != bindings_.end() && found->second.owner.uuid == owner) co_await remove_binding(port);
}

Task<> NwFilters::remove_binding(std::string port) {
    co_await drivers::remove_packet_filter(port);
    store::remove_now(binding_file(port));
    bindings_.erase(port);
}

// ---- files ----

std::string NwFilters::definition_file(const std::string& name) const { return host_.paths().etc + "/nwfilter/" + name + ".xml"; }
std::string NwFilters::binding_file(const std::string& port) const {
    return host_.paths().run + "/nwfilter-binding/" + port + ".xml";
}

// A file written by hand may have no UUID; it gets one for good.
Task<> NwFilters::load_one(std::string text, std::string name, std::string path) {
    auto filter = xml::parse_filter(text, {.from = From::nwfilter, .where = path});
    if (filter.name != name)
        refuse(Code::xml_error, "network filter config filename '{}' does not match name '{}'", path, filter.name);
    const bool complete = !filter.uuid.is_nil();
    if (!complete) filter.uuid = rpc::Uuid::random();
    check_conflict(filter);
    const auto document = std::make_shared<const xml::Filter>(std::move(filter));
    filters_.add(std::make_shared<NwFilter>(document));
    if (!complete) co_await store_definition(document);
}

Task<> NwFilters::load_filters() {
    const std::string folder = host_.paths().etc + "/nwfilter";
    for (const auto& file : co_await rpc::blocking_result([folder] { return store::read_folder(folder); })) {
        try {
            if (!file.error.empty()) refuse(Code::internal_error, "{}", file.error);
            co_await load_one(file.text, file.name, file.path);
        } catch (const std::exception& error) {
            log::error("cannot load network filter {}: {}", file.path, error.what());
        }
    }
}

Task<> NwFilters::load_bindings() {
    const std::string folder = host_.paths().run + "/nwfilter-binding";
    for (const auto& file : co_await rpc::blocking_result([folder] { return store::read_folder(folder); })) {
        try {
            if (!file.error.empty()) refuse(Code::internal_error, "{}", file.error);
            auto binding = xml::parse_filter_binding_status(file.text, file.path);
            const std::string port = binding.port.name;
            if (port != file.name) refuse(Code::internal_error, "the file is named '{}' but binds '{}'", file.name, port);
            bindings_.emplace(port, std::move(binding));
        } catch (const std::exception& error) {
            log::error("cannot take up the filter binding of {}: {}", file.path, error.what());
        }
    }
}

// One transaction for all guests: a start must not cost a child process for each of them. Should somebody's rules not go in, the
// others' still do.
Task<> NwFilters::put_all_in_place_at_once() {
    std::map<std::string, std::string> rulesets; // by interface
    for (auto& [port, binding] : bindings_) {
        try {
            if (auto ruleset = ruleset_of(binding, nullptr); !ruleset.empty()) rulesets[port] = std::move(ruleset);
        } catch (const std::exception& error) {
            log::error("{}: its network filter is not in force: {}", port, error.what());
        }
    }
    if (rulesets.empty()) co_return;
    std::string all;
    for (const auto& [port, ruleset] : rulesets) all += ruleset;
    bool done = false;
    try {
        co_await drivers::apply_packet_filter(std::move(all));
        done = true;
    } catch (const std::exception& error) {
        log::warn("network filters cannot be put in force together: {}", error.what());
    }
    for (const auto& [port, ruleset] : rulesets) {
        if (done) break;
        try {
            co_await drivers::apply_packet_filter(ruleset);
        } catch (const std::exception& error) {
            log::error("{}: its network filter is not in force: {}", port, error.what());
        }
    }
}

Task<> NwFilters::load() {
    co_await load_filters();
    co_await load_bindings();
    co_await put_all_in_place_at_once();
}

} // namespace lodge::daemon
