#include "drivers/storage/logical_pool.hpp"
#include "drivers/storage/tools.hpp"
#include "drivers/storage/volume_file.hpp"
#include <algorithm>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers {

// ---- reports ----

namespace {

std::vector<std::string> split(std::string_view line, char separator) {
    std::vector<std::string> fields;
    for (std::size_t at = 0; at <= line.size();) {
        const auto end = std::min(line.find(separator, at), line.size());
        fields.emplace_back(line.substr(at, end - at));
        at = end + 1;
    }
    return fields;
}

std::vector<std::string> lines_of(const std::string& report) {
    std::vector<std::string> lines;
    std::istringstream in(report);
    for (std::string line; std::getline(in, line);)
        if (const auto text = xml::trim(line); !text.empty()) lines.emplace_back(text);
    return lines;
}

std::uint64_t number(const std::string& text, const char* what) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) rpc::fail(Code::internal_error, "malformed {} value: '{}'", what, text);
    return value;
}

// "/dev/sda(0),/dev/sdb(7)": where each stripe begins, in extents.
void add_extents(xml::Volume& volume, const std::string& devices, std::uint64_t extent_size, std::uint64_t length) {
    for (const auto& device : split(devices, ',')) {
        const auto open = device.rfind('(');
        if (open == std::string::npos) continue;
        const std::string path = device.substr(0, open);
        const auto start = number(device.substr(open + 1), "volume extent offset") * extent_size;
        if (volume.devices.empty() || volume.devices.back().path != path) volume.devices.push_back({path, {}});
        volume.devices.back().extents.push_back({start, start + length});
    }
}

struct LogicalRow {
    enum { name, origin, uuid, devices, segment_type, stripes, segment_size, extent_size, size, attributes, count };
};

bool is_shown(const std::string& attributes) {
    // Active, and no thin pool: those have no device of their own.
    return attributes.size() > 4 && attributes[4] == 'a' && attributes[0] != 't';
}

} // namespace

std::vector<xml::Volume> parse_logical_volumes(const std::string& folder, const std::string& report) {
    std::vector<xml::Volume> volumes;
    for (const auto& line : lines_of(report)) {
        const auto row = split(line, '#');
        if (row.size() < LogicalRow::count || !is_shown(row[LogicalRow::attributes])) continue;
        const auto& name = row[LogicalRow::name];
        auto volume = std::ranges::find(volumes, name, &xml::Volume::name);
        if (volume == volumes.end()) {
            volume = volumes.emplace(volumes.end());
            volume->type = xml::VolumeType::block;
            volume->name = name;
            volume->key = row[LogicalRow::uuid];
            volume->target.path = folder + "/" + name;
            const auto size = number(row[LogicalRow::size], "volume allocation");
            volume->capacity = volume->allocation = xml::Bytes{size};
            // "[lv_vorigin]" is LVM's own, not to be used by anybody.
            if (const auto& origin = row[LogicalRow::origin]; !origin.empty() && origin.front() != '[')
                volume->backing.emplace().path = folder + "/" + origin;
        }
        add_extents(*volume, row[LogicalRow::devices], number(row[LogicalRow::extent_size], "volume extent size"),
                    number(row[LogicalRow::segment_size], "volume extent length"));
    }
    return volumes;
}

GroupSize parse_group_size(const std::string& report) {
    const auto lines = lines_of(report);
    const auto fields = lines.empty() ? std::vector<std::string>() : split(lines.front(), ':');
    if (fields.size() < 2) rpc::fail(Code::internal_error, "vgs says nothing of the volume group's size");
    return {number(fields[0], "volume group size"), number(fields[1], "volume group free space")};
}

std::vector<xml::PoolSource> parse_physical_volumes(const std::string& report) {
    std::vector<xml::PoolSource> sources;
    for (const auto& line : lines_of(report)) {
        std::istringstream words(line);
        std::string device, group;
        if (!(words >> device >> group)) continue; // belongs to no group
        auto source = std::ranges::find(sources, group, &xml::PoolSource::name);
        if (source == sources.end()) {
            source = sources.emplace(sources.end());
            source->name = group;
            source->format = "lvm2";
        }
        source->devices.emplace_back().path = device;
    }
    return sources;
}

// ---- the group ----

static Task<std::vector<xml::PoolSource>> groups_of_host() {
    // A scan makes LVM see what came up since; nothing depends on its success.
    co_await run(tool("vgscan", {}));
    co_return parse_physical_volumes(co_await run_tool(tool("pvs", {"--noheadings", "-o", "pv_name,vg_name"})));
}

static Task<> require_group(xml::Pool pool) {
    const auto groups = co_await groups_of_host();
    const auto group = std::ranges::find(groups, pool.source.name, &xml::PoolSource::name);
    if (group == groups.end())
        rpc::fail(Code::config_unsupported, "cannot find logical volume group name '{}'", pool.source.name);
    const auto is_in_group = [&](const xml::PoolDevice& device) {
        return std::ranges::find(group->devices, device.path, &xml::PoolDevice::path) != group->devices.end();
    };
    if (!pool.source.devices.empty() && std::ranges::none_of(pool.source.devices, is_in_group))
        rpc::fail(Code::config_unsupported, "cannot find any matching source devices for logical volume group '{}'",
                  pool.source.name);
}

Task<bool> LogicalPool::is_active(xml::Pool pool) {
    if (!has_tool("pvs") || ::access(pool.target.path.c_str(), F_OK) != 0) co_return false;
    const auto groups = co_await groups_of_host();
    co_return std::ranges::find(groups, pool.source.name, &xml::PoolSource::name) != groups.end();
}

static void blank_first_sectors(const std::string& device) {
    const Fd file(::open(device.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) rpc::fail_errno(errno, fmt::format("cannot open device '{}'", device));
    wipe_some(file.get(), device, 0, 1 << 20);
}

Task<> LogicalPool::build(xml::Pool pool, PoolBuild how) {
    std::vector<std::string> made;
    std::vector<std::string> group{pool.source.name};
    std::exception_ptr failure;
    try {
        tool("vgcreate", {});
        for (const auto& device : pool.source.devices) {
            if (how != PoolBuild::overwrite) co_await require_empty_device(device.path, "LVM2_member");
            co_await rpc::blocking([&device] { blank_first_sectors(device.path); });
            co_await run_tool(tool("pvcreate", {device.path}));
            made.push_back(device.path);
            group.push_back(device.path);
        }
        co_await run_tool(tool("vgcreate", group));
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    for (const auto& device : made) co_await run(tool("pvremove", {device}));
    std::rethrow_exception(failure);
}

Task<> LogicalPool::start(xml::Pool pool) {
    co_await require_group(pool);
    co_await run_tool(tool("vgchange", {"-aly", pool.source.name}));
}

Task<> LogicalPool::stop(xml::Pool pool) { co_await run_tool(tool("vgchange", {"-aln", pool.source.name})); }

Task<> LogicalPool::remove(xml::Pool pool) {
    co_await run_tool(tool("vgremove", {"-f", pool.source.name}));
    for (const auto& device : pool.source.devices) co_await run(tool("pvremove", {device.path}));
}

static std::vector<std::string> report_options(std::string separator, std::string fields, std::string group) {
    return {"--separator",  std::move(separator), "--noheadings", "--units",         "b",
            "--unbuffered", "--nosuffix",         "--options",    std::move(fields), std::move(group)};
}

static Task<std::vector<xml::Volume>> volumes_of(xml::Pool pool) {
    const auto report = co_await run_tool(
        tool("lvs", report_options("#", "lv_name,origin,uuid,devices,segtype,stripes,seg_size,vg_extent_size,size,lv_attr",
                                   pool.source.name)));
    auto volumes = parse_logical_volumes(pool.target.path, report);
    co_await rpc::blocking([&volumes] {
        for (auto& volume : volumes) {
            const auto allocation = volume.allocation;
            refresh_volume_file(volume);
            volume.allocation = allocation;
        }
    });
    co_return volumes;
}

Task<PoolContents> LogicalPool::refresh(xml::Pool pool) {
    PoolContents contents;
    contents.volumes = co_await volumes_of(pool);
    const auto size = parse_group_size(co_await run_tool(tool("vgs", report_options(":", "vg_size,vg_free", pool.source.name))));
    contents.capacity = size.size;
    contents.available = size.free;
    contents.allocation = size.size - std::min(size.size, size.free);
    co_return contents;
}

Task<std::string> LogicalPool::find_sources(xml::PoolType type, std::optional<std::string>) {
    co_return xml::format_pool_sources(type, co_await groups_of_host());
}

// ---- volumes ----

std::vector<std::string> lvcreate_arguments(const xml::Pool& pool, const xml::Volume& volume) {
    const auto kib = [](std::uint64_t bytes) { return fmt::format("{}K", (bytes + 1023) / 1024); };
    constexpr std::uint64_t luks_header = 2 << 20;
    const auto capacity = volume.capacity_bytes() + (volume.target.encryption ? luks_header : 0);
    std::vector<std::string> args{"--name", volume.name, "-L"};
    if (volume.capacity_bytes() != volume.allocation_bytes())
        args.insert(args.end(),
                    {kib(std::max<std::uint64_t>(volume.allocation_bytes(), 1)), "--type", "snapshot", "--virtualsize"});
    args.push_back(kib(capacity));
    if (volume.backing)
        args.insert(args.end(), {"-s", volume.backing->path});
    else
        args.push_back(pool.source.name);
    args.emplace_back("--yes");
    return args;
}

Task<xml::Volume> LogicalPool::place(xml::Pool pool, xml::Volume volume) {
    volume.type = xml::VolumeType::block;
    volume.target.path = pool.target.path + "/" + volume.name;
    volume.key = volume.target.path; // LVM's own name of it is known when it is made
    co_return volume;
}

static Task<> fill_from(std::string from, std::string to) {
    const Fd in = co_await open_volume_at(from, false);
    const Fd out = co_await open_volume_at(to, true);
    for (std::optional<std::uint64_t> at = 0; at;)
        at = co_await rpc::blocking_result([&] { return copy_some(in.get(), out.get(), *at); });
    co_await rpc::blocking([&] {
        if (::fdatasync(out.get()) < 0) rpc::fail_errno(errno, fmt::format("cannot sync data to file '{}'", to));
    });
}

Task<> LogicalPool::create(VolumeRequest request) {
    const auto& volume = request.volume;
    if (volume.target.encryption)
        rpc::fail(Code::config_unsupported, "encrypted volumes are not made in logical pools by this daemon");
    if (request.source && request.source->type != xml::VolumeType::block && request.source->target.format != "raw")
        rpc::fail(Code::config_unsupported, "only raw volumes are copied into logical pools by this daemon");
    co_await run_tool(tool("lvcreate", lvcreate_arguments(request.pool, volume)));
    std::exception_ptr failure;
    try {
        const Fd device = co_await open_volume_at(volume.target.path, false);
        settle_owner(device.get(), volume.target.path, volume.target.permissions);
        if (request.source) co_await fill_from(request.source->target.path, volume.target.path);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await run(tool("lvremove", {"-f", volume.target.path}));
    std::rethrow_exception(failure);
}

Task<xml::Volume> LogicalPool::refresh_volume(xml::Pool pool, xml::Volume volume) {
    for (auto& found : co_await volumes_of(pool))
        if (found.name == volume.name) co_return std::move(found);
    rpc::fail(Code::no_storage_vol, "no storage vol with matching path '{}'", volume.target.path);
}

Task<> LogicalPool::delete_volume(xml::Pool, xml::Volume volume) {
    const auto& path = volume.target.path;
    const auto result = co_await run(tool("lvremove", {"-f", path}));
    if (result.exit.success()) co_return;
    co_await run_tool(tool("lvchange", {"-aln", path}));
    co_await run_tool(tool("lvremove", {"-f", path}));
}

Task<> LogicalPool::wipe(xml::Volume volume, unsigned algorithm) {
    co_await wipe_volume_at(volume.target.path, volume.capacity_bytes(), algorithm);
}

Task<Fd> LogicalPool::open_volume(xml::Volume volume, bool writing) {
    co_return co_await open_volume_at(volume.target.path, writing);
}

} // namespace lodge::drivers
