#include "xml/pool.hpp"
#include "xml/net_address.hpp"
#include <algorithm>

namespace lodge::xml {

std::span<const std::string_view> enum_words(PoolType) {
    static constexpr std::string_view words[] = {"dir",  "fs",    "netfs", "logical",  "disk",    "iscsi", "iscsi-direct",
                                                 "scsi", "mpath", "rbd",   "sheepdog", "gluster", "zfs",   "vstorage"};
    return words;
}

// ---- what the types are like ----

namespace {

constexpr std::string_view file_systems[] = {"auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf",
                                             "gfs",  "gfs2", "vfat", "hfs+", "xfs", "ocfs2",   "vmfs"};
constexpr std::string_view network_file_systems[] = {"auto", "nfs", "glusterfs", "cifs"};
constexpr std::string_view partition_tables[] = {"unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2"};
constexpr std::string_view volume_groups[] = {"unknown", "lvm2"};

using enum PoolType;
constexpr PoolTypeFacts facts[] = {
    {.type = dir, .volumes = VolumeFormats::image},
    {.type = fs, .device = true, .formats = file_systems, .default_format = "auto", .volumes = VolumeFormats::image},
    {.type = netfs,
     .host = true,
     .dir = true,
     .formats = network_file_systems,
     .default_format = "auto",
     .volumes = VolumeFormats::image},
    {.type = logical, .device = true, .name = true, .formats = volume_groups, .default_format = "lvm2"},
    {.type = disk, .device = true, .formats = partition_tables, .default_format = "unknown", .volumes = VolumeFormats::partition},
    {.type = iscsi, .host = true, .device = true, .iqn = true},
    {.type = iscsi_direct, .host = true, .device = true, .iqn = true, .network = true},
    {.type = scsi, .adapter = true},
    {.type = mpath},
    {.type = rbd, .host = true, .name = true, .network = true, .volumes = VolumeFormats::image},
    {.type = sheepdog, .host = true, .name = true, .network = true},
    {.type = gluster, .host = true, .dir = true, .name = true, .network = true, .volumes = VolumeFormats::image},
    {.type = zfs, .device = true, .name = true},
    {.type = vstorage, .name = true, .volumes = VolumeFormats::image},
};
static_assert(std::ranges::all_of(facts, [](const auto& row) { return &row - facts == static_cast<int>(row.type); }));

constexpr std::string_view image_formats[] = {"none", "raw", "dir",   "bochs", "cloop", "dmg",   "iso", "vpc", "vdi",
                                              "fat",  "vhd", "ploop", "cow",   "qcow",  "qcow2", "qed", "vmdk"};
constexpr std::string_view partition_formats[] = {"none",       "linux",     "fat16",      "fat32",
                                                  "linux-swap", "linux-lvm", "linux-raid", "extended"};

} // namespace

const PoolTypeFacts& facts_of(PoolType type) { return facts[static_cast<std::size_t>(type)]; }

std::span<const std::string_view> volume_format_words(VolumeFormats formats) {
    if (formats == VolumeFormats::image) return image_formats;
    if (formats == VolumeFormats::partition) return partition_formats;
    return {};
}

std::string_view default_volume_format(VolumeFormats formats) {
    return formats == VolumeFormats::image ? "raw" : formats == VolumeFormats::partition ? "none" : "";
}

bool Pool::has_target() const { return !facts_of(type).network; }

// ---- descriptions ----

static void describe(Doc& doc, PoolHost& host) {
    doc.attribute("name", host.name);
    doc.attribute("port", host.port);
}
void describe(Doc& doc, PoolExtent& extent) {
    doc.attribute("start", extent.start);
    doc.attribute("end", extent.end);
}
static void describe(Doc& doc, PoolDevice& device) {
    doc.attribute("path", device.path);
    doc.attribute("part_separator", device.part_separator);
    doc.list("freeExtent", device.free, Mark::live);
}
static void describe(Doc& doc, ParentAddress& parent) {
    doc.attribute("unique_id", parent.unique_id);
    doc.child("address", parent.address);
}
static void describe(Doc& doc, PoolAdapter& adapter) {
    doc.attribute("type", adapter.type);
    doc.attribute("name", adapter.name);
    doc.attribute("parent", adapter.parent);
    doc.attribute("parent_wwnn", adapter.parent_wwnn);
    doc.attribute("parent_wwpn", adapter.parent_wwpn);
    doc.attribute("parent_fabric_wwn", adapter.parent_fabric_wwn);
    doc.attribute("managed", adapter.managed);
    doc.attribute("wwnn", adapter.wwnn);
    doc.attribute("wwpn", adapter.wwpn);
    doc.child("parentaddr", adapter.parent_address);
}
static void describe(Doc& doc, PoolAuth& auth) {
    doc.attribute("type", auth.type);
    doc.attribute("username", auth.username);
    doc.child("secret", auth.secret);
}
void describe(Doc& doc, PoolSource& source) {
    doc.has_end_tag();
    doc.list("host", source.hosts);
    doc.list("device", source.devices);
    doc.group("dir", [&] { doc.attribute("path", source.dir); });
    doc.child("adapter", source.adapter);
    doc.text_child("name", source.name);
    doc.group("initiator", [&] { doc.group("iqn", [&] { doc.attribute("name", source.initiator_iqn); }); });
    doc.group("format", [&] { doc.attribute("type", source.format); });
    doc.child("auth", source.auth);
    doc.group("protocol", [&] { doc.attribute("ver", source.protocol_version); });
    doc.group("vendor", [&] { doc.attribute("name", source.vendor); });
    doc.group("product", [&] { doc.attribute("name", source.product); });
}
static void describe(Doc& doc, PoolTarget& target) {
    doc.text_child("path", target.path);
    doc.child("permissions", target.permissions);
}
static void describe(Doc& doc, MountOption& option) { doc.attribute("name", option.name); }
static void describe(Doc& doc, RbdOption& option) {
    doc.attribute("name", option.name);
    doc.attribute("value", option.value);
}

void describe(Doc& doc, Pool& pool) {
    doc.required("type", pool.type);
    doc.text_child("name", pool.name);
    doc.text_child("uuid", pool.uuid);
    doc.child("capacity", pool.capacity, Mark::live);
    doc.child("allocation", pool.allocation, Mark::live);
    doc.child("available", pool.available, Mark::live);
    doc.group("features", [&] { doc.group("cow", [&] { doc.attribute("state", pool.cow); }); });
    doc.child("source", pool.source);
    if (doc.when(pool.has_target())) doc.child("target", pool.target);
    doc.group("refresh", [&] { doc.group("volume", [&] { doc.attribute("allocation", pool.refresh_allocation); }); });
    if (doc.when(pool.type == PoolType::fs || pool.type == PoolType::netfs))
        doc.group("fs:mount_opts", [&] { doc.list("fs:option", pool.mount_options); });
    if (doc.when(pool.type == PoolType::rbd)) doc.group("rbd:config_opts", [&] { doc.list("rbd:option", pool.rbd_options); });
}

// ---- whole documents ----

Pool parse_pool(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::storage;
    if (own.where.empty()) own.where = "(storage_pool_definition)";
    auto pool = parse<Pool>(text, "pool", own);
    normalize_pool(pool);
    return pool;
}

std::string format_pool(const Pool& pool) { return format(pool, "pool", {.live = true, .secret = true}); }

namespace {

struct PoolSources {
    std::vector<PoolSource> sources;
};
void describe(Doc& doc, PoolSources& list) {
    doc.has_end_tag();
    doc.list("source", list.sources);
}

} // namespace

std::string format_pool_sources(PoolType, std::vector<PoolSource> sources) {
    return format(PoolSources{std::move(sources)}, "sources");
}

// ---- capabilities ----

static void append_formats(std::string& out, const char* element, const char* list, std::string_view fallback,
                           std::span<const std::string_view> words) {
    if (fallback.empty()) return;
    out += fmt::format("    <{}>\n      <defaultFormat type='{}'/>\n      <enum name='{}'>\n", element, fallback, list);
    for (const auto word : words) out += fmt::format("        <value>{}</value>\n", word);
    out += fmt::format("      </enum>\n    </{}>\n", element);
}

std::string format_pool_capabilities(const std::vector<PoolType>& supported) {
    std::string out = "<storagepoolCapabilities>\n";
    for (const auto& row : facts) {
        const bool served = std::ranges::find(supported, row.type) != supported.end();
        out += fmt::format("  <pool type='{}' supported='{}'>\n", word(row.type), served ? "yes" : "no");
        append_formats(out, "poolOptions", "sourceFormatType", row.default_format, row.formats);
        // RBD images have a format that nobody may choose.
        const bool chosen = row.type != PoolType::rbd;
        append_formats(out, "volOptions", "targetFormatType", default_volume_format(row.volumes),
                       chosen ? volume_format_words(row.volumes) : std::span<const std::string_view>());
        out += "  </pool>\n";
    }
    return out + "</storagepoolCapabilities>\n";
}

} // namespace lodge::xml
