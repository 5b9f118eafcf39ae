#include "drivers/host/net_counters.hpp"
#include "drivers/host/sysfs.hpp"
#include <sstream>

namespace lodge::drivers {

NetCounters NetCounters::from_the_other_end() const {
    return {tx_bytes, tx_packets, tx_errors, tx_dropped, rx_bytes, rx_packets, rx_errors, rx_dropped};
}

std::map<std::string, NetCounters> net_counters(const std::string& root) {
    std::map<std::string, NetCounters> all;
    std::istringstream lines(read_small_file(root + "/proc/net/dev"));
    for (std::string line; std::getline(lines, line);) {
        const auto colon = line.rfind(':'); // names of aliases have one too
        if (colon == std::string::npos) continue;
        const auto start = line.find_first_not_of(' ');
        std::istringstream numbers(line.substr(colon + 1));
        NetCounters& c = all[line.substr(start, colon - start)];
        std::uint64_t unused = 0;
        numbers >> c.rx_bytes >> c.rx_packets >> c.rx_errors >> c.rx_dropped >> unused >> unused >> unused >> unused;
        numbers >> c.tx_bytes >> c.tx_packets >> c.tx_errors >> c.tx_dropped;
    }
    return all;
}

} // namespace lodge::drivers
