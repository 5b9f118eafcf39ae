#include "drivers/qemu/probe.hpp"
#include "drivers/host/sysfs.hpp"
#include "drivers/process/process.hpp"
#include "drivers/qemu/qmp.hpp"
#include "rpc/log.hpp"
#include <boost/asio/this_coro.hpp>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

bool kvm_usable(const std::optional<Identity>& identity) {
    struct stat info{};
    if (::stat("/dev/kvm", &info) < 0) return false;
    if (!identity || identity->uid == 0) return ::access("/dev/kvm", R_OK | W_OK) == 0;
    const auto in_group = [&](gid_t gid) {
        return identity->gid == gid || std::find(identity->groups.begin(), identity->groups.end(), gid) != identity->groups.end();
    };
    if (info.st_uid == identity->uid) return (info.st_mode & 0600) == 0600;
    if (in_group(info.st_gid)) return (info.st_mode & 0060) == 0060;
    return (info.st_mode & 0006) == 0006;
}

namespace {

// The words that QEMU wrote into its standard error, kept in memory.
std::string words_in(int memory) {
    char buffer[4096];
    const ssize_t n = ::pread(memory, buffer, sizeof buffer, 0);
    std::string text(buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

struct KillOnLeave {
    std::shared_ptr<Process> process;
    ~KillOnLeave() { process->signal(SIGKILL); }
};

void take_version(EmulatorInfo& info, const json& answer) {
    const json& qemu = answer.at("qemu");
    info.version = qemu.at("major").get<unsigned>() * 1'000'000 + qemu.at("minor").get<unsigned>() * 1'000 +
                   qemu.at("micro").get<unsigned>();
    info.package = answer.value("package", "");
}

void take_machines(EmulatorInfo& info, const json& answer) {
    for (const auto& item : answer) {
        MachineType machine;
        machine.name = item.at("name");
        if (machine.name == "none") continue; // the one we probe with runs nothing
        machine.alias = item.value("alias", "");
        machine.max_cpus = item.value("cpu-max", 0U);
        machine.default_cpu = item.value("default-cpu-type", "");
        machine.default_ram_id = item.value("default-ram-id", "");
        machine.is_default = item.value("is-default", false);
        machine.deprecated = item.value("deprecated", false);
        machine.hotpluggable_cpus = item.value("hotpluggable-cpus", false);
        machine.numa_mem = item.value("numa-mem-supported", false);
        info.machines.push_back(std::move(machine));
    }
}

void take_cpus(EmulatorInfo& info, const json& answer) {
    for (const auto& item : answer) {
        CpuModel model;
        model.name = item.at("name");
        model.alias_of = item.value("alias-of", "");
        model.unavailable = item.value("unavailable-features", std::vector<std::string>());
        model.deprecated = item.value("deprecated", false);
        info.cpus.push_back(std::move(model));
    }
}

// What the host's CPU has: as it could be migrated, and as it is.
void take_cpu(EmulatorInfo& info, const json& migratable, const json& whole) {
    if (!migratable.contains("return")) return;
    const json properties = migratable["return"]["model"].value("props", json::object());
    for (const auto& [name, value] : properties.items())
        info.cpu_properties[name] = {value.is_boolean() && value.get<bool>(), true};
    info.cpu_vendor = properties.value("vendor", "");
    info.cpu_family = properties.value("family", 0U);
    info.cpu_model = properties.value("model", 0U);
    info.cpu_stepping = properties.value("stepping", 0U);
    if (!whole.contains("return")) return;
    const json all = whole["return"]["model"].value("props", json::object());
    for (auto& [name, property] : info.cpu_properties)
        if (const auto has = all.find(name); !property.on && has != all.end() && has->is_boolean() && has->get<bool>())
            property = {true, false};
}

void take_hyperv(EmulatorInfo& info, const json& reply) {
    if (!reply.contains("return")) return;
    const json properties = reply["return"]["model"].value("props", json::object());
    // As libvirt, which asks for it of the x86_64 CPU alone.
    info.cpu_migratable = info.arch == "x86_64" && properties.contains("migratable");
    for (const auto& [name, value] : properties.items())
        if (name.starts_with("hv-") && value.is_boolean() && value.get<bool>()) info.hyperv.insert(name);
}

void take_names(std::set<std::string>& names, const json& answer) {
    for (const auto& item : answer) names.insert(item.is_string() ? item.get<std::string>() : item.value("name", ""));
}

// Options that came to a device later than the device itself.
constexpr std::string_view asked_options[][2] = {
    {"virtio-blk-pci", "queue-size"},
    {"virtio-net-pci", "rss"},
    {"virtio-gpu-pci", "blob"},
    {"qxl", "max_outputs"},
    {"pcie-root-port", "hotplug"},
    {"usb-host", "guest-resets-all"},
    {"virtio-balloon-pci", "free-page-reporting"},
};

Task<EmulatorInfo> ask_all(std::shared_ptr<Qmp> qmp, std::string program, bool kvm) {
    EmulatorInfo info;
    info.path = program;
    auto version = qmp->send("query-version");
    auto target = qmp->send("query-target");
    auto has_kvm = qmp->send("query-kvm");
    auto machines = qmp->send("query-machines");
    auto cpus = qmp->send("query-cpu-definitions");
    auto types = qmp->send("qom-list-types");
    auto commands = qmp->send("query-commands");
    auto tpm_models = qmp->send("query-tpm-models");
    auto tpm_types = qmp->send("query-tpm-types");
    const auto expand = [&](const char* type, json properties) {
        return qmp->send("query-cpu-model-expansion",
                         {{"type", type}, {"model", {{"name", kvm ? "host" : "max"}, {"props", std::move(properties)}}}});
    };
    auto migratable_cpu = expand("static", json::object());
    auto whole_cpu = expand("static", {{"migratable", false}});
    auto hyperv_cpu = expand("full", kvm ? json{{"migratable", false}, {"hv-passthrough", true}} : json{{"migratable", false}});
    auto sev = qmp->send("query-sev-capabilities");
    auto sgx = qmp->send("query-sgx-capabilities");
    std::vector<Qmp::Pending> properties;
    for (const auto& asked : asked_options)
        properties.push_back(qmp->send("device-list-properties", {{"typename", std::string(asked[0])}}));

    co_await qmp->greeting(30s);
    take_version(info, co_await version.result());
    info.arch = (co_await target.result()).value("arch", "");
    info.kvm = (co_await has_kvm.result()).value("enabled", false);
    take_machines(info, co_await machines.result());
    take_cpus(info, co_await cpus.result());
    take_names(info.types, co_await types.result());
    take_names(info.commands, co_await commands.result());
    take_names(info.tpm_models, co_await tpm_models.result());
    take_names(info.tpm_backends, co_await tpm_types.result());
    take_cpu(info, co_await migratable_cpu.reply(), co_await whole_cpu.reply());
    take_hyperv(info, co_await hyperv_cpu.reply());
    info.sev = (co_await sev.reply()).contains("return");
    info.sgx = (co_await sgx.reply()).contains("return");
    for (std::size_t i = 0; i < properties.size(); ++i) {
        const json reply = co_await properties[i].reply();
        if (!reply.contains("return")) continue;
        for (const auto& item : reply["return"])
            if (item.value("name", "") == asked_options[i][1])
                info.device_options.insert(fmt::format("{}.{}", asked_options[i][0], asked_options[i][1]));
    }
    co_return info;
}

} // namespace

Task<EmulatorInfo> probe_emulator(std::string program, Accelerator accelerator, std::optional<Identity> identity) {
    const auto executor = co_await boost::asio::this_coro::executor;
    const bool kvm = accelerator == Accelerator::best && kvm_usable(identity);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) rpc::fail_errno(errno, "cannot create socket pair");
    Fd ours(ends[0]), theirs(ends[1]);
    const Fd errors(static_cast<int>(::syscall(SYS_memfd_create, "qemu-probe", MFD_CLOEXEC)));

    Command command;
    command.program = program;
    command.args = {"-S",          "-no-user-config",
                    "-nodefaults", "-nographic",
                    "-machine",    kvm ? "none,accel=kvm:tcg" : "none,accel=tcg",
                    "-chardev",    fmt::format("socket,id=monitor,fd={}", theirs.get()),
                    "-mon",        "chardev=monitor,mode=control"};
    command.fds = {{theirs.get(), theirs.get()}};
    command.identity = std::move(identity);
    command.output = errors.get();
    command.dies_with_us = true;
    const auto process = Process::start(executor, command);
    const KillOnLeave guard{process}; // it has nothing to lose: no need to wait for its own way out
    theirs.reset();
    QmpOptions options;
    options.name = program;
    const auto qmp = Qmp::open(executor, std::move(ours), std::move(options));
    std::exception_ptr failure;
    std::optional<EmulatorInfo> info;
    try {
        info = co_await ask_all(qmp, program, kvm);
    } catch (const json::exception& error) {
        failure = std::make_exception_ptr(
            rpc::Error(Code::internal_error, fmt::format("Failed to probe QEMU binary with QMP: {}: {}", program, error.what())));
    } catch (const rpc::Error& error) {
        failure = std::current_exception();
    }
    qmp->close("probe is over");
    if (!failure) co_return std::move(*info);
    co_await process->wait(2s); // its last words
    if (const std::string words = words_in(errors.get()); !words.empty())
        rpc::fail(Code::internal_error, "Failed to probe QEMU binary with QMP: {}", words);
    std::rethrow_exception(failure);
}

// ---- the cache ----

struct EmulatorCache::Entry {
    explicit Entry(const Executor& executor)
        : done(executor) {}
    std::string stamp;
    std::chrono::steady_clock::time_point checked; // that the stamp still holds
    std::shared_ptr<const EmulatorInfo> info;
    bool busy = false;
    rpc::Signal done;
};

EmulatorCache::EmulatorCache(Executor executor, std::string folder, std::optional<Identity> identity)
    : executor_(std::move(executor))
    , folder_(std::move(folder))
    , identity_(std::move(identity)) {}
EmulatorCache::~EmulatorCache() = default;

// Changes whenever an answer may change: another binary, kernel, microcode or access to KVM.
static std::string stamp_of(const std::string& program, bool kvm) {
    struct stat info{};
    if (::stat(program.c_str(), &info) < 0) rpc::fail_errno(errno, fmt::format("Cannot check QEMU binary {}", program));
    utsname kernel{};
    ::uname(&kernel);
    std::string stamp = fmt::format("{} {} {} {}.{} {} {} kvm={}", LODGE_VERSION, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                                    info.st_mtim.tv_nsec, kernel.release, kernel.version, kvm);
    if (kvm) {
        const std::string cpu = read_small_file("/sys/devices/system/cpu/cpu0/microcode/version");
        struct stat node{};
        ::stat("/dev/kvm", &node);
        stamp += fmt::format(" {} {}:{}:{:o}", cpu, node.st_uid, node.st_gid, node.st_mode);
        for (const char* module : {"kvm_intel", "kvm_amd"})
            stamp += read_small_file(fmt::format("/sys/module/{}/parameters/nested", module));
    }
    return stamp;
}

std::string EmulatorCache::cache_file(const std::string& program, Accelerator accelerator) const {
    std::string name = program;
    for (char& c : name)
        if (c == '/') c = '_';
    return fmt::format("{}/lodge{}{}.json", folder_, name, accelerator == Accelerator::tcg ? "-tcg" : "");
}

static std::shared_ptr<const EmulatorInfo> read_cache(const std::string& file, const std::string& stamp) {
    const json kept = json::parse(read_small_file(file), nullptr, false);
    if (!kept.is_object() || kept.value("stamp", "") != stamp) return nullptr;
    try {
        return std::make_shared<const EmulatorInfo>(kept.at("info").get<EmulatorInfo>());
    } catch (const json::exception&) {
        return nullptr; // a file of another making: ask again
    }
}

static void write_cache(const std::string& file, const std::string& text) {
    std::error_code ignored;
    fs::create_directories(fs::path(file).parent_path(), ignored);
    const std::string fresh = fmt::format("{}.{}", file, ::getpid());
    const Fd out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const bool whole = out && ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (!whole || ::rename(fresh.c_str(), file.c_str()) < 0) ::unlink(fresh.c_str()); // only a cache: next time then
}

std::shared_ptr<EmulatorCache::Entry> EmulatorCache::entry(const std::string& key) {
    auto& slot = entries_[key];
    if (!slot) slot = std::make_shared<Entry>(executor_);
    return slot;
}

Task<std::shared_ptr<const EmulatorInfo>> EmulatorCache::load_or_ask(std::string program, Accelerator accelerator,
                                                                     std::string stamp) {
    const std::string file = cache_file(program, accelerator);
    if (auto kept = read_cache(file, stamp)) co_return kept;
    log::debug("asking {} what it can do", program);
    const auto fresh = std::make_shared<const EmulatorInfo>(co_await probe_emulator(program, accelerator, identity_));
    std::string text = json{{"stamp", stamp}, {"info", *fresh}}.dump();
    co_await rpc::blocking([&file, &text] { write_cache(file, text); });
    co_return fresh;
}

Task<std::shared_ptr<const EmulatorInfo>> EmulatorCache::get(std::string program, Accelerator accelerator) {
    const auto slot = entry(program + (accelerator == Accelerator::tcg ? " tcg" : ""));
    // Definitions come by the thousand; binaries do not change as fast.
    if (slot->info && !slot->busy && std::chrono::steady_clock::now() - slot->checked < 1s) co_return slot->info;
    const std::string path = find_program(program);
    if (path.empty()) rpc::fail_errno(ENOENT, fmt::format("Cannot check QEMU binary {}", program));
    const bool kvm = accelerator == Accelerator::best && kvm_usable(identity_);
    const std::string stamp = stamp_of(path, kvm);
    while (slot->busy) co_await slot->done.wait();
    slot->checked = std::chrono::steady_clock::now();
    if (slot->info && slot->stamp == stamp) co_return slot->info;
    slot->busy = true;
    slot->done.reset();
    std::exception_ptr failure;
    try {
        slot->info = co_await load_or_ask(path, accelerator, stamp);
        slot->stamp = stamp;
    } catch (...) {
        failure = std::current_exception();
    }
    slot->busy = false;
    slot->done.set();
    if (failure) std::rethrow_exception(failure);
    co_return slot->info;
}

} // namespace lodge::drivers::qemu
