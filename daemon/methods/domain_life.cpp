// Calls that start, stop and pause guests. Each takes the domain's job, looks again, and asks the domain.
#include "daemon/lookup.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/schema.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

namespace {

using rpc::Nothing;

StartOptions start_options(const ClientPtr& client, unsigned flags) {
    StartOptions options;
    options.paused = flags & api::domain_start_paused;
    options.reset_nvram = flags & api::domain_start_reset_nvram;
    if (flags & api::domain_start_autodestroy) options.autodestroy = client;
    return options;
}

Task<DomainPtr> start(ClientPtr client, remote::NonnullDomain named, unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainCreate");
    domain->require_inactive("domain is already running");
    co_await start_domain(domain, start_options(client, flags), flags);
    co_return domain;
}

Task<> create(ClientPtr client, remote::DomainCreateArgs args) { co_await start(client, args.dom, 0); }

Task<remote::DomainCreateWithFlagsRet> create_with_flags(ClientPtr client, remote::DomainCreateWithFlagsArgs args) {
    auto domain = co_await start(client, args.dom, args.flags);
    co_return remote::DomainCreateWithFlagsRet{domain->wire()};
}

// A transient domain: it exists while it runs. A definition of the same name and UUID stays and becomes its inactive form.
Task<remote::DomainCreateXmlRet> create_xml(ClientPtr client, remote::DomainCreateXmlArgs args) {
    Hypervisor& hypervisor = client->hypervisor();
    co_await validate_if(args.flags & api::domain_start_validate, args.xml_desc, "domain.rng");
    xml::Domain document = xml::parse_domain(args.xml_desc, {.from = From::domain});
    if (document.uuid.is_nil()) document.uuid = rpc::Uuid::random();
    co_await hypervisor.driver().complete(document);
    auto domain = claim_domain(hypervisor, document);
    auto job = co_await domain->acquire("virDomainCreateXML");
    const bool fresh = !domain->visible;
    try {
        domain->require_inactive("domain is already running");
    } catch (const rpc::Error&) {
        rpc::fail(From::domain, Code::operation_invalid, "domain '{}' is already active", domain->name());
    }
    std::exception_ptr failure;
    try {
        co_await domain->start_transient(std::move(document), start_options(client, args.flags));
        domain->visible = true;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (fresh) hypervisor.domains.remove(*domain);
        std::rethrow_exception(failure);
    }
    co_return remote::DomainCreateXmlRet{domain->wire()};
}

drivers::PowerButton shutdown_button(unsigned flags) {
    if (flags & api::domain_shutdown_guest_agent && !(flags & api::domain_shutdown_acpi_power_btn))
        return drivers::PowerButton::agent;
    if (flags & api::domain_shutdown_acpi_power_btn && !(flags & api::domain_shutdown_guest_agent))
        return drivers::PowerButton::acpi;
    return drivers::PowerButton::preferred;
}

Task<> ask_shutdown(ClientPtr client, remote::NonnullDomain named, unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainShutdown");
    co_await domain->shutdown(shutdown_button(flags));
}
Task<> shutdown(ClientPtr client, remote::DomainShutdownArgs args) { co_await ask_shutdown(client, args.dom, 0); }
Task<> shutdown_flags(ClientPtr client, remote::DomainShutdownFlagsArgs args) {
    co_await ask_shutdown(client, args.dom, args.flags);
}

Task<> reboot(ClientPtr client, remote::DomainRebootArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainReboot");
    co_await domain->reboot(shutdown_button(args.flags)); // VIR_DOMAIN_REBOOT_* counts as VIR_DOMAIN_SHUTDOWN_* does
}

Task<> reset(ClientPtr client, remote::DomainResetArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainReset");
    co_await domain->reset();
}

Task<> suspend(ClientPtr client, remote::DomainSuspendArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSuspend");
    co_await domain->suspend();
}

Task<> resume(ClientPtr client, remote::DomainResumeArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainResume");
    co_await domain->resume();
}

// Does not queue behind a job: a guest whose job hangs must still be ended.
Task<> end(ClientPtr client, remote::NonnullDomain named, bool graceful) {
    auto domain = find_domain(*client, named);
    if (!domain->is_starting()) domain->require_active();
    co_await domain->destroy(graceful);
}
Task<> destroy(ClientPtr client, remote::DomainDestroyArgs args) { co_await end(client, args.dom, false); }
Task<> destroy_flags(ClientPtr client, remote::DomainDestroyFlagsArgs args) {
    co_await end(client, args.dom, args.flags & api::domain_destroy_graceful);
}

constexpr Method table[] = {
    on<remote::DomainCreateCall, create>(),
    on<remote::DomainCreateWithFlagsCall, create_with_flags>(),
    on<remote::DomainCreateXmlCall, create_xml>(),
    on<remote::DomainShutdownCall, shutdown>(),
    on<remote::DomainShutdownFlagsCall, shutdown_flags>(),
    on<remote::DomainRebootCall, reboot>(),
    on<remote::DomainResetCall, reset>(),
    on<remote::DomainSuspendCall, suspend>(),
    on<remote::DomainResumeCall, resume>(),
    on<remote::DomainDestroyCall, destroy>(),
    on<remote::DomainDestroyFlagsCall, destroy_flags>(),
};

} // namespace

const MethodTable methods::domain_life = table;

} // namespace lodge::daemon
