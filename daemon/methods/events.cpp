// Who wants to hear what: registrations of the three generations of libvirt's event calls, and of raw monitor events.
#include "daemon/domain.hpp"
#include "daemon/method.hpp"
#include "rpc/generated/qemu.hpp"

namespace lodge::daemon {

namespace {

using rpc::Nothing;

void check_domain_event(int event) {
    if (event < 0 || event > static_cast<int>(api::domain_event_id_memory_device_size_change))
        rpc::fail(From::rpc, Code::internal_error, "unsupported event ID {}", event);
}

remote::ConnectDomainEventRegisterRet register_lifecycle(Client& client, const Nothing&) {
    Hypervisor& hypervisor = client.hypervisor();
    if (client.host().events().has_legacy(client, EventKind::domain, api::domain_event_id_lifecycle))
        rpc::fail(From::rpc, Code::internal_error, "domain event 0 already registered");
    client.host().events().add({.client = &client,
                                .kind = EventKind::domain,
                                .event = api::domain_event_id_lifecycle,
                                .scope = &hypervisor,
                                .object = {},
                                .legacy = true,
                                .pattern = {}});
    return {1};
}

remote::ConnectDomainEventDeregisterRet deregister_lifecycle(Client& client, const Nothing&) {
    client.host().events().remove_legacy(client, EventKind::domain, api::domain_event_id_lifecycle);
    return {0};
}

void register_any(Client& client, const remote::ConnectDomainEventRegisterAnyArgs& args) {
    constexpr int last_legacy = api::domain_event_id_device_removed; // later events exist with callback ids only
    Hypervisor& hypervisor = client.hypervisor();
    if (args.eventID < 0 || args.eventID > last_legacy)
        rpc::fail(From::rpc, Code::internal_error, "unsupported event ID {}", args.eventID);
    if (client.host().events().has_legacy(client, EventKind::domain, args.eventID))
        rpc::fail(From::rpc, Code::internal_error, "domain event {} already registered", args.eventID);
    client.host().events().add({.client = &client,
                                .kind = EventKind::domain,
                                .event = args.eventID,
                                .scope = &hypervisor,
                                .object = {},
                                .legacy = true,
                                .pattern = {}});
}

void deregister_any(Client& client, const remote::ConnectDomainEventDeregisterAnyArgs& args) {
    client.host().events().remove_legacy(client, EventKind::domain, args.eventID);
}

remote::ConnectDomainEventCallbackRegisterAnyRet
callback_register(Client& client, const remote::ConnectDomainEventCallbackRegisterAnyArgs& args) {
    Hypervisor& hypervisor = client.hypervisor();
    check_domain_event(args.eventID);
    Subscription subscription{
        .client = &client, .kind = EventKind::domain, .event = args.eventID, .scope = &hypervisor, .object = {}, .pattern = {}};
    if (args.dom) subscription.object = hypervisor.find(args.dom->uuid, args.dom->name)->uuid();
    return {client.host().events().add(subscription)};
}

void callback_deregister(Client& client, const remote::ConnectDomainEventCallbackDeregisterAnyArgs& args) {
    client.host().events().remove(client, EventKind::domain, args.callbackID);
}

rpc::qemu::ConnectDomainMonitorEventRegisterRet monitor_register(Client& client,
                                                                 const rpc::qemu::ConnectDomainMonitorEventRegisterArgs& args) {
    Hypervisor& hypervisor = client.hypervisor();
    Subscription subscription{.client = &client,
                              .kind = EventKind::monitor,
                              .scope = &hypervisor,
                              .object = {},
                              .pattern = args.event.value_or(""),
                              .flags = args.flags};
    if (args.dom) subscription.object = hypervisor.find(args.dom->uuid, args.dom->name)->uuid();
    return {client.host().events().add(subscription)};
}

void monitor_deregister(Client& client, const rpc::qemu::ConnectDomainMonitorEventDeregisterArgs& args) {
    client.host().events().remove(client, EventKind::monitor, args.callbackID);
}

constexpr Method table[] = {
    on<remote::ConnectDomainEventRegisterCall, register_lifecycle>(),
    on<remote::ConnectDomainEventDeregisterCall, deregister_lifecycle>(),
    on<remote::ConnectDomainEventRegisterAnyCall, register_any>(),
    on<remote::ConnectDomainEventDeregisterAnyCall, deregister_any>(),
    on<remote::ConnectDomainEventCallbackRegisterAnyCall, callback_register>(),
    on<remote::ConnectDomainEventCallbackDeregisterAnyCall, callback_deregister>(),
    on<rpc::qemu::ConnectDomainMonitorEventRegisterCall, monitor_register>(),
    on<rpc::qemu::ConnectDomainMonitorEventDeregisterCall, monitor_deregister>(),
};

} // namespace

const MethodTable methods::events = table;

} // namespace lodge::daemon
