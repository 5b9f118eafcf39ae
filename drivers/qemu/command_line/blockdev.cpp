// Block nodes: for each link of a disk's chain one node that fetches bytes (libvirt-N-storage), perhaps one that cuts a piece out
// of them (libvirt-N-slice-sto), and one that understands the format (libvirt-N-format).
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

struct Cache {
    bool direct = false, no_flush = false;
};

std::optional<Cache> cache_of(const Disk& disk) {
    DiskCache mode = disk.driver.cache.value_or(DiskCache::default_);
    // Two guests on one disk must not see each other's caches.
    if (mode == DiskCache::default_ && disk.shareable) mode = DiskCache::none;
    switch (mode) {
    case DiskCache::default_: return std::nullopt;
    case DiskCache::none:
    case DiskCache::directsync: return Cache{true, false};
    case DiskCache::unsafe: return Cache{false, true};
    default: return Cache{false, false};
    }
}

void put_cache(Json& json, const std::optional<Cache>& cache) {
    if (cache) json["cache"] = {{"direct", cache->direct}, {"no-flush", cache->no_flush}};
}

// One link of a chain with what the disk says about all or the first of them.
struct Link {
    explicit Link(const StorageSource& from)
        : source(from) {}
    const StorageSource& source;
    StorageFormat format = StorageFormat::raw;
    std::string prefix; // "libvirt-3"
    bool readonly = false, floppy = false;
    std::optional<Cache> cache;
    std::optional<Discard> discard;
    const DiskDriver* driver = nullptr; // of the top link
    const MetadataCache* metadata_cache = nullptr;
    std::optional<DiskIo> io;
    std::string backing; // format node below; "" none known, "null" the chain ends
};

const Slice* storage_slice(const StorageSource& source) { return source.slices.empty() ? nullptr : &source.slices.front(); }

bool is_raw(StorageFormat format) {
    return format == StorageFormat::raw || format == StorageFormat::iso || format == StorageFormat::none ||
           format == StorageFormat::luks || format == StorageFormat::dir;
}

const char* format_driver(StorageFormat format) {
    switch (format) {
    case StorageFormat::bochs: return "bochs";
    case StorageFormat::cloop: return "cloop";
    case StorageFormat::dmg: return "dmg";
    case StorageFormat::vpc:
    case StorageFormat::vhd: return "vpc";
    case StorageFormat::vdi: return "vdi";
    case StorageFormat::qcow: return "qcow";
    case StorageFormat::qcow2: return "qcow2";
    case StorageFormat::qed: return "qed";
    case StorageFormat::vmdk: return "vmdk";
    case StorageFormat::ploop: return "parallels";
    default: rpc::fail(Code::config_unsupported, "unsupported disk format '{}'", word(format));
    }
}

const char* luks_name(EncryptionFormat format) {
    switch (format) {
    case EncryptionFormat::qcow: return "aes";
    case EncryptionFormat::luks2: return "luks2";
    case EncryptionFormat::luks_any: return "luks-any";
    default: return "luks";
    }
}

// Ceph decrypts by itself when asked to; then QEMU's format node sees plain bytes.
bool by_librbd(const StorageSource& source) { return source.encryption && source.encryption->engine == EncryptionEngine::librbd; }

std::string encryption_secret(const Link& link) { return link.prefix + "-format-encryption-secret0"; }

void put_backing(Json& json, const Link& link) {
    const bool ends = link.backing == "null";
    if (link.backing.empty()) return;
    if (link.format < StorageFormat::cow) { // QEMU's drivers of these know nothing below them
        if (!ends) rpc::fail(Code::config_unsupported, "storage format '{}' does not support backing store", word(link.format));
        return;
    }
    if (ends)
        json["backing"] = nullptr;
    else
        json["backing"] = link.backing;
}

void put_qcow2(Json& json, const Link& link) {
    json["driver"] = format_driver(link.format);
    if (link.source.encryption && !by_librbd(link.source))
        json["encrypt"] = {{"format", luks_name(link.source.encryption->format)}, {"key-secret", encryption_secret(link)}};
    if (link.format == StorageFormat::qcow2 && link.metadata_cache && link.metadata_cache->max_size)
        json["cache-size"] = static_cast<std::uint64_t>(*link.metadata_cache->max_size);
}

Json format_json(const Link& link) {
    const Slice* slice = storage_slice(link.source);
    const bool luks = link.source.encryption && !by_librbd(link.source) && is_raw(link.format);
    Json json{{"node-name", link.prefix + "-format"}, {"read-only", link.readonly}};
    put_cache(json, link.cache);
    if (link.discard && *link.discard != Discard::default_) json["discard"] = word(*link.discard);
    if (link.driver && link.driver->detect_zeroes && *link.driver->detect_zeroes != DetectZeroes::default_) {
        // "unmap" without discard would be refused.
        const bool unmap = *link.driver->detect_zeroes == DetectZeroes::unmap && link.driver->discard == Discard::unmap;
        const bool on = *link.driver->detect_zeroes != DetectZeroes::off;
        json["detect-zeroes"] = unmap ? "unmap" : on ? "on" : "off";
    }
    if (luks) {
        json["driver"] = "luks";
        json["key-secret"] = encryption_secret(link);
    } else if (link.format == StorageFormat::fat) {
        json["driver"] = "raw";
    } else if (is_raw(link.format)) {
        json["driver"] = "raw";
        if (slice) {
            json["offset"] = slice->offset;
            json["size"] = slice->size;
        }
    } else {
        put_qcow2(json, link);
    }
    json["file"] = link.prefix + (slice && (luks || !is_raw(link.format)) ? "-slice-sto" : "-storage");
    put_backing(json, link);
    return json;
}

void add_slice(BlockNodes& out, const Link& link) {
    const Slice* slice = storage_slice(link.source);
    const bool luks = link.source.encryption && !by_librbd(link.source);
    if (!slice || (is_raw(link.format) && !luks)) return; // the raw format node cuts by itself
    Json json{{"driver", "raw"},     {"node-name", link.prefix + "-slice-sto"}, {"offset", slice->offset},
              {"size", slice->size}, {"file", link.prefix + "-storage"},        {"auto-read-only", true},
              {"discard", "unmap"}};
    put_cache(json, link.cache);
    out.nodes.push_back(std::move(json));
}

void add_link_objects(BlockNodes& out, const Link& link, const BuildContext& ctx) {
    const StorageSource& source = link.source;
    if (source.reservations && !source.reservations->managed)
        out.objects.push_back({{"qom-type", "pr-manager-helper"},
                               {"id", "pr-helper-" + link.prefix + "-storage"},
                               {"path", source.reservations->path}});
    if (source.auth && source.type == SourceType::network)
        out.objects.push_back(secret_json(ctx, source.auth->secret, link.prefix + "-storage-auth-secret0"));
    if (source.encryption && !source.encryption->secrets.empty())
        out.objects.push_back(secret_json(ctx, source.encryption->secrets.front(), encryption_secret(link)));
    if (uses_tls(source, ctx)) {
        const std::string id = fmt::format("obj{}-storage_tls0", link.prefix);
        for (auto& object : tls_objects(ctx, ctx.nbd_tls, id, id + "-secret0", false)) out.objects.push_back(std::move(object));
    }
    if (!source.cookies.empty()) {
        std::string cookies;
        for (const auto& cookie : source.cookies)
            cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", cookie.name, cookie.value);
        out.objects.push_back(sealed_json(ctx, cookies, link.prefix + "-storage-httpcookie-secret0"));
    }
}

// QEMU takes of a set the descriptor that was opened as it wants to open the image. With a single one there is no choice: the
// image is opened as that one is.
void use_lent_fds(BlockNodes& out, Json& storage, const Link& link, const LentFds& lent) {
    const unsigned set = fd_set_of(link.source);
    out.fd_sets.push_back({set, lent.fds, link.prefix + "-storage"});
    storage["filename"] = fmt::format("/dev/fdset/{}", set);
    if (lent.fds.size() != 1) return;
    storage.erase("auto-read-only");
    storage["read-only"] = !lent.writable && link.readonly;
}

void add_link(BlockNodes& out, const Link& link, const BuildContext& ctx) {
    add_link_objects(out, link, ctx);
    Json storage = storage_json(link.source, link.prefix, ctx);
    if (link.format == StorageFormat::fat)
        storage = {{"driver", "vvfat"}, {"dir", link.source.path}, {"floppy", link.floppy}, {"rw", !link.readonly}};
    if (link.io && *link.io != DiskIo::default_) storage["aio"] = word(*link.io);
    storage["node-name"] = link.prefix + "-storage";
    put_cache(storage, link.cache);
    storage["auto-read-only"] = true;
    storage["discard"] = "unmap";
    if (const auto lent = ctx.lent.find(link.source.fd_group); !link.source.fd_group.empty() && lent != ctx.lent.end())
        use_lent_fds(out, storage, link, lent->second);
    out.nodes.push_back(std::move(storage));
    add_slice(out, link);
    out.nodes.push_back(format_json(link));
}

std::string prefix_of(const std::optional<std::uint32_t>& index) { return fmt::format("libvirt-{}", index.value_or(0)); }

void add_chain(BlockNodes& out, const Disk& disk, const BackingStore* backing, std::string& below, const BuildContext& ctx) {
    if (!backing) return;
    if (!backing->type) {
        below = "null";
        return;
    }
    std::string under;
    if (backing->backing) add_chain(out, disk, &*backing->backing, under, ctx);
    Link link(backing->source);
    link.format = backing->format;
    link.prefix = prefix_of(backing->source.index);
    link.readonly = true;
    link.discard = disk.driver.discard;
    link.cache = cache_of(disk);
    link.io = disk.driver.io;
    if (backing->metadata_cache) link.metadata_cache = &*backing->metadata_cache;
    link.backing = under;
    add_link(out, link, ctx);
    below = link.prefix + "-format";
}

} // namespace

BlockNodes block_nodes(const Disk& disk, const BuildContext& ctx) {
    BlockNodes out;
    if (disk.source.empty() || disk.source.type == SourceType::vhostuser) return out;
    std::string below;
    if (disk.backing) add_chain(out, disk, &*disk.backing, below, ctx);
    // Documents may have these beside <source>.
    StorageSource source = disk.source;
    if (!source.auth) source.auth = disk.auth;
    if (!source.encryption) source.encryption = disk.encryption;
    Link link(source);
    link.format = disk.driver.type.value_or(StorageFormat::raw);
    link.prefix = prefix_of(disk.source.index);
    link.readonly = disk.readonly || disk.device == DiskDevice::cdrom;
    link.floppy = disk.device == DiskDevice::floppy;
    link.discard = disk.driver.discard;
    link.cache = cache_of(disk);
    link.driver = &disk.driver;
    link.io = disk.driver.io;
    if (disk.driver.metadata_cache) link.metadata_cache = &*disk.driver.metadata_cache;
    link.backing = below;
    add_link(out, link, ctx);
    out.top = link.prefix + "-format";
    if (disk.driver.copy_on_read && *disk.driver.copy_on_read) {
        const std::string top = "libvirt-CoR-" + disk.target.dev;
        out.nodes.push_back({{"driver", "copy-on-read"}, {"node-name", top}, {"file", out.top}, {"discard", "unmap"}});
        out.top = top;
    }
    return out;
}

BlockNodes named_nodes(const StorageSource& source, const std::string& name, StorageFormat format, bool readonly,
                       const BuildContext& ctx) {
    BlockNodes out;
    Link link(source);
    link.format = format;
    link.prefix = name;
    link.readonly = readonly;
    add_link(out, link, ctx);
    out.top = name + "-format";
    return out;
}

} // namespace lodge::drivers::qemu
