#include "drivers/host/node_stats.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge::drivers;
namespace fs = std::filesystem;

namespace {

class Root {
  public:
    Root() { fs::create_directories(path_); }
    ~Root() { fs::remove_all(path_); }
    void file(const std::string& name, const std::string& text) const {
        fs::create_directories((path_ + name).substr(0, (path_ + name).find_last_of('/')));
        std::ofstream(path_ + name) << text;
    }
    const std::string& path() const { return path_; }

  private:
    std::string path_ = (fs::temp_directory_path() / ("lodge-node-" + std::to_string(getpid()))).string();
};

} // namespace

TEST_CASE("CPU times count as libvirt counts them", "[host]") {
    Root root;
    root.file("/proc/stat", "cpu  100 20 30 4000 50 6 7 0 0 0\ncpu1 1 2 3 4 5 6 7 0 0 0\nintr 5\n");
    const auto tick = 1'000'000'000ULL / static_cast<unsigned long long>(sysconf(_SC_CLK_TCK));
    const auto all = host_cpu_times(-1, root.path());
    REQUIRE(all);
    CHECK(all->user == 120 * tick);
    CHECK(all->kernel == 43 * tick);
    CHECK(all->idle == 4000 * tick);
    CHECK(all->iowait == 50 * tick);
    CHECK(host_cpu_times(1, root.path())->user == 3 * tick);
    CHECK_FALSE(host_cpu_times(7, root.path()));
}

TEST_CASE("memory of the host and of its cells", "[host]") {
    Root root;
    root.file("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 400 kB\nBuffers: 5 kB\nSwapCached: 9 kB\nCached: 70 kB\n");
    CHECK(host_memory(root.path()).cached == 70);
    CHECK(host_cells(root.path()) == 1);
    CHECK(host_cell_memory(0, root.path())->total == 1000); // no NUMA: one cell that is the host
    CHECK_FALSE(host_cell_memory(1, root.path()));
    root.file("/sys/devices/system/node/online", "0-1\n");
    root.file("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 600 kB\nNode 1 MemFree: 100 kB\n");
    CHECK(host_cells(root.path()) == 2);
    CHECK(host_cell_memory(1, root.path())->free == 100);
    root.file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "3\n");
    CHECK(host_free_pages(2048, 1, root.path()) == 3);
    CHECK_FALSE(host_free_pages(5, 1, root.path()));
}

TEST_CASE("CPU maps and models", "[host]") {
    Root root;
    root.file("/sys/devices/system/cpu/present", "0-9\n");
    root.file("/sys/devices/system/cpu/online", "0-3,9\n");
    const auto map = host_cpu_map(root.path());
    CHECK(map.online.size() == 10);
    CHECK(map.count() == 5);
    root.file("/usr/share/libvirt/cpu_map/index.xml",
              "<cpus><arch name='x86'><include filename='x86_features.xml'/><include filename='x86_B.xml'/>"
              "<include filename=\"x86_A.xml\"/></arch><arch name='ppc64'><include filename='ppc64_P.xml'/></arch></cpus>");
    root.file("/usr/share/libvirt/cpu_map/x86_features.xml", "<cpus><feature name='sse'/></cpus>");
    root.file("/usr/share/libvirt/cpu_map/x86_B.xml", "<cpus><model name='B'><model name='A'/></model></cpus>");
    root.file("/usr/share/libvirt/cpu_map/x86_A.xml", "<cpus><model name='A'/></cpus>");
    root.file("/usr/share/libvirt/cpu_map/ppc64_P.xml", "<cpus><model name='P'/></cpus>");
    CHECK(host_cpu_models("x86_64", root.path()) == std::vector<std::string>{"B", "A"});
    CHECK(host_cpu_models("ppc64le", root.path()) == std::vector<std::string>{"P"});
    CHECK(host_cpu_models("armv7l", root.path()).empty());
    CHECK(is_architecture("armv7l"));
    CHECK_FALSE(is_architecture("bogus"));
}
