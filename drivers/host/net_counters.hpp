// What has passed through the host's network devices, by the kernel's books.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace lodge::drivers {

struct NetCounters {
    std::uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
    std::uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
    // As the other end sees it: what a tap sends, its guest receives.
    NetCounters from_the_other_end() const;
};
// Of all devices, by name: one read of /proc/net/dev.
std::map<std::string, NetCounters> net_counters(const std::string& root = "");

} // namespace lodge::drivers
