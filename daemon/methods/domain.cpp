// Finding domains and reading their plain facts. Nothing here waits.
#include "daemon/domain.hpp"
#include "daemon/lookup.hpp"
#include "daemon/method.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

namespace {

using rpc::Nothing;

remote::DomainLookupByNameRet lookup_by_name(Client& client, const remote::DomainLookupByNameArgs& args) {
    auto domain = client.hypervisor().find_name(args.name);
    if (!domain) rpc::fail(client.hypervisor().error_domain(), Code::no_domain, "no domain with matching name '{}'", args.name);
    return {domain->wire()};
}

remote::DomainLookupByUuidRet lookup_by_uuid(Client& client, const remote::DomainLookupByUuidArgs& args) {
    auto domain = client.hypervisor().find_uuid(args.uuid);
    if (!domain)
        rpc::fail(client.hypervisor().error_domain(), Code::no_domain, "no domain with matching uuid '{}'", args.uuid.text());
    return {domain->wire()};
}

remote::DomainLookupByIdRet lookup_by_id(Client& client, const remote::DomainLookupByIdArgs& args) {
    auto domain = client.hypervisor().find_id(args.id);
    if (!domain) rpc::fail(client.hypervisor().error_domain(), Code::no_domain, "no domain with matching id {}", args.id);
    return {domain->wire()};
}

// ---- lists ----

bool one_of(unsigned flags, unsigned yes, unsigned no, bool value) {
    return (flags & (yes | no)) == 0 || (flags & (value ? yes : no)) != 0;
}

bool matches_state(const Domain& domain, unsigned flags) {
    constexpr unsigned running = api::connect_list_domains_running, paused = api::connect_list_domains_paused,
                       off = api::connect_list_domains_shutoff, other = api::connect_list_domains_other;
    if ((flags & (running | paused | off | other)) == 0) return true;
    switch (static_cast<unsigned>(domain.state())) {
    case api::domain_running: return flags & running;
    case api::domain_paused: return flags & paused;
    case api::domain_shutoff: return flags & off;
    default: return flags & other;
    }
}

bool matches(const Domain& domain, unsigned flags) {
    return one_of(flags, api::connect_list_domains_active, api::connect_list_domains_inactive, domain.is_active()) &&
           one_of(flags, api::connect_list_domains_persistent, api::connect_list_domains_transient, domain.is_persistent()) &&
           one_of(flags, api::connect_list_domains_autostart, api::connect_list_domains_no_autostart, domain.autostart()) &&
           one_of(flags, api::connect_list_domains_managedsave, api::connect_list_domains_no_managedsave,
                  domain.has_managed_save) &&
           one_of(flags, api::connect_list_domains_has_snapshot, api::connect_list_domains_no_snapshot,
                  !domain.snapshots.all().empty()) &&
           one_of(flags, api::connect_list_domains_has_checkpoint, api::connect_list_domains_no_checkpoint,
                  !domain.checkpoints.all().empty()) &&
           matches_state(domain, flags);
}

remote::ConnectListAllDomainsRet list_all(Client& client, const remote::ConnectListAllDomainsArgs& args) {
    remote::ConnectListAllDomainsRet ret;
    for (const auto& [name, domain] : client.hypervisor().domains.all()) {
        if (!domain->visible || !matches(*domain, args.flags)) continue;
        ++ret.ret;
        if (args.need_results) ret.domains.push_back(domain->wire());
    }
    return ret;
}

remote::ConnectNumOfDomainsRet count_active(Client& client, const Nothing&) {
    return {static_cast<std::int32_t>(
        std::ranges::count_if(client.hypervisor().visible(), [](const auto& d) { return d->is_active(); }))};
}

remote::ConnectNumOfDefinedDomainsRet count_inactive(Client& client, const Nothing&) {
    return {static_cast<std::int32_t>(
        std::ranges::count_if(client.hypervisor().visible(), [](const auto& d) { return !d->is_active(); }))};
}

remote::ConnectListDomainsRet list_ids(Client& client, const remote::ConnectListDomainsArgs& args) {
    remote::ConnectListDomainsRet ret;
    for (const auto& domain : client.hypervisor().visible())
        if (domain->is_active() && static_cast<int>(ret.ids.size()) < args.maxids) ret.ids.push_back(domain->id());
    return ret;
}

remote::ConnectListDefinedDomainsRet list_inactive(Client& client, const remote::ConnectListDefinedDomainsArgs& args) {
    remote::ConnectListDefinedDomainsRet ret;
    for (const auto& domain : client.hypervisor().visible())
        if (!domain->is_active() && static_cast<int>(ret.names.size()) < args.maxnames) ret.names.push_back(domain->name());
    return ret;
}

// ---- facts ----

remote::DomainGetStateRet get_state(Client& client, const remote::DomainGetStateArgs& args) {
    auto domain = find_domain(client, args.dom);
    return {domain->state(), domain->reason()};
}

remote::DomainIsActiveRet is_active(Client& client, const remote::DomainIsActiveArgs& args) {
    return {find_domain(client, args.dom)->is_active()};
}
remote::DomainIsPersistentRet is_persistent(Client& client, const remote::DomainIsPersistentArgs& args) {
    return {find_domain(client, args.dom)->is_persistent()};
}
remote::DomainIsUpdatedRet is_updated(Client& client, const remote::DomainIsUpdatedArgs& args) {
    return {find_domain(client, args.dom)->is_updated()};
}
remote::DomainGetAutostartRet get_autostart(Client& client, const remote::DomainGetAutostartArgs& args) {
    return {find_domain(client, args.dom)->autostart()};
}
remote::DomainGetOsTypeRet get_os_type(Client& client, const remote::DomainGetOsTypeArgs& args) {
    return {std::string(xml::word(find_domain(client, args.dom)->current()->os.type.value))};
}
remote::DomainGetMaxMemoryRet get_max_memory(Client& client, const remote::DomainGetMaxMemoryArgs& args) {
    return {find_domain(client, args.dom)->size().memory_kib};
}
remote::DomainGetControlInfoRet get_control_info(Client& client, const remote::DomainGetControlInfoArgs& args) {
    auto domain = find_domain(client, args.dom);
    domain->require_active();
    constexpr std::chrono::seconds suspicious{1};
    if (const auto machine = domain->shared_machine(); machine && machine->silence() > suspicious)
        return {api::domain_control_occupied, 0, static_cast<std::uint64_t>(machine->silence().count())};
    if (domain->jobs().holder().empty()) return {api::domain_control_ok, 0, 0};
    return {api::domain_control_job, 0, static_cast<std::uint64_t>(domain->jobs().age().count())};
}

// What is told of the last start that failed is neither a taint nor a deprecation.
Task<remote::DomainGetMessagesRet> get_messages(ClientPtr client, remote::DomainGetMessagesArgs args) {
    const auto domain = find_domain(*client, args.dom);
    remote::DomainGetMessagesRet ret;
    if (args.flags == 0 || args.flags & api::domain_message_tainting)
        for (const Taint taint : domain->taints()) ret.msgs.push_back(taint_message(taint));
    if (args.flags == 0)
        for (auto& line : co_await domain->hypervisor().driver().messages(domain->name())) ret.msgs.push_back(std::move(line));
    co_return ret;
}

constexpr Method table[] = {
    on<remote::DomainLookupByNameCall, lookup_by_name>(), on<remote::DomainLookupByUuidCall, lookup_by_uuid>(),
    on<remote::DomainLookupByIdCall, lookup_by_id>(),     on<remote::ConnectListAllDomainsCall, list_all>(),
    on<remote::ConnectNumOfDomainsCall, count_active>(),  on<remote::ConnectNumOfDefinedDomainsCall, count_inactive>(),
    on<remote::ConnectListDomainsCall, list_ids>(),       on<remote::ConnectListDefinedDomainsCall, list_inactive>(),
    on<remote::DomainGetStateCall, get_state>(),          on<remote::DomainIsActiveCall, is_active>(),
    on<remote::DomainIsPersistentCall, is_persistent>(),  on<remote::DomainIsUpdatedCall, is_updated>(),
    on<remote::DomainGetAutostartCall, get_autostart>(),  on<remote::DomainGetOsTypeCall, get_os_type>(),
    on<remote::DomainGetMaxMemoryCall, get_max_memory>(), on<remote::DomainGetControlInfoCall, get_control_info>(),
    on<remote::DomainGetMessagesCall, get_messages>(),
};

} // namespace

const MethodTable methods::domain = table;

} // namespace lodge::daemon
