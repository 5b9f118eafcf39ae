// A domain: what has a name and a UUID, defined, running or both. Owns the rules that are the same for every hypervisor:
// persistence, states and reasons, jobs, events. The machine that runs it belongs to the driver.
#pragma once
#include "daemon/definition.hpp"
#include "daemon/host.hpp"
#include "daemon/job_queue.hpp"
#include "daemon/moments.hpp"
#include "daemon/taint.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;
namespace event = drivers::event;

struct StartOptions {
    bool paused = false;
    bool reset_nvram = false;
    ClientPtr autodestroy; // the client whose departure ends the guest
    // Instead of booting: whence the state comes, and what is told of it.
    drivers::RestoreSource restore;
    int started_detail = api::domain_event_started_booted;
    int running_reason = api::domain_running_booted;
    int paused_reason = api::domain_paused_user, paused_detail = api::domain_event_suspended_paused;
};

// What the daemon remembers of the background job (backup, …) that runs or ended last.
struct JobRecord {
    int operation = 0;
    bool success = false, canceled = false;
    std::string error;
    std::map<std::string, std::uint64_t> figures;
    std::string backup_xml; // while a backup runs; survives a restart of the daemon
};

class Domain final : public drivers::MachineSink, public std::enable_shared_from_this<Domain> {
  public:
    Domain(Hypervisor& hypervisor, std::string name, rpc::Uuid uuid);
    ~Domain() override;

    Hypervisor& hypervisor() { return hypervisor_; }
    const std::string& name() const { return name_; }
    const rpc::Uuid& uuid() const { return uuid_; }
    int id() const { return id_; } // -1: not running
    remote::NonnullDomain wire() const { return {name_, uuid_, id_}; }

    bool is_active() const { return id_ >= 0; }
    bool is_persistent() const { return persistent_; }
    bool is_updated() const { return updated_; }
    bool autostart() const { return autostart_; }
    int state() const { return state_; } // VIR_DOMAIN_*
    int reason() const { return reason_; }
    // False while it is being made and after it is gone: lists and look-ups pass over it.
    bool visible = true;

    // What runs now, else what is defined.
    std::shared_ptr<const xml::Domain> current() const;
    DefinedSize size() const; // of current(), at a fraction of its price
    const Definition& definition() const { return definition_; }
    xml::Domain& live(); // throws Code::operation_invalid when not running
    drivers::Machine& machine();
    bool is_starting() const { return starting_; }
    bool has_machine() const { return machine_ != nullptr; }
    std::shared_ptr<drivers::Machine> shared_machine() { return machine_; }
    // Throw Code::operation_invalid with libvirt's words.
    void require_active() const;
    void require_inactive(const char* what) const;
    // Resolves VIR_DOMAIN_AFFECT_*: CURRENT becomes LIVE or CONFIG; refuses what does not fit the state.
    unsigned affect(unsigned flags) const;
    // The same for a question, which has one answer only.
    unsigned affect_one(unsigned flags) const;

    Task<JobQueue::Job> acquire(std::string api_name) { return jobs_.acquire(shared_from_this(), std::move(api_name)); }
    JobQueue& jobs() { return jobs_; }
    // The guest's agent answers one after another, and none of it is a change of the domain.
    Task<JobQueue::Job> acquire_agent(std::string api_name) {
        return agent_jobs_.acquire(shared_from_this(), std::move(api_name));
    }
    // How long it may take; absent: as long as it likes.
    std::optional<std::chrono::milliseconds> agent_limit() const;
    int agent_timeout = api::domain_agent_response_timeout_block; // seconds, or a constant of that name

    // All of these expect the caller to hold the job.
    Task<> store_definition(xml::Domain document, bool autostart_kept = true); // writes the file, then takes it over
    Task<> forget_definition();                                                // file and link are gone when it returns
    Task<> set_autostart(bool on);
    Task<> rename(std::string name);
    Task<> start(StartOptions options);
    // Starts what `document` says instead of the definition.
    Task<> start_transient(xml::Domain document, StartOptions options);
    Task<> shutdown(drivers::PowerButton button);
    Task<> reboot(drivers::PowerButton button);
    Task<> reset();
    Task<> suspend(drivers::PauseReason reason = drivers::PauseReason::user);
    // `reason`: VIR_DOMAIN_RUNNING_*
    Task<> resume(int reason = api::domain_running_unpaused);
    Task<> destroy(bool graceful);
    // Ends the guest on behalf of a call that goes on with the domain; `held`: a transient one stays for that.
    Task<> stop(drivers::EndReason reason, bool held = false);
    // A transient domain that does not run any more is no more.
    void drop_if_gone();
    // The current document as other hosts take it: what the start made of the CPU, and what every guest of its machine gets, is
    // left out.
    xml::Domain migratable_document() const;
    // The document as it goes along with the state of the running (or stopped) domain: inactive, with secrets.
    Task<xml::Domain> portable_document();
    Task<> adopt(std::string status_text);
    // Takes over what a file says; for start-up.
    void load_definition(Definition definition, bool autostart);

    void emit_lifecycle(int event, int detail);
    void emit_agent_lifecycle(bool connected, unsigned reason); // VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_*
    void emit_device_added(const std::string& alias);
    void emit_tunable(std::vector<rpc::TypedParam> params);
    void emit_block_job(const std::string& disk, int type, int status); // VIR_DOMAIN_BLOCK_JOB_*
    // The live document or state changed: the status file follows.
    void keep_status();
    Task<> write_status(); // the same, and it is written when this returns
    void taint(Taint taint);
    const Taints& taints() const { return taints_; } // of the running guest
    void set_persistent(bool persistent) { persistent_ = persistent; }

    void on_machine_event(drivers::MachineEvent event) override;
    Task<> on_machine_gone() override;
    Task<> on_machine_released() override;

    static constexpr std::uint64_t unlimited_speed = std::numeric_limits<std::int64_t>::max() / (1024 * 1024);
    std::uint64_t migration_speed = unlimited_speed; // MiB/s

    JobRecord job; // of the last or running background job
    SnapshotTree snapshots;
    CheckpointTree checkpoints;
    bool has_managed_save = false; // its next start goes on from the image

    drivers::FdGroups fd_groups; // that clients lend at present

  private:
    // domain_hooks.cpp: what the administrator's programs are told of this domain.
    Task<> call_hook(std::string operation);
    Task<> tell_hook(std::string operation, std::string phase);
    static Task<> tell_reconnected(DomainPtr self);
    static Task<> tell_ended(DomainPtr self, std::shared_ptr<const xml::Domain> was);
    void unplug();
    Task<> take_back_start();

    void set_state(int state, int reason);
    bool is_paused_for_a_call() const;
    static Task<> take_up_again(DomainPtr self);
    static Task<> end_with_client(DomainPtr self);
    Task<> write_status(std::string machine_status);
    void ended(drivers::EndReason reason);
    void leave_running(int reason, int event_detail);
    void handle(const event::Paused&);
    void handle(const event::Resumed&);
    void handle(const event::ShuttingDown&);
    void handle(const event::Rebooted&);
    void handle(const event::Panicked&);
    void handle(const event::Ended&);
    void handle(const event::RtcChange&);
    void handle(const event::Watchdog&);
    void handle(const event::IoError&);
    void handle(const event::Graphics&);
    void handle(const event::BalloonChange&);
    void handle(const event::TrayChange&);
    void handle(const event::Suspended&);
    void handle(const event::Wakeup&);
    void handle(const event::DeviceRemoved&);
    void handle(const event::ChannelChanged&);
    void handle(const event::DeviceRemovalFailed&);
    void handle(const event::VcpuRemoved&);
    void handle(const event::BlockThreshold&);
    void handle(const event::BlockJobReady&);
    void handle(const event::BlockJobOver&);
    void handle(const event::DiskDropped&);
    void handle(const event::MemoryFailure&);
    void handle(const event::MemoryDeviceSize&);
    void handle(const event::MigrationPass&);
    void handle(const event::ControlLost&);
    void handle(const event::JobCompleted&);
    void handle(const event::MonitorEvent&);
    void handle(const event::Restarted&);
    template<class CallbackCall, class LegacyCall = void> void emit(int event, typename CallbackCall::Args message);

    Hypervisor& hypervisor_;
    std::string name_;
    rpc::Uuid uuid_;
    int id_ = -1;
    int state_ = api::domain_shutoff, reason_ = api::domain_shutoff_unknown;
    bool persistent_ = false, autostart_ = false, updated_ = false, starting_ = false, asked_to_shut_down_ = false;
    bool goes_with_client_ = false; // whoever started it wants it to end with the connection
    bool held_ = false;             // its end is not the end of a transient domain
    bool prepared_ = false;         // hooks were told of the start, so they hear of the end
    bool plugged_ = false;          // its network cards have something on the host
    Taints taints_;
    int next_running_reason_ = api::domain_running_unpaused; // of the resume that was asked for
    Definition definition_;
    std::shared_ptr<xml::Domain> live_;
    std::shared_ptr<drivers::Machine> machine_;
    std::shared_ptr<drivers::LaunchControl> control_; // of the start under way
    std::optional<drivers::EndReason> early_end_;     // came while the start was not yet told
    JobQueue jobs_{"monitor"}, agent_jobs_{"agent"};
};

// The domain that `document` names: the one of that name and UUID, or a new one that stays invisible until its maker says
// otherwise. Refuses a name or UUID that belongs to another domain.
DomainPtr claim_domain(Hypervisor& hypervisor, const xml::Domain& document);

} // namespace lodge::daemon
