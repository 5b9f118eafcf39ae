// What a machine reports while it lives, and to whom.
#pragma once
#include "rpc/task.hpp"
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lodge::drivers {

using rpc::Task;

enum class RunState { running, paused, shutdown_in_progress, crashed, stopped };

// Why a machine is no more. Maps to VIR_DOMAIN_SHUTOFF_* and lifecycle event details.
// `dumped`: ended on purpose after a core dump, as a crash.
enum class EndReason { shutdown, destroyed, crashed, failed, saved, migrated, daemon, from_snapshot, dumped };

// Reasons of a state, numbered by the daemon per state (VIR_DOMAIN_RUNNING_*, VIR_DOMAIN_PAUSED_*).
enum class PauseReason {
    unknown,
    user,
    migration,
    save,
    dump,
    io_error,
    watchdog,
    from_snapshot,
    shutting_down,
    snapshot,
    crashed,
    starting_up,
    postcopy,
    postcopy_failed,
    api_error
};

namespace event {
struct Paused {
    PauseReason reason;
};
struct Resumed {};
// The guest asked for power-off or was asked to (ACPI); the machine may still exist: `Ended` follows when it is gone.
struct ShuttingDown {
    bool by_guest;
};
struct Rebooted {}; // the guest reset itself and goes on in the same machine
struct Panicked {}; // guest panic; on_crash is the driver's business, this is for the event
struct Ended {
    EndReason reason;
    std::string log_tail;
};
struct RtcChange {
    std::int64_t offset_s;
};
struct Watchdog {
    int action;
}; // VIR_DOMAIN_EVENT_WATCHDOG_*
struct IoError {
    std::string path, alias;
    int action;
    std::string reason;
};
struct Graphics {
    int phase;
    int local_family, remote_family;
    std::string local_node, local_service, remote_node, remote_service, auth_scheme;
    std::vector<std::pair<std::string, std::string>> subject;
};
struct BalloonChange {
    std::uint64_t actual_kib;
};
struct TrayChange {
    std::string alias;
    int reason;
};
struct Suspended {
    bool to_disk;
}; // guest put itself to sleep (S3/S4)
struct Wakeup {};
// The guest let go of a device, asked to or by itself; what it had on the host is given back. It still stands in the live
// document.
struct DeviceRemoved {
    std::string alias;
};
// The guest opened or closed its end of a channel; the live document's <target state=''> says so already.
struct ChannelChanged {
    std::string name;
    bool connected;
};
struct DeviceRemovalFailed {
    std::string alias;
};
struct VcpuRemoved {
    unsigned number;
};
// Writing has gone beyond what set_block_threshold() said.
struct BlockThreshold {
    std::string device, path; // "vda" or "vda[3]"
    std::uint64_t threshold, excess;
};
// A disk whose image was missing at the start goes without: emptied, or left out.
struct DiskDropped {
    std::string alias, path;
    bool emptied;
};
// The host's memory failed under the guest; numbered as VIR_DOMAIN_EVENT_MEMORY_FAILURE_* and VIR_DOMAIN_MEMORY_FAILURE_* are.
struct MemoryFailure {
    int recipient, action;
    unsigned flags;
};
struct MemoryDeviceSize {
    std::string alias;
    std::uint64_t kib;
};
struct MigrationPass {
    int number; // of the round through the guest's memory that begins
};
struct ControlLost {}; // the VMM runs, but nobody can ask it anything any more
// A copy or commit has caught up with the guest and follows it from now on.
struct BlockJobReady {
    std::string disk;
};
// A job of a disk has ended, one way or another: BlockJobs::conclude() says which.
struct BlockJobOver {
    std::string disk;
};
// A background job (backup, save, dump) came to its end; figures as in virDomainGetJobStats.
struct JobCompleted {
    int operation;
    bool success, canceled;
    std::string error;
    std::map<std::string, std::uint64_t> figures;
};
struct MonitorEvent {
    std::string name;
    std::int64_t seconds;
    std::uint32_t micros;
    std::string details_json;
}; // every QMP event, raw
// The machine was replaced inside (on_reboot/on_crash restart): same guest, new process.
struct Restarted {};
} // namespace event

using MachineEventKinds =
    std::variant<event::Paused, event::Resumed, event::ShuttingDown, event::Rebooted, event::Panicked, event::Ended,
                 event::RtcChange, event::Watchdog, event::IoError, event::Graphics, event::BalloonChange, event::TrayChange,
                 event::Suspended, event::Wakeup, event::DeviceRemoved, event::DeviceRemovalFailed, event::VcpuRemoved,
                 event::BlockThreshold, event::ChannelChanged, event::BlockJobReady, event::BlockJobOver, event::DiskDropped,
                 event::MemoryFailure, event::MemoryDeviceSize, event::MigrationPass, event::ControlLost, event::JobCompleted,
                 event::MonitorEvent, event::Restarted>;
// Copies stand in the source file, as a Device's do.
struct MachineEvent : MachineEventKinds {
    using MachineEventKinds::MachineEventKinds;
    MachineEvent(const MachineEvent&);
    MachineEvent(MachineEvent&&) noexcept;
    ~MachineEvent();
};

class MachineSink {
  public:
    virtual ~MachineSink() = default;
    // In the order in which they happened. Never calls back into the machine from inside.
    virtual void on_machine_event(MachineEvent event) = 0;
    // The VMM has ended, what it had on the host is not given back yet; and: it is. `Ended` follows when both have returned.
    // Neither throws.
    virtual Task<> on_machine_gone() { co_return; }
    virtual Task<> on_machine_released() { co_return; }
};

} // namespace lodge::drivers
