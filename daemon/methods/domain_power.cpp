// What a guest's power-off, reboot and crash lead to, and waking it up.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;
using xml::LifecycleAction;

Task<> pm_wakeup(ClientPtr client, remote::DomainPmWakeupArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainPMWakeup");
    domain->require_active();
    co_await domain->machine().wake_up();
}

// A lifecycle event (VIR_DOMAIN_LIFECYCLE_*) and the part of the document that says what follows.
struct Lifecycle {
    const char* name;
    std::optional<LifecycleAction> xml::Domain::* action;
};
constexpr Lifecycle lifecycles[] = {
    {"poweroff", &xml::Domain::on_poweroff}, {"reboot", &xml::Domain::on_reboot}, {"crash", &xml::Domain::on_crash}};

bool dumps(LifecycleAction action) {
    return action == LifecycleAction::coredump_destroy || action == LifecycleAction::coredump_restart;
}

// The combinations that QEMU can follow are known where documents are completed.
Task<> check(Hypervisor& hypervisor, xml::Domain document, std::optional<LifecycleAction> xml::Domain::* member,
             LifecycleAction action) {
    document.*member = action;
    co_await hypervisor.driver().complete(document);
}

Task<> set_lifecycle_action(ClientPtr client, remote::DomainSetLifecycleActionArgs args) {
    auto domain = find_domain(*client, args.dom);
    const auto words = enum_words(LifecycleAction::destroy);
    if (args.type >= std::size(lifecycles)) fail(Code::invalid_arg, "invalid lifecycle type '{}'", args.type);
    if (args.action >= words.size()) fail(Code::invalid_arg, "invalid lifecycle action '{}'", args.action);
    const auto& [name, member] = lifecycles[args.type];
    const auto action = static_cast<LifecycleAction>(args.action); // numbered as VIR_DOMAIN_LIFECYCLE_ACTION_* are
    if (dumps(action) && args.type != api::domain_lifecycle_crash)
        fail(From::domain, Code::config_unsupported, "Lifecycle event '{}' doesn't support '{}' action", name,
             words[args.action]);
    auto job = co_await domain->acquire("virDomainSetLifecycleAction");
    const unsigned affect = domain->affect(args.flags);
    co_await check(domain->hypervisor(), *document_of(*domain, affect), member, action);
    co_await change_documents(domain, affect, [part = member, action](xml::Domain& document) { document.*part = action; });
    if (wants_live(affect) && args.type == api::domain_lifecycle_reboot) co_await domain->machine().follow_lifecycle();
}

constexpr Method table[] = {
    on<remote::DomainPmWakeupCall, pm_wakeup>(),
    on<remote::DomainSetLifecycleActionCall, set_lifecycle_action>(),
};

} // namespace

const MethodTable methods::domain_power = table;

} // namespace lodge::daemon
