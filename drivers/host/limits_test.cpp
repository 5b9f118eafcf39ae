// The words of control groups version 2, and of a host without any, over a tree of plain files.
#include "drivers/host/limits.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge::drivers;
namespace fs = std::filesystem;

namespace {

// A group as the kernel shows it, with what a test needs in it.
struct FakeGroup {
    FakeGroup() {
        char name[] = "/tmp/lodge-limits-XXXXXX";
        root = ::mkdtemp(name);
        group.folders = {root};
        put("cgroup.controllers", "cpuset cpu io memory pids\n");
        put("cgroup.subtree_control", "");
    }
    ~FakeGroup() { fs::remove_all(root); }
    void put(const std::string& file, const std::string& text) {
        fs::create_directories(fs::path(root + "/" + file).parent_path());
        std::ofstream(root + "/" + file) << text;
    }
    std::string get(const std::string& file) const { return read_small_file(root + "/" + file); }

    std::string root;
    GuestCgroup group;
};

} // namespace

TEST_CASE("version 2: a share is a weight") {
    FakeGroup fake;
    fake.put("cpu.weight", "100\n");
    const GuestLimits limits(fake.group);
    CHECK(limits.has("cpu"));
    CHECK(limits.cpu_shares() == 100);
    limits.set_cpu_shares(500);
    CHECK(limits.cpu_shares() == 500);
    CHECK_THROWS_AS(limits.set_cpu_shares(20'000), lodge::rpc::Error);
}

TEST_CASE("version 2: quota and period stand in one file") {
    FakeGroup fake;
    fake.put("cpu.max", "max 100000\n");
    const GuestLimits limits(fake.group);
    CHECK(limits.cpu_quota() == CpuQuota{});
    limits.set_cpu_quota({50'000, 25'000});
    CHECK(fake.get("cpu.max").starts_with("25000 50000"));
    CHECK(limits.cpu_quota() == CpuQuota{50'000, 25'000});
}

TEST_CASE("version 2: a part of the guest is a threaded group") {
    FakeGroup fake;
    for (const char* file : {"vcpu0/cpu.max", "vcpu0/cgroup.type", "vcpu0/cgroup.threads"}) fake.put(file, "");
    const GuestLimits limits(fake.group);
    limits.set_cpu_quota({100'000, 30'000}, "vcpu0", {4711});
    CHECK(fake.get("cgroup.subtree_control") == "+cpu");
    CHECK(fake.get("vcpu0/cgroup.type") == "threaded");
    CHECK(fake.get("vcpu0/cgroup.threads") == "4711");
    CHECK(fake.get("vcpu0/cpu.max").starts_with("30000 100000"));
}

TEST_CASE("version 2: memory") {
    FakeGroup fake;
    for (const char* file : {"memory.max", "memory.high", "memory.swap.max"}) fake.put(file, "max\n");
    const GuestLimits limits(fake.group);
    CHECK(limits.memory_hard_kib() == unlimited_kib);
    limits.set_memory(2048, 1024, unlimited_kib);
    CHECK(limits.memory_hard_kib() == 2048);
    CHECK(limits.memory_soft_kib() == 1024);
    CHECK(limits.memory_swap_kib() == unlimited_kib);
}

TEST_CASE("version 2: weight of I/O, where the host has such a scheduler") {
    FakeGroup fake;
    const GuestLimits limits(fake.group);
    CHECK(limits.has("blkio"));
    CHECK(limits.io_weight() == 0);
    CHECK_THROWS_AS(limits.set_io_weight(300), lodge::rpc::Error);
    fake.put("io.bfq.weight", "default 100\n");
    CHECK(limits.io_weight() == 100);
    limits.set_io_weight(300);
    CHECK(fake.get("io.bfq.weight").starts_with("300"));
}

TEST_CASE("version 2: a controller that is not handed down is not there") {
    FakeGroup fake;
    fake.put("cgroup.controllers", "cpuset pids\n");
    const GuestLimits limits(fake.group);
    CHECK_FALSE(limits.has("cpu"));
    CHECK_FALSE(limits.has("memory"));
    CHECK_FALSE(limits.has("blkio"));
    CHECK(limits.has("cpuset"));
}

TEST_CASE("a host without control groups limits nothing") {
    const GuestCgroup none;
    const GuestLimits limits(none);
    for (const char* controller : {"cpu", "memory", "blkio", "cpuset"}) CHECK_FALSE(limits.has(controller));
    CHECK(detect_cgroups("/nonexistent").version == CgroupVersion::none);
}
