#include "cli/words.hpp"

#include <libvirt/libvirt.h>

namespace lodge::cli {

namespace {

using Word = std::string_view;

constexpr Word states[] = {"no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended"};
constexpr Word running_reasons[] = {"unknown",       "booted",   "migrated",           "restored",
                                    "from snapshot", "unpaused", "migration canceled", "save canceled",
                                    "event wakeup",  "crashed",  "post-copy",          "post-copy failed"};
constexpr Word paused_reasons[] = {"unknown",   "user",        "migrating",     "saving",          "dumping",
                                   "I/O error", "watchdog",    "from snapshot", "shutting down",   "creating snapshot",
                                   "crashed",   "starting up", "post-copy",     "post-copy failed"};
constexpr Word shutdown_reasons[] = {"unknown", "user"};
constexpr Word shutoff_reasons[] = {"unknown", "shutdown", "destroyed",     "crashed", "migrated",
                                    "saved",   "failed",   "from snapshot", "daemon"};
constexpr Word crashed_reasons[] = {"unknown", "panicked"};

constexpr Word events[] = {"Defined", "Undefined", "Started",     "Suspended", "Resumed",
                           "Stopped", "Shutdown",  "PMSuspended", "Crashed"};
constexpr Word defined_details[] = {"Added", "Updated", "Renamed", "Snapshot"};
constexpr Word undefined_details[] = {"Removed", "Renamed"};
constexpr Word started_details[] = {"Booted", "Migrated", "Restored", "Snapshot", "Event wakeup"};
constexpr Word suspended_details[] = {"Paused",   "Migrated",  "I/O Error", "Watchdog",       "Restored",
                                      "Snapshot", "API error", "Post-copy", "Post-copy Error"};
constexpr Word resumed_details[] = {"Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error"};
constexpr Word stopped_details[] = {"Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed", "Snapshot"};
constexpr Word shutdown_details[] = {"Finished", "Finished after guest request", "Finished after host request"};
constexpr Word pmsuspended_details[] = {"Memory", "Disk"};
constexpr Word crashed_details[] = {"Panicked", "Crashloaded"};

constexpr Word control_states[] = {"ok", "background job", "occupied", "error"};

} // namespace

std::string_view domain_state(int state) { return word_at(states, state, "no state"); }

std::string_view domain_state_reason(int state, int reason) {
    switch (state) {
    case VIR_DOMAIN_RUNNING: return word_at(running_reasons, reason);
    case VIR_DOMAIN_PAUSED: return word_at(paused_reasons, reason);
    case VIR_DOMAIN_SHUTDOWN: return word_at(shutdown_reasons, reason);
    case VIR_DOMAIN_SHUTOFF: return word_at(shutoff_reasons, reason);
    case VIR_DOMAIN_CRASHED: return word_at(crashed_reasons, reason);
    default: return "unknown";
    }
}

std::string_view control_state(unsigned state) { return word_at(control_states, static_cast<int>(state)); }

std::string_view lifecycle_event(int event) { return word_at(events, event); }

std::string_view lifecycle_detail(int event, int detail) {
    switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED: return word_at(defined_details, detail);
    case VIR_DOMAIN_EVENT_UNDEFINED: return word_at(undefined_details, detail);
    case VIR_DOMAIN_EVENT_STARTED: return word_at(started_details, detail);
    case VIR_DOMAIN_EVENT_SUSPENDED: return word_at(suspended_details, detail);
    case VIR_DOMAIN_EVENT_RESUMED: return word_at(resumed_details, detail);
    case VIR_DOMAIN_EVENT_STOPPED: return word_at(stopped_details, detail);
    case VIR_DOMAIN_EVENT_SHUTDOWN: return word_at(shutdown_details, detail);
    case VIR_DOMAIN_EVENT_PMSUSPENDED: return word_at(pmsuspended_details, detail);
    case VIR_DOMAIN_EVENT_CRASHED: return word_at(crashed_details, detail);
    default: return "unknown";
    }
}

} // namespace lodge::cli
