// What a hypervisor driver is. The daemon owns objects (names, UUIDs, files, jobs, events, the API's rules); a driver owns
// machines: it says what it can do, completes and checks a document, launches or re-adopts a machine, serves it and reports what
// happens to it. A driver never includes daemon/; everything it tells goes through MachineSink. All of it runs on the control
// thread.
#pragma once
#include "drivers/figures.hpp"
#include "drivers/machine_event.hpp"
#include "drivers/saved_state.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include "rpc/uuid.hpp"
#include "xml/domain/device_at.hpp"
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lodge::xml {
enum class SecretUsage;
struct Disk;
struct Cpu;
struct Domain;
struct IoTune;
} // namespace lodge::xml

namespace lodge::drivers {

using rpc::Code;
using rpc::Executor;
using rpc::Fd;
using rpc::Task;

// ---- what a machine can be asked ----

enum class PowerButton { acpi, agent, initctl, signal, paravirt, preferred };

// One end of a console or channel for a client: bytes both ways. A pty, a connected socket or a pair of pipes.
struct Endpoint {
    Fd read, write; // write may be empty: the same as read
};

class BlockJobs;   // drivers/block_jobs.hpp
struct BackupPlan; // drivers/backup.hpp

// The host's end of a network card, made by the daemon from the document's network or bridge.
struct NicBackend {
    std::vector<Fd> taps; // one per queue; empty: the driver makes what it needs (user)
    std::string tap_name; // vnet0
};

// Descriptors that a client lends to a domain under a name.
struct FdGroup {
    std::vector<Fd> fds;
    bool writable = false; // its only one may be written to
};
using FdGroups = std::map<std::string, std::shared_ptr<const FdGroup>>;

// A device to plug in: the live document, completed with the device (and all that it stands on) in it, and where it stands.
struct Attachment {
    std::shared_ptr<xml::Domain> plan;
    xml::DeviceAt device;
    NicBackend nic; // of a network card
    FdGroups fd_groups;
    // Writes Machine::status() before the device is plugged in, so that a daemon killed at any moment knows of it.
    std::function<Task<>()> keep;
};

// A device of a running machine to become what stands at its place in the plan: the live document with that one device changed.
struct DeviceUpdate {
    std::shared_ptr<xml::Domain> plan;
    xml::DeviceAt device;
    bool force = false; // a locked drive opens
    FdGroups fd_groups;
    bool anew = false; // a medium is put in even where it is in already
};

class Machine {
  public:
    virtual ~Machine() = default;

    virtual std::int64_t pid() const = 0; // of the VMM; 0: none (guests in memory)
    virtual RunState state() const = 0;
    // Everything that adopt() needs after a restart of the daemon, as JSON; kept in the status file whenever it changes.
    virtual std::string status() const = 0;

    virtual Task<> suspend(PauseReason reason) = 0; // the reason comes back with Paused
    virtual Task<> resume() = 0;
    virtual Task<> shutdown(PowerButton button) = 0; // returns when asked, not when down
    virtual Task<> reboot(PowerButton button) = 0;
    virtual Task<> reset() = 0;
    // Ends it now. Graceful: gives the VMM time to flush, and fails with Code::system_error when it does not go; else kills.
    // Returns when the process is gone and what it used is given back; Ended{reason} was reported before.
    virtual Task<> destroy(bool graceful, EndReason reason) = 0;

    // What the document asked for as the guest's CPU before its <cpu> became what the guest got; null: that is the same.
    virtual std::shared_ptr<const xml::Cpu> asked_cpu() const { return nullptr; }

    // Facets: what only some can do. The default says so with Code::no_support.
    virtual StateKeeper& state_keeper();
    virtual Task<Endpoint> open_console(std::string device, bool force); // empty: the first; busy: Code::operation_failed
    virtual Task<Endpoint> open_channel(std::string name, bool force);
    virtual Task<std::pair<Fd, std::string>> screenshot(unsigned screen, std::string device = ""); // picture and its MIME type
    virtual Task<> send_keys(std::vector<unsigned> keys, unsigned hold_ms);                        // by key_number()
    virtual Task<> inject_nmi();
    // Gives the display of that number in the document a client at the other end of `connection`.
    virtual Task<> open_graphics(unsigned display, Fd connection, bool skip_authentication);
    virtual Task<std::uint64_t> balloon_kib();
    virtual Task<> set_balloon(std::uint64_t kib);
    virtual Task<> set_balloon_period(unsigned seconds); // how often the guest tells its figures; 0: never
    virtual Task<CpuTime> cpu_time();
    virtual Task<GuestCpuTimes> cpu_times();
    virtual Task<std::vector<VcpuInfo>> vcpus();
    virtual Task<std::map<std::string, std::uint64_t>> memory_stats(); // "actual", "rss", "unused", … in KiB
    virtual Task<std::map<std::string, BlockStats>> block_stats();     // by target dev
    virtual Task<BlockInfo> block_info(std::string disk);
    // All at once, within `patience`; a machine that is known not to answer is not waited for. Never throws for that.
    virtual Task<Figures> figures(unsigned wanted, std::chrono::milliseconds patience);
    virtual std::chrono::milliseconds silence() const { return {}; } // how long it has owed an answer
    virtual Task<std::map<std::string, std::string>> disk_errors();  // target dev -> "failed", "nospace"
    virtual Task<> start_dirty_rate(unsigned seconds, std::string mode);
    // Counters of the host's kernel for the guest's threads, by the names of <perf>.
    virtual void count_events(const std::string& event, bool on);
    virtual std::set<std::string> counted_events() const { return {}; }
    virtual PerfFigures event_counts() const { return {}; }
    // `file`: a descriptor for the VMM that goes along with the command.
    virtual Task<std::string> monitor_command(std::string command, bool human, Fd file = {});
    // Waits for the answer as long as `limit` says; absent: as long as the guest runs.
    virtual Task<std::string> agent_command(std::string command, std::optional<std::chrono::milliseconds> limit);
    virtual Task<> forget_missed_ticks();               // of the guest's clock, which was set
    virtual BlockJobs* block_jobs() { return nullptr; } // null: no disk of its ever has a job
    // Each of the disks has a block job then; JobCompleted tells when all have ended. Returns the numbers of the copies' nodes.
    virtual Task<std::vector<std::uint32_t>> backup_begin(BackupPlan plan);
    virtual Task<std::string> peek_memory(bool physical, std::uint64_t address, std::uint64_t size);
    virtual Task<> wake_up();          // a guest that sleeps (S3)
    virtual Task<> follow_lifecycle(); // the live document's <on_reboot> has changed
    // What holds for migrations out: "downtime-limit" (ms), "max-bandwidth" (bytes/s), "xbzrle-cache-size", …
    virtual Task<std::map<std::string, std::int64_t>> migration_limits();
    virtual Task<> set_migration_limit(std::string name, std::int64_t value);
    virtual Task<JobFigures> job();
    virtual Task<> abort_job();
    virtual Task<std::vector<VcpuPlace>> vcpu_places(); // by number
    // Plugs one CPU in, or unplugs it: event::VcpuRemoved tells of it then, and this waits for it for a while.
    virtual Task<> set_vcpu(unsigned vcpu, bool there);
    // Threads and group of the machine follow the document: pins, shares, limits.
    virtual Task<> tune(std::shared_ptr<const xml::Domain> document);
    virtual Task<Tuning> tuning();
    virtual Task<std::vector<IoThreadInfo>> iothreads();
    virtual Task<> add_iothread(unsigned id);
    virtual Task<> delete_iothread(unsigned id);
    virtual Task<> set_iothread(unsigned id, std::map<std::string, std::int64_t> values); // "poll-max-ns", "thread-pool-min", …
    virtual Task<> limit_disk(std::string target, xml::IoTune limits);
    virtual Task<> resize_disk(std::string target, std::uint64_t bytes);
    // `device`: a target ("vda"), or one image of its chain by its number ("vda[3]").
    virtual Task<> set_block_threshold(std::string device, std::uint64_t bytes);
    // Plugs a device in; fills in what only the driver knows (its alias, pseudo terminals, …) in the attachment's document.
    // Failing, it has left nothing behind.
    virtual Task<> attach(Attachment attachment);
    // Asks the guest to let go of a device of the live document. Waits some seconds for it when asked to; event::DeviceRemoved
    // tells when it is gone, then or later. Throws when the guest refuses.
    virtual Task<> detach(xml::DeviceAt device, bool wait);
    // Throws Code::operation_unsupported for what cannot change.
    virtual Task<> update(DeviceUpdate change);
};

// ---- what a driver is asked ----

// Lets the daemon end a start that is under way: a VMM that never gets ready must not hold its guest for ever.
class LaunchControl {
  public:
    void stop() {
        stopped_ = true;
        if (kill_) kill_();
    }
    // The driver says how, as soon as there is a process; runs at once when the end was asked for before.
    void on_stop(std::function<void()> kill) {
        kill_ = std::move(kill);
        if (stopped_) kill_();
    }

  private:
    std::function<void()> kill_;
    bool stopped_ = false;
};

struct LaunchRequest {
    std::shared_ptr<xml::Domain>
        domain; // the live document, complete; the driver fills in what only it knows (aliases, ptys, ports)
    int id = 0;
    bool paused = false;
    bool boot_reset_nvram = false;
    RestoreSource restore;        // empty: boots
    std::vector<NicBackend> nics; // in the order of the document's
    FdGroups fd_groups;
    MachineSink* sink = nullptr; // outlives the machine
    // Called with Machine::status() before the VMM process is made (no pid yet) and again before the guest may run, so that a
    // daemon killed at any moment finds every process again.
    std::function<Task<>(std::string status)> keep;
    // Called when the host is prepared and the document is whole, right before the VMM process is made. Throwing ends the start.
    std::function<Task<>()> ready;
    std::shared_ptr<LaunchControl> control; // may be null
};

struct AdoptRequest {
    std::shared_ptr<xml::Domain> domain; // the live document as the status file kept it
    int id = 0;
    std::string status; // what Machine::status() said last
    MachineSink* sink = nullptr;
};

// Where things live; one prefix relocates all of it.
struct Paths {
    std::string etc = "/etc/libvirt";
    std::string run = "/run/libvirt";
    std::string lib = "/var/lib/libvirt";
    std::string log = "/var/log/libvirt";
    std::string cache = "/var/cache/libvirt";
};

struct HypervisorCpu; // drivers/host/cpu_model.hpp
// The values of secrets, which the daemon keeps (virsh secret-set-value), for whom a VMM must be told them. Throw
// Code::no_secret when there is none or it has no value, Code::invalid_arg when the one of that UUID is meant for another use.
class SecretValues {
  public:
    virtual ~SecretValues() = default;
    virtual std::string by_uuid(const rpc::Uuid& uuid, xml::SecretUsage type) const = 0;
    virtual std::string by_usage(xml::SecretUsage type, const std::string& id) const = 0;
};

struct NodeInfo {
    std::string model; // x86_64
    std::uint64_t memory_kib = 0;
    unsigned cpus = 0, mhz = 0, nodes = 1, sockets = 1, cores = 1, threads = 1;
};

// How guests are started with the host.
struct AutostartRules {
    bool bypass_cache = false;          // of managed saves
    std::chrono::milliseconds delay{0}; // between one start and the next
};

// Whether a document must be one that can run here; what is only kept, or stands for a guest that runs, need not.
enum class Completion { checked, unchecked };

class Driver {
  public:
    virtual ~Driver() = default;

    virtual std::string type() const = 0;                      // "QEMU": virConnectGetType
    virtual std::string scheme() const = 0;                    // "qemu": URIs and folders
    virtual std::vector<std::string> domain_types() const = 0; // <domain type=''>s it takes: "kvm", "qemu"
    virtual rpc::From error_domain() const = 0;

    virtual Task<std::uint64_t> version() = 0; // major * 1,000,000 + minor * 1,000 + release
    virtual Task<std::string> capabilities() = 0;
    // Any argument may be empty: the driver's default.
    virtual Task<std::string> domain_capabilities(std::string emulator, std::string arch, std::string machine,
                                                  std::string virt_type) = 0;
    // What guests can have of this host's CPU; as above.
    virtual Task<std::shared_ptr<const HypervisorCpu>> hypervisor_cpu(std::string emulator, std::string arch, std::string machine,
                                                                      std::string virt_type);
    // Settles what the guest's <cpu> leaves to the host (mode='host-model'), as a start would.
    virtual Task<> settle_cpu(xml::Domain& domain);
    virtual Task<unsigned> max_vcpus(std::string virt_type) = 0;
    // Fills in defaults, automatic devices and addresses; when checked, refuses what it cannot run. Does not touch the host.
    virtual Task<> complete(xml::Domain& domain, Completion completion = Completion::checked) = 0;
    // Refuses what is wrong with one new device of the document by itself, before anybody asks whether the rest has room for it.
    virtual Task<> check_device(xml::Domain domain, xml::DeviceAt device) = 0;
    // Takes out of a document what its completion adds again, so that hosts of other versions may read it.
    virtual void make_migratable(xml::Domain&) const {}
    // What a start would run, as one line for a shell.
    virtual Task<std::string> native_command_line(xml::Domain& domain);
    // What somebody should know about a guest beside its state, a line each; why its last start failed, for one.
    virtual Task<std::vector<std::string>> messages(std::string domain);
    // Size and use of an image that no machine has open; by the disk's document.
    virtual Task<BlockInfo> image_info(const xml::Disk& disk);
    // The same of many at once, in their order; nothing for one that cannot be looked at.
    virtual Task<std::vector<std::optional<BlockInfo>>> image_infos(std::vector<ImagePlace> images);
    virtual StateFiles& state_files(); // throws Code::no_support where there are none
    virtual AutostartRules autostart_rules() const { return {}; }
    // The domain is no more: what is kept for it on disk goes, too. TPM state stays or goes as the document says, unless told.
    virtual Task<> forget(std::shared_ptr<const xml::Domain> domain, std::optional<bool> keep_tpm);
    // Documents of guests that run from the start of the daemon.
    virtual std::vector<std::string> built_in_domains() const { return {}; }

    // Returns when the guest runs (or is paused as asked). Failing, it has left nothing behind and the error carries the VMM's
    // words.
    virtual Task<std::shared_ptr<Machine>> launch(LaunchRequest request) = 0;
    // Finds a machine again that an earlier daemon launched. Throws Code::operation_failed when it is gone; what it used is given
    // back.
    virtual Task<std::shared_ptr<Machine>> adopt(AdoptRequest request) = 0;
};

} // namespace lodge::drivers
