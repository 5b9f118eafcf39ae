#include "drivers/host/cgroup.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers {

CgroupHost detect_cgroups(const std::string& mount) {
    CgroupHost host;
    host.mount = mount;
    host.systemd = fs::exists("/run/systemd/system");
    if (::access((mount + "/cgroup.subtree_control").c_str(), W_OK) == 0) {
        host.version = CgroupVersion::v2;
        return host;
    }
    for (const char* controller : {"cpu,cpuacct", "cpu", "cpuacct", "cpuset", "memory", "blkio", "devices"})
        if (::access(fmt::format("{}/{}/cgroup.procs", mount, controller).c_str(), W_OK) == 0) {
            std::error_code ignored;
            // "cpu" is often a link to "cpu,cpuacct"
            if (!fs::is_symlink(fmt::format("{}/{}", mount, controller), ignored)) host.controllers.emplace_back(controller);
        }
    if (!host.controllers.empty()) host.version = CgroupVersion::v1;
    return host;
}

// systemd spells '-' of a unit's name as \x2d; a slash cannot stand in a folder's name.
static std::string unit_word(const std::string& name) {
    std::string word;
    for (const char c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':' || c == '.')
            word += c;
        else
            word += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return word;
}

static std::vector<std::string> parts_of(const std::string& partition) {
    if (!partition.starts_with('/'))
        rpc::fail(Code::config_unsupported, "Resource partition '{}' must start with '/'", partition);
    std::vector<std::string> parts;
    for (const auto& part : fs::path(partition))
        if (part != "/" && !part.empty()) parts.push_back(part);
    for (const auto& part : parts)
        if (part == "..")
            rpc::fail(Code::config_unsupported, "Resource partition '{}' must not leave its place by '..'", partition);
    return parts;
}

// "/machine/web" is machine.slice/machine-web.slice: a slice has the names of all above it in its own.
static std::string slices(const std::string& partition) {
    std::string path, name;
    for (const auto& part : parts_of(partition)) {
        name += (name.empty() ? "" : "-") + unit_word(part);
        path += (path.empty() ? "" : "/") + name + ".slice";
    }
    return path;
}

// libvirt's own tree: machine/web.partition. What has a suffix keeps it, and the three folders that every host has need none.
static std::string partitions(const std::string& partition) {
    std::string path;
    for (const auto& part : parts_of(partition)) {
        const bool known = path.empty() && (part == "machine" || part == "system" || part == "user");
        path += (path.empty() ? "" : "/") + part + (known || part.contains('.') ? "" : ".partition");
    }
    return path;
}

GuestCgroup GuestCgroup::plan(const CgroupHost& host, int id, const std::string& name, const std::string& partition) {
    std::string plain = name;
    for (char& c : plain)
        if (c == '/') c = '_';
    const std::string& place = partition.empty() ? default_partition : partition;
    const std::string group = host.systemd
                                  ? fmt::format("{}/machine-qemu\\x2d{}\\x2d{}.scope", slices(place), id, unit_word(plain))
                                  : fmt::format("{}/qemu-{}-{}.libvirt-qemu", partitions(place), id, plain);
    GuestCgroup guest;
    if (host.version == CgroupVersion::v2) guest.folders.push_back(fmt::format("{}/{}", host.mount, group));
    if (host.version == CgroupVersion::v1)
        for (const auto& controller : host.controllers)
            guest.folders.push_back(fmt::format("{}/{}/{}", host.mount, controller, group));
    return guest;
}

static bool write_file(const std::string& path, const std::string& text) {
    const rpc::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A new group of version 1's cpuset is unusable until it has CPUs and memory of its own.
static void inherit_cpuset(const std::string& folder) {
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"})
        if (::access((folder + file).c_str(), F_OK) == 0 && read_small_file(folder + file).empty())
            write_file(folder + file, read_small_file(fs::path(folder).parent_path().string() + file));
}

// Version 2 hands controllers down by name; absent ones are simply refused.
static void hand_down_controllers(const fs::path& folder) {
    for (const char* controller : {"+cpu", "+memory", "+io", "+pids"}) write_file(folder / "cgroup.subtree_control", controller);
}

// Makes the folder that guests' groups stand in, with what leads to it.
static bool make_partition(const std::string& folder) {
    const std::string parent = fs::path(folder).parent_path();
    if (::access(parent.c_str(), F_OK) < 0 && !make_partition(parent)) return false;
    if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) return false;
    inherit_cpuset(folder);
    hand_down_controllers(parent);
    hand_down_controllers(folder);
    return true;
}

void GuestCgroup::enter(pid_t pid) {
    std::vector<std::string> entered;
    for (const auto& folder : folders) {
        const std::string parent = fs::path(folder).parent_path();
        if (!make_partition(parent)) continue;
        if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) continue;
        inherit_cpuset(folder);
        if (write_file(folder + "/cgroup.procs", std::to_string(pid)))
            entered.push_back(folder);
        else
            ::rmdir(folder.c_str());
    }
    folders = std::move(entered);
}

void GuestCgroup::remove() const {
    using namespace std::chrono_literals;
    for (const auto& folder : folders) {
        std::error_code ignored;
        // The last threads of an ended process may still be on their way out, of its parts as of the whole.
        for (int attempt = 0; attempt < 100; ++attempt) {
            for (const auto& part : fs::directory_iterator(folder, ignored))
                if (part.is_directory(ignored)) ::rmdir(part.path().c_str());
            if (::rmdir(folder.c_str()) == 0 || errno != EBUSY) break;
            std::this_thread::sleep_for(10ms);
        }
    }
}

std::optional<std::uint64_t> GuestCgroup::cpu_time_ns() const {
    for (const auto& folder : folders) {
        if (const auto usage = read_number(folder + "/cpuacct.usage")) return usage;
        const std::string stat = read_small_file(folder + "/cpu.stat");
        if (stat.starts_with("usage_usec ")) return std::strtoull(stat.c_str() + 11, nullptr, 10) * 1000;
    }
    return std::nullopt;
}

static std::vector<std::uint64_t> percpu_times(const std::string& folder) {
    std::vector<std::uint64_t> times;
    const std::string text = read_small_file(folder + "/cpuacct.usage_percpu");
    for (const char* at = text.c_str(); *at;) {
        char* end = nullptr;
        const std::uint64_t time = std::strtoull(at, &end, 10);
        if (end == at) break;
        times.push_back(time);
        at = end;
    }
    return times;
}

// Of version 1 only.
static const std::string* accounting(const std::vector<std::string>& folders) {
    const auto found = std::ranges::find_if(
        folders, [](const std::string& folder) { return ::access((folder + "/cpuacct.usage_percpu").c_str(), R_OK) == 0; });
    return found == folders.end() ? nullptr : &*found;
}

std::vector<std::uint64_t> GuestCgroup::cpu_times_ns() const {
    const auto* folder = accounting(folders);
    return folder ? percpu_times(*folder) : std::vector<std::uint64_t>{};
}

void GuestCgroup::count_vcpu(unsigned number, pid_t thread) const {
    const auto* folder = accounting(folders);
    if (!folder) return;
    const std::string part = fmt::format("{}/vcpu{}", *folder, number);
    if (::mkdir(part.c_str(), 0755) == 0 || errno == EEXIST) write_file(part + "/tasks", std::to_string(thread));
}

std::vector<std::uint64_t> GuestCgroup::vcpu_times_ns() const {
    std::vector<std::uint64_t> sums;
    const auto* folder = accounting(folders);
    if (!folder) return sums;
    std::error_code ignored;
    for (const auto& part : fs::directory_iterator(*folder, ignored)) {
        if (!part.path().filename().string().starts_with("vcpu")) continue;
        const auto times = percpu_times(part.path());
        if (sums.size() < times.size()) sums.resize(times.size());
        for (std::size_t cpu = 0; cpu < times.size(); ++cpu) sums[cpu] += times[cpu];
    }
    return sums;
}

} // namespace lodge::drivers
