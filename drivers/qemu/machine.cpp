#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/backup.hpp"
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/console.hpp"
#include "drivers/qemu/displays.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/unplug.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include <csignal>
#include <sys/socket.h>

namespace lodge::drivers::qemu {

QemuMachine::QemuMachine(MachineParts parts)
    : parts_(std::move(parts))
    , keeper_(*this, parts_.image_formats)
    , block_jobs_(*this)
    , ended_(parts_.executor)
    , vcpus_counted_(parts_.executor)
    , tray_opened_(parts_.executor) {
    vcpus_counted_.set();
    if (const auto& clock = parts_.domain->clock) first_adjustment_ = std::strtoll(clock->adjustment.c_str(), nullptr, 10);
}

QemuMachine::~QemuMachine() = default;

void QemuMachine::open_monitor(Fd connection) {
    QmpOptions options;
    options.name = name();
    options.on_event = [weak = weak_from_this()](const QmpEvent& event) {
        if (const auto self = weak.lock()) self->on_event(event);
    };
    options.on_closed = [weak = weak_from_this()](const std::string& reason) {
        const auto self = weak.lock();
        if (self) self->keeper_.on_end(reason);
        if (self && self->supervised_) self->on_monitor_closed(reason);
    };
    qmp_ = Qmp::open(parts_.executor, std::move(connection), std::move(options));
    // How a state is written or read is told by events, of guests that were adopted as well.
    qmp_->send("migrate-set-capabilities", {{"capabilities", {{{"capability", "events"}, {"state", true}}}}});
}

// The end of the process is the usual cause and is told by the pidfd, at the latest a moment later.
void QemuMachine::on_monitor_closed(const std::string& reason) {
    log::debug("{}: monitor closed: {}", name(), reason);
    background("monitor", look_after_monitor(shared_from_this()));
}

Task<> QemuMachine::look_after_monitor(std::shared_ptr<QemuMachine> self) {
    if (co_await self->process().wait(5s)) co_return;
    log::error("{}: cannot be asked anything any more: {}", self->name(), self->qmp_->reason());
    self->tell(event::ControlLost{});
}

void QemuMachine::no_monitor(const std::string& reason) {
    if (!qmp_) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) rpc::fail_errno(errno, "cannot create socket pair");
        const Fd other(ends[1]);
        open_monitor(Fd(ends[0]));
    }
    qmp_->close(reason);
}

void QemuMachine::supervise(RunState state) {
    state_ = state;
    supervised_ = true;
    rpc::spawn(parts_.executor, name() + ": clean-up", await_end(shared_from_this()));
    if (!early_.empty()) background("early events", replay(shared_from_this()));
}

Task<> QemuMachine::replay(std::shared_ptr<QemuMachine> self) {
    co_await rpc::sleep_for(0ns); // not before the daemon has hold of us
    for (const auto& event : std::exchange(self->early_, {})) self->on_event(event);
}

void QemuMachine::background(const char* what, Task<> task) {
    rpc::spawn(parts_.executor, fmt::format("{}: {}", name(), what), std::move(task));
}

void QemuMachine::tell(MachineEvent event) {
    if (supervised_ && parts_.sink) parts_.sink->on_machine_event(std::move(event));
}

static const char* word(EndReason reason) {
    static constexpr const char* words[] = {"shutdown", "destroyed", "crashed",       "failed", "saved",
                                            "migrated", "daemon",    "from-snapshot", "crashed"};
    return words[static_cast<std::size_t>(reason)];
}

static Task<> remove_cgroup(GuestCgroup cgroup) {
    co_await rpc::blocking([&] { cgroup.remove(); });
}

// Waits for the end, gives back what the guest had, then tells: who hears of the end may start the guest again at once.
Task<> QemuMachine::await_end(std::shared_ptr<QemuMachine> self) {
    co_await self->process().wait();
    const EndReason reason = self->end_reason_.value_or(EndReason::crashed);
    self->state_ = RunState::stopped;
    if (self->qmp_) self->qmp_->close("guest has ended");
    self->keeper_.on_end("the guest has ended");
    if (self->parts_.sink) co_await self->parts_.sink->on_machine_gone();
    std::string tail;
    Runtime runtime = self->parts_.runtime;
    co_await self->vcpus_counted_.wait();
    // The kernel may keep a cgroup busy for a while after its last process has gone; nobody has to wait for that.
    const GuestCgroup cgroup = std::exchange(runtime.cgroup, {});
    rpc::spawn(self->parts_.executor, "cgroup removal", remove_cgroup(cgroup));
    co_await rpc::blocking([&] {
        tail = log_tail(runtime, 1024);
        append_log(runtime, fmt::format("shutting down, reason={}", word(reason)));
        remove_runtime(runtime);
    });
    if (self->parts_.displays) self->parts_.displays->release(runtime.ports);
    for (const auto& path : std::exchange(self->limited_logs_, {})) self->parts_.world->logs->forget(path);
    for (const auto& [alias, relay] : self->relays_)
        if (const auto open = relay.lock()) open->close();
    co_await end_backup_with_guest(self); // before anybody hears of the end
    self->block_jobs_.on_end();
    for (const auto& [alias, unplug] : self->unplugs_) unplug->over.set();
    self->tray_opened_.set();
    if (self->parts_.sink) co_await self->parts_.sink->on_machine_released();
    self->tell(event::Ended{reason, std::move(tail)});
    self->supervised_ = false;
    self->ended_.set();
}

Task<> QemuMachine::kill(std::shared_ptr<QemuMachine> self) {
    self->process().signal(SIGKILL);
    co_await self->process().wait();
    if (self->qmp_) self->qmp_->close("guest did not start");
}

std::string QemuMachine::status() const {
    json out = {{"pid", parts_.process->pid()},      {"start_time", parts_.process->start_time()},
                {"runtime", parts_.runtime},         {"state", static_cast<int>(state_)},
                {"reboot_pending", reboot_pending_}, {"ending", end_reason_ ? static_cast<int>(*end_reason_) : -1}};
    if (backup_) out["backup"] = backup_status(*backup_);
    if (block_jobs_.any()) out["block_jobs"] = block_jobs_.status();
    out["last_block_number"] = last_block_number_;
    if (first_adjustment_ != 0) out["first_adjustment"] = first_adjustment_;
    if (!plugging_.empty()) out["plugging"] = plugging_;
    if (asked_cpu_) out["asked_cpu"] = xml::format(*asked_cpu_, "cpu");
    return out.dump();
}

void QemuMachine::take_status(const json& status) {
    reboot_pending_ = status.value("reboot_pending", false);
    may_measure_dirty_rate_ = true; // by the daemon that kept the status
    plugging_ = status.value("plugging", "");
    if (const int ending = status.value("ending", -1); ending >= 0) end_reason_ = static_cast<EndReason>(ending);
    if (const auto kept = status.find("backup"); kept != status.end()) backup_ = backup_from_status(*kept);
    if (const auto kept = status.find("block_jobs"); kept != status.end()) block_jobs_.take_status(*kept);
    last_block_number_ = status.value("last_block_number", 0U);
    first_adjustment_ = status.value("first_adjustment", std::int64_t{0});
    if (const auto cpu = status.value("asked_cpu", ""); !cpu.empty()) remember_asked_cpu(xml::parse<xml::Cpu>(cpu, "cpu"));
}

void QemuMachine::remember_asked_cpu(xml::Cpu cpu) { asked_cpu_ = std::make_shared<const xml::Cpu>(std::move(cpu)); }

std::uint32_t QemuMachine::take_block_number() {
    return last_block_number_ = std::max(last_block_number_ + 1, next_block_node(*parts_.domain));
}

void QemuMachine::take_vcpus(const json& query_cpus_fast) {
    vcpu_threads_.clear();
    vcpu_paths_.clear();
    for (const auto& cpu : query_cpus_fast) {
        const auto index = cpu.value("cpu-index", std::size_t{0});
        if (index >= 4096) continue;
        if (vcpu_threads_.size() <= index) vcpu_threads_.resize(index + 1, 0), vcpu_paths_.resize(index + 1);
        vcpu_threads_[index] = cpu.value("thread-id", 0);
        vcpu_paths_[index] = cpu.value("qom-path", "");
    }
}

void QemuMachine::limit_log(const std::string& path) {
    if (path.empty() || !parts_.world || !parts_.world->logs || !limited_logs_.insert(path).second) return;
    parts_.world->logs->watch(path);
}

void QemuMachine::limit_logs() {
    limit_log(parts_.runtime.log_file);
    const auto limit_all = [this](const auto& devices) {
        for (const auto& device : devices) {
            limit_log(device.source.type == xml::CharType::file ? device.source.first().path : "");
            limit_log(device.source.log ? device.source.log->file : "");
        }
    };
    const auto& devices = parts_.domain->devices;
    limit_all(devices.serials);
    limit_all(devices.parallels);
    limit_all(devices.consoles);
    limit_all(devices.channels);
    limit_all(devices.redirdevs);
    limit_all(devices.smartcards);
    limit_all(devices.rngs);
}

// Whether the guest has them open.
void QemuMachine::take_channels(const json& query_chardev) {
    std::map<std::string, bool> open;
    for (const auto& device : query_chardev) open[device.value("label", "")] = device.value("frontend-open", false);
    for (auto& channel : parts_.domain->devices.channels)
        if (channel.target.type == xml::ChannelTargetType::virtio)
            channel.target.state =
                open["char" + channel.info.alias] ? xml::ChannelState::connected : xml::ChannelState::disconnected;
}

// Only QEMU knows which pseudo terminals it got.
void QemuMachine::take_ptys(const json& query_chardev) {
    std::map<std::string, std::string> paths;
    take_channels(query_chardev);
    for (const auto& device : query_chardev) {
        const std::string file = device.value("filename", "");
        if (file.starts_with("pty:")) paths[device.value("label", "")] = file.substr(4);
    }
    const auto fill = [&](auto& devices) {
        for (auto& device : devices)
            if (const auto path = paths.find("char" + device.info.alias); path != paths.end())
                device.source.edit_first().path = path->second;
    };
    auto& devices = parts_.domain->devices;
    fill(devices.serials);
    fill(devices.parallels);
    fill(devices.channels);
    fill(devices.consoles);
    // The first console is the first serial port in another guise.
    if (!devices.consoles.empty() && !devices.serials.empty()) {
        auto& console = devices.consoles.front();
        if (console.target.type == xml::ConsoleTargetType::serial || !console.target.type) {
            console.source = devices.serials.front().source;
            console.info.alias = devices.serials.front().info.alias;
        }
    }
    for (auto& console : devices.consoles)
        if (console.source.type == xml::CharType::pty) console.tty = console.source.first().path;
}

// ---- what it can be asked ----

Task<json> QemuMachine::ask_on(std::shared_ptr<QemuMachine> self, std::string command, json arguments,
                               std::chrono::milliseconds limit) {
    co_return co_await self->qmp().ask(std::move(command), std::move(arguments), limit);
}

Task<> QemuMachine::suspend(PauseReason reason) {
    const auto self = shared_from_this();
    asked_pause_ = reason;
    co_await ask("stop");
}

Task<> QemuMachine::resume() {
    const auto self = shared_from_this();
    // QEMU calls a save or dump complete a moment before it can go on, and tells nobody when that moment is over.
    for (int attempt = 0;; ++attempt) {
        try {
            co_await ask("cont");
            co_return;
        } catch (const rpc::Error& error) {
            if (attempt == 100 || error.message().find("Migration is not finalized yet") == std::string::npos) throw;
        }
        co_await rpc::sleep_for(std::chrono::milliseconds(10));
    }
}

Task<> QemuMachine::reset() {
    const auto self = shared_from_this();
    co_await reset_now(self);
    if (state_ == RunState::crashed) state_ = RunState::paused;
}

Task<> QemuMachine::wake_up() {
    const auto self = shared_from_this();
    co_await ask("system_wakeup");
}

Task<> QemuMachine::follow_lifecycle() {
    const auto self = shared_from_this();
    const bool ends = parts_.domain->on_reboot == xml::LifecycleAction::destroy;
    co_await ask("set-action", {{"reboot", ends ? "shutdown" : "reset"}});
}

static bool by_agent(PowerButton button) { return button == PowerButton::agent; }
static void check_button(PowerButton button) {
    if (button == PowerButton::initctl || button == PowerButton::signal || button == PowerButton::paravirt)
        rpc::fail(Code::argument_unsupported, "this way to shut down is not supported by the QEMU driver");
}

Task<> QemuMachine::shutdown(PowerButton button) {
    const auto self = shared_from_this();
    check_button(button);
    reboot_pending_ = false;
    if (by_agent(button))
        co_await agent_command(R"({"execute":"guest-shutdown","arguments":{"mode":"powerdown"}})", 5s);
    else
        co_await ask("system_powerdown");
}

// A guest that is told by ACPI can only power off: what follows its power-off is then a reset instead of the end.
Task<> QemuMachine::reboot(PowerButton button) {
    const auto self = shared_from_this();
    check_button(button);
    if (by_agent(button)) {
        co_await agent_command(R"({"execute":"guest-shutdown","arguments":{"mode":"reboot"}})", 5s);
        co_return;
    }
    reboot_pending_ = true;
    std::exception_ptr failure;
    try {
        co_await ask("system_powerdown");
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    reboot_pending_ = false;
    std::rethrow_exception(failure);
}

Task<> QemuMachine::destroy_now(std::shared_ptr<QemuMachine> self, bool graceful, EndReason reason) {
    const auto before = self->end_reason_;
    self->end_reason_ = reason;
    if (!graceful) {
        StopLadder ladder; // killed at once, it would lose what its caches hold of an image's tables: a pull, a copy, a snapshot
        ladder.after_terminate = 10s;
        co_await self->process().stop(std::move(ladder));
    } else {
        self->process().signal(SIGTERM);
        if (!co_await self->process().wait(15s)) {
            self->end_reason_ = before;
            rpc::fail(Code::system_error, "Failed to terminate process {} with SIGTERM: Device or resource busy", self->pid());
        }
    }
    co_await self->ended_.wait();
}

// The guest has powered off and QEMU stands still: let it flush and go.
Task<> QemuMachine::power_off(std::shared_ptr<QemuMachine> self, EndReason reason) {
    if (!self->end_reason_) self->end_reason_ = reason;
    StopLadder ladder;
    ladder.ask = [self] { self->qmp().send("quit"); };
    ladder.after_ask = 15s;
    co_await self->process().stop(std::move(ladder));
}

// The reset that we ask for must reset, also where on_reboot='destroy' has QEMU make an end of any reset.
Task<> QemuMachine::reset_now(std::shared_ptr<QemuMachine> self) {
    const bool ends = self->parts_.domain->on_reboot == xml::LifecycleAction::destroy;
    if (ends) self->qmp().send("set-action", {{"reboot", "reset"}});
    co_await self->qmp().ask("system_reset");
    if (ends) self->background("resets", resets_end_again(self));
}

// SeaBIOS, reset by us, resets the machine once more by itself: only what comes after that is the guest's doing.
Task<> QemuMachine::resets_end_again(std::shared_ptr<QemuMachine> self) {
    co_await rpc::sleep_for(3s);
    self->qmp().send("set-action", {{"reboot", "shutdown"}});
}

// Same process, same id, as if somebody had pressed the reset button.
Task<> QemuMachine::start_again(std::shared_ptr<QemuMachine> self) {
    self->reboot_pending_ = false;
    co_await reset_now(self);
    // QEMU resets a moment after it has said so, and refuses to go on before.
    for (int attempt = 0;; ++attempt) {
        const json reply = co_await self->qmp().send("cont").reply();
        if (!reply.contains("error")) co_return;
        if (attempt == 50) rpc::fail(Code::internal_error, "{}", reply["error"].value("desc", ""));
        co_await rpc::sleep_for(std::chrono::milliseconds(10));
    }
}

} // namespace lodge::drivers::qemu
