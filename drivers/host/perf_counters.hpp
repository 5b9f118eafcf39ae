// Counters that the kernel keeps of a process (perf_event_open), by libvirt's names for them: "cpu_cycles", "page_faults", ...
#pragma once
#include "rpc/task.hpp"
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace lodge::drivers {

class PerfCounters {
  public:
    // Counts what the threads of `pid` do, and those that they make later, or counts it no more. Throws
    // Code::argument_unsupported for what no kernel counts, Code::system_error for what this host does not.
    void count(pid_t pid, const std::string& name, bool on);
    std::set<std::string> counted() const;
    // Since each was switched on.
    std::vector<std::pair<std::string, std::uint64_t>> counts() const;

  private:
    std::map<std::string, std::vector<rpc::Fd>> counters_; // one for each thread that was there
};

} // namespace lodge::drivers
