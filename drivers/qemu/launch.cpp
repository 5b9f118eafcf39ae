#include "drivers/qemu/launch.hpp"
#include "drivers/host/node.hpp"
#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/dac_label.hpp"
#include "drivers/qemu/failure.hpp"
#include "drivers/qemu/firmware.hpp"
#include "drivers/qemu/helpers/helpers.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/lent_fds.hpp"
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/memory_files.hpp"
#include "drivers/qemu/state_files.hpp"
#include "drivers/qemu/transient.hpp"
#include "xml/domain/domain.hpp"
#include "xml/secret.hpp"
#include <algorithm>
#include <csignal>
#include <sys/resource.h>

namespace lodge::drivers::qemu {

namespace {

// What a document's <secret type=''> means in a secret's own document.
xml::SecretUsage usage_of(const std::string& type) {
    if (type == "passphrase") return xml::SecretUsage::volume;
    const auto words = enum_words(xml::SecretUsage::none);
    const auto found = std::ranges::find(words, type);
    return found == words.end() ? xml::SecretUsage::none : static_cast<xml::SecretUsage>(found - words.begin());
}

std::string secret_value(const SecretValues& secrets, const xml::SecretReference& reference) {
    const auto usage = usage_of(reference.type);
    return reference.uuid.is_nil() ? secrets.by_usage(usage, reference.usage) : secrets.by_uuid(reference.uuid, usage);
}

} // namespace

BuildContext build_context(const World& world, const EmulatorInfo& emulator, int id) {
    BuildContext context;
    context.id = id;
    context.lib = world.paths.lib;
    context.run = world.paths.run;
    context.emulator.version = emulator.version;
    context.emulator.cpu_migratable = emulator.cpu_migratable;
    context.vnc_listen = world.settings.vnc_listen;
    context.spice_listen = world.settings.spice_listen;
    context.vnc_auto_unix = world.settings.vnc_auto_unix_socket;
    context.vnc_password = !world.settings.vnc_password.empty();
    context.spice_password = !world.settings.spice_password.empty();
    context.vnc_tls = world.settings.vnc_tls;
    context.spice_tls = world.settings.spice_tls;
    context.chardev_tls = world.settings.chardev_tls;
    context.nbd_tls = world.settings.nbd_tls;
    context.vnc_sasl = world.settings.vnc_sasl;
    context.spice_sasl = world.settings.spice_sasl;
    context.vnc_sasl_dir = world.settings.vnc_sasl_dir;
    context.spice_sasl_dir = world.settings.spice_sasl_dir;
    if (world.secrets)
        context.secret_value = [secrets = world.secrets](const xml::SecretReference& reference) {
            return secret_value(*secrets, reference);
        };
    context.memory_dir = world.settings.memory_backing_dir;
    context.hugepages = find_hugepages(world.settings);
    if (auto nodes = read_small_file("/sys/devices/system/node/online"); !nodes.empty()) context.host_nodes = std::move(nodes);
    context.sandbox = world.settings.seccomp_sandbox;
    context.dump_guest_core = world.settings.dump_guest_core;
    context.environment.clear();
    for (const auto& [name, value] : Command::default_environment()) context.environment.push_back(name + "=" + value);
    return context;
}

Accelerator accelerator_of(const xml::Domain& domain) {
    return domain.type == xml::VirtType::kvm ? Accelerator::best : Accelerator::tcg;
}

FirmwareWish firmware_wish(const World& world, bool reset) {
    return {world.paths.lib + "/qemu/nvram", world.settings.firmware_pairs, world.identity, reset};
}

void suit_to_domain(BuildContext& context, const EmulatorInfo& emulator, const xml::Domain& domain) {
    if (const auto* machine = emulator.machine(domain.os.type.machine)) {
        context.emulator.default_ram_id = machine->default_ram_id;
        context.emulator.numa_mem = machine->numa_mem;
    }
}

Task<BuildContext> guest_context(std::shared_ptr<const World> world, std::shared_ptr<const xml::Domain> domain, int id) {
    const auto emulator = co_await world->emulators->get(domain->devices.emulator, accelerator_of(*domain));
    BuildContext context = build_context(*world, *emulator, id);
    suit_to_domain(context, *emulator, *domain);
    // For a guest that runs already: the key that its QEMU was given. Few guests need it, so it is read when they do.
    const std::string key = domain_dir(*domain, context) + "/master-key.aes";
    context.seal = [key](std::string_view plain) { return seal(read_master_key(key), plain); };
    co_return context;
}

ImageFormats image_formats(const Settings& settings) {
    return {settings.save_image_format, settings.dump_image_format, settings.snapshot_image_format};
}

namespace {

// Where the guest's group stands, which the document of a running guest tells.
std::string settle_partition(xml::Domain& domain) {
    if (!domain.resource) domain.resource.emplace();
    auto& partition = domain.resource->partition;
    if (partition.empty()) partition = default_partition;
    return partition;
}

// One start under way. What has been done so far is known here, so that fail() can undo it.
class Launch {
  public:
    Launch(std::shared_ptr<const World> world, LaunchRequest request)
        : world_(std::move(world))
        , request_(std::move(request))
        , domain_(*request_.domain) {}

    Task<std::shared_ptr<Machine>> run();

  private:
    Task<> prepare();
    void start();
    Task<> begin();
    void say_hello();
    Task<> hear_answers();
    Task<std::string> words_of_qemu();
    Task<> undo();
    Task<> fail(std::exception_ptr cause);
    rpc::Error judge(const rpc::Error& error, StartFailure& failure) const;
    std::string who_is_in_the_way(const std::string& words) const;
    Command command(const CommandLine& line) const;

    std::shared_ptr<const World> world_;
    LaunchRequest request_;
    xml::Domain& domain_;
    BuildContext context_;
    Runtime runtime_;
    HostSide host_;
    std::optional<Helpers> helpers_;
    CommandLine line_;
    const char* phase_ = "preparing the host";
    bool greeted_ = false; // QEMU has, and read a state then
    bool runtime_made_ = false;
    std::shared_ptr<QemuMachine> machine_;
    Fd connection_;
    std::vector<std::pair<std::string, Qmp::Pending>> orders_; // that must not be refused
    std::optional<Qmp::Pending> chardevs_, cpus_, balloon_, memories_;
    StreamFilter state_; // what a restored guest's state comes from
};

// CPUs that may be unplugged later have to be plugged in.
static bool has_late_vcpus(const xml::Domain& domain) {
    return std::ranges::any_of(domain.vcpus,
                               [](const auto& vcpu) { return vcpu.enabled && vcpu.hotpluggable && *vcpu.hotpluggable; });
}

// Everything that is slow or touches the disk, before QEMU runs.
Task<> Launch::prepare() {
    const auto emulator = co_await world_->emulators->get(domain_.devices.emulator, accelerator_of(domain_));
    settle_guest_cpu(domain_, *world_->cpus->of(emulator));
    runtime_.ports = world_->displays->assign(domain_, world_->settings);
    runtime_.identity = settle_dac_label(domain_, world_->identity);
    runtime_.lends = world_->settings.dynamic_ownership && lends_images(domain_);
    context_ = co_await guest_context(world_, request_.domain, request_.id);
    runtime_.domain_dir = domain_dir(domain_, context_);
    runtime_.log_file = fmt::format("{}/qemu/{}.log", world_->paths.log, domain_.name);
    runtime_.pid_file = fmt::format("{}/qemu/{}.pid", world_->paths.run, domain_.name);
    if (world_->settings.cgroups && world_->cgroups.version != CgroupVersion::none)
        runtime_.cgroup = GuestCgroup::plan(world_->cgroups, request_.id, domain_.name, settle_partition(domain_));
    runtime_made_ = true;
    const MasterKey key = random_key();
    context_.seal = [key](std::string_view plain) { return seal(key, plain); };
    assign_disk_aliases(domain_);
    std::vector<event::DiskDropped> dropped;
    co_await rpc::blocking([this, &dropped] {
        dropped = require_images(domain_);
        find_chains(domain_);
        find_usb_devices(domain_);
    });
    for (auto& disk : dropped)
        if (request_.sink) request_.sink->on_machine_event(std::move(disk));
    for (auto& disk : domain_.devices.disks)
        if (disk.source.empty()) disk.driver.type.reset(); // what no medium has, a running guest does not show
    co_await make_overlays(domain_, runtime_);
    assign_aliases(domain_);
    fill_channel_paths(domain_, context_);
    co_await rpc::blocking([this, &key] {
        make_runtime(runtime_, key);
        runtime_.assigned = take_pci_devices(assigned_pci(domain_));
        const auto wish = firmware_wish(*world_, request_.boot_reset_nvram);
        settle_firmware(domain_, wish);
        prepare_variables(domain_, wish);
        context_.scsi_generics = scsi_generics(domain_);
        runtime_.owners = lend(runtime_, paths_to_own(domain_, context_.scsi_generics));
        host_.open_devices(domain_, runtime_);
        host_.open_vhosts(domain_);
        mark_start(runtime_);
    });
    if (const auto& from = request_.restore; !from.path.empty()) {
        auto image = co_await open_image(from.path, from.bypass_cache);
        state_ = StreamFilter::unpacking(world_->executor, image.format, std::move(image.stream));
        context_.incoming = true;
    }
    // The state of CPUs that were plugged in has no place before they are again: then it is loaded by an order.
    if (!has_late_vcpus(domain_)) context_.load_snapshot = request_.restore.snapshot;
    for (const auto& disk : domain_.devices.disks) lend_fds(disk, request_.fd_groups, context_);
    host_.add_nics(domain_, request_.nics);
    auto monitor = listen_qmp(runtime_.monitor_path());
    context_.fds = host_.named_fds();
    context_.fds["monitor"] = monitor.listener.get();
    context_.nics = host_.nics;
    host_.keep(std::move(monitor.listener));
    connection_ = std::move(monitor.connection);
    helpers_.emplace(world_, domain_, context_, runtime_);
    co_await helpers_->start();
    line_ = build(domain_, context_);
    co_await rpc::blocking([this] { make_memory_dirs(domain_, context_, line_, runtime_); });
}

Command Launch::command(const CommandLine& line) const {
    Command command;
    command.program = line.program;
    command.args = line.args;
    command.env.clear();
    for (const auto& setting : line.env) {
        const auto equals = setting.find('=');
        command.env.emplace_back(setting.substr(0, equals), equals == std::string::npos ? "" : setting.substr(equals + 1));
    }
    for (const int fd : line.fds) command.fds.push_back({fd, fd});
    command.identity = runtime_.identity;
    command.log_file = runtime_.log_file;
    command.umask = 0002;
    const auto& settings = world_->settings;
    if (settings.max_files) command.limits.push_back({RLIMIT_NOFILE, settings.max_files});
    if (settings.max_processes) command.limits.push_back({RLIMIT_NPROC, settings.max_processes});
    if (settings.max_core) command.limits.push_back({RLIMIT_CORE, settings.max_core});
    if (needs_locked_memory(domain_)) command.limits.push_back({RLIMIT_MEMLOCK, RLIM64_INFINITY});
    return command;
}

void Launch::start() {
    const Command qemu = command(line_);
    begin_log(runtime_,
              fmt::format("starting up lodge version: {}, qemu version: {}.{}.{}, hostname: {}", LODGE_VERSION,
                          context_.emulator.version / 1'000'000, context_.emulator.version / 1'000 % 1'000,
                          context_.emulator.version % 1'000, host_name()),
              quoted_lines(qemu));
    mark_start(runtime_); // again: now it has the helpers
    MachineParts parts{world_,      world_->executor, request_.domain,
                       request_.id, request_.sink,    world_->displays,
                       nullptr,     runtime_,         image_formats(world_->settings)};
    parts.process = Process::start(world_->executor, qemu);
    if (request_.control)
        request_.control->on_stop([weak = std::weak_ptr(parts.process)] {
            if (const auto process = weak.lock()) process->signal(SIGKILL);
        });
    machine_ = std::make_shared<QemuMachine>(std::move(parts));
    host_.close(); // QEMU has its own; our copies would hide its death
    helpers_->close();
    request_.nics.clear();
    machine_->open_monitor(std::move(connection_));
}

// All that QEMU is to be told or asked before the guest runs, without waiting for any answer.
void Launch::say_hello() {
    Qmp& qmp = machine_->qmp();
    const bool stay_on_reset = domain_.on_reboot.value_or(xml::LifecycleAction::restart) != xml::LifecycleAction::destroy;
    const auto order = [&](const char* command, json arguments) {
        orders_.emplace_back(command, qmp.send(command, std::move(arguments)));
    };
    order("set-action", {{"reboot", stay_on_reset ? "reset" : "shutdown"}, {"shutdown", "pause"}, {"panic", "pause"}});
    for (const auto& nic : domain_.devices.interfaces)
        if (nic.link == xml::NicLinkState::down) order("set_link", {{"name", nic.info.alias}, {"up", false}});
    for (const auto& disk : domain_.devices.disks)
        if (disk.iotune && !disk.source.empty()) order("block_set_io_throttle", throttle_order(disk));
    for (const auto& graphics : domain_.devices.graphics)
        for (auto& [command, arguments] : password_orders(graphics, world_->settings))
            orders_.emplace_back(command, qmp.send(command, std::move(arguments)));
    const auto& balloon = domain_.devices.memballoon;
    if (balloon && balloon->model != xml::BalloonModel::none && balloon->model != xml::BalloonModel::xen) {
        if (balloon->stats_period)
            order("qom-set", {{"path", "/machine/peripheral/" + balloon->info.alias},
                              {"property", "guest-stats-polling-interval"},
                              {"value", *balloon->stats_period}});
        // A restored guest's balloon has its size already.
        if (!request_.restore) {
            if (domain_.current_memory_kib() < domain_.total_memory_kib())
                order("balloon", {{"value", domain_.current_memory_kib() * 1024}});
            balloon_ = qmp.send("query-balloon");
        }
    }
    chardevs_ = qmp.send("query-chardev");
    cpus_ = qmp.send("query-cpus-fast");
    if (!domain_.devices.memories.empty()) memories_ = qmp.send("query-memory-devices");
}

// That it was looked at is no difference.
static bool is_other_cpu(const xml::Cpu& asked, xml::Cpu real) {
    real.check = asked.check;
    return !xml::compare(asked, real, "cpu").empty();
}

Task<> Launch::hear_answers() {
    // Memory that is taken at once takes time: a second for each GiB.
    const auto slow = needs_memory_at_once(domain_) ? domain_.total_memory_kib() >> 20 : 0;
    const auto limit = std::chrono::seconds(world_->settings.start_timeout_s + slow);
    co_await machine_->qmp().greeting(limit);
    for (auto& [what, pending] : orders_) co_await pending.result();
    machine_->take_ptys(co_await chardevs_->result());
    if (!request_.restore) {
        // What the guest has now: only its driver can give memory back.
        const json answer = balloon_ ? co_await balloon_->reply() : json::object();
        const auto size = answer.value("return", json::object()).value("actual", std::uint64_t{0});
        domain_.current_memory = xml::Kibibytes{size ? size / 1024 : domain_.total_memory_kib()};
    }
    if (memories_) take_memory_devices(domain_, co_await memories_->result());
    const json cpus = co_await cpus_->result();
    machine_->take_vcpus(cpus);
    const auto asked = domain_.cpu;
    if (!cpus.empty()) co_await take_real_cpu(machine_->qmp(), cpus.front().value("qom-path", ""), domain_);
    if (request_.restore.asked_cpu)
        machine_->remember_asked_cpu(*request_.restore.asked_cpu);
    else if (asked && is_other_cpu(*asked, *domain_.cpu))
        machine_->remember_asked_cpu(*asked);
}

// The document asks for something that has to be so before the guest runs.
static bool is_tuned(const xml::Domain& domain) {
    return domain.cputune || domain.memtune || domain.blkiotune || domain.numatune || !domain.perf.empty() ||
           (domain.vcpu && !domain.vcpu->cpuset.empty());
}
// While QEMU gets ready: its group, its pid file, its status file. Only then may the guest run.
Task<> Launch::begin() {
    say_hello();
    co_await rpc::blocking([this] {
        auto& runtime = machine_->runtime();
        runtime.cgroup.enter(static_cast<pid_t>(machine_->pid()));
        for (const auto& helper : runtime.helpers) runtime.cgroup.enter(helper.pid);
        write_pid_file(runtime_, static_cast<pid_t>(machine_->pid()));
    });
    if (request_.keep) co_await request_.keep(machine_->status());
    end_of_start(runtime_);
    // A CPU that must be to the letter is looked at before the guest can look.
    const bool exact = domain_.cpu && domain_.cpu->check == xml::CpuCheck::full;
    if (exact) co_await hear_answers();
    const bool loads_snapshot = request_.restore && !context_.incoming && context_.load_snapshot.empty();
    if (context_.incoming || loads_snapshot) {
        co_await machine_->qmp().greeting(std::chrono::seconds(world_->settings.start_timeout_s));
        phase_ = "reading the guest's state";
        greeted_ = true;
        co_await QemuMachine::plug_late_vcpus(machine_);
    }
    if (context_.incoming) {
        co_await machine_->state_keeper().load(state_.take_end());
        co_await state_.finish();
    } else if (loads_snapshot) {
        co_await machine_->state_keeper().load_snapshot(request_.restore.snapshot, request_.restore.disks);
    }
    std::optional<Qmp::Pending> running;
    const bool tuned = is_tuned(domain_) || has_late_vcpus(domain_);
    if (!request_.paused && !tuned) running = machine_->qmp().send("cont");
    if (!exact) co_await hear_answers();
    machine_->begin_counting_vcpus();
    if (tuned) {
        if (!context_.incoming) co_await QemuMachine::plug_late_vcpus(machine_);
        co_await machine_->tune(request_.domain);
        machine_->begin_counting();
        if (!request_.paused) running = machine_->qmp().send("cont");
    }
    if (running) co_await running->result();
    // A guest that comes back opens its channels when it goes on.
    if (running && request_.restore) machine_->take_channels(co_await machine_->qmp().ask("query-chardev"));
    machine_->limit_logs();
    machine_->supervise(request_.paused ? RunState::paused : RunState::running);
}

// Why QEMU is not there: its own words, when it had any.
Task<std::string> Launch::words_of_qemu() {
    std::string words;
    co_await rpc::blocking([&] { words = log_tail(runtime_); });
    co_return words;
}

Task<> Launch::undo() {
    if (machine_) {
        co_await QemuMachine::kill(machine_);
        runtime_.cgroup = machine_->runtime().cgroup;
    }
    host_.close();
    if (helpers_) helpers_->close();
    state_.kill();
    const bool log_begun = machine_ != nullptr;
    co_await rpc::blocking([this, log_begun] {
        if (log_begun) append_log(runtime_, "shutting down, reason=failed");
        if (runtime_made_) remove_runtime(runtime_);
    });
    world_->displays->release(runtime_.ports);
}

// The error that the caller is told: QEMU's own words where it has ended, and who is in the way where it may not open a file.
rpc::Error Launch::judge(const rpc::Error& error, StartFailure& failure) const {
    std::string detail = error.detail();
    Code code = error.code();
    if (!failure.exit.empty()) {
        code = Code::internal_error;
        detail = fmt::format("{}: {}",
                             greeted_ ? "qemu unexpectedly closed the monitor" : "process exited while connecting to monitor",
                             failure.words.empty() ? failure.exit : failure.words);
    } else if (!failure.words.empty()) {
        detail += "; QEMU said: " + failure.words;
    }
    if (!failure.cause.empty()) detail += "; " + failure.cause;
    return rpc::Error(code, detail, error.from());
}

// What QEMU's user may not open, of all that the document names.
std::string Launch::who_is_in_the_way(const std::string& words) const {
    if (!runtime_.identity || !words.contains("Permission denied")) return {};
    for (const auto& owned : paths_to_own(domain_, context_.scsi_generics))
        if (auto why = why_refused(owned.path, *runtime_.identity, owned.restore); !why.empty()) return why;
    return {};
}

Task<> Launch::fail(std::exception_ptr cause) {
    StartFailure failure;
    failure.when = log_stamp();
    failure.phase = phase_;
    if (!line_.program.empty()) failure.command = quoted(command(line_));
    if (machine_) {
        // The monitor's end is seen a moment before the process is gone.
        const bool died = machine_->qmp().closed() ? co_await machine_->process().wait(5s) : !machine_->process().running();
        if (died) failure.exit = machine_->process().exit().text();
        failure.words = co_await words_of_qemu();
    }
    // A helper that died first is the cause of what QEMU complains about.
    if (const std::string helper = helpers_ ? helpers_->last_words() : ""; !helper.empty()) failure.cause = helper;
    co_await rpc::blocking([&] {
        if (failure.cause.empty()) failure.cause = who_is_in_the_way(failure.words);
    });
    co_await undo();
    std::optional<rpc::Error> told;
    try {
        std::rethrow_exception(cause);
    } catch (const rpc::Error& error) {
        told = judge(error, failure);
    }
    failure.error = told->message();
    explain(failure);
    co_await rpc::blocking([&] { keep_failure(failure_path(world_->paths.lib, domain_.name), failure); });
    throw std::move(*told);
}

Task<std::shared_ptr<Machine>> Launch::run() {
    std::exception_ptr failure;
    try {
        co_await prepare();
        if (request_.ready) co_await request_.ready();
        phase_ = "starting QEMU";
        start();
        phase_ = "waiting for QEMU to get ready";
        co_await begin();
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) co_await fail(failure);
    co_await rpc::blocking([this] { forget_failure(failure_path(world_->paths.lib, domain_.name)); });
    co_return machine_;
}

} // namespace

Task<std::shared_ptr<Machine>> launch_machine(std::shared_ptr<const World> world, LaunchRequest request) {
    Launch launch(std::move(world), std::move(request));
    co_return co_await launch.run();
}

} // namespace lodge::drivers::qemu
