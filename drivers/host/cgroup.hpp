// An own control group for each guest, where the host has control groups: version 2, version 1 (one tree per controller), or
// none. Making, entering and removing may take the kernel many milliseconds: call them on the worker pool (rpc::blocking).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace lodge::drivers {

inline constexpr const char* default_partition = "/machine";

enum class CgroupVersion { none, v1, v2 };

// Which groups there are and may be written. Cheap; asked once.
struct CgroupHost {
    CgroupVersion version = CgroupVersion::none;
    std::string mount;
    std::vector<std::string> controllers; // v1: the trees we use, by the name of their folder
    bool systemd = false;
};
CgroupHost detect_cgroups(const std::string& mount = "/sys/fs/cgroup");

// The groups of one guest: a folder per tree. A value, so that the status file can keep it.
struct GuestCgroup {
    std::vector<std::string> folders;

    // With systemd in machine.slice, else as libvirt does: machine/qemu-1-name.libvirt-qemu. `partition`: the document's
    // <partition>, "/machine" where it has none. Throws Code::config_unsupported for one that does not begin with a slash.
    static GuestCgroup plan(const CgroupHost& host, int id, const std::string& name, const std::string& partition);
    // Makes the folders and moves the process in. What fails is left out: a guest without a group still runs.
    void enter(pid_t pid);
    // Removes the folders; the process must have ended (waits up to a second for the kernel to notice).
    void remove() const;
    std::optional<std::uint64_t> cpu_time_ns() const;
    std::vector<std::uint64_t> cpu_times_ns() const; // on each CPU; empty: version 2 does not tell
    // Counts a vCPU's thread by itself from now on, where the kernel tells CPUs apart.
    void count_vcpu(unsigned number, pid_t thread) const;
    std::vector<std::uint64_t> vcpu_times_ns() const; // what vCPUs took of it; empty: not counted
};

} // namespace lodge::drivers
