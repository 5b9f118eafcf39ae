#include "drivers/driver.hpp"
#include "drivers/host/cgroup.hpp"
#include "drivers/host/node.hpp"
#include "drivers/host/resctrl.hpp"
#include "drivers/host/sysfs.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge::drivers;
namespace fs = std::filesystem;

namespace {

struct Tree {
    std::string root = (fs::temp_directory_path() / fmt::format("lodge-host-{}", ::getpid())).string();
    ~Tree() { fs::remove_all(root); }
    void put(const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(root + path).parent_path());
        std::ofstream(root + path) << text << "\n";
    }
};

// Two cells of one socket each, two cores of two threads.
void two_sockets(Tree& tree) {
    tree.put("/proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2599.998\n");
    tree.put("/sys/devices/system/cpu/online", "0-7");
    for (unsigned cpu = 0; cpu < 8; ++cpu) {
        const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/", cpu);
        tree.put(folder + "topology/physical_package_id", std::to_string(cpu / 4));
        tree.put(folder + "topology/die_id", "0");
        tree.put(folder + "topology/core_id", std::to_string(cpu / 2 % 2));
        tree.put(folder + "topology/thread_siblings_list", fmt::format("{}-{}", cpu / 2 * 2, cpu / 2 * 2 + 1));
        tree.put(folder + "cache/index3/level", "3");
        tree.put(folder + "cache/index3/id", std::to_string(cpu / 4));
        tree.put(folder + "cache/index3/type", "Unified");
        tree.put(folder + "cache/index3/size", "15360K");
        tree.put(folder + "cache/index3/shared_cpu_list", cpu < 4 ? "0-3" : "4-7");
    }
    for (unsigned node = 0; node < 2; ++node) {
        const std::string folder = fmt::format("/sys/devices/system/node/node{}/", node);
        tree.put(folder + "meminfo", fmt::format("Node {} MemTotal:       1048576 kB\nNode {} MemFree:   5 kB", node, node));
        tree.put(folder + "cpulist", node ? "4-7" : "0-3");
        tree.put(folder + "distance", node ? "20 10" : "10 20");
        tree.put(folder + "hugepages/hugepages-2048kB/nr_hugepages", node ? "16" : "0");
    }
}

} // namespace

TEST_CASE("the host's topology is read from sysfs") {
    Tree tree;
    two_sockets(tree);
    const auto topology = host_topology(tree.root);
    CHECK(topology.sockets == 2);
    CHECK(topology.cores == 2);
    CHECK(topology.threads == 2);
    REQUIRE(topology.cells.size() == 2);
    CHECK(topology.cells[1].cpus[3].id == 7);
    CHECK(topology.cells[1].cpus[3].siblings == std::vector<unsigned>{6, 7});
    CHECK(topology.cells[1].distances[0] == std::pair(0u, 20u));
    CHECK(topology.cells[1].pages[1].count == 16);
    CHECK(topology.cells[1].pages[0].count == (1048576 - 16 * 2048) / 4);
    REQUIRE(topology.caches.size() == 2);
    CHECK(topology.caches[1].cpus == "4-7");
    const auto info = node_info(tree.root);
    CHECK(info.cpus == 8);
    CHECK(info.mhz == 2599);
    CHECK(info.memory_kib == 2097152);
    CHECK(info.nodes * info.sockets * info.cores * info.threads == 8);
    CHECK(info.nodes == 2);
}

TEST_CASE("a host without resctrl has nothing of it") {
    const Tree tree;
    const auto resctrl = read_resctrl(tree.root);
    CHECK(resctrl.caches.empty());
    CHECK_FALSE(resctrl.bandwidth);
    CHECK_FALSE(resctrl.monitor);
}

TEST_CASE("a lopsided host is told as cores of one socket") {
    Tree tree;
    two_sockets(tree);
    tree.put("/sys/devices/system/cpu/online", "0-6");
    const auto info = node_info(tree.root);
    CHECK(info.nodes == 1);
    CHECK(info.cores == 7);
}

TEST_CASE("the host's UUID is the board's, unless its maker forgot it") {
    Tree tree;
    tree.put("/sys/class/dmi/id/product_uuid", "ffffffff-ffff-ffff-ffff-ffffffffffff");
    tree.put("/etc/machine-id", "c2f23bcd3d3242ddb1bdbb6b62a415e7");
    CHECK(host_uuid(tree.root).text() == "c2f23bcd-3d32-42dd-b1bd-bb6b62a415e7");
    tree.put("/sys/class/dmi/id/product_uuid", "4DD0E3B0-1A2B-11B2-A85C-D1B3B94F7E7F");
    CHECK(host_uuid(tree.root).text() == "4dd0e3b0-1a2b-11b2-a85c-d1b3b94f7e7f");
}

TEST_CASE("this host answers") {
    const auto info = node_info();
    CHECK(info.cpus >= 1);
    CHECK(info.memory_kib > 0);
    CHECK_FALSE(host_architecture().empty());
    CHECK_FALSE(host_topology().cells.empty());
}

TEST_CASE("lists of CPUs") {
    CHECK(parse_cpu_list("0-2,5,7-8") == std::vector<unsigned>{0, 1, 2, 5, 7, 8});
    CHECK(parse_cpu_list("").empty());
    CHECK(format_cpu_list({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8");
}

TEST_CASE("a guest's groups are named as libvirt names them") {
    CgroupHost host{CgroupVersion::v1, "/cg", {"cpu", "memory"}, false};
    CHECK(GuestCgroup::plan(host, 3, "my vm", "").folders ==
          std::vector<std::string>{"/cg/cpu/machine/qemu-3-my vm.libvirt-qemu", "/cg/memory/machine/qemu-3-my vm.libvirt-qemu"});
    host = {CgroupVersion::v2, "/cg", {}, true};
    CHECK(GuestCgroup::plan(host, 3, "my-vm", "").folders ==
          std::vector<std::string>{"/cg/machine.slice/machine-qemu\\x2d3\\x2dmy\\x2dvm.scope"});
    CHECK(GuestCgroup::plan(CgroupHost{}, 3, "x", "").folders.empty());
    CHECK(GuestCgroup::plan(host, 3, "x", "/machine/web-1").folders ==
          std::vector<std::string>{"/cg/machine.slice/machine-web\\x2d1.slice/machine-qemu\\x2d3\\x2dx.scope"});
    host.systemd = false;
    CHECK(GuestCgroup::plan(host, 3, "x", "/machine/web/a.slice").folders ==
          std::vector<std::string>{"/cg/machine/web.partition/a.slice/qemu-3-x.libvirt-qemu"});
    CHECK(GuestCgroup::plan(host, 3, "x", "/tenants").folders ==
          std::vector<std::string>{"/cg/tenants.partition/qemu-3-x.libvirt-qemu"});
    CHECK_THROWS_WITH(GuestCgroup::plan(host, 3, "x", "web"), Catch::Contains("must start with '/'"));
    CHECK_THROWS_WITH(GuestCgroup::plan(host, 3, "x", "/machine/../.."), Catch::Contains("must not leave"));
    CHECK(GuestCgroup::plan(host, 3, "../../x", "").folders[0].find("/..") == std::string::npos);
}
