// Calls that attach, detach and change devices.
#include "daemon/devices.hpp"
#include "daemon/lookup.hpp"

namespace lodge::daemon {

namespace {

using DeviceChange = Task<> (*)(DomainPtr domain, std::string xml, unsigned affect);

Task<> change(ClientPtr client, remote::NonnullDomain named, const char* api, DeviceChange apply, std::string xml,
              unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire(api);
    const unsigned affect = domain->affect(flags);
    co_await apply(domain, std::move(xml), affect);
}

Task<> attach_live(ClientPtr client, remote::DomainAttachDeviceArgs args) {
    co_await change(client, args.dom, "virDomainAttachDevice", attach_device, std::move(args.xml), api::domain_affect_live);
}
Task<> attach_flags(ClientPtr client, remote::DomainAttachDeviceFlagsArgs args) {
    co_await change(client, args.dom, "virDomainAttachDeviceFlags", attach_device, std::move(args.xml), args.flags);
}
Task<> detach_live(ClientPtr client, remote::DomainDetachDeviceArgs args) {
    co_await change(client, args.dom, "virDomainDetachDevice", detach_device, std::move(args.xml), api::domain_affect_live);
}
Task<> detach_flags(ClientPtr client, remote::DomainDetachDeviceFlagsArgs args) {
    co_await change(client, args.dom, "virDomainDetachDeviceFlags", detach_device, std::move(args.xml), args.flags);
}

Task<> detach_by_alias(ClientPtr client, remote::DomainDetachDeviceAliasArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainDetachDeviceAlias");
    const unsigned affect = domain->affect(args.flags);
    co_await detach_alias(domain, std::move(args.alias), affect);
}

Task<> update(ClientPtr client, remote::DomainUpdateDeviceFlagsArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainUpdateDeviceFlags");
    const unsigned affect = domain->affect(args.flags);
    co_await update_device(domain, std::move(args.xml), affect, (args.flags & api::domain_device_modify_force) != 0);
}

constexpr Method table[] = {
    on<remote::DomainAttachDeviceCall, attach_live>(),          on<remote::DomainAttachDeviceFlagsCall, attach_flags>(),
    on<remote::DomainDetachDeviceCall, detach_live>(),          on<remote::DomainDetachDeviceFlagsCall, detach_flags>(),
    on<remote::DomainDetachDeviceAliasCall, detach_by_alias>(), on<remote::DomainUpdateDeviceFlagsCall, update>(),
};

} // namespace

const MethodTable methods::domain_devices = table;

} // namespace lodge::daemon
