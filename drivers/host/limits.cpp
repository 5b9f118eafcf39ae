#include "drivers/host/limits.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include "xml/number_set.hpp"
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers {

namespace {

[[noreturn]] void fail_here(int error, const std::string& what) {
    rpc::fail(rpc::From::cgroup, rpc::Code::system_error, "{}: {}", what, rpc::errno_text(error));
}

void write_value(const std::string& path, const std::string& value) {
    const rpc::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size())) return;
    fail_here(errno, fmt::format("Unable to write to '{}'", path));
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::int64_t read_signed(const std::string& path, std::int64_t absent) {
    const std::string text = read_small_file(path);
    if (text.empty()) return absent;
    return text.starts_with("max") ? absent : std::strtoll(text.c_str(), nullptr, 10);
}

std::string bytes_of(std::uint64_t kib, const char* none) { return kib >= unlimited_kib ? none : std::to_string(kib * 1024); }

// The kernel's "no limit" is a number close to the greatest.
std::uint64_t limit_kib(const std::string& path) {
    const std::int64_t bytes = read_signed(path, -1);
    const auto kib = static_cast<std::uint64_t>(bytes) / 1024;
    return bytes < 0 || kib > unlimited_kib - 4096 ? unlimited_kib : kib;
}

std::string device_number(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0) fail_here(errno, fmt::format("Path '{}' is not accessible", path));
    if (!S_ISBLK(info.st_mode)) fail_here(EINVAL, fmt::format("Path '{}' must be a block device", path));
    return fmt::format("{}:{}", major(info.st_rdev), minor(info.st_rdev));
}

} // namespace

bool GuestLimits::unified() const { return !group_.folders.empty() && exists(group_.folders.front() + "/cgroup.controllers"); }

std::string GuestLimits::folder(const std::string& controller) const {
    if (unified()) {
        const std::string name = controller == "blkio" ? "io" : controller;
        const std::string all = " " + read_small_file(group_.folders.front() + "/cgroup.controllers") + " ";
        const bool has = all.find(" " + name + " ") != std::string::npos || all.find(" " + name + "\n") != std::string::npos;
        return has ? group_.folders.front() : "";
    }
    // Version 1 has a tree for each controller, or for some together.
    static constexpr std::pair<const char*, const char*> marks[] = {{"cpu", "/cpu.shares"},
                                                                    {"memory", "/memory.limit_in_bytes"},
                                                                    {"blkio", "/blkio.throttle.read_bps_device"},
                                                                    {"cpuset", "/cpuset.mems"}};
    for (const auto& [name, mark] : marks)
        for (const auto& path : group_.folders)
            if (controller == name && exists(path + mark)) return path;
    return {};
}

// ---- CPU time ----

std::uint64_t GuestLimits::cpu_shares() const {
    const std::string at = folder("cpu");
    return static_cast<std::uint64_t>(unified() ? read_signed(at + "/cpu.weight", 100) : read_signed(at + "/cpu.shares", 1024));
}

void GuestLimits::set_cpu_shares(std::uint64_t shares) const {
    if (unified() && (shares < 1 || shares > 10'000))
        rpc::fail(rpc::Code::invalid_arg, "shares '{}' must be in range [1, 10000]", shares);
    write_value(folder("cpu") + (unified() ? "/cpu.weight" : "/cpu.shares"), std::to_string(shares));
}

CpuQuota GuestLimits::cpu_quota(const std::string& part) const {
    const std::string at = folder("cpu") + (part.empty() ? "" : "/" + part);
    CpuQuota quota;
    if (unified()) {
        const std::string text = read_small_file(at + "/cpu.max");
        if (const auto blank = text.find(' '); blank != std::string::npos) {
            quota.period = std::strtoull(text.c_str() + blank, nullptr, 10);
            if (!text.starts_with("max")) quota.quota = std::strtoll(text.c_str(), nullptr, 10);
        }
        return quota;
    }
    quota.period = static_cast<std::uint64_t>(read_signed(at + "/cpu.cfs_period_us", 100'000));
    quota.quota = read_signed(at + "/cpu.cfs_quota_us", -1);
    return quota;
}

void GuestLimits::set_cpu_quota(const CpuQuota& quota, const std::string& part, const std::vector<int>& threads) const {
    std::string at = folder("cpu");
    if (!part.empty()) {
        if (unified()) write_value(at + "/cgroup.subtree_control", "+cpu");
        at += "/" + part;
        if (::mkdir(at.c_str(), 0755) < 0 && errno != EEXIST) rpc::fail_errno(errno, fmt::format("Unable to create '{}'", at));
        if (unified()) write_value(at + "/cgroup.type", "threaded");
        for (const int thread : threads) {
            try {
                write_value(at + (unified() ? "/cgroup.threads" : "/tasks"), std::to_string(thread));
            } catch (const rpc::Error&) {
                if (exists(fmt::format("/proc/{}", thread))) throw; // it ended meanwhile
            }
        }
    }
    const std::int64_t limit = quota.quota < 0 ? -1 : quota.quota;
    if (unified())
        return write_value(at + "/cpu.max", fmt::format("{} {}", limit < 0 ? "max" : std::to_string(limit), quota.period));
    // A period must not make the quota that stands exceed what the parent has: lift it first.
    write_value(at + "/cpu.cfs_quota_us", "-1");
    write_value(at + "/cpu.cfs_period_us", std::to_string(quota.period));
    if (limit >= 0) write_value(at + "/cpu.cfs_quota_us", std::to_string(limit));
}

// ---- memory ----

std::uint64_t GuestLimits::memory_hard_kib() const {
    return limit_kib(folder("memory") + (unified() ? "/memory.max" : "/memory.limit_in_bytes"));
}
std::uint64_t GuestLimits::memory_soft_kib() const {
    return limit_kib(folder("memory") + (unified() ? "/memory.high" : "/memory.soft_limit_in_bytes"));
}
std::uint64_t GuestLimits::memory_swap_kib() const {
    return limit_kib(folder("memory") + (unified() ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"));
}

void GuestLimits::set_memory(std::uint64_t hard_kib, std::uint64_t soft_kib, std::uint64_t swap_kib) const {
    const std::string at = folder("memory");
    if (unified()) {
        write_value(at + "/memory.high", bytes_of(soft_kib, "max"));
        write_value(at + "/memory.max", bytes_of(hard_kib, "max"));
        if (exists(at + "/memory.swap.max")) write_value(at + "/memory.swap.max", bytes_of(swap_kib, "max"));
        return;
    }
    const bool swap = exists(at + "/memory.memsw.limit_in_bytes");
    if (!swap && swap_kib < unlimited_kib)
        rpc::fail_errno(ENOENT, fmt::format("Unable to write to '{}/memory.memsw.limit_in_bytes'", at));
    write_value(at + "/memory.soft_limit_in_bytes", bytes_of(soft_kib, "-1"));
    // The limit with swap is never below the one without.
    if (swap) write_value(at + "/memory.memsw.limit_in_bytes", "-1");
    write_value(at + "/memory.limit_in_bytes", bytes_of(hard_kib, "-1"));
    if (swap) write_value(at + "/memory.memsw.limit_in_bytes", bytes_of(swap_kib, "-1"));
}

// ---- I/O ----

static std::string weight_file(const std::string& at, bool unified) {
    for (const char* name : {"/io.bfq.weight", "/io.weight"})
        if (unified && exists(at + name)) return at + name;
    for (const char* name : {"/blkio.bfq.weight", "/blkio.weight"})
        if (!unified && exists(at + name)) return at + name;
    return {};
}

std::uint64_t GuestLimits::io_weight() const {
    const std::string file = weight_file(folder("blkio"), unified());
    if (file.empty()) return 0;
    const std::string text = read_small_file(file);
    return std::strtoull(text.c_str() + (text.starts_with("default ") ? 8 : 0), nullptr, 10);
}

void GuestLimits::set_io_weight(std::uint64_t weight) const {
    const std::string file = weight_file(folder("blkio"), unified());
    if (file.empty())
        rpc::fail(rpc::From::cgroup, rpc::Code::operation_invalid, "blkio {}weight is valid only for bfq or cfq scheduler",
                  unified() ? "" : "device ");
    write_value(file, std::to_string(weight));
}

void GuestLimits::set_io_device(const DeviceLimits& limits) const {
    const std::string at = folder("blkio");
    if (limits.weight && *limits.weight) {
        const std::string file = at + (unified() ? "/io.weight" : "/blkio.weight_device");
        if (!exists(file))
            rpc::fail(rpc::From::cgroup, rpc::Code::operation_invalid, "blkio device weight is valid only for cfq scheduler");
        write_value(file, fmt::format("{} {}", device_number(limits.path), *limits.weight));
    }
    const std::string number = device_number(limits.path);
    const std::tuple<const std::optional<std::uint64_t>&, const char*, const char*> rows[] = {
        {limits.read_iops, "riops", "read_iops"},
        {limits.write_iops, "wiops", "write_iops"},
        {limits.read_bytes, "rbps", "read_bps"},
        {limits.write_bytes, "wbps", "write_bps"}};
    for (const auto& [value, unified_word, file] : rows) {
        if (!value) continue;
        if (unified())
            write_value(at + "/io.max", fmt::format("{} {}={}", number, unified_word, *value ? std::to_string(*value) : "max"));
        else
            write_value(fmt::format("{}/blkio.throttle.{}_device", at, file), fmt::format("{} {}", number, *value));
    }
}

void GuestLimits::set_memory_nodes(const std::string& nodes) const { write_value(folder("cpuset") + "/cpuset.mems", nodes); }

// ---- CPUs of threads ----

std::vector<int> threads_of(int pid) {
    std::vector<int> threads;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/task", pid), ignored))
        threads.push_back(std::atoi(entry.path().filename().c_str()));
    return threads;
}

void pin_thread(int thread, const std::set<unsigned>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned cpu : cpus)
        if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
    if (::sched_setaffinity(thread, sizeof set, &set) == 0 || errno == ESRCH) return;
    rpc::fail_errno(errno, fmt::format("cannot set CPU affinity on process {}", thread));
}

std::set<unsigned> cpus_of_thread(int thread) {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::set<unsigned> cpus;
    if (::sched_getaffinity(thread, sizeof set, &set) < 0) return cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
    return cpus;
}

std::set<unsigned> online_cpus() {
    return xml::parse_number_set(read_small_file("/sys/devices/system/cpu/online")).value_or(std::set<unsigned>{0});
}

} // namespace lodge::drivers
