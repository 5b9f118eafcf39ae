// How much of the host the guest gets: <blkiotune>, <memtune>, <memoryBacking>, <iothreads>, <cputune>, <numatune>, <resource>.
#pragma once
#include "xml/domain/memory.hpp"

namespace lodge::xml {

struct BlkioDevice {
    std::string path;
    std::optional<unsigned> weight, read_iops, write_iops;
    std::optional<std::uint64_t> read_bytes, write_bytes; // per second
};
struct BlkioTune {
    std::optional<unsigned> weight;
    std::vector<BlkioDevice> devices;
};
void describe(Doc&, BlkioTune&);

struct MemTune {
    std::optional<Kibibytes> hard_limit, soft_limit, min_guarantee, swap_hard_limit;
};
void describe(Doc&, MemTune&);

enum class BackingSource { file, anonymous, memfd };
inline std::span<const std::string_view> enum_words(BackingSource) {
    static constexpr std::string_view w[] = {"file", "anonymous", "memfd"};
    return w;
}
enum class BackingAllocation { immediate, ondemand };
inline std::span<const std::string_view> enum_words(BackingAllocation) {
    static constexpr std::string_view w[] = {"immediate", "ondemand"};
    return w;
}
struct HugePage {
    std::uint64_t size_kib = 0;
    std::string nodeset;
};
struct HugePages {
    std::vector<HugePage> pages;
};
struct Allocation {
    std::optional<BackingAllocation> mode;
    std::optional<unsigned> threads;
};
struct MemoryBacking {
    std::optional<HugePages> huge_pages;
    bool no_share_pages = false, locked = false;
    std::optional<BackingSource> source;
    std::optional<MemoryAccess> access;
    std::optional<Allocation> allocation;
    bool discard = false;
};
void describe(Doc&, MemoryBacking&);

struct IoThread {
    unsigned id = 0;
    std::optional<int> thread_pool_min, thread_pool_max;
};
void describe(Doc&, IoThread&);
struct DefaultIoThread {
    std::optional<int> thread_pool_min, thread_pool_max;
};
void describe(Doc&, DefaultIoThread&);

struct VcpuPin {
    unsigned vcpu = 0;
    std::string cpuset;
};
struct EmulatorPin {
    std::string cpuset;
};
struct IoThreadPin {
    unsigned iothread = 0;
    std::string cpuset;
};
struct SchedVcpus {
    std::string vcpus, scheduler;
    std::optional<int> priority;
};
struct SchedIoThreads {
    std::string iothreads, scheduler;
    std::optional<int> priority;
};
struct SchedEmulator {
    std::string scheduler;
    std::optional<int> priority;
};
struct CacheAllocation {
    unsigned id = 0, level = 0;
    std::string type;
    std::uint64_t size = 0;
    std::string unit;
};
struct CacheMonitor {
    unsigned level = 0;
    std::string vcpus;
};
struct CacheTune {
    std::string vcpus;
    std::string id;
    std::vector<CacheAllocation> caches;
    std::vector<CacheMonitor> monitors;
};
struct MemoryBandwidth {
    unsigned id = 0, bandwidth = 0;
};
struct BandwidthMonitor {
    std::string vcpus;
};
struct MemoryTune {
    std::string vcpus;
    std::vector<MemoryBandwidth> nodes;
    std::vector<BandwidthMonitor> monitors;
};
struct CpuTune {
    std::optional<std::uint64_t> shares, period;
    std::optional<std::int64_t> quota;
    std::optional<std::uint64_t> global_period;
    std::optional<std::int64_t> global_quota;
    std::optional<std::uint64_t> emulator_period;
    std::optional<std::int64_t> emulator_quota;
    std::optional<std::uint64_t> iothread_period;
    std::optional<std::int64_t> iothread_quota;
    std::vector<VcpuPin> vcpu_pins;
    std::optional<EmulatorPin> emulator_pin;
    std::vector<IoThreadPin> iothread_pins;
    std::vector<SchedVcpus> vcpu_scheds;
    std::vector<SchedIoThreads> iothread_scheds;
    std::optional<SchedEmulator> emulator_sched;
    std::vector<CacheTune> cache_tunes;
    std::vector<MemoryTune> memory_tunes;
};
void describe(Doc&, CpuTune&);

enum class NumaMode { strict, preferred, interleave, restrictive };
inline std::span<const std::string_view> enum_words(NumaMode) {
    static constexpr std::string_view w[] = {"strict", "preferred", "interleave", "restrictive"};
    return w;
}
enum class Placement { static_, auto_ };
inline std::span<const std::string_view> enum_words(Placement) {
    static constexpr std::string_view w[] = {"static", "auto"};
    return w;
}
struct NumaMemory {
    std::optional<NumaMode> mode;
    std::string nodeset;
    std::optional<Placement> placement;
};
struct NumaNode {
    unsigned cell = 0;
    std::optional<NumaMode> mode;
    std::string nodeset;
};
struct NumaTune {
    std::optional<NumaMemory> memory;
    std::vector<NumaNode> nodes;
};
void describe(Doc&, NumaTune&);

struct FibreChannel {
    std::string app_id;
};
struct Resource {
    std::string partition;
    std::optional<FibreChannel> fibre_channel;
};
void describe(Doc&, Resource&);

} // namespace lodge::xml
