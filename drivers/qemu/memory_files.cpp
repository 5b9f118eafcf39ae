#include "drivers/qemu/memory_files.hpp"
#include "drivers/host/sysfs.hpp"
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

namespace {

std::uint64_t default_huge_kib() {
    std::istringstream text(read_small_file("/proc/meminfo"));
    for (std::string line; std::getline(text, line);)
        if (line.starts_with("Hugepagesize:")) return std::strtoull(line.c_str() + sizeof "Hugepagesize:", nullptr, 10);
    return 0;
}

std::vector<std::string> mounted() {
    std::vector<std::string> paths;
    std::istringstream text(read_small_file("/proc/self/mounts"));
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        std::string device, path, type;
        if (words >> device >> path >> type && type == "hugetlbfs") paths.push_back(path);
    }
    return paths;
}

// Below a root that is others' too, ours may be passed through by QEMU's user; the last one is its own.
void make_dir(const std::string& path, const std::optional<Identity>& identity) {
    const fs::path parent = fs::path(path).parent_path();
    std::error_code ignored;
    if (fs::create_directories(parent, ignored)) ::chmod(parent.c_str(), 0755);
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) rpc::fail_errno(errno, fmt::format("Unable to create {}", path));
    if (identity && ::chown(path.c_str(), identity->uid, identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("Unable to change the owner of {}", path));
}

} // namespace

std::vector<Hugepages> find_hugepages(const Settings& settings) {
    std::vector<Hugepages> found;
    for (const auto& mount : settings.hugetlbfs_mounts ? *settings.hugetlbfs_mounts : mounted()) {
        struct statfs info{};
        if (::statfs(mount.c_str(), &info) == 0) found.push_back({static_cast<std::uint64_t>(info.f_bsize) / 1024, mount});
    }
    const std::uint64_t usual = default_huge_kib();
    std::ranges::sort(found, {}, [usual](const auto& mount) { return std::pair(mount.kib != usual, mount.kib); });
    return found;
}

void make_memory_dirs(const xml::Domain& domain, const BuildContext& context, const CommandLine& line, Runtime& runtime) {
    std::vector<std::string> candidates{memory_files_dir(domain, context)};
    for (const auto& mount : context.hugepages) candidates.push_back(huge_pages_dir(mount, domain, context));
    for (const auto& dir : candidates) {
        const auto refers = [&](const std::string& arg) { return arg.contains('"' + dir); };
        if (std::ranges::none_of(line.args, refers)) continue;
        runtime.memory_dirs.push_back(dir);
        make_dir(dir, runtime.identity);
    }
}

} // namespace lodge::drivers::qemu
