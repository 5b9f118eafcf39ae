// One running QEMU: its process, its monitor, what it has on the host, and what it tells. Made by launch.cpp or adopt.cpp; the
// events are turned into the driver's in machine_events.cpp. Control thread only; those who call are expected to hold the
// domain's job.
#pragma once
#include "drivers/backup.hpp"
#include "drivers/driver.hpp"
#include "drivers/host/perf_counters.hpp"
#include "drivers/process/process.hpp"
#include "drivers/qemu/block_jobs.hpp"
#include "drivers/qemu/qmp.hpp"
#include "drivers/qemu/runtime.hpp"
#include "drivers/qemu/settings.hpp"
#include "drivers/qemu/state_keeper.hpp"
#include "xml/domain/device.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

class Relay;
struct Backup;
struct Unplug;
struct AgentCall;
struct World;
class Displays;

// What a machine is made of.
struct MachineParts {
    std::shared_ptr<const World> world;
    Executor executor;
    std::shared_ptr<xml::Domain> domain;
    int id = 0;
    MachineSink* sink = nullptr;
    std::shared_ptr<Displays> displays; // ports that all guests share
    std::shared_ptr<Process> process;
    Runtime runtime;
    ImageFormats image_formats;
};

class QemuMachine final : public Machine, public std::enable_shared_from_this<QemuMachine> {
  public:
    explicit QemuMachine(MachineParts parts);
    ~QemuMachine() override;

    // ---- for launch and adopt ----
    void open_monitor(Fd connection);
    // For a guest whose monitor cannot be reached: every question fails with `reason`.
    void no_monitor(const std::string& reason);
    Qmp& qmp() { return *qmp_; }
    Runtime& runtime() { return parts_.runtime; }
    Process& process() { return *parts_.process; }
    // From now on what happens is told; an end is cleaned up and reported. `state` is what it does now.
    void supervise(RunState state);
    // Tells what SHUTDOWN, GUEST_PANICKED and the like, seen only in the run state, would have told.
    void catch_up(const std::string& run_state);
    void take_vcpus(const json& query_cpus_fast);
    void take_ptys(const json& query_chardev);
    void take_channels(const json& query_chardev);
    void take_status(const json& status);
    void remember_asked_cpu(xml::Cpu cpu);
    // At start: CPUs that the document lets go later, in their order.
    static Task<> plug_late_vcpus(std::shared_ptr<QemuMachine> self);
    // Has the kernel count what each vCPU's thread takes.
    void begin_counting_vcpus();
    // After a restart of the daemon: what came and went meanwhile. `peripheral`: the answer to qom-list of that folder.
    static Task<> reconcile(std::shared_ptr<QemuMachine> self, json peripheral);

    // Keeps the logs that the guest can make grow within their limit: all of the document's, or the one of a device that comes.
    void limit_logs();
    void limit_log(const std::string& path);
    // The counters of the document's <perf>.
    void begin_counting();

    // ---- for the state keeper ----
    QemuStateKeeper& state_keeper() override { return keeper_; }
    std::shared_ptr<Qmp> shared_qmp() { return qmp_; }
    const Executor& executor() const { return parts_.executor; }
    xml::Domain& domain() { return *parts_.domain; }
    void report_job(event::JobCompleted job) { tell(std::move(job)); }

    // ---- for the block jobs ----
    const MachineParts& parts() const { return parts_; }
    // The next number for block nodes; none is ever used twice.
    std::uint32_t take_block_number();
    void report(MachineEvent event) { tell(std::move(event)); }
    // Makes images QEMU's user's while the guest runs, and gives back those that only `disk` had.
    Task<> own_images(xml::Disk disk);
    Task<> give_back_images(xml::Disk disk);
    Task<> give_back_paths(std::set<std::string> paths);
    Task<> return_device(xml::Hostdev hostdev);
    // A disk of the backup is through; the last one ends it.
    Task<> end_backup_of(std::string disk, BlockJobEnd end, QemuBlockJob job, BlockJobFigures figures);

    // Ends the process, whatever it does, and waits for it; nothing is told.
    static Task<> kill(std::shared_ptr<QemuMachine> self);

    // ---- Machine ----
    std::int64_t pid() const override { return parts_.process->pid(); }
    RunState state() const override { return state_; }
    std::string status() const override;
    std::shared_ptr<const xml::Cpu> asked_cpu() const override { return asked_cpu_; }

    Task<> suspend(PauseReason reason) override;
    Task<> resume() override;
    Task<> shutdown(PowerButton button) override;
    Task<> reboot(PowerButton button) override;
    Task<> reset() override;
    Task<> destroy(bool graceful, EndReason reason) override { return destroy_now(shared_from_this(), graceful, reason); }

    Task<Endpoint> open_console(std::string device, bool force) override;
    Task<Endpoint> open_channel(std::string name, bool force) override;
    Task<std::pair<Fd, std::string>> screenshot(unsigned screen, std::string device) override;
    Task<> send_keys(std::vector<unsigned> keys, unsigned hold_ms) override;
    Task<> inject_nmi() override;
    Task<> open_graphics(unsigned display, Fd connection, bool skip_authentication) override;
    Task<std::uint64_t> balloon_kib() override;
    Task<> set_balloon(std::uint64_t kib) override;
    Task<CpuTime> cpu_time() override;
    Task<GuestCpuTimes> cpu_times() override;
    Task<std::vector<VcpuInfo>> vcpus() override;
    Task<std::map<std::string, std::uint64_t>> memory_stats() override;
    Task<std::map<std::string, BlockStats>> block_stats() override;
    Task<BlockInfo> block_info(std::string disk) override;
    Task<Figures> figures(unsigned wanted, std::chrono::milliseconds patience) override;
    std::chrono::milliseconds silence() const override { return qmp_ ? qmp_->silence() : std::chrono::milliseconds(0); }
    Task<std::map<std::string, std::string>> disk_errors() override;
    Task<> start_dirty_rate(unsigned seconds, std::string mode) override;
    Task<std::string> monitor_command(std::string command, bool human, Fd file) override;
    void count_events(const std::string& event, bool on) override { perf_.count(static_cast<pid_t>(pid()), event, on); }
    std::set<std::string> counted_events() const override { return perf_.counted(); }
    PerfFigures event_counts() const override { return perf_.counts(); }
    Task<std::string> agent_command(std::string command, std::optional<std::chrono::milliseconds> limit) override;
    Task<> forget_missed_ticks() override;
    QemuBlockJobs* block_jobs() override { return &block_jobs_; }
    Task<std::vector<std::uint32_t>> backup_begin(BackupPlan plan) override {
        return begin_backup(shared_from_this(), std::move(plan));
    }
    Task<std::string> peek_memory(bool physical, std::uint64_t address, std::uint64_t size) override;
    Task<> wake_up() override;
    Task<> follow_lifecycle() override;
    Task<std::map<std::string, std::int64_t>> migration_limits() override;
    Task<> set_migration_limit(std::string name, std::int64_t value) override;
    Task<JobFigures> job() override;
    Task<> abort_job() override;
    Task<> attach(Attachment attachment) override;
    Task<> detach(xml::DeviceAt device, bool wait) override { return detach_from(shared_from_this(), device, wait); }
    Task<> update(DeviceUpdate change) override { return update_to(shared_from_this(), std::move(change)); }
    Task<std::vector<VcpuPlace>> vcpu_places() override { return places_on(shared_from_this()); }
    Task<> set_vcpu(unsigned vcpu, bool there) override {
        return there ? plug_vcpu(shared_from_this(), vcpu) : unplug_vcpu(shared_from_this(), vcpu);
    }
    Task<> set_balloon_period(unsigned seconds) override;
    Task<> tune(std::shared_ptr<const xml::Domain> document) override { return tune_to(shared_from_this(), std::move(document)); }
    Task<Tuning> tuning() override;
    Task<std::vector<IoThreadInfo>> iothreads() override;
    Task<> add_iothread(unsigned id) override;
    Task<> delete_iothread(unsigned id) override;
    Task<> set_iothread(unsigned id, std::map<std::string, std::int64_t> values) override;
    Task<> limit_disk(std::string target, xml::IoTune limits) override;
    Task<> resize_disk(std::string target, std::uint64_t bytes) override;
    Task<> set_block_threshold(std::string device, std::uint64_t bytes) override;

  private:
    friend class Plug;
    // A monitor that owes an answer for so long is not asked for mere figures.
    static constexpr std::chrono::milliseconds deaf_after = 1s;
    std::uint64_t resident_kib() const;
    const std::string& name() const { return parts_.domain->name; }
    void tell(MachineEvent event);
    Task<json> ask(std::string command, json arguments = nullptr, std::chrono::milliseconds limit = Qmp::default_limit) {
        return ask_on(shared_from_this(), std::move(command), std::move(arguments), limit);
    }
    static Task<json> ask_on(std::shared_ptr<QemuMachine> self, std::string command, json arguments,
                             std::chrono::milliseconds limit);
    static Task<> destroy_now(std::shared_ptr<QemuMachine> self, bool graceful, EndReason reason);
    static Task<> await_end(std::shared_ptr<QemuMachine> self);
    static Task<> power_off(std::shared_ptr<QemuMachine> self, EndReason reason);
    // auto_dump.cpp: dumps that a guest's document orders. False: there is none; the log says why.
    static Task<bool> dump_by_itself(std::shared_ptr<QemuMachine> self);
    static Task<> dump_and_obey(std::shared_ptr<QemuMachine> self, xml::LifecycleAction action, EndReason reason);
    static Task<> dump_and_go_on(std::shared_ptr<QemuMachine> self);
    static Task<> reset_now(std::shared_ptr<QemuMachine> self);
    static Task<> resets_end_again(std::shared_ptr<QemuMachine> self);
    static Task<> start_again(std::shared_ptr<QemuMachine> self);
    static Task<> replay(std::shared_ptr<QemuMachine> self);
    void background(const char* what, Task<> task);

    // machine_events.cpp
    void on_event(const QmpEvent& event);
    void on_shutdown(const json& data);
    void on_panic(const json& data);
    void on_stop();
    void on_sleep(bool to_disk);
    void on_agent_gone();
    void on_resume();
    void on_io_error(const json& data);
    void on_monitor_closed(const std::string& reason);
    static Task<> look_after_monitor(std::shared_ptr<QemuMachine> self);
    void on_graphics(const std::string& name, const json& data);
    void on_write_threshold(const json& data);
    void on_tray_moved(const std::string& alias, bool open);
    void obey(xml::LifecycleAction action, EndReason reason);
    struct EventRow;
    static const EventRow event_rows[];

    // console.cpp
    Task<Endpoint> open_character_device(const xml::CharSource& source, std::string alias, bool force, const char* what);

    // backup.cpp
    static Task<std::vector<std::uint32_t>> begin_backup(std::shared_ptr<QemuMachine> self, BackupPlan plan);
    static Task<> conclude_backup(std::shared_ptr<QemuMachine> self);
    static Task<> end_backup_with_guest(std::shared_ptr<QemuMachine> self);
    Task<> cancel_backup();

    // tuning.cpp
    static Task<> tune_to(std::shared_ptr<QemuMachine> self, std::shared_ptr<const xml::Domain> document);

    // vcpus.cpp
    static Task<> learn_vcpus(std::shared_ptr<QemuMachine> self);
    static Task<> count_vcpus(std::shared_ptr<QemuMachine> self, unsigned count);
    static Task<std::vector<VcpuPlace>> places_on(std::shared_ptr<QemuMachine> self);
    static Task<> plug_vcpu(std::shared_ptr<QemuMachine> self, unsigned vcpu);
    static Task<> unplug_vcpu(std::shared_ptr<QemuMachine> self, unsigned vcpu);

    // unplug.cpp
    static Task<> detach_from(std::shared_ptr<QemuMachine> self, xml::DeviceAt device, bool wait);
    void on_device_deleted(const std::string& alias);
    void on_unplug_refused(const std::string& alias);
    void on_rtc_change(std::int64_t offset);
    void on_memory_resized(const std::string& alias, std::uint64_t kib);
    void on_memory_failure(const json& data);
    static Task<> finish_unplug(std::shared_ptr<QemuMachine> self, std::string alias);
    static Task<> release(std::shared_ptr<QemuMachine> self, xml::Device device);

    // device_update.cpp
    static Task<> update_to(std::shared_ptr<QemuMachine> self, DeviceUpdate change);
    static Task<> change_medium(std::shared_ptr<QemuMachine> self, DeviceUpdate change);
    // Asks for `command` of a drive whose tray must stand open for it, and opens it as often as that takes.
    static Task<> ask_with_open_tray(std::shared_ptr<QemuMachine> self, xml::Disk drive, bool force, std::string command,
                                     json arguments);
    static Task<> open_tray(std::shared_ptr<QemuMachine> self, xml::Disk drive, bool force);
    struct Tray {
        bool open = false, locked = false;
    };
    static Task<Tray> tray_of(std::shared_ptr<QemuMachine> self, std::string device);

    MachineParts parts_;
    QemuStateKeeper keeper_;
    QemuBlockJobs block_jobs_;
    std::uint32_t last_block_number_ = 0;
    std::shared_ptr<const xml::Cpu> asked_cpu_;
    std::shared_ptr<Qmp> qmp_;
    RunState state_ = RunState::paused;
    bool supervised_ = false;
    bool told_not_running_ = false;          // the sink believes that the guest stands still
    std::int64_t first_adjustment_ = 0;      // s; of a variable clock, at the start
    bool reboot_pending_ = false;            // the next power-off of the guest is a reboot that was asked for
    std::optional<PauseReason> asked_pause_; // why the next STOP comes
    std::optional<EndReason> end_reason_;
    rpc::Signal ended_;
    rpc::Signal vcpus_counted_; // the last count that was begun is done
    unsigned vcpu_counts_ = 0;
    std::vector<QmpEvent> early_; // ends that came before anybody could be told
    std::vector<int> vcpu_threads_;
    std::vector<std::string> vcpu_paths_; // in QEMU's tree
    PerfCounters perf_;
    std::map<std::string, std::string> kvm_schema_;      // asked for once
    std::optional<DirtyRate> dirty_rate_rests_;          // what QEMU says as long as nobody has it measured
    bool may_measure_dirty_rate_ = false;                // somebody has had it measured, or may have
    std::map<std::string, std::weak_ptr<Relay>> relays_; // by alias
    std::vector<std::weak_ptr<AgentCall>> agent_calls_;  // under way
    std::shared_ptr<Backup> backup_;
    std::map<std::uint32_t, std::string> thresholds_;        // of block nodes: what their watcher calls them
    std::vector<std::string> lost_;                          // devices that went while no daemon looked
    std::set<std::string> limited_logs_;                     // that the driver watches for us
    std::string plugging_;                                   // the document of a device that is being plugged in
    std::map<std::string, std::shared_ptr<Unplug>> unplugs_; // by alias: who waits for a guest to let go
    rpc::Signal tray_opened_;                                // some drive's
};

// block_set_io_throttle for a disk's <iotune>.
json throttle_order(const xml::Disk& disk);

} // namespace lodge::drivers::qemu
