// What a machine can tell of itself in numbers.
#pragma once
#include "drivers/host/limits.hpp"
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lodge::drivers {

struct CpuTime {
    std::uint64_t total_ns = 0, user_ns = 0, system_ns = 0;
};
// On each of the host's CPUs, by number.
struct GuestCpuTimes {
    std::vector<std::uint64_t> all_ns, vcpus_ns; // empty: not told
};
struct BlockStats {
    std::int64_t read_requests = -1, read_bytes = -1, write_requests = -1, write_bytes = -1, flush_requests = -1, errors = -1;
    std::int64_t read_time_ns = -1, write_time_ns = -1, flush_time_ns = -1;
};
struct BlockInfo {
    std::uint64_t capacity = 0, allocation = 0, physical = 0; // bytes
};
struct ImagePlace {
    std::string path;
    bool qcow2 = false; // else raw
};
struct VcpuInfo {
    unsigned number = 0;
    bool online = true;
    std::uint64_t cpu_time_ns = 0;
    int cpu = -1;                            // host CPU it ran on last
    std::set<unsigned> cpus;                 // where it may run
    std::uint64_t wait_ns = 0, delay_ns = 0; // waiting for a host CPU, as the scheduler's two books say
};
struct IoThreadInfo {
    unsigned id = 0;
    std::set<unsigned> cpus; // where it may run
    std::uint64_t poll_max_ns = 0, poll_grow = 0, poll_shrink = 0;
};
// One layer of a disk's chain, in bytes.
struct ImageFigures {
    std::uint64_t allocation = 0, capacity = 0, physical = 0, write_threshold = 0;
};
struct DirtyRate {
    int status = 0; // VIR_DOMAIN_DIRTYRATE_*
    std::int64_t start_s = 0;
    int period_s = 0;
    std::string mode;
    std::int64_t megabytes_per_second = 0;
    std::vector<std::pair<int, std::uint64_t>> vcpus; // the same of each, where the mode tells
};
// What KVM counts: "halt_exits.sum".
using KvmFigures = std::vector<std::pair<std::string, std::variant<std::uint64_t, bool>>>;

namespace figure {
inline constexpr unsigned memory = 1, disks = 2, iothreads = 4, dirty_rate = 8, vm = 16, vcpus = 32;
}
// What the kernel counted of a guest's threads, by the event's name.
using PerfFigures = std::vector<std::pair<std::string, std::uint64_t>>;

// Answers of Machine::figures(). Absent: not asked for, or not told in time.
struct Figures {
    std::optional<std::map<std::string, std::uint64_t>> memory; // as memory_stats()
    std::optional<std::map<std::string, BlockStats>> disks;     // by target dev
    std::optional<std::map<unsigned, ImageFigures>> images;     // by StorageSource::index
    std::optional<std::vector<IoThreadInfo>> iothreads;
    std::optional<DirtyRate> dirty_rate;
    std::optional<KvmFigures> vm;
    std::optional<std::map<unsigned, KvmFigures>> vcpus;
};
// What the host gives a machine now.
struct Tuning {
    bool cpu = false, memory = false, io = false, cpuset = false; // the host can limit it
    std::uint64_t shares = 0;
    CpuQuota global, vcpu, emulator, iothread;
    std::uint64_t hard_kib = unlimited_kib, soft_kib = unlimited_kib, swap_kib = unlimited_kib;
    std::uint64_t io_weight = 0; // 0: the host has none
};
// Where a CPU of the guest may stand.
struct VcpuPlace {
    bool there = false;
    bool movable = false; // may come, or go again
};
struct JobFigures {
    bool active = false;
    int operation = 0;                                                     // VIR_DOMAIN_JOB_OPERATION_*
    std::uint64_t elapsed_ms = 0, total = 0, processed = 0, remaining = 0; // bytes of disks, or of memory
    bool of_memory = false;
    bool of_pull = false; // a backup in pull mode: total and processed are those of what the guest overwrote
};

} // namespace lodge::drivers
