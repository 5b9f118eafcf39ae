#include "daemon/snapshot_request.hpp"
#include "xml/domain/abi.hpp"
#include "xml/schema.hpp"
#include <algorithm>
#include <ctime>
#include <sys/stat.h>

namespace lodge::daemon {

using rpc::fail;
using xml::SnapshotMode;
using xml::SnapshotState;

namespace {

void check_name(const xml::Snapshot& snapshot, unsigned flags) {
    if (flags & api::domain_snapshot_create_no_metadata) return;
    // Documents are kept in files of that name.
    if (snapshot.name.find('/') != std::string::npos)
        fail(Code::xml_detail, "invalid snapshot name '{}': name can't contain '/'", snapshot.name);
    if (snapshot.name.starts_with('.'))
        fail(Code::xml_detail, "invalid snapshot name '{}': name can't start with '.'", snapshot.name);
}

void check_state(SnapshotState state, bool redefine) {
    switch (state) {
    case SnapshotState::running:
    case SnapshotState::paused:
    case SnapshotState::shutdown:
    case SnapshotState::shutoff:
    case SnapshotState::crashed: return;
    case SnapshotState::disk_snapshot:
        if (redefine) return;
        break;
    case SnapshotState::pmsuspended:
        fail(Code::operation_unsupported, "qemu doesn't support taking snapshots of PMSUSPENDED guests");
    default: break;
    }
    fail(Code::internal_error, "Invalid domain state {}", xml::word(state));
}

} // namespace

Task<xml::Snapshot> read_snapshot(DomainPtr domain, std::string text, unsigned flags) {
    const bool redefine = flags & api::domain_snapshot_create_redefine;
    // The overlay of a stopped guest would begin without the bitmaps that its checkpoints count on.
    if (!redefine && !domain->is_active() && !domain->checkpoints.all().empty())
        fail(Code::operation_unsupported, "cannot perform block operations while checkpoint exists");
    if (flags & api::domain_snapshot_create_validate)
        co_await rpc::blocking([&] { xml::validate_schema(text, "domainsnapshot.rng"); });
    xml::SnapshotReading reading;
    reading.redefine = redefine;
    reading.offline = (flags & api::domain_snapshot_create_disk_only) || !domain->is_active();
    auto snapshot = xml::parse_snapshot(text, reading);
    auto& driver = domain->hypervisor().driver();
    if (snapshot.domain) co_await driver.complete(*snapshot.domain, drivers::Completion::unchecked);
    if (snapshot.inactive_domain) co_await driver.complete(*snapshot.inactive_domain, drivers::Completion::unchecked);
    if (!redefine) {
        snapshot.creation_time = std::time(nullptr);
        if (snapshot.name.empty()) snapshot.name = std::to_string(*snapshot.creation_time);
    }
    check_name(snapshot, flags);
    const bool live = flags & api::domain_snapshot_create_live;
    if (live && (!domain->is_active() || snapshot.memory.snapshot != SnapshotMode::external))
        fail(Code::operation_unsupported, "live snapshot creation is supported only during full system snapshots");
    check_state(redefine ? *snapshot.state : static_cast<SnapshotState>(domain->state()), redefine);
    co_return snapshot;
}

namespace {

void check_against(const xml::Snapshot& old, const xml::Snapshot& now) {
    const From from = From::domain_snapshot;
    if (old.is_online() != now.is_online())
        fail(from, Code::invalid_arg, "cannot change between online and offline snapshot state in snapshot {}", now.name);
    if ((old.state == SnapshotState::disk_snapshot) != (now.state == SnapshotState::disk_snapshot))
        fail(from, Code::invalid_arg, "cannot change between disk only and full system in snapshot {}", now.name);
    if (old.domain && now.domain) xml::check_abi(*old.domain, *now.domain);
}

// Files that nobody named stand beside the disk's image and end in the snapshot's name.
void name_files(xml::Snapshot& snapshot, const xml::Domain& domain) {
    const From from = From::domain_snapshot;
    for (std::size_t i = 0; i < snapshot.disks.size(); ++i) {
        auto& disk = snapshot.disks[i];
        if (!disk.is_external() || !disk.source.empty()) continue;
        if (disk.type.value_or(xml::SourceType::file) != xml::SourceType::file)
            fail(from, Code::config_unsupported, "cannot generate external snapshot name for disk '{}' on a '{}' device",
                 disk.name, xml::word(*disk.type));
        std::string path = domain.devices.disks[i].source.path;
        if (path.empty())
            fail(from, Code::config_unsupported, "cannot generate external snapshot name for disk '{}' without source",
                 disk.name);
        struct stat status{};
        if (::stat(path.c_str(), &status) < 0 || !S_ISREG(status.st_mode))
            fail(from, Code::config_unsupported,
                 "source for disk '{}' is not a regular file; refusing to generate external snapshot name", disk.name);
        const auto dot = path.rfind('.');
        if (dot != std::string::npos && path.find('/', dot) == std::string::npos) path.resize(dot);
        disk.type = disk.source.type = xml::SourceType::file;
        disk.source.path = fmt::format("{}.{}", path, snapshot.name);
        for (std::size_t j = 0; j < i; ++j)
            if (snapshot.disks[j].source.path == disk.source.path)
                fail(from, Code::config_unsupported,
                     "cannot generate external snapshot name for disk '{}': collision with disk '{}'", disk.name,
                     snapshot.disks[j].name);
    }
}

void align(xml::Snapshot& snapshot, const xml::Domain& domain, SnapshotMode fallback) {
    xml::align_disks(snapshot, domain, fallback);
    name_files(snapshot, domain);
}

} // namespace

void plan_redefinition(Domain& domain, xml::Snapshot& snapshot, unsigned flags) {
    domain.snapshots.check_parent(snapshot);
    const auto old = domain.snapshots.find(snapshot.name);
    const From from = From::domain_snapshot;
    if ((flags & api::domain_snapshot_create_disk_only) && snapshot.state != SnapshotState::disk_snapshot)
        fail(from, Code::invalid_arg, "disk-only flag for snapshot {} requires disk-snapshot state", snapshot.name);
    if (snapshot.domain && snapshot.domain->uuid != domain.uuid())
        fail(from, Code::invalid_arg, "definition for snapshot {} must use uuid {}", snapshot.name, domain.uuid().text());
    if (old) check_against(*old, snapshot);
    const bool external = snapshot.state == SnapshotState::disk_snapshot || snapshot.is_external();
    const xml::Domain* of = snapshot.domain ? &*snapshot.domain : old && old->domain ? &*old->domain : nullptr;
    if (!of) fail(from, Code::internal_error, "missing domain in snapshot");
    align(snapshot, *of, external ? SnapshotMode::external : SnapshotMode::internal);
    if (!snapshot.domain) snapshot.bare_uuid = domain.uuid();
}

namespace {

void check_internal_disk(const xml::SnapshotDisk& disk, const xml::Disk& of, const xml::Snapshot& snapshot, bool active) {
    if (snapshot.state == SnapshotState::disk_snapshot && active)
        fail(Code::config_unsupported, "active qemu domains require external disk snapshots; disk {} requested internal",
             disk.name);
    const auto type = of.source.type;
    if (!active && type == xml::SourceType::network)
        fail(Code::internal_error, "internal inactive snapshots are not supported on 'network' disks using '{}' protocol",
             of.source.protocol ? xml::word(*of.source.protocol) : "none");
    if (!active && type != xml::SourceType::file && type != xml::SourceType::block && type != xml::SourceType::volume)
        fail(Code::internal_error, "internal inactive snapshots are not supported on '{}' disks", xml::word(type));
    const auto format = of.driver.type.value_or(xml::StorageFormat::raw);
    if (format != xml::StorageFormat::qcow2)
        fail(Code::config_unsupported, "internal snapshot for disk {} unsupported for storage type {}", disk.name,
             xml::word(format));
}

void check_external_file(const xml::SnapshotDisk& disk, bool reuse) {
    const bool block = disk.source.type == xml::SourceType::block;
    if (!block && disk.source.type != xml::SourceType::file) return;
    const auto& path = disk.source.path;
    struct stat status{};
    if (::stat(path.c_str(), &status) < 0) {
        const int error = errno;
        if (error != ENOENT) rpc::fail_errno(error, fmt::format("unable to stat for disk {}: {}", disk.name, path));
        if (reuse) rpc::fail_errno(error, fmt::format("missing existing file for disk {}: {}", disk.name, path));
        if (block) fail(Code::operation_unsupported, "block device snapshot target '{}' doesn't exist", path);
        return;
    }
    if (block ? !S_ISBLK(status.st_mode) : !S_ISREG(status.st_mode))
        fail(Code::config_unsupported,
             "mismatch between configured type for snapshot disk '{}' and the type of existing file '{}'", disk.name, path);
    if (!reuse && !block && status.st_size > 0)
        fail(Code::config_unsupported, "external snapshot file for disk {} already exists and is not a block device: {}",
             disk.name, path);
}

void check_external_disk(xml::SnapshotDisk& disk, const xml::Disk& of, bool active, bool reuse) {
    if (!disk.driver.type) disk.driver.type = xml::StorageFormat::qcow2;
    if (disk.driver.type != xml::StorageFormat::qcow2 && disk.driver.type != xml::StorageFormat::qed)
        fail(Code::config_unsupported, "external snapshot format for disk {} is unsupported: {}", disk.name,
             xml::word(*disk.driver.type));
    if (disk.driver.metadata_cache && disk.driver.type != xml::StorageFormat::qcow2)
        fail(Code::config_unsupported, "metadata cache max size control is supported only with qcow2 images");
    const auto fits = [&](xml::SourceType type) { return type == xml::SourceType::file || type == xml::SourceType::block; };
    if (active && of.device == xml::DiskDevice::lun)
        fail(Code::config_unsupported, "external active snapshots are not supported on scsi passthrough devices");
    if (!active && of.source.type == xml::SourceType::network)
        fail(Code::internal_error, "external inactive snapshots are not supported on 'network' disks using '{}' protocol",
             of.source.protocol ? xml::word(*of.source.protocol) : "none");
    if (!active && !fits(of.source.type))
        fail(Code::internal_error, "external inactive snapshots are not supported on '{}' disks", xml::word(of.source.type));
    if (!fits(disk.source.type))
        fail(Code::internal_error, "external {} snapshots are not supported on '{}' disks", active ? "active" : "inactive",
             xml::word(disk.source.type));
    check_external_file(disk, reuse);
}

struct Tally {
    bool internal = false, left_out = false;
    unsigned external = 0;
};

void check_whole(const SnapshotPlan& plan, const Tally& tally, const xml::Domain& domain) {
    const auto& snapshot = plan.snapshot;
    const auto memory = snapshot.memory.snapshot.value_or(SnapshotMode::no);
    if (!tally.internal && !tally.external && memory == SnapshotMode::no)
        fail(Code::config_unsupported, "nothing selected for snapshot");
    if ((memory == SnapshotMode::internal && !tally.internal) || (tally.internal && tally.left_out))
        fail(Code::config_unsupported, "internal and full system snapshots require all disks to be selected for snapshot");
    if (snapshot.state == SnapshotState::disk_snapshot && !tally.external)
        fail(Code::config_unsupported, "disk-only snapshots require at least one disk to be selected for snapshot");
    if ((tally.internal && tally.external) || (memory == SnapshotMode::internal && tally.external) ||
        (memory == SnapshotMode::external && tally.internal))
        fail(Code::config_unsupported, "mixing internal and external targets for a snapshot is not yet supported");
    // The store of the firmware's variables would be left out, or be given the memory to keep.
    if (tally.internal && !domain.os.nvram_path().empty())
        fail(Code::operation_unsupported, "internal snapshots of a VM with pflash based firmware are not supported");
}

void check_disks(SnapshotPlan& plan, const xml::Domain& domain, bool active, bool reuse) {
    Tally tally;
    for (std::size_t i = 0; i < plan.snapshot.disks.size(); ++i) {
        auto& disk = plan.snapshot.disks[i];
        const auto& of = domain.devices.disks[i];
        switch (disk.snapshot.value_or(SnapshotMode::no)) {
        case SnapshotMode::internal:
            tally.internal = true;
            check_internal_disk(disk, of, plan.snapshot, active);
            break;
        case SnapshotMode::external:
            ++tally.external;
            check_external_disk(disk, of, active, reuse);
            break;
        case SnapshotMode::manual: plan.manual_disks = tally.left_out = true; break;
        default: tally.left_out |= !of.source.empty() && !of.readonly;
        }
    }
    check_whole(plan, tally, domain);
    plan.external_disks = tally.external > 0;
}

} // namespace

Task<SnapshotPlan> plan_snapshot(DomainPtr domain, xml::Snapshot snapshot, unsigned flags) {
    const bool active = domain->is_active();
    auto now = co_await domain->portable_document();
    if (active && domain->is_persistent()) snapshot.inactive_domain.emplace() = domain->definition().copy();
    snapshot.state = static_cast<SnapshotState>(domain->state());
    auto fallback = SnapshotMode::internal;
    if (flags & api::domain_snapshot_create_disk_only) {
        fallback = SnapshotMode::external;
        snapshot.state = active ? SnapshotState::disk_snapshot : SnapshotState::shutoff;
        snapshot.memory.snapshot = SnapshotMode::no;
    } else if (snapshot.memory.snapshot == SnapshotMode::external) {
        fallback = SnapshotMode::external;
    } else {
        if (active && snapshot.memory.snapshot == SnapshotMode::no)
            fail(Code::operation_unsupported, "internal snapshot of a running VM must include the memory state");
        snapshot.memory.snapshot = snapshot.state == SnapshotState::shutoff ? SnapshotMode::no : SnapshotMode::internal;
    }
    SnapshotPlan plan;
    align(snapshot, now, fallback);
    snapshot.domain.emplace() = std::move(now);
    plan.snapshot = std::move(snapshot);
    check_disks(plan, *plan.snapshot.domain, active, flags & api::domain_snapshot_create_reuse_ext);
    co_return plan;
}

} // namespace lodge::daemon
