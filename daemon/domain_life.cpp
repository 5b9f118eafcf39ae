// Start, stop and what lies between: the calls that change a domain's state. Each expects the caller to hold the domain's job.
#include "daemon/domain.hpp"
#include "daemon/hooks.hpp"
#include "daemon/nics.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/status.hpp"
#include "daemon/store.hpp"
#include "daemon/volume_disks.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

using rpc::fail;

Task<> Domain::write_status(std::string machine_status) {
    if (!hypervisor_.is_persistent()) co_return;
    DomainStatus status;
    status.state = state_, status.reason = reason_, status.id = id_;
    status.pid = machine_ ? machine_->pid() : 0;
    status.persistent = persistent_, status.autodestroy = goes_with_client_;
    status.machine = std::move(machine_status);
    status.backup = job.backup_xml;
    status.agent_timeout = agent_timeout;
    status.taints = taints_to_text(taints_);
    status.domain = *live_;
    co_await store::replace_volatile(hypervisor_.status_file(name_),
                                     xml::format(status, domain_status_root, {.live = true, .secret = true, .private_ = true}));
}

Task<> Domain::write_status() {
    if (machine_) co_await write_status(machine_->status());
}

void Domain::keep_status() {
    if (!machine_) return;
    // Written a moment later, and only if the guest still runs then: its end has removed the file for good.
    auto write = [](std::shared_ptr<Domain> self) -> Task<> {
        if (self->machine_) co_await self->write_status(self->machine_->status());
    };
    rpc::spawn(hypervisor_.host().executor(), name_ + ": cannot write status", write(shared_from_this()));
}

static const xml::Channel* agent_channel(const xml::Domain& domain) {
    const auto& all = domain.devices.channels;
    const auto found = std::ranges::find_if(all, [](const auto& channel) {
        return channel.target.type == xml::ChannelTargetType::virtio && channel.target.name == "org.qemu.guest_agent.0";
    });
    return found == all.end() ? nullptr : &*found;
}

Task<> Domain::start(StartOptions options) {
    require_inactive("domain is already running");
    auto self = shared_from_this();
    Host& host = hypervisor_.host();
    if (!live_) live_ = std::make_shared<xml::Domain>(definition_.copy());
    starting_ = true;
    early_end_.reset();
    id_ = hypervisor_.take_id();
    std::exception_ptr failure;
    try {
        drivers::LaunchRequest request;
        live_->id = id_;
        taints_ = taints_of(*live_, static_cast<bool>(options.restore));
        goes_with_client_ = options.autodestroy != nullptr;
        prepared_ = true;
        co_await call_hook("prepare");
        resolve_volumes(host, *live_);
        request.nics = co_await plug_nics(host, *live_);
        plugged_ = true;
        request.fd_groups = fd_groups;
        request.domain = live_;
        request.id = id_;
        request.paused = options.paused;
        request.boot_reset_nvram = options.reset_nvram;
        request.restore = options.restore;
        request.sink = this;
        request.control = control_ = std::make_shared<drivers::LaunchControl>();
        request.keep = [this](std::string status) { return write_status(std::move(status)); };
        request.ready = [this] { return call_hook("start"); };
        machine_ = co_await hypervisor_.driver().launch(std::move(request));
        if (options.paused)
            set_state(api::domain_paused, options.paused_reason);
        else
            set_state(api::domain_running, options.running_reason);
        co_await write_status(machine_->status());
        co_await call_hook("started");
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) co_await take_back_start();
    starting_ = false;
    control_.reset();
    if (failure) {
        machine_.reset();
        live_.reset();
        id_ = -1;
        set_state(api::domain_shutoff, api::domain_shutoff_failed);
        if (hypervisor_.is_persistent()) store::remove_now(hypervisor_.status_file(name_));
        std::rethrow_exception(failure);
    }
    asked_to_shut_down_ = false;
    updated_ = false;
    log::info("{}: started, id {}, pid {}", name_, id_, machine_->pid());
    // A boot is told when the guest runs, a restored guest is there before it runs.
    const bool restored = static_cast<bool>(options.restore);
    const bool from_state = options.running_reason != static_cast<int>(api::domain_running_booted);
    const int resumed = from_state ? api::domain_event_resumed_from_snapshot : api::domain_event_resumed_unpaused;
    const auto* agent = agent_channel(*live_);
    if (agent) emit_agent_lifecycle(false, api::connect_domain_event_agent_lifecycle_reason_domain_started);
    if (!options.paused && !restored) emit_lifecycle(api::domain_event_resumed, resumed);
    emit_lifecycle(api::domain_event_started, options.started_detail);
    if (!options.paused && restored) emit_lifecycle(api::domain_event_resumed, resumed);
    if (options.paused) emit_lifecycle(api::domain_event_suspended, options.paused_detail);
    // A guest that comes back may have its agent with it, and libvirt tells of it either way.
    if (restored && !options.paused && agent)
        emit_agent_lifecycle(agent->target.state == xml::ChannelState::connected,
                             api::connect_domain_event_agent_lifecycle_reason_channel);
    if (early_end_) co_return ended(*early_end_);
    if (options.autodestroy)
        options.autodestroy->on_departure([weak = weak_from_this(), executor = host.executor()] {
            if (auto domain = weak.lock()) rpc::spawn(executor, domain->name() + ": autodestroy", end_with_client(domain));
        });
}

Task<> Domain::end_with_client(DomainPtr self) {
    if (self->is_active()) co_await self->destroy(false);
}

// A start has failed, before or after its machine was there.
Task<> Domain::take_back_start() {
    if (const auto machine = machine_) {
        try {
            co_await machine->destroy(false, drivers::EndReason::failed);
        } catch (const std::exception& error) {
            log::error("{}: cannot end what did not start: {}", name_, error.what());
        }
    }
    co_await on_machine_gone();
    co_await on_machine_released();
}

Task<> Domain::start_transient(xml::Domain document, StartOptions options) {
    require_inactive("domain is already running");
    live_ = std::make_shared<xml::Domain>(std::move(document));
    co_await start(std::move(options));
}

Task<> Domain::shutdown(drivers::PowerButton button) {
    // libvirt's driver says this, not its library: the error's domain is another one than usual.
    if (state_ != static_cast<int>(api::domain_running)) fail(Code::operation_invalid, "domain is not running");
    asked_to_shut_down_ = true;
    co_await machine_->shutdown(button);
}

Task<> Domain::reboot(drivers::PowerButton button) {
    if (button == drivers::PowerButton::agent && state_ != static_cast<int>(api::domain_running))
        fail(Code::operation_invalid, "domain is not running");
    require_active();
    co_await machine_->reboot(button);
}

Task<> Domain::reset() {
    require_active();
    co_await machine_->reset();
    if (state_ == static_cast<int>(api::domain_crashed) && machine_) set_state(api::domain_paused, api::domain_paused_crashed);
}

namespace {

// A number that is another one for a while.
class Restored {
  public:
    Restored(int& number, int meanwhile)
        : number_(number)
        , before_(std::exchange(number, meanwhile)) {}
    ~Restored() { number_ = before_; }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;

  private:
    int& number_;
    int before_;
};

} // namespace

Task<> Domain::suspend(drivers::PauseReason reason) {
    require_active();
    if (state_ == static_cast<int>(api::domain_pmsuspended)) fail(Code::operation_invalid, "domain is pmsuspended");
    if (state_ == static_cast<int>(api::domain_paused)) co_return;
    if (reason != drivers::PauseReason::user) {
        // Written before it stands still: who is killed in between leaves word that it was to go on.
        const Restored state(state_, static_cast<int>(api::domain_paused)), why(reason_, static_cast<int>(reason));
        co_await write_status();
    }
    co_await machine_->suspend(reason);
}

Task<> Domain::resume(int reason) {
    require_active();
    if (state_ == static_cast<int>(api::domain_pmsuspended)) fail(Code::operation_invalid, "domain is pmsuspended");
    if (state_ == static_cast<int>(api::domain_running)) fail(Code::operation_invalid, "domain is already running");
    next_running_reason_ = reason;
    co_await machine_->resume();
}

Task<> Domain::destroy(bool graceful) {
    auto self = shared_from_this();
    if (control_) {
        // The start fails now; it is over when its job is.
        control_->stop();
        auto turn = co_await acquire("virDomainDestroy");
        if (!machine_) co_return;
    }
    require_active();
    auto machine = machine_; // the end event lets go of it
    // libvirt's clients hear of the host's wish first; one that may be refused is none yet.
    // Of a guest whose power-off is a restart libvirt takes any end for one.
    const bool restarts = live_ && live_->on_poweroff == xml::LifecycleAction::restart;
    if (!graceful && !restarts && hypervisor_.is_persistent()) handle(event::ShuttingDown{.by_guest = false});
    co_await machine->destroy(graceful, drivers::EndReason::destroyed);
    if (machine_) ended(drivers::EndReason::destroyed);
}

Task<> Domain::stop(drivers::EndReason reason, bool held) {
    auto self = shared_from_this();
    require_active();
    auto machine = machine_;
    held_ = held;
    co_await machine->destroy(false, reason);
    if (machine_) ended(reason);
    held_ = false;
}

xml::Domain Domain::migratable_document() const {
    xml::Domain document = *current();
    if (const auto cpu = machine_ ? machine_->asked_cpu() : nullptr; cpu && document.cpu) document.cpu = *cpu;
    hypervisor_.driver().make_migratable(document);
    return document;
}

Task<xml::Domain> Domain::portable_document() {
    auto self = shared_from_this();
    auto document =
        xml::parse_domain(xml::format_domain(migratable_document(), {.live = false, .secret = true}), {.from = From::domain});
    co_await hypervisor_.driver().complete(document, drivers::Completion::unchecked);
    co_return document;
}

// Finds the guest of an earlier daemon again, or learns that it is gone.
Task<> Domain::adopt(std::string status_text) {
    auto status = read_domain_status(status_text, hypervisor_.status_file(name_));
    live_ = std::make_shared<xml::Domain>(std::move(status.domain));
    id_ = status.id;
    hypervisor_.seen_id(id_);
    set_state(status.state, status.reason);
    job.backup_xml = status.backup;
    agent_timeout = status.agent_timeout.value_or(agent_timeout);
    taints_ = taints_from_text(status.taints);
    goes_with_client_ = status.autodestroy;
    starting_ = prepared_ = plugged_ = true;
    std::exception_ptr failure;
    try {
        machine_ = co_await hypervisor_.driver().adopt({live_, id_, status.machine, this});
        // What happened while nobody looked: the machine knows better than the file.
        const auto now = machine_->state();
        if (now == drivers::RunState::running && state_ != static_cast<int>(api::domain_running))
            set_state(api::domain_running, api::domain_running_unpaused);
        if (now == drivers::RunState::paused && state_ != static_cast<int>(api::domain_paused))
            set_state(api::domain_paused, api::domain_paused_unknown);
    } catch (...) {
        failure = std::current_exception();
    }
    starting_ = false;
    if (failure) {
        machine_.reset();
        const bool was_running = status.pid != 0;
        log::info("{}: the guest ended while no daemon was running", name_);
        unplug();
        prepared_ = false;
        rpc::spawn(hypervisor_.host().executor(), name_ + ": hook", tell_ended(shared_from_this(), live_));
        live_.reset();
        id_ = -1;
        set_state(api::domain_shutoff, was_running ? api::domain_shutoff_unknown : api::domain_shutoff_failed);
        store::remove_now(hypervisor_.status_file(name_));
        emit_lifecycle(api::domain_event_stopped, api::domain_event_stopped_failed);
        std::rethrow_exception(failure);
    }
    log::info("{}: found running again, id {}, pid {}", name_, id_, machine_->pid());
    co_await write_status(machine_->status());
    if (hypervisor_.host().hooks().has(HookKind::qemu))
        rpc::spawn(hypervisor_.host().executor(), name_ + ": hook", tell_reconnected(shared_from_this()));
    // Killed after the guest had gone on and before its saved state was removed: that must not come back.
    if (has_managed_save && machine_ && machine_->state() == drivers::RunState::running)
        co_await remove_managed_save(shared_from_this());
    // Its client lost the connection with the daemon before.
    if (goes_with_client_)
        rpc::spawn(hypervisor_.host().executor(), name_ + ": autodestroy", end_with_client(shared_from_this()));
    if (is_paused_for_a_call())
        rpc::spawn(hypervisor_.host().executor(), name_ + ": cannot go on", take_up_again(shared_from_this()));
}

bool Domain::is_paused_for_a_call() const {
    return state_ == static_cast<int>(api::domain_paused) &&
           (reason_ == static_cast<int>(api::domain_paused_save) || reason_ == static_cast<int>(api::domain_paused_dump) ||
            reason_ == static_cast<int>(api::domain_paused_snapshot));
}

// The daemon that paused the guest to save or dump it is gone, and with it whoever waited for that.
Task<> Domain::take_up_again(DomainPtr self) {
    auto turn = co_await self->acquire("recovery");
    if (!self->is_active() || !self->is_paused_for_a_call()) co_return;
    log::warn("{}: was being saved when the daemon ended; goes on", self->name());
    auto machine = self->shared_machine();
    co_await machine->state_keeper().give_up();
    co_await self->resume(api::domain_running_save_canceled);
    // Whole or not, it is the past now; but not before the guest is known to run.
    if (self->has_managed_save) co_await remove_managed_save(self);
}

} // namespace lodge::daemon
