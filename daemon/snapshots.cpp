#include "daemon/snapshots.hpp"
#include "daemon/block_jobs.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/snapshot_merge.hpp"
#include "daemon/snapshot_request.hpp"
#include "rpc/log.hpp"
#include "xml/snapshot.hpp"
#include <algorithm>
#include <unistd.h>

namespace lodge::daemon {

using rpc::fail;
using xml::SnapshotMode;
using xml::SnapshotState;
using SnapshotPtr = SnapshotTree::Pointer;

namespace {

bool runs(const Domain& domain) { return domain.state() == static_cast<int>(api::domain_running); }

std::vector<std::string> internal_disks(const xml::Snapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& disk : snapshot.disks)
        if (disk.is(SnapshotMode::internal)) out.push_back(disk.name);
    return out;
}

// Images of the disks that take part, as they are named in the snapshot's domain.
std::vector<std::string> internal_images(const xml::Snapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& name : internal_disks(snapshot))
        for (const auto& disk : snapshot.domain->devices.disks)
            if (disk.target.dev == name) out.push_back(disk.source.path);
    return out;
}

std::vector<drivers::Overlay> overlays_of(const xml::Snapshot& snapshot, bool reuse) {
    std::vector<drivers::Overlay> out;
    for (const auto& disk : snapshot.disks)
        if (disk.is_external())
            out.push_back({disk.name, disk.source.path, std::string(xml::word(*disk.driver.type)),
                           disk.source.type == xml::SourceType::block, reuse});
    return out;
}

// The definition follows its disks to their new files, where it named the old ones. What lies below is written down after a
// snapshot of a running guest, and else only where it was before.
bool move_disks(xml::Domain& definition, const xml::Domain& before, const xml::Snapshot& snapshot, unsigned flags) {
    const bool running = snapshot.state != SnapshotState::shutoff;
    const bool reuse = flags & api::domain_snapshot_create_reuse_ext;
    bool moved = false;
    for (auto& disk : definition.devices.disks)
        for (std::size_t i = 0; i < snapshot.disks.size(); ++i) {
            const auto& to = snapshot.disks[i];
            if (!to.is_external() || to.name != disk.target.dev) continue;
            if (disk.source.path != before.devices.disks[i].source.path) continue;
            xml::BackingStore fresh;
            fresh.type = to.source.type;
            fresh.format = to.driver.type.value_or(xml::StorageFormat::qcow2);
            fresh.source = to.source;
            if (running || (!reuse && !xml::links_below(disk).empty())) fresh.backing.emplace() = top_link(disk);
            set_top_link(disk, std::move(fresh));
            moved = true;
        }
    return moved;
}

Task<> move_definition(DomainPtr domain, xml::Domain before, xml::Snapshot snapshot, unsigned flags) {
    if (!domain->is_persistent()) co_return;
    auto definition = domain->definition().copy();
    if (move_disks(definition, before, snapshot, flags)) co_await domain->store_definition(std::move(definition));
}

// What has been changed for a snapshot under way, so that it can be put back.
struct Undo {
    bool resume = false, thaw = false;
    std::string memory_file; // made by us
};

Task<> put_back(DomainPtr domain, Undo undo) {
    if (undo.resume && domain->is_active() && !runs(*domain)) co_await domain->resume();
    if (undo.thaw && domain->is_active())
        co_await domain->machine().agent_command(R"({"execute":"guest-fsfreeze-thaw"})", std::chrono::seconds(10));
}

Task<> save_memory(DomainPtr domain, std::string path, bool running) {
    auto head = co_await save_head(domain, running);
    co_await domain->machine().state_keeper().save({path, std::move(head), drivers::ImageUse::snapshot, false});
}

Task<> take_external(DomainPtr domain, SnapshotPlan plan, unsigned flags, std::shared_ptr<Undo> undo) {
    const auto& snapshot = plan.snapshot;
    const bool memory = snapshot.memory.snapshot == SnapshotMode::external;
    if (memory) co_await require_savable(domain);
    if (flags & api::domain_snapshot_create_quiesce) {
        co_await domain->machine().agent_command(R"({"execute":"guest-fsfreeze-freeze"})", std::chrono::seconds(60));
        undo->thaw = true;
    }
    if (runs(*domain)) {
        undo->resume = memory && !plan.manual_disks; // a user who copies disks himself resumes when he is done
        if ((memory || plan.manual_disks) && !(flags & api::domain_snapshot_create_live))
            co_await domain->suspend(drivers::PauseReason::snapshot);
    }
    if (memory) {
        const bool existed = ::access(snapshot.memory.file.c_str(), F_OK) == 0;
        co_await save_memory(domain, snapshot.memory.file, undo->resume);
        if (!existed) undo->memory_file = snapshot.memory.file;
    }
    const xml::Domain before = domain->live();
    auto overlays = overlays_of(snapshot, flags & api::domain_snapshot_create_reuse_ext);
    if (!overlays.empty()) {
        co_await domain->machine().state_keeper().add_overlays(std::move(overlays));
        undo->memory_file.clear(); // from here on the disks belong to the snapshot, so it must stay
        domain->keep_status();
        co_await move_definition(domain, before, snapshot, flags);
    }
}

Task<> take_internal(DomainPtr domain, SnapshotPlan plan, std::shared_ptr<Undo> undo) {
    co_await require_savable(domain);
    if (runs(*domain)) {
        co_await domain->suspend(drivers::PauseReason::save);
        undo->resume = true;
    }
    co_await domain->machine().state_keeper().save_snapshot(plan.snapshot.name, internal_disks(plan.snapshot));
}

Task<> take_running(DomainPtr domain, SnapshotPlan plan, unsigned flags) {
    const bool external =
        (flags & api::domain_snapshot_create_disk_only) || plan.snapshot.memory.snapshot == SnapshotMode::external;
    auto undo = std::make_shared<Undo>();
    std::exception_ptr failure;
    try {
        if (external)
            co_await take_external(domain, plan, flags, undo);
        else
            co_await take_internal(domain, plan, undo);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure && !undo->memory_file.empty()) ::unlink(undo->memory_file.c_str());
    if (!failure && (flags & api::domain_snapshot_create_halt)) {
        co_await domain->stop(drivers::EndReason::from_snapshot);
        co_return;
    }
    try {
        co_await put_back(domain, *undo);
    } catch (...) {
        if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
}

Task<> take_stopped(DomainPtr domain, SnapshotPlan plan, unsigned flags) {
    auto& files = domain->hypervisor().driver().state_files();
    if (!plan.external_disks) {
        co_await files.snapshot_images(internal_images(plan.snapshot), plan.snapshot.name,
                                       drivers::StateFiles::SnapshotAction::create);
        co_return;
    }
    const xml::Domain before = *plan.snapshot.domain;
    std::vector<std::string> made;
    std::exception_ptr failure;
    try {
        for (auto& overlay : overlays_of(plan.snapshot, flags & api::domain_snapshot_create_reuse_ext)) {
            const auto& disk = before.disk_source(overlay.disk);
            const auto format = disk.driver.type.value_or(xml::StorageFormat::raw);
            const std::string path = overlay.path;
            const bool fresh = !overlay.reuse && !overlay.block_device;
            if (!overlay.reuse) co_await files.create_overlay(disk.source.path, std::string(xml::word(format)), overlay);
            if (fresh) made.push_back(path);
        }
        co_await move_definition(domain, before, plan.snapshot, flags);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    for (const auto& path : made) ::unlink(path.c_str());
    std::rethrow_exception(failure);
}

// Disks that take part must not be on the move; the memory can only go with disks that are not.
void require_idle_disks(Domain& domain, const SnapshotPlan& plan) {
    for (const auto& part : plan.snapshot.disks) {
        const bool left_out = part.snapshot.value_or(SnapshotMode::no) == SnapshotMode::no;
        if (const auto target = domain.live().disk_target(part.name); !left_out && !target.empty())
            require_no_block_job(domain, domain.live().disk_source(target));
    }
    if (plan.snapshot.memory.snapshot == SnapshotMode::external) require_no_block_jobs(domain);
}

} // namespace

Task<std::string> create_snapshot(DomainPtr domain, std::string text, unsigned flags) {
    if (!domain->is_persistent() && (flags & api::domain_snapshot_create_halt))
        fail(Code::operation_invalid, "cannot halt after transient domain snapshot");
    auto snapshot = co_await read_snapshot(domain, std::move(text), flags);
    const std::string name = snapshot.name;
    if (flags & api::domain_snapshot_create_redefine) {
        plan_redefinition(*domain, snapshot, flags);
        const bool current = flags & api::domain_snapshot_create_current;
        co_await keep_moment<xml::Snapshot>(domain, std::make_shared<const xml::Snapshot>(std::move(snapshot)), current);
        co_return name;
    }
    auto plan = co_await plan_snapshot(domain, std::move(snapshot), flags);
    if (domain->is_active()) require_idle_disks(*domain, plan);
    const bool recorded = !(flags & api::domain_snapshot_create_no_metadata);
    if (recorded) {
        if (domain->snapshots.find(name)) fail(From::domain, Code::operation_failed, "domain moment {} already exists", name);
        plan.snapshot.parent = domain->snapshots.current();
    }
    const auto kept = std::make_shared<const xml::Snapshot>(plan.snapshot);
    if (domain->is_active())
        co_await take_running(domain, std::move(plan), flags);
    else
        co_await take_stopped(domain, std::move(plan), flags);
    if (recorded) co_await keep_moment<xml::Snapshot>(domain, kept, true);
    log::info("{}: snapshot {} taken", domain->name(), name);
    co_return name;
}

namespace {

void check_revert(const Domain& domain, const xml::Snapshot& snapshot, unsigned flags) {
    constexpr unsigned told = api::domain_snapshot_revert_running | api::domain_snapshot_revert_paused;
    if (!domain.is_persistent() && !snapshot.is_online() && !(flags & told))
        fail(Code::operation_invalid, "transient domain needs to request run or pause to revert to inactive snapshot");
    if (snapshot.is_external()) fail(Code::config_unsupported, "revert to external snapshot not supported yet");
    if (!snapshot.domain)
        fail(Code::snapshot_revert_risky, "snapshot '{}' lacks domain '{}' rollback info", snapshot.name, domain.name());
    if (!(flags & api::domain_snapshot_revert_force) && domain.has_managed_save && !snapshot.is_online())
        fail(Code::snapshot_revert_risky, "snapshot without memory state, removal of existing managed saved state strongly "
                                          "recommended to avoid corruption");
    if (snapshot.state == SnapshotState::pmsuspended)
        fail(Code::operation_unsupported, "qemu doesn't support reversion of snapshot taken in PMSUSPENDED state");
}

StartOptions revert_options(bool paused, unsigned flags) {
    StartOptions options;
    options.paused = paused;
    options.reset_nvram = flags & api::domain_snapshot_revert_reset_nvram;
    options.started_detail = api::domain_event_started_from_snapshot;
    options.paused_reason = api::domain_paused_from_snapshot;
    options.paused_detail = api::domain_event_suspended_from_snapshot;
    return options;
}

// The definition of the time of the snapshot comes back with it.
Task<> bring_back_definition(DomainPtr domain, xml::Snapshot snapshot) {
    if (!domain->is_persistent()) co_return;
    xml::Domain definition = snapshot.inactive_domain ? *snapshot.inactive_domain : *snapshot.domain;
    definition.name = domain->name();
    co_await domain->store_definition(std::move(definition));
}

Task<> revert_stopped(DomainPtr domain, xml::Snapshot snapshot, unsigned flags) {
    constexpr unsigned told = api::domain_snapshot_revert_running | api::domain_snapshot_revert_paused;
    auto& files = domain->hypervisor().driver().state_files();
    co_await files.snapshot_images(internal_images(snapshot), snapshot.name, drivers::StateFiles::SnapshotAction::apply);
    co_await bring_back_definition(domain, snapshot);
    if (!(flags & told)) co_return;
    xml::Domain document = *snapshot.domain;
    document.name = domain->name();
    auto options = revert_options(flags & api::domain_snapshot_revert_paused, flags);
    options.paused_reason = api::domain_paused_user; // it boots, and waits
    co_await domain->start_transient(std::move(document), std::move(options));
}

Task<> revert_running(DomainPtr domain, xml::Snapshot snapshot, unsigned flags) {
    const bool paused = !(flags & api::domain_snapshot_revert_running) &&
                        (snapshot.state == SnapshotState::paused || (flags & api::domain_snapshot_revert_paused));
    co_await bring_back_definition(domain, snapshot);
    xml::Domain document = *snapshot.domain;
    document.name = domain->name();
    auto options = revert_options(paused, flags);
    options.running_reason = api::domain_running_from_snapshot;
    options.restore.snapshot = snapshot.name;
    options.restore.disks = internal_disks(snapshot);
    co_await domain->start_transient(std::move(document), std::move(options));
}

} // namespace

Task<> revert_to_snapshot(DomainPtr domain, std::string name, unsigned flags) {
    const auto snapshot = domain->snapshots.get(name);
    require_no_block_jobs(*domain);
    check_revert(*domain, *snapshot, flags);
    if (domain->is_active()) co_await domain->stop(drivers::EndReason::from_snapshot, true);
    std::exception_ptr failure;
    try {
        if (snapshot->is_online())
            co_await revert_running(domain, *snapshot, flags);
        else
            co_await revert_stopped(domain, *snapshot, flags);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        domain->drop_if_gone();
        std::rethrow_exception(failure);
    }
    co_await make_current<xml::Snapshot>(domain, name);
    if (domain->is_persistent()) domain->emit_lifecycle(api::domain_event_defined, api::domain_event_defined_from_snapshot);
}

namespace {

Task<> delete_data(DomainPtr domain, SnapshotPtr snapshot) {
    if (snapshot->is_external()) co_return co_await merge_snapshot(domain, snapshot);
    const auto disks = internal_disks(*snapshot);
    if (disks.empty()) co_return;
    if (domain->is_active())
        co_await domain->machine().state_keeper().delete_snapshot(snapshot->name, disks);
    else if (snapshot->domain)
        co_await domain->hypervisor().driver().state_files().snapshot_images(internal_images(*snapshot), snapshot->name,
                                                                             drivers::StateFiles::SnapshotAction::remove);
}

void check_delete(Domain& domain, const xml::Snapshot& snapshot, const std::vector<SnapshotPtr>& below, unsigned flags) {
    constexpr unsigned many = api::domain_snapshot_delete_children | api::domain_snapshot_delete_children_only;
    if (!snapshot.is_external() && snapshot.domain)
        for (const auto& name : internal_disks(snapshot)) {
            const auto now = domain.current();
            const std::string target = now->disk_target(name);
            if (target.empty() || now->disk_source(target).source.path == snapshot.domain->disk_source(name).source.path)
                continue;
            fail(Code::operation_unsupported,
                 "disk image '{}' for internal snapshot '{}' is not the same as disk image currently used by VM", name,
                 snapshot.name);
        }
    if (flags & many) {
        const auto external = std::ranges::count_if(below, [](const auto& s) { return s->is_external(); });
        if (external > 0 && external < std::ranges::ssize(below))
            fail(Code::config_unsupported, "deletion of external and internal children disk snapshots not supported");
        if (external > 0) fail(Code::config_unsupported, "deletion of external children disk snapshots not supported");
    }
    if (!snapshot.is_external()) return;
    auto* jobs = domain.has_machine() ? domain.machine().block_jobs() : nullptr;
    if (jobs && jobs->any())
        fail(Code::operation_unsupported, "cannot delete external snapshots when there is another active block job");
    if (flags & api::domain_snapshot_delete_children)
        fail(Code::config_unsupported, "deletion of external disk snapshots with children not supported");
}

} // namespace

Task<> delete_snapshot(DomainPtr domain, std::string name, unsigned flags) {
    const auto snapshot = domain->snapshots.get(name);
    const bool data = !(flags & api::domain_snapshot_delete_metadata_only);
    const bool only_below = flags & api::domain_snapshot_delete_children_only;
    std::vector<SnapshotPtr> doomed;
    if (only_below || (flags & api::domain_snapshot_delete_children)) doomed = domain->snapshots.descendants(name);
    if (data) check_delete(*domain, *snapshot, doomed, flags);
    std::ranges::reverse(doomed); // the last first, so that nothing has to be moved up
    if (!only_below) doomed.push_back(snapshot);
    for (const auto& one : doomed) {
        if (data) co_await delete_data(domain, one);
        co_await forget_moment<xml::Snapshot>(domain, one->name);
    }
}

} // namespace lodge::daemon
