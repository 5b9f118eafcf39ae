#include "drivers/qemu/host_capabilities.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge;
namespace fs = std::filesystem;

TEST_CASE("the host's memory sides and shared resources are told as libvirt tells them") {
    const std::string root = (fs::temp_directory_path() / fmt::format("lodge-capabilities-{}", ::getpid())).string();
    const std::shared_ptr<void> removed(nullptr, [&](void*) { fs::remove_all(root); });
    const auto put = [&](const std::string& folder, std::initializer_list<std::pair<const char*, const char*>> files) {
        fs::create_directories(root + folder);
        for (const auto& [name, text] : files) std::ofstream(root + folder + "/" + name) << text << "\n";
    };
    const std::string nodes = "/sys/devices/system/node", resctrl = "/sys/fs/resctrl/info";
    put("/sys/devices/system/cpu", {{"online", "0"}});
    put("/sys/devices/system/cpu/cpu0/cache/index3",
        {{"level", "3"}, {"id", "0"}, {"type", "Unified"}, {"size", "15360K"}, {"shared_cpu_list", "0"}});
    put(nodes + "/node0", {{"cpulist", "0"}});
    put(nodes + "/node1/memory_side_cache/index1",
        {{"size", "1073741824"}, {"line_size", "64"}, {"indexing", "0"}, {"write_policy", "1"}});
    put(nodes + "/node1/access1/initiators",
        {{"read_bandwidth", "2"}, {"write_bandwidth", "1"}, {"read_latency", "120"}, {"write_latency", "130"}});
    put(nodes + "/node1/access1/initiators/node0", {});
    put(resctrl + "/L3", {{"num_closids", "8"}, {"cbm_mask", "fffff"}, {"min_cbm_bits", "2"}});
    put(resctrl + "/MB", {{"bandwidth_gran", "10"}, {"min_bandwidth", "10"}, {"num_closids", "4"}});
    put(resctrl + "/L3_MON", {{"num_rmids", "176"},
                              {"max_threshold_occupancy", "270336"},
                              {"mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes"}});

    const auto topology = drivers::host_topology(root);
    REQUIRE(topology.cells.size() == 2);
    REQUIRE(topology.cells[1].caches.size() == 1);
    CHECK(topology.cells[1].caches[0].associativity == "direct");
    CHECK(topology.cells[1].caches[0].policy == "writethrough");
    xml::Capabilities capabilities;
    auto& host = capabilities.host;
    host.topology.emplace();
    for (const auto& bank : topology.caches)
        host.cache_banks.push_back({bank.id, bank.level, bank.type, 15, "MiB", bank.cpus, {}});
    drivers::qemu::describe_sharing(host, topology, drivers::read_resctrl(root));
    const auto text = format_capabilities(capabilities);
    for (const char* line : {"<latency initiator='0' target='1' type='write' value='130'/>",
                             "<bandwidth initiator='0' target='1' type='read' value='2048' unit='KiB'/>",
                             "<control granularity='768' min='1536' unit='KiB' type='both' maxAllocs='8'/>",
                             "<monitor level='3' reuseThreshold='270336' maxMonitors='176'>", "<feature name='llc_occupancy'/>",
                             "<control granularity='10' min='10' maxAllocs='4'/>", "<monitor maxMonitors='176'>",
                             "<feature name='mbm_local_bytes'/>"})
        CHECK_THAT(text, Catch::Contains(line));
}
