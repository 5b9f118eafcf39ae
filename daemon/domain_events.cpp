// What a machine reports, turned into states, reasons and the events that clients of libvirt expect, in its order.
#include "daemon/block_jobs.hpp"
#include "daemon/device_rules.hpp"
#include "daemon/domain.hpp"
#include "daemon/finished_job.hpp"
#include "daemon/nics.hpp"
#include "daemon/store.hpp"
#include "drivers/block_jobs.hpp"
#include "rpc/generated/qemu.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include "xml/domain/vcpus.hpp"

namespace lodge::daemon {

using drivers::EndReason;

template<class CallbackCall, class LegacyCall> void Domain::emit(int event, typename CallbackCall::Args message) {
    hypervisor_.host().events().emit<CallbackCall, LegacyCall>(EventKind::domain, event, &hypervisor_, uuid_, std::move(message));
}
template void
Domain::emit<remote::DomainEventCallbackLifecycleCall, remote::DomainEventLifecycleCall>(int,
                                                                                         remote::DomainEventCallbackLifecycleMsg);

void Domain::on_machine_event(drivers::MachineEvent machine_event) {
    auto self = shared_from_this(); // the end of a transient domain is also its end in the registry
    std::visit([this](const auto& e) { handle(e); }, machine_event);
}

void Domain::handle(const event::Paused& e) {
    if (starting_ || state_ == static_cast<int>(api::domain_paused)) return;
    set_state(api::domain_paused, static_cast<int>(e.reason)); // PauseReason counts as VIR_DOMAIN_PAUSED_* does
    int detail = api::domain_event_suspended_paused;
    if (e.reason == drivers::PauseReason::io_error) detail = api::domain_event_suspended_ioerror;
    if (e.reason == drivers::PauseReason::watchdog) detail = api::domain_event_suspended_watchdog;
    emit_lifecycle(api::domain_event_suspended, detail);
    keep_status();
}

void Domain::handle(const event::Resumed&) {
    if (starting_ || state_ == static_cast<int>(api::domain_running)) return;
    const int reason = std::exchange(next_running_reason_, static_cast<int>(api::domain_running_unpaused));
    set_state(api::domain_running, reason);
    emit_lifecycle(api::domain_event_resumed, reason == static_cast<int>(api::domain_running_from_snapshot)
                                                  ? api::domain_event_resumed_from_snapshot
                                                  : api::domain_event_resumed_unpaused);
    keep_status();
}

void Domain::handle(const event::ShuttingDown& e) {
    if (state_ == static_cast<int>(api::domain_shutdown)) return;
    set_state(api::domain_shutdown, api::domain_shutdown_unknown);
    const int detail = e.by_guest ? api::domain_event_shutdown_guest : api::domain_event_shutdown_host;
    emit_lifecycle(api::domain_event_shutdown, detail);
    keep_status();
}

void Domain::handle(const event::Rebooted&) {
    // It goes on after a crash, unless a client asks for that itself.
    if (state_ == static_cast<int>(api::domain_crashed)) next_running_reason_ = api::domain_running_crashed;
    emit<remote::DomainEventCallbackRebootCall, remote::DomainEventRebootCall>(api::domain_event_id_reboot, {0, {wire()}});
}

void Domain::handle(const event::Panicked&) {
    set_state(api::domain_crashed, api::domain_crashed_panicked);
    emit_lifecycle(api::domain_event_crashed, api::domain_event_crashed_panicked);
    keep_status();
}

void Domain::handle(const event::Ended& e) {
    if (!e.log_tail.empty() && e.reason == EndReason::crashed) log::warn("{}: ended unexpectedly: {}", name_, e.log_tail);
    if (starting_)
        early_end_ = e.reason;
    else
        ended(e.reason);
}

void Domain::ended(EndReason reason) {
    if (!machine_) return;
    struct Outcome {
        unsigned shutoff, detail;
        const char* words;
    };
    static constexpr Outcome outcomes[] = {
        {api::domain_shutoff_shutdown, api::domain_event_stopped_shutdown, "shut down"},
        {api::domain_shutoff_destroyed, api::domain_event_stopped_destroyed, "destroyed"},
        {api::domain_shutoff_crashed, api::domain_event_stopped_failed, "crashed"},
        {api::domain_shutoff_failed, api::domain_event_stopped_failed, "failed"},
        {api::domain_shutoff_saved, api::domain_event_stopped_saved, "saved"},
        {api::domain_shutoff_migrated, api::domain_event_stopped_migrated, "migrated away"},
        {api::domain_shutoff_daemon, api::domain_event_stopped_shutdown, "ended with the daemon"},
        {api::domain_shutoff_from_snapshot, api::domain_event_stopped_from_snapshot, "stopped for a snapshot"},
        {api::domain_shutoff_crashed, api::domain_event_stopped_crashed, "ended for its crash"}};
    const Outcome& outcome = outcomes[static_cast<std::size_t>(reason)];
    log::info("{}: {}", name_, outcome.words);
    job.backup_xml.clear();
    unplug();
    prepared_ = false;
    machine_.reset();
    taints_.clear();
    const std::shared_ptr<const xml::Domain> was = std::exchange(live_, nullptr);
    set_state(api::domain_shutoff, static_cast<int>(outcome.shutoff));
    try {
        if (hypervisor_.is_persistent()) store::remove_now(hypervisor_.status_file(name_));
    } catch (const std::exception& error) {
        log::error("{}: {}", name_, error.what());
    }
    updated_ = false;
    // Where the guest ended by itself, the event still carries its id; where a call ended it, the id is gone by then.
    // A snapshot that is to be the end is told before the guest is ended.
    const bool halted = reason == EndReason::from_snapshot && !held_;
    const bool by_itself = reason == EndReason::shutdown || reason == EndReason::crashed || halted;
    const int id = by_itself ? id_ : -1;
    id_ = -1;
    hypervisor_.host().idle().consider();
    emit<remote::DomainEventCallbackLifecycleCall, remote::DomainEventLifecycleCall>(
        api::domain_event_id_lifecycle,
        {0, {{name_, uuid_, id}, static_cast<int>(api::domain_event_stopped), static_cast<int>(outcome.detail)}});
    if (held_) return;
    if (!persistent_) rpc::spawn(hypervisor_.host().executor(), name_ + ": leftovers", hypervisor_.driver().forget(was, {}));
    drop_if_gone();
}

void Domain::drop_if_gone() {
    if (persistent_ || machine_) return;
    auto self = shared_from_this();
    visible = false;
    remove_moment_files(*this);
    hypervisor_.domains.remove(*this);
}

void Domain::handle(const event::ChannelChanged& e) {
    keep_status();
    if (e.name == "org.qemu.guest_agent.0")
        emit_agent_lifecycle(e.connected, api::connect_domain_event_agent_lifecycle_reason_channel);
}

void Domain::emit_agent_lifecycle(bool connected, unsigned reason) {
    const auto state = connected ? api::connect_domain_event_agent_lifecycle_state_connected
                                 : api::connect_domain_event_agent_lifecycle_state_disconnected;
    emit<remote::DomainEventCallbackAgentLifecycleCall>(api::domain_event_id_agent_lifecycle,
                                                        {0, wire(), static_cast<int>(state), static_cast<int>(reason)});
}

void Domain::taint(Taint taint) {
    if (!taints_.insert(taint).second) return;
    log::warn("{}: {}", name_, taint_message(taint));
    keep_status();
}

void Domain::handle(const event::RtcChange& e) {
    keep_status();
    emit<remote::DomainEventCallbackRtcChangeCall, remote::DomainEventRtcChangeCall>(api::domain_event_id_rtc_change,
                                                                                     {0, {wire(), e.offset_s}});
}

void Domain::handle(const event::Watchdog& e) {
    emit<remote::DomainEventCallbackWatchdogCall, remote::DomainEventWatchdogCall>(api::domain_event_id_watchdog,
                                                                                   {0, {wire(), e.action}});
}

void Domain::handle(const event::IoError& e) {
    emit<remote::DomainEventCallbackIoErrorCall, remote::DomainEventIoErrorCall>(api::domain_event_id_io_error,
                                                                                 {0, {wire(), e.path, e.alias, e.action}});
    emit<remote::DomainEventCallbackIoErrorReasonCall, remote::DomainEventIoErrorReasonCall>(
        api::domain_event_id_io_error_reason, {0, {wire(), e.path, e.alias, e.action, e.reason}});
}

void Domain::handle(const event::Graphics& e) {
    remote::DomainEventGraphicsMsg message{wire(),
                                           e.phase,
                                           {e.local_family, e.local_node, e.local_service},
                                           {e.remote_family, e.remote_node, e.remote_service},
                                           e.auth_scheme,
                                           {}};
    for (const auto& [type, name] : e.subject) message.subject.push_back({type, name});
    emit<remote::DomainEventCallbackGraphicsCall, remote::DomainEventGraphicsCall>(api::domain_event_id_graphics, {0, message});
}

void Domain::handle(const event::BalloonChange& e) {
    if (live_) live_->current_memory = xml::Kibibytes{e.actual_kib};
    emit<remote::DomainEventCallbackBalloonChangeCall, remote::DomainEventBalloonChangeCall>(api::domain_event_id_balloon_change,
                                                                                             {0, {wire(), e.actual_kib}});
    keep_status();
}

void Domain::handle(const event::TrayChange& e) {
    if (live_)
        for (auto& disk : live_->devices.disks)
            if (disk.info.alias == e.alias)
                disk.target.tray = e.reason == static_cast<int>(api::domain_event_tray_change_open)
                                       ? std::optional(xml::TrayState::open)
                                       : std::nullopt;
    emit<remote::DomainEventCallbackTrayChangeCall, remote::DomainEventTrayChangeCall>(api::domain_event_id_tray_change,
                                                                                       {0, {wire(), e.alias, e.reason}});
}

void Domain::handle(const event::Suspended& e) {
    if (state_ == static_cast<int>(api::domain_pmsuspended)) return; // known before the daemon began
    set_state(api::domain_pmsuspended, e.to_disk ? api::domain_pmsuspended_disk_unknown : api::domain_pmsuspended_unknown);
    if (e.to_disk)
        emit<remote::DomainEventCallbackPmsuspendDiskCall, remote::DomainEventPmsuspendDiskCall>(
            api::domain_event_id_pmsuspend_disk, {0, 0, {wire()}});
    else
        emit<remote::DomainEventCallbackPmsuspendCall, remote::DomainEventPmsuspendCall>(api::domain_event_id_pmsuspend,
                                                                                         {0, 0, {wire()}});
    emit_lifecycle(api::domain_event_pmsuspended,
                   e.to_disk ? api::domain_event_pmsuspended_disk : api::domain_event_pmsuspended_memory);
    keep_status();
}

void Domain::handle(const event::Wakeup&) {
    emit<remote::DomainEventCallbackPmwakeupCall, remote::DomainEventPmwakeupCall>(api::domain_event_id_pmwakeup,
                                                                                   {0, 0, {wire()}});
    if (state_ == static_cast<int>(api::domain_pmsuspended)) {
        set_state(api::domain_running, api::domain_running_wakeup);
        emit_lifecycle(api::domain_event_started, api::domain_event_started_wakeup);
        keep_status();
    }
}

void Domain::emit_device_added(const std::string& alias) {
    emit<remote::DomainEventCallbackDeviceAddedCall>(api::domain_event_id_device_added, {0, wire(), alias});
}

void Domain::emit_tunable(std::vector<rpc::TypedParam> params) {
    emit<remote::DomainEventCallbackTunableCall>(api::domain_event_id_tunable, {0, wire(), std::move(params)});
}

void Domain::handle(const event::DeviceRemovalFailed& e) {
    emit<remote::DomainEventCallbackDeviceRemovalFailedCall>(api::domain_event_id_device_removal_failed, {0, wire(), e.alias});
}

void Domain::handle(const event::BlockThreshold& e) {
    remote::DomainEventBlockThresholdMsg message{0, wire(), e.device, std::nullopt, e.threshold, e.excess};
    if (!e.path.empty()) message.path = e.path;
    emit<remote::DomainEventBlockThresholdCall>(api::domain_event_id_block_threshold, std::move(message));
}

void Domain::handle(const event::DiskDropped& e) {
    remote::DomainEventDiskChangeMsg message{wire(), e.path, std::nullopt, e.alias, 0};
    message.reason = static_cast<int>(e.emptied ? api::domain_event_disk_change_missing_on_start
                                                : api::domain_event_disk_drop_missing_on_start);
    emit<remote::DomainEventCallbackDiskChangeCall, remote::DomainEventDiskChangeCall>(api::domain_event_id_disk_change,
                                                                                       {0, std::move(message)});
}

void Domain::handle(const event::MemoryFailure& e) {
    emit<remote::DomainEventMemoryFailureCall>(api::domain_event_id_memory_failure, {0, wire(), e.recipient, e.action, e.flags});
}

void Domain::handle(const event::MemoryDeviceSize& e) {
    emit<remote::DomainEventMemoryDeviceSizeChangeCall>(api::domain_event_id_memory_device_size_change,
                                                        {0, wire(), e.alias, e.kib});
    keep_status();
}

void Domain::handle(const event::MigrationPass& e) {
    emit<remote::DomainEventCallbackMigrationIterationCall>(api::domain_event_id_migration_iteration, {0, wire(), e.number});
}

void Domain::handle(const event::ControlLost&) {
    emit<remote::DomainEventCallbackControlErrorCall, remote::DomainEventControlErrorCall>(api::domain_event_id_control_error,
                                                                                           {0, {wire()}});
}

void Domain::handle(const event::VcpuRemoved& e) {
    if (!live_) return;
    auto entries = xml::vcpu_entries(*live_);
    if (e.number < entries.size()) {
        entries[e.number].enabled = false;
        entries[e.number].order.reset();
        xml::set_vcpu_entries(*live_, std::move(entries), true);
    }
    keep_status();
}

// The guest has let go of it, and its driver has given back what it had on the host.
void Domain::handle(const event::DeviceRemoved& e) {
    if (const auto at = live_ ? xml::find_alias(live_->devices, e.alias) : std::nullopt) {
        if (std::holds_alternative<xml::Nic>(xml::device_at(live_->devices, *at)))
            unplug_nic(hypervisor_.host(), *live_, at->place);
        remove_device(*live_, *at);
    }
    emit<remote::DomainEventCallbackDeviceRemovedCall, remote::DomainEventDeviceRemovedCall>(api::domain_event_id_device_removed,
                                                                                             {0, {wire(), e.alias}});
    keep_status();
}

// The older of the two events names the disk by its image, and only an image of this host has a name there.
void Domain::emit_block_job(const std::string& name, int type, int status) {
    if (!live_) return;
    for (const auto& disk : live_->devices.disks)
        if (disk.target.dev == name && !disk.source.path.empty())
            emit<remote::DomainEventCallbackBlockJobCall, remote::DomainEventBlockJobCall>(
                api::domain_event_id_block_job, {0, {wire(), disk.source.path, type, status}});
    hypervisor_.host().events().emit<remote::DomainEventBlockJob2Call>(EventKind::domain, api::domain_event_id_block_job_2,
                                                                       &hypervisor_, uuid_, {0, wire(), name, type, status});
}

void Domain::handle(const event::BlockJobReady& e) {
    if (const auto moving = machine_ ? machine_->block_jobs()->on(e.disk) : std::nullopt)
        emit_block_job(e.disk, static_cast<int>(moving->kind), static_cast<int>(api::domain_block_job_ready));
    keep_status();
}

void Domain::handle(const event::BlockJobOver& e) { tend_block_job(shared_from_this(), e.disk); }

void Domain::handle(const event::JobCompleted& e) {
    job.success = e.success;
    job.canceled = e.canceled;
    job.error = e.error;
    job.operation = e.operation;
    job.figures = e.figures;
    if (e.operation == static_cast<int>(api::domain_job_operation_backup)) job.backup_xml.clear();
    emit<remote::DomainEventCallbackJobCompletedCall>(api::domain_event_id_job_completed, {0, wire(), finished_params(job)});
    keep_status();
}

// Raw monitor events go to subscribers of the qemu program, who may ask for one event by name.
void Domain::handle(const event::MonitorEvent& e) {
    EventHub& events = hypervisor_.host().events();
    std::vector<std::pair<ClientPtr, int>> targets;
    for (const auto& s : events.all())
        if (s.kind == EventKind::monitor && s.scope == &hypervisor_ && (!s.object || *s.object == uuid_) &&
            (s.pattern.empty() || s.pattern == e.name))
            targets.emplace_back(s.client->shared_from_this(), s.id);
    for (const auto& [client, id] : targets) {
        rpc::qemu::DomainMonitorEventMsg message{id, wire(), e.name, e.seconds, e.micros, std::nullopt};
        if (!e.details_json.empty()) message.details = e.details_json;
        client->send_event(rpc::qemu::program, rpc::qemu::DomainMonitorEventCall::number, message);
    }
}

void Domain::handle(const event::Restarted&) {
    set_state(api::domain_running, api::domain_running_booted);
    keep_status();
}

} // namespace lodge::daemon
