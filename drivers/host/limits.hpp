// What a guest may take of its host: CPU time, memory, I/O, memory nodes; and which CPUs its threads run on. The words of control
// groups version 1 and 2 stand here and nowhere else. All of it may block: call it on the worker pool.
#pragma once
#include "drivers/host/cgroup.hpp"
#include <set>

namespace lodge::drivers {

struct CpuQuota {
    std::uint64_t period = 100'000; // µs
    std::int64_t quota = -1;        // µs of each period; -1: no limit
    bool operator==(const CpuQuota&) const = default;
};
inline constexpr std::uint64_t unlimited_kib = 9'007'199'254'740'991; // how libvirt says "no limit"

struct DeviceLimits {
    std::string path; // of the block device
    std::optional<std::uint64_t> weight, read_iops, write_iops, read_bytes, write_bytes;
};

class GuestLimits {
  public:
    explicit GuestLimits(const GuestCgroup& group)
        : group_(group) {}

    // "cpu", "memory", "blkio", "cpuset".
    bool has(const std::string& controller) const { return !folder(controller).empty(); }

    std::uint64_t cpu_shares() const;
    void set_cpu_shares(std::uint64_t shares) const;
    // Of all threads of the guest, or of one part of it: "vcpu0", "emulator", "iothread1". A part that was never limited shares
    // the limits of all.
    CpuQuota cpu_quota(const std::string& part = "") const;
    void set_cpu_quota(const CpuQuota& quota, const std::string& part = "", const std::vector<int>& threads = {}) const;

    std::uint64_t memory_hard_kib() const;
    std::uint64_t memory_soft_kib() const;
    std::uint64_t memory_swap_kib() const;
    // unlimited_kib: no limit.
    void set_memory(std::uint64_t hard_kib, std::uint64_t soft_kib, std::uint64_t swap_kib) const;

    std::uint64_t io_weight() const;
    void set_io_weight(std::uint64_t weight) const;
    void set_io_device(const DeviceLimits& limits) const;

    void set_memory_nodes(const std::string& nodes) const;

  private:
    std::string folder(const std::string& controller) const;
    bool unified() const;

    const GuestCgroup& group_;
};

// ---- CPUs of threads ----

std::vector<int> threads_of(int pid);
// Throws Code::system_error when the kernel refuses (none of the CPUs is online).
void pin_thread(int thread, const std::set<unsigned>& cpus);
std::set<unsigned> cpus_of_thread(int thread);
std::set<unsigned> online_cpus();

} // namespace lodge::drivers
