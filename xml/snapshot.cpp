#include "xml/snapshot.hpp"
#include "xml/domain/check.hpp"
#include <algorithm>
#include <map>

namespace lodge::xml {

using rpc::fail;
constexpr From from = From::domain_snapshot;

static void describe(Doc& doc, SnapshotDriver& driver) {
    doc.attribute("type", driver.type);
    doc.child("metadata_cache", driver.metadata_cache, Mark::filled);
}

static void describe(Doc& doc, SnapshotDisk& disk) {
    doc.required("name", disk.name);
    doc.attribute("snapshot", disk.snapshot);
    doc.attribute("type", disk.type);
    if (disk.type) disk.source.type = *disk.type;
    doc.flag("snapshotDeleteInProgress", disk.delete_in_progress, Mark::recorded);
    doc.child("driver", disk.driver);
    describe_source(doc, disk.source);
}

static void describe(Doc& doc, SnapshotMemory& memory) {
    doc.attribute("snapshot", memory.snapshot);
    doc.attribute("file", memory.file);
}

void describe(Doc& doc, SaveCookie& cookie) {
    doc.child("cpu", cookie.cpu);
    doc.flag("slirpHelper", cookie.slirp_helper);
}

void describe(Doc& doc, Snapshot& s) {
    doc.text_child("name", s.name);
    doc.text_child("description", s.description);
    doc.text_child("state", s.state, Mark::recorded);
    describe_parent(doc, s);
    doc.text_child("creationTime", s.creation_time, Mark::recorded);
    doc.child("memory", s.memory);
    doc.group("disks", [&] { doc.list("disk", s.disks); });
    // Snapshots of old keep the uuid alone; a domain that says its type is a whole one.
    std::string type;
    doc.group(
        "domain",
        [&] {
            doc.attribute("type", type);
            doc.text_child("uuid", s.bare_uuid);
        },
        Mark::recorded);
    if (doc.when(s.domain || !type.empty())) doc.child("domain", s.domain, Mark::recorded | Mark::document);
    if (doc.reading() && s.domain) s.bare_uuid = {};
    doc.child("inactiveDomain", s.inactive_domain, Mark::recorded | Mark::document);
    doc.child("cookie", s.cookie);
    doc.text_child("active", s.active, Mark::recorded);
}

bool Snapshot::is_external() const {
    return memory.snapshot == SnapshotMode::external || std::ranges::any_of(disks, &SnapshotDisk::is_external);
}

namespace {

[[noreturn]] void refuse_mode(const char* element) {
    fail(From::xml, Code::xml_error, "Invalid value for attribute 'snapshot' in element '{}': 'default'.", element);
}

void check_disk(SnapshotDisk& disk) {
    if (disk.is(SnapshotMode::default_)) refuse_mode("disk");
    if (!disk.type) disk.type = SourceType::file;
    if (*disk.type == SourceType::volume || *disk.type == SourceType::dir)
        fail(from, Code::xml_error, "unsupported disk snapshot type '{}'", word(*disk.type));
    if (disk.driver.type == StorageFormat::none)
        fail(From::domain, Code::config_unsupported, "unknown driver format value 'none'");
    const bool local = *disk.type == SourceType::file || *disk.type == SourceType::block;
    if (local && !disk.source.path.empty() && !disk.source.path.starts_with('/'))
        fail(from, Code::xml_error, "disk snapshot image path '{}' must be absolute", disk.source.path);
    const bool says_where = !disk.source.empty() || disk.driver.type;
    if (!disk.snapshot && says_where) disk.snapshot = SnapshotMode::external;
    if (!says_where) {
        disk.type.reset();
        disk.driver = {};
    }
}

void check_memory(SnapshotMemory& memory, bool offline, bool redefine) {
    if (memory.snapshot == SnapshotMode::default_) refuse_mode("memory");
    if (memory.snapshot == SnapshotMode::manual) fail(from, Code::xml_error, "'manual' memory snapshot mode not supported");
    if (!memory.snapshot && !memory.file.empty()) memory.snapshot = SnapshotMode::external;
    if (!memory.snapshot && redefine) memory.snapshot = offline ? SnapshotMode::no : SnapshotMode::internal;
    const bool external = memory.snapshot == SnapshotMode::external;
    if (!memory.file.empty() && !external)
        fail(from, Code::xml_error, "memory filename '{}' requires external snapshot", memory.file);
    if (memory.file.empty() && external) fail(from, Code::xml_error, "external memory snapshots require a filename");
    if (offline && memory.snapshot && memory.snapshot != SnapshotMode::no)
        fail(from, Code::xml_error, "memory state cannot be saved with offline or disk-only snapshot");
    if (!memory.file.empty() && !memory.file.starts_with('/'))
        fail(from, Code::xml_error, "memory snapshot file path ({}) must be absolute", memory.file);
}

} // namespace

Snapshot parse_snapshot(std::string_view text, SnapshotReading reading) {
    ReadOptions options;
    options.recorded = reading.redefine;
    options.from = from;
    options.where = "(domain_snapshot)";
    auto snapshot = parse<Snapshot>(text, snapshot_root, options);
    if (!reading.file) snapshot.active.reset();
    if (reading.redefine) {
        if (snapshot.name.empty()) fail(from, Code::xml_error, "a redefined snapshot must have a name");
        if (!snapshot.creation_time) fail(from, Code::internal_error, "missing creationTime from existing snapshot");
        if (!snapshot.state) fail(from, Code::xml_error, "missing state from existing snapshot");
        if (snapshot.state == SnapshotState::nostate)
            fail(from, Code::config_unsupported, "Invalid state 'nostate' in domain snapshot XML");
        reading.offline = snapshot.state == SnapshotState::shutoff || snapshot.state == SnapshotState::disk_snapshot;
    }
    for (const auto* domain : {&snapshot.domain, &snapshot.inactive_domain})
        if (*domain && !reading.file) check_domain(**domain);
    check_memory(snapshot.memory, reading.offline, reading.redefine);
    for (auto& disk : snapshot.disks) check_disk(disk);
    if (reading.offline) snapshot.cookie.reset();
    return snapshot;
}

namespace {

// What the disk's own document asks for; what cannot be written needs no snapshot.
SnapshotMode own_mode(const Disk& disk) {
    return disk.snapshot.value_or(disk.readonly ? SnapshotMode::no : SnapshotMode::default_);
}

// The mode of a disk that the document names.
void settle_mode(SnapshotDisk& wish, const Disk& disk, SnapshotMode fallback) {
    const bool uniform = fallback == SnapshotMode::internal;
    const auto own = own_mode(disk);
    if (!wish.snapshot) {
        const bool by_domain = own != SnapshotMode::default_ && (!uniform || own == SnapshotMode::no);
        wish.snapshot = by_domain ? own : fallback;
    } else if (uniform && !wish.is(fallback) && !(wish.is(SnapshotMode::no) && own == SnapshotMode::no)) {
        fail(from, Code::config_unsupported, "disk '{}' must use snapshot mode '{}'", wish.name, word(fallback));
    }
    if (!wish.source.path.empty() && !wish.is_external())
        fail(from, Code::config_unsupported, "file '{}' for disk '{}' requires use of external snapshot mode", wish.source.path,
             wish.name);
}

SnapshotDisk default_disk(const Disk& disk, SnapshotMode fallback) {
    SnapshotDisk out;
    out.name = disk.target.dev;
    const auto own = own_mode(disk);
    out.snapshot = own == SnapshotMode::default_ ? fallback : own;
    if (disk.source.empty()) out.snapshot = SnapshotMode::no; // an empty drive has nothing to keep
    return out;
}

} // namespace

void align_disks(Snapshot& snapshot, const Domain& domain, SnapshotMode fallback) {
    const auto& disks = domain.devices.disks;
    if (snapshot.disks.size() > disks.size()) fail(from, Code::config_unsupported, "too many disk snapshot requests for domain");
    std::map<std::string, SnapshotDisk> named;
    for (auto& wish : snapshot.disks) {
        const std::string target = domain.disk_target(wish.name);
        if (target.empty()) fail(from, Code::config_unsupported, "no disk named '{}'", wish.name);
        if (named.contains(target)) fail(from, Code::config_unsupported, "disk '{}' specified twice", wish.name);
        settle_mode(wish, domain.disk_source(target), fallback);
        wish.name = target;
        named.emplace(target, std::move(wish));
    }
    std::vector<SnapshotDisk> aligned;
    for (const auto& disk : disks) {
        const auto wish = named.find(disk.target.dev);
        aligned.push_back(wish == named.end() ? default_disk(disk, fallback) : std::move(wish->second));
    }
    snapshot.disks = std::move(aligned);
}

} // namespace lodge::xml
