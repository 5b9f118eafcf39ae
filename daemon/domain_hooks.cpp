// A guest's way through the administrator's programs: prepare, start and started on the way up, each of which may refuse;
// stopped and release on the way down; reconnect when a new daemon has found it running.
#include "daemon/domain.hpp"
#include "daemon/hooks.hpp"
#include "daemon/nics.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

static HookCall hook_call(const xml::Domain& document, std::string operation, std::string phase) {
    return {document.name, std::move(operation), std::move(phase), "-",
            xml::format_domain(document, {.live = true, .secret = false})};
}

Task<> Domain::call_hook(std::string operation) {
    const Hooks& hooks = hypervisor_.host().hooks();
    if (hypervisor_.is_persistent() && hooks.has(HookKind::qemu))
        co_await hooks.call(HookKind::qemu, hook_call(*live_, std::move(operation), "begin"));
}

Task<> Domain::tell_hook(std::string operation, std::string phase) {
    const Hooks& hooks = hypervisor_.host().hooks();
    if (hypervisor_.is_persistent() && hooks.has(HookKind::qemu))
        co_await hooks.tell(HookKind::qemu, hook_call(*live_, std::move(operation), std::move(phase)));
}

Task<> Domain::on_machine_gone() {
    auto self = shared_from_this();
    if (prepared_ && live_) co_await tell_hook("stopped", "end");
}

Task<> Domain::on_machine_released() {
    auto self = shared_from_this();
    if (!live_) co_return;
    if (plugged_ && hypervisor_.host().hooks().has(HookKind::network)) co_await tell_unplugged(hypervisor_.host(), *live_);
    unplug();
    if (std::exchange(prepared_, false)) co_await tell_hook("release", "end");
}

void Domain::unplug() {
    if (std::exchange(plugged_, false)) unplug_nics(hypervisor_.host(), *live_);
}

// Of a guest that ended while no daemon ran.
Task<> Domain::tell_ended(DomainPtr self, std::shared_ptr<const xml::Domain> was) {
    const Hooks& hooks = self->hypervisor().host().hooks();
    if (!hooks.has(HookKind::qemu)) co_return;
    for (const char* operation : {"stopped", "release"}) co_await hooks.tell(HookKind::qemu, hook_call(*was, operation, "end"));
}

// Who refuses a guest that was found again ends it: libvirt's rule. Told when clients are served already, whom the programs may
// be, too.
Task<> Domain::tell_reconnected(DomainPtr self) {
    auto turn = co_await self->acquire("reconnect");
    if (!self->is_active()) co_return;
    std::string refusal;
    try {
        co_await self->call_hook("reconnect");
    } catch (const rpc::Error& error) {
        refusal = error.message();
    }
    if (refusal.empty() || !self->is_active()) co_return;
    log::warn("{}: ended: {}", self->name(), refusal);
    co_await self->stop(drivers::EndReason::failed);
}

} // namespace lodge::daemon
