#include "drivers/host/perf_counters.hpp"
#include "drivers/host/limits.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lodge::drivers {

using rpc::Code;
using rpc::From;

namespace {

struct Counter {
    const char* name;
    std::uint32_t type;
    std::uint64_t config;
};
// Those that the kernel has; it counts neither caches nor memory bandwidth any more.
constexpr Counter rows[] = {
    {"cpu_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"cache_references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"branch_instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"bus_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES},
    {"stalled_cycles_frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {"stalled_cycles_backend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {"ref_cpu_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {"cpu_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {"task_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu_migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {"page_faults_min", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"page_faults_maj", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {"alignment_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS},
    {"emulation_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS},
};

const Counter& counter_of(const std::string& name) {
    const auto row = std::ranges::find(rows, name, &Counter::name);
    if (row == std::end(rows))
        rpc::fail(From::perf, Code::argument_unsupported, "unable to enable host cpu perf event for {}", name);
    return *row;
}

rpc::Fd open_counter(const Counter& counter, int thread) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = counter.type;
    attributes.config = counter.config;
    attributes.inherit = 1; // threads that this one makes are counted too
    return rpc::Fd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

} // namespace

void PerfCounters::count(pid_t pid, const std::string& name, bool on) {
    if (!on) {
        counters_.erase(name);
        return;
    }
    const Counter& counter = counter_of(name);
    if (counters_.contains(name)) return;
    std::vector<rpc::Fd> fds;
    for (const int thread : threads_of(pid)) {
        rpc::Fd fd = open_counter(counter, thread);
        if (!fd && errno == ESRCH) continue; // it has just ended
        if (!fd)
            rpc::fail(From::perf, Code::system_error, "unable to open host cpu perf event for {}: {}", name,
                      rpc::errno_text(errno));
        fds.push_back(std::move(fd));
    }
    counters_[name] = std::move(fds);
}

std::set<std::string> PerfCounters::counted() const {
    std::set<std::string> all;
    for (const auto& [name, fds] : counters_) all.insert(name);
    return all;
}

std::vector<std::pair<std::string, std::uint64_t>> PerfCounters::counts() const {
    std::vector<std::pair<std::string, std::uint64_t>> all;
    for (const auto& row : rows) {
        const auto counter = counters_.find(row.name);
        if (counter == counters_.end()) continue;
        std::uint64_t sum = 0;
        for (const auto& fd : counter->second) {
            std::uint64_t value = 0;
            if (::read(fd.get(), &value, sizeof value) == sizeof value) sum += value;
        }
        all.emplace_back(row.name, sum);
    }
    return all;
}

} // namespace lodge::drivers
