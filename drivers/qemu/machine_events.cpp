// What QEMU tells, turned into what a driver tells: one row per event of QEMU.
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include <algorithm>
#include <span>

namespace lodge::drivers::qemu {

using xml::LifecycleAction;

// Members of an event's data; what is missing or of another type counts as empty.
static std::string text(const json& data, const char* key) {
    const auto at = data.is_object() ? data.find(key) : data.end();
    return at != data.end() && at->is_string() ? at->get<std::string>() : std::string();
}
static std::int64_t number(const json& data, const char* key) {
    const auto at = data.is_object() ? data.find(key) : data.end();
    return at != data.end() && at->is_number() ? at->get<std::int64_t>() : 0;
}
static bool truth(const json& data, const char* key) {
    const auto at = data.is_object() ? data.find(key) : data.end();
    return at != data.end() && at->is_boolean() && at->get<bool>();
}

struct QemuMachine::EventRow {
    const char* name;
    void (*handle)(QemuMachine& machine, const QmpEvent& event);
};

static int watchdog_action(const std::string& word) {
    static constexpr std::string_view words[] = {"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"};
    for (std::size_t i = 0; i < std::size(words); ++i)
        if (words[i] == word) return static_cast<int>(i);
    return 0;
}

const QemuMachine::EventRow QemuMachine::event_rows[] = {
    {"SHUTDOWN", [](QemuMachine& m, const QmpEvent& e) { m.on_shutdown(e.data); }},
    {"RESET", [](QemuMachine& m, const QmpEvent&) { m.tell(event::Rebooted{}); }},
    {"STOP", [](QemuMachine& m, const QmpEvent&) { m.on_stop(); }},
    {"RESUME", [](QemuMachine& m, const QmpEvent&) { m.on_resume(); }},
    {"GUEST_PANICKED", [](QemuMachine& m, const QmpEvent& e) { m.on_panic(e.data); }},
    {"RTC_CHANGE", [](QemuMachine& m, const QmpEvent& e) { m.on_rtc_change(number(e.data, "offset")); }},
    {"WATCHDOG",
     [](QemuMachine& m, const QmpEvent& e) {
         const int action = watchdog_action(text(e.data, "action"));
         if (action == 1) m.asked_pause_ = PauseReason::watchdog;
         m.tell(event::Watchdog{action});
         const auto& watchdogs = m.parts_.domain->devices.watchdogs;
         if (std::ranges::any_of(watchdogs, [](const auto& dog) { return dog.action == xml::WatchdogAction::dump; }))
             m.background("watchdog", dump_and_go_on(m.shared_from_this()));
     }},
    {"BLOCK_IO_ERROR", [](QemuMachine& m, const QmpEvent& e) { m.on_io_error(e.data); }},
    {"BALLOON_CHANGE",
     [](QemuMachine& m, const QmpEvent& e) {
         m.tell(event::BalloonChange{static_cast<std::uint64_t>(number(e.data, "actual")) / 1024});
     }},
    {"DEVICE_TRAY_MOVED",
     [](QemuMachine& m, const QmpEvent& e) { m.on_tray_moved(text(e.data, "id"), truth(e.data, "tray-open")); }},
    {"DEVICE_DELETED",
     [](QemuMachine& m, const QmpEvent& e) {
         if (const auto alias = text(e.data, "device"); !alias.empty()) m.on_device_deleted(alias);
     }},
    {"VSERPORT_CHANGE",
     [](QemuMachine& m, const QmpEvent& e) {
         for (auto& channel : m.parts_.domain->devices.channels) {
             if (channel.info.alias != text(e.data, "id")) continue;
             const bool open = truth(e.data, "open");
             const auto state = open ? xml::ChannelState::connected : xml::ChannelState::disconnected;
             if (std::exchange(channel.target.state, state) == state) return; // known from an answer
             if (!open && channel.target.name == "org.qemu.guest_agent.0") m.on_agent_gone();
             return m.tell(event::ChannelChanged{channel.target.name, open});
         }
     }},
    {"BLOCK_WRITE_THRESHOLD", [](QemuMachine& m, const QmpEvent& e) { m.on_write_threshold(e.data); }},
    {"DEVICE_UNPLUG_GUEST_ERROR", [](QemuMachine& m, const QmpEvent& e) { m.on_unplug_refused(text(e.data, "device")); }},
    {"MEM_UNPLUG_ERROR", [](QemuMachine& m, const QmpEvent& e) { m.on_unplug_refused(text(e.data, "device")); }},
    {"MIGRATION_PASS",
     [](QemuMachine& m, const QmpEvent& e) { m.tell(event::MigrationPass{static_cast<int>(number(e.data, "pass"))}); }},
    {"MEMORY_FAILURE", [](QemuMachine& m, const QmpEvent& e) { m.on_memory_failure(e.data); }},
    {"MEMORY_DEVICE_SIZE_CHANGE",
     [](QemuMachine& m, const QmpEvent& e) {
         m.on_memory_resized(text(e.data, "id"), static_cast<std::uint64_t>(number(e.data, "size")) / 1024);
     }},
    {"SUSPEND", [](QemuMachine& m, const QmpEvent&) { m.on_sleep(false); }},
    {"SUSPEND_DISK", [](QemuMachine& m, const QmpEvent&) { m.on_sleep(true); }},
    {"WAKEUP", [](QemuMachine& m, const QmpEvent&) { m.tell(event::Wakeup{}); }},
    {"BLOCK_JOB_COMPLETED", [](QemuMachine& m, const QmpEvent& e) { m.block_jobs_.on_event(e); }},
    {"JOB_STATUS_CHANGE", [](QemuMachine& m, const QmpEvent& e) { m.block_jobs_.on_event(e); }},
    {"VNC_CONNECTED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
    {"VNC_INITIALIZED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
    {"VNC_DISCONNECTED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
    {"SPICE_CONNECTED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
    {"SPICE_INITIALIZED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
    {"SPICE_DISCONNECTED", [](QemuMachine& m, const QmpEvent& e) { m.on_graphics(e.name, e.data); }},
};

void QemuMachine::on_event(const QmpEvent& event) {
    const auto self = shared_from_this(); // who is told may let go of us
    keeper_.on_event(event);
    if (!supervised_) {
        // STOP and RESUME of a start are no news, an end is.
        if (event.name == "SHUTDOWN" || event.name == "GUEST_PANICKED") early_.push_back(event);
        return;
    }
    tell(event::MonitorEvent{event.name, event.seconds, event.micros, event.data.is_null() ? "" : event.data.dump()});
    for (const auto& row : event_rows)
        if (event.name == row.name) return row.handle(*this, event);
}

static bool is_restarted(std::optional<LifecycleAction> action) {
    return action == LifecycleAction::restart || action == LifecycleAction::rename_restart;
}

// QEMU runs with -no-shutdown: a guest that powered off stands still until we say what becomes of it.
void QemuMachine::on_shutdown(const json& data) {
    const std::string reason = text(data, "reason");
    const bool ended_by_host = reason == "host-qmp-quit" || reason == "host-signal";
    if (ended_by_host && end_reason_.value_or(EndReason::destroyed) == EndReason::destroyed) {
        if (!end_reason_) end_reason_ = EndReason::shutdown; // at somebody else's word
        if (!is_restarted(parts_.domain->on_poweroff)) tell(event::ShuttingDown{false});
        return;
    }
    if (end_reason_) return;             // it goes already, at our word
    if (reason == "guest-panic") return; // GUEST_PANICKED decides
    state_ = RunState::shutdown_in_progress;
    if (reboot_pending_) return background("cannot reboot", start_again(shared_from_this()));
    // on_reboot says that a reset is an end, whoever asks for it; only ours are made real ones first (reset_now).
    if (reason == "guest-reset" || reason == "host-qmp-system-reset") {
        end_reason_ = EndReason::shutdown;
        tell(event::ShuttingDown{truth(data, "guest")});
        return background("cannot end", power_off(shared_from_this(), EndReason::shutdown));
    }
    const auto next = parts_.domain->on_poweroff.value_or(LifecycleAction::destroy);
    if (is_restarted(next)) // a reset in other words: no news
        return background("cannot restart", start_again(shared_from_this()));
    told_not_running_ = true;
    tell(event::ShuttingDown{truth(data, "guest")});
    obey(next, EndReason::shutdown);
}

void QemuMachine::on_panic(const json& data) {
    log::warn("{}: guest panicked ({})", name(), text(data, "action"));
    state_ = RunState::crashed;
    told_not_running_ = true;
    tell(event::Panicked{});
    obey(parts_.domain->on_crash.value_or(LifecycleAction::destroy), EndReason::dumped);
}

void QemuMachine::obey(LifecycleAction action, EndReason reason) {
    switch (action) {
    case LifecycleAction::destroy: return background("cannot end", power_off(shared_from_this(), reason));
    case LifecycleAction::restart:
    case LifecycleAction::rename_restart: return background("cannot restart", start_again(shared_from_this()));
    case LifecycleAction::coredump_destroy:
        return background("crash", dump_and_obey(shared_from_this(), LifecycleAction::destroy, reason));
    case LifecycleAction::coredump_restart:
        return background("crash", dump_and_obey(shared_from_this(), LifecycleAction::restart, reason));
    case LifecycleAction::preserve: return;
    }
}

void QemuMachine::on_sleep(bool to_disk) {
    on_agent_gone();
    tell(event::Suspended{to_disk});
}

void QemuMachine::on_stop() {
    const PauseReason reason = asked_pause_.value_or(PauseReason::unknown);
    asked_pause_.reset();
    // Ends and crashes stop the CPUs too; they are told by their own names.
    if (state_ == RunState::shutdown_in_progress || state_ == RunState::crashed || state_ == RunState::paused || end_reason_)
        return;
    state_ = RunState::paused;
    told_not_running_ = true;
    tell(event::Paused{reason});
}

void QemuMachine::on_resume() {
    asked_pause_.reset();
    if (state_ == RunState::running) return;
    const bool news = state_ == RunState::paused || told_not_running_;
    told_not_running_ = false;
    state_ = RunState::running;
    if (news) tell(event::Resumed{});
}

void QemuMachine::on_io_error(const json& data) {
    const std::string action = text(data, "action");
    if (action == "stop") asked_pause_ = PauseReason::io_error;
    // QEMU names the device by the id of its front end's path or by node; we by its alias.
    std::string device = text(data, "qom-path");
    if (device.empty()) device = text(data, "device");
    const std::string node = text(data, "node-name");
    std::string path, alias;
    for (const auto& disk : parts_.domain->devices.disks) {
        const bool by_node = disk.source.index && (node == fmt::format("libvirt-{}-format", *disk.source.index) ||
                                                   node == fmt::format("libvirt-{}-storage", *disk.source.index));
        if (!by_node && (disk.info.alias.empty() || device.find(disk.info.alias) == std::string::npos)) continue;
        path = disk.source.path;
        alias = disk.info.alias;
        break;
    }
    tell(event::IoError{path, alias, action == "stop" ? 1 : action == "report" ? 2 : 0, truth(data, "nospace") ? "enospc" : ""});
}

static int place_of(std::string_view word, std::initializer_list<std::string_view> words) {
    const auto found = std::ranges::find(words, word);
    return found == words.end() ? -1 : static_cast<int>(found - words.begin());
}

void QemuMachine::on_memory_failure(const json& data) {
    const int recipient = place_of(text(data, "recipient"), {"hypervisor", "guest"});
    const int action = place_of(text(data, "action"), {"ignore", "inject", "fatal", "reset"});
    if (recipient < 0 || action < 0) return;
    const auto flags = data.find("flags");
    const bool known = flags != data.end() && flags->is_object();
    tell(event::MemoryFailure{recipient, action,
                              (known && truth(*flags, "action-required") ? 1u : 0u) |
                                  (known && truth(*flags, "recursive") ? 2u : 0u)});
}

// QEMU counts from the time that it was started with. A clock that varies goes on, at the next start, where its guest set it.
void QemuMachine::on_rtc_change(std::int64_t offset) {
    if (auto& clock = parts_.domain->clock; clock && clock->offset == xml::ClockOffset::variable) {
        offset += first_adjustment_;
        clock->adjustment = std::to_string(offset);
    }
    tell(event::RtcChange{offset});
}

// The guest took memory from a virtio-mem device, or gave some back.
void QemuMachine::on_memory_resized(const std::string& alias, std::uint64_t kib) {
    for (auto& memory : parts_.domain->devices.memories) {
        if (memory.info.alias != alias) continue;
        take_memory_size(*parts_.domain, memory, kib);
        return tell(event::MemoryDeviceSize{alias, kib});
    }
}

void QemuMachine::on_graphics(const std::string& event, const json& data) {
    static const json nothing = json::object();
    const auto part = [&](const char* key) -> const json& {
        const auto at = data.is_object() ? data.find(key) : data.end();
        return at != data.end() ? *at : nothing;
    };
    const json &server = part("server"), &client = part("client");
    const auto family = [](const json& end) {
        const std::string word = text(end, "family");
        return word == "ipv6" ? 1 : word == "unix" ? 2 : 0;
    };
    event::Graphics told{};
    told.phase = event.ends_with("_CONNECTED") ? 0 : event.ends_with("_INITIALIZED") ? 1 : 2;
    if (event.ends_with("_DISCONNECTED")) told.phase = 2;
    told.local_family = family(server);
    told.remote_family = family(client);
    told.local_node = text(server, "host");
    told.local_service = text(server, event.starts_with("SPICE") ? "port" : "service");
    told.remote_node = text(client, "host");
    told.remote_service = text(client, event.starts_with("SPICE") ? "port" : "service");
    told.auth_scheme = text(server, "auth");
    static constexpr std::pair<const char*, const char*> identities[] = {{"x509_dname", "x509dname"},
                                                                         {"sasl_username", "saslUsername"}};
    for (const auto& [theirs, name] : identities)
        if (const auto value = text(client, theirs); !value.empty()) told.subject.emplace_back(name, value);
    tell(std::move(told));
}

// After a restart of the daemon: what happened meanwhile is seen in the run state only.
void QemuMachine::catch_up(const std::string& run_state) {
    for (const auto& alias : std::exchange(lost_, {})) on_device_deleted(alias);
    if (run_state == "shutdown") {
        on_shutdown({{"guest", true}, {"reason", "guest-shutdown"}});
    } else if (run_state == "guest-panicked") {
        on_panic({{"action", "pause"}});
    } else if (run_state == "suspended") {
        on_sleep(false); // on a disk it would have ended
    } else if (end_reason_) {
        background("cannot end", power_off(shared_from_this(), *end_reason_)); // an end that was under way goes on
    }
}

} // namespace lodge::drivers::qemu
