#include "drivers/storage/mounted_pool.hpp"
#include "drivers/storage/tools.hpp"
#include "drivers/storage/volume_file.hpp"
#include <filesystem>
#include <mntent.h>
#include <sstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers {

namespace {

void check_source(const xml::Pool& pool) {
    const auto& source = pool.source;
    if (pool.type == xml::PoolType::netfs) {
        if (source.hosts.size() != 1) rpc::fail(Code::config_unsupported, "expected exactly 1 host for the storage pool");
        return;
    }
    if (source.devices.empty()) rpc::fail(Code::internal_error, "missing source device");
    if (source.devices.size() > 1) rpc::fail(Code::config_unsupported, "expected exactly 1 device for the storage pool");
}

std::string source_name(const xml::Pool& pool) {
    const auto& source = pool.source;
    if (pool.type != xml::PoolType::netfs) return source.devices.front().path;
    const char* form = source.format == "cifs" ? "//{}/{}" : "{}:{}";
    return fmt::format(fmt::runtime(form), source.hosts.front().name, source.dir);
}

// Links count as what they lead to; a name that is no path stays as it is.
bool is_same(const std::string& a, const std::string& b) {
    std::error_code error;
    const auto real = [&](const std::string& path) {
        const auto resolved = fs::canonical(path, error);
        return error ? path : resolved.string();
    };
    return a == b || real(a) == real(b);
}

bool is_mounted(const xml::Pool& pool) {
    const std::unique_ptr<FILE, int (*)(FILE*)> mounts(::setmntent("/proc/self/mounts", "re"), ::endmntent);
    if (!mounts) rpc::fail_errno(errno, "cannot read mount list '/proc/self/mounts'");
    const std::string source = source_name(pool);
    mntent entry{};
    char buffer[8192];
    while (::getmntent_r(mounts.get(), &entry, buffer, sizeof buffer))
        if (is_same(entry.mnt_dir, pool.target.path) && is_same(entry.mnt_fsname, source)) return true;
    return false;
}

Task<bool> look_for_mount(xml::Pool pool) {
    check_source(pool);
    co_return co_await rpc::blocking_result([&pool] { return is_mounted(pool); });
}

Task<> make_file_system(xml::Pool pool, PoolBuild how) {
    if (pool.source.devices.empty())
        rpc::fail(Code::operation_invalid, "No source device specified when formatting pool '{}'", pool.name);
    const std::string device = pool.source.devices.front().path, format = pool.source.format;
    if (::access(device.c_str(), F_OK) != 0)
        rpc::fail(Code::operation_invalid, "Source device does not exist when formatting pool '{}'", pool.name);
    if (how == PoolBuild::no_overwrite) co_await require_empty_device(device, format);
    std::vector<std::string> args{"-t", format};
    // Without force most of them ask before they overwrite.
    if (format == "xfs") args.emplace_back("-f");
    if (format.starts_with("ext")) args.emplace_back("-F");
    if (format == "vfat") args.emplace_back("-I");
    args.push_back(device);
    co_await run_tool(tool("mkfs", std::move(args)));
}

} // namespace

std::vector<std::string> mount_arguments(const xml::Pool& pool) {
    std::string options = "nodev,nosuid,noexec"; // nothing on a pool is a program of this host's
    const auto& format = pool.source.format;
    const bool net = pool.type == xml::PoolType::netfs;
    if (net && format == "glusterfs") options += ",direct-io-mode=1";
    if (net && format == "cifs") options += ",guest";
    if (net && (format == "auto" || format == "nfs") && !pool.source.protocol_version.empty())
        options += ",nfsvers=" + pool.source.protocol_version;
    for (const auto& option : pool.mount_options) options += "," + option.name;
    std::vector<std::string> args{"-o", options};
    // `mount -t auto` does not find out NFS, plain mount does.
    if (!net || format != "auto") args.insert(args.end(), {"-t", format});
    args.insert(args.end(), {source_name(pool), pool.target.path});
    return args;
}

Task<bool> MountedPool::is_active(xml::Pool pool) { co_return co_await look_for_mount(pool); }

Task<> MountedPool::build(xml::Pool pool, PoolBuild how) {
    co_await rpc::blocking([&pool] { make_pool_folder(pool); });
    if (how != PoolBuild::make) co_await make_file_system(pool, how);
}

Task<> MountedPool::start(xml::Pool pool) {
    if (co_await look_for_mount(pool)) co_return;
    co_await run_tool(tool("mount", mount_arguments(pool)));
}

Task<> MountedPool::stop(xml::Pool pool) {
    if (co_await look_for_mount(pool)) co_await run_tool(tool("umount", {pool.target.path}));
}

// "/srv/a dir  client1,client2": the path may hold blanks, the list of clients does not.
std::vector<xml::PoolSource> parse_exports(const std::string& host, const std::string& text) {
    std::vector<xml::PoolSource> sources;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto clients = line.find_last_of(' ', line.find_last_not_of(' '));
        if (!line.starts_with('/') || clients == std::string::npos) continue;
        const auto end = line.find_last_not_of(' ', clients);
        xml::PoolSource source;
        source.hosts.push_back({host, {}});
        source.dir = line.substr(0, end + 1);
        source.format = "nfs";
        sources.push_back(std::move(source));
    }
    return sources;
}

Task<std::string> MountedPool::find_sources(xml::PoolType type, std::optional<std::string> specification) {
    if (type != xml::PoolType::netfs) co_return co_await PoolDriver::find_sources(type, specification);
    if (!specification) rpc::fail(Code::invalid_arg, "hostname must be specified for netfs sources");
    const auto wanted = xml::parse_pool_source(*specification, type);
    if (wanted.hosts.size() != 1) rpc::fail(Code::config_unsupported, "Expected exactly 1 host for the storage pool");
    const std::string host = wanted.hosts.front().name;
    std::optional<std::string> exports;
    if (has_tool("showmount")) {
        const auto result = co_await run(tool("showmount", {"--no-headers", "--exports", host}));
        if (result.exit.success()) exports = result.out;
    }
    if (!exports) rpc::fail(Code::operation_failed, "no storage pools were found on host '{}'", host);
    co_return xml::format_pool_sources(type, parse_exports(host, *exports));
}

} // namespace lodge::drivers
