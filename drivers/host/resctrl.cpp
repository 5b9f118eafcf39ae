#include "drivers/host/resctrl.hpp"
#include "drivers/host/sysfs.hpp"
#include <bit>
#include <filesystem>
#include <fmt/format.h>
#include <sstream>

namespace lodge::drivers {

namespace {

unsigned number(const std::string& file) { return static_cast<unsigned>(read_number(file).value_or(0)); }

std::optional<ResctrlCache> read_cache(const std::string& folder, unsigned level, const char* suffix, const char* type) {
    const std::string place = fmt::format("{}/L{}{}/", folder, level, suffix);
    if (!std::filesystem::exists(place + "num_closids")) return std::nullopt;
    const auto mask = std::strtoull(read_small_file(place + "cbm_mask").c_str(), nullptr, 16);
    return ResctrlCache{level, type, number(place + "num_closids"), static_cast<unsigned>(std::popcount(mask)),
                        number(place + "min_cbm_bits")};
}

} // namespace

Resctrl read_resctrl(const std::string& root) {
    const std::string info = root + "/sys/fs/resctrl/info";
    Resctrl resctrl;
    constexpr unsigned level = 3; // capabilities tell of no cache closer to a core
    for (const auto& [suffix, type] : {std::pair("", "both"), std::pair("CODE", "code"), std::pair("DATA", "data")})
        if (auto cache = read_cache(info, level, suffix, type); cache && cache->bits > 0) resctrl.caches.push_back(*cache);
    if (const auto granularity = read_number(info + "/MB/bandwidth_gran"))
        resctrl.bandwidth = {static_cast<unsigned>(*granularity), number(info + "/MB/min_bandwidth"),
                             number(info + "/MB/num_closids")};
    if (const auto groups = read_number(info + "/L3_MON/num_rmids")) {
        auto& monitor = resctrl.monitor.emplace();
        monitor.max_groups = static_cast<unsigned>(*groups);
        monitor.reuse_threshold = number(info + "/L3_MON/max_threshold_occupancy");
        std::istringstream features(read_small_file(info + "/L3_MON/mon_features"));
        for (std::string feature; features >> feature;) monitor.features.push_back(feature);
    }
    return resctrl;
}

} // namespace lodge::drivers
