// What of the shared resources of its processors this host can divide among tasks and count for them: /sys/fs/resctrl. All is
// empty where the processors cannot, or where nobody mounted it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lodge::drivers {

struct ResctrlCache {
    unsigned level = 0;
    std::string type; // both, code, data
    unsigned max_groups = 0;
    unsigned bits = 0;     // parts that the cache has
    unsigned min_bits = 0; // parts that a group needs
};
struct ResctrlBandwidth { // percent
    unsigned granularity = 0, min = 0;
    unsigned max_groups = 0;
};
struct ResctrlMonitor {
    unsigned max_groups = 0;
    unsigned reuse_threshold = 0;      // bytes of a cache
    std::vector<std::string> features; // llc_occupancy, mbm_total_bytes, …
};
struct Resctrl {
    std::vector<ResctrlCache> caches;
    std::optional<ResctrlBandwidth> bandwidth;
    std::optional<ResctrlMonitor> monitor;
};

Resctrl read_resctrl(const std::string& root = "");

} // namespace lodge::drivers
