#include "daemon/snapshot_merge.hpp"
#include "daemon/block_jobs.hpp"
#include "daemon/disk_chain.hpp"
#include "rpc/log.hpp"
#include "xml/snapshot.hpp"
#include <algorithm>
#include <cerrno>
#include <set>
#include <unistd.h>

namespace lodge::daemon {

using rpc::fail;
using xml::SnapshotMode;
using SnapshotPtr = SnapshotTree::Pointer;
using Image = drivers::StateFiles::Image;

namespace {

struct Merge {
    std::string disk; // target
    Image image;      // goes
    xml::BackingStore below;
    bool on_top = false;
    std::optional<Image> above; // of a stopped guest
    bool done = false;          // an earlier deletion, which was broken off, had come that far
};

const xml::Disk* find_disk(const xml::Domain& document, const std::string& target) {
    const auto at = std::ranges::find_if(document.devices.disks, [&](const auto& disk) { return disk.target.dev == target; });
    return at == document.devices.disks.end() ? nullptr : &*at;
}

Image image_of(const xml::SnapshotDisk& disk) {
    return {disk.source.path, std::string(xml::word(disk.driver.type.value_or(xml::StorageFormat::qcow2)))};
}

// What an older snapshot keeps inside the image below would be gone with its name.
void require_no_internal_parent(const SnapshotTree& tree, const xml::Snapshot& snapshot, const std::string& disk) {
    for (auto above = tree.find(snapshot.parent); above; above = tree.find(above->parent))
        for (const auto& part : above->disks) {
            if (part.name != disk || part.is(SnapshotMode::no)) continue;
            if (part.is_external()) return;
            fail(Code::operation_unsupported,
                 "deleting external snapshot that has internal snapshot as parent not supported: '{}' keeps disk '{}' inside its "
                 "image",
                 above->name, disk);
        }
}

// An image that is not there any more was merged before: it is removed last.
void not_in_use(Merge& merge, const std::set<std::string>& missing) {
    merge.done = missing.contains(merge.image.path);
    if (!merge.done)
        fail(Code::operation_failed, "VM disk source and snapshot disk source are not the same: disk '{}' does not use '{}'",
             merge.disk, merge.image.path);
}

void find_in_running(Merge& merge, const xml::Disk& live, const std::set<std::string>& missing) {
    const auto chain = chain_of(live);
    const auto at = std::ranges::find_if(chain, [&](const auto& link) { return link.source.path == merge.image.path; });
    if (at == chain.end()) return not_in_use(merge, missing);
    if (std::next(at) == chain.end()) fail(Code::operation_failed, "failed to find parent disk source in backing chain");
    if (!same_location(std::next(at)->source, merge.below.source))
        fail(Code::operation_failed, "snapshot VM disk source and parent disk source are not the same");
    merge.on_top = at == chain.begin();
}

// Files alone do not say what stands on them; later snapshots do.
void find_in_stopped(Merge& merge, const SnapshotTree& tree, const xml::Disk& defined, const std::set<std::string>& missing) {
    if (defined.source.path != merge.image.path) {
        for (const auto& [name, other] : tree.all()) {
            const auto* before = other->domain ? find_disk(*other->domain, merge.disk) : nullptr;
            if (!before || before->source.path != merge.image.path) continue;
            for (const auto& part : other->disks)
                if (part.name == merge.disk && part.is_external()) {
                    if (merge.above)
                        fail(Code::operation_unsupported, "several snapshots stand on image '{}' of disk '{}'", merge.image.path,
                             merge.disk);
                    merge.above = image_of(part);
                }
        }
        if (!merge.above) return not_in_use(merge, missing);
    }
    merge.on_top = !merge.above;
}

std::vector<Merge> plan(Domain& domain, const xml::Snapshot& snapshot, const std::set<std::string>& missing) {
    std::vector<Merge> merges;
    const auto document = domain.current();
    for (const auto& part : snapshot.disks) {
        if (!part.is_external()) continue;
        if (part.delete_in_progress)
            fail(Code::operation_invalid, "snapshot disk '{}' was target of not completed snapshot delete", part.name);
        const auto* now = find_disk(*document, part.name);
        if (!now) fail(Code::invalid_arg, "disk '{}' not found in domain", part.name);
        const auto* before = snapshot.domain ? find_disk(*snapshot.domain, part.name) : nullptr;
        if (!before) fail(Code::operation_failed, "failed to find disk '{}' in snapshot VM XML", part.name);
        require_no_internal_parent(domain.snapshots, snapshot, part.name);
        Merge merge{part.name, image_of(part), top_link(*before), false, std::nullopt, false};
        if (domain.is_active())
            find_in_running(merge, *now, missing);
        else
            find_in_stopped(merge, domain.snapshots, *now, missing);
        merges.push_back(std::move(merge));
    }
    return merges;
}

std::set<std::string> missing_images(const std::vector<xml::SnapshotDisk>& disks) {
    std::set<std::string> missing;
    for (const auto& disk : disks)
        if (disk.is_external() && ::access(disk.source.path.c_str(), F_OK) < 0 && errno == ENOENT)
            missing.insert(disk.source.path);
    return missing;
}

// The image is no part of the disk any more. Returns whether it was.
bool drop_image(xml::Disk& disk, const Merge& merge) {
    if (disk.source.path == merge.image.path) {
        set_top_link(disk, merge.below);
        return true;
    }
    for (auto* link = &disk.backing; *link && (*link)->type; link = &(*link)->backing)
        if ((*link)->source.path == merge.image.path) {
            auto rest = std::move((*link)->backing);
            *link = std::move(rest);
            return true;
        }
    return false;
}

bool drop_images(xml::Domain& document, const std::vector<Merge>& merges) {
    bool changed = false;
    for (auto& disk : document.devices.disks)
        for (const auto& merge : merges)
            if (disk.target.dev == merge.disk && drop_image(disk, merge)) changed = true;
    return changed;
}

Task<> drop_from_snapshots(DomainPtr domain, std::string gone, std::vector<Merge> merges) {
    const auto all = domain->snapshots.all(); // a copy: keeping one changes the tree
    for (const auto& [name, snapshot] : all) {
        if (name == gone) continue;
        auto copy = std::make_shared<xml::Snapshot>(*snapshot);
        const bool before = copy->domain && drop_images(*copy->domain, merges);
        const bool beside = copy->inactive_domain && drop_images(*copy->inactive_domain, merges);
        if (before || beside) co_await keep_moment<xml::Snapshot>(domain, copy, domain->snapshots.current() == name);
    }
}

Task<> merge_stopped(DomainPtr domain, Merge merge) {
    auto& files = domain->hypervisor().driver().state_files();
    co_await files.merge_image(merge.image, {merge.below.source.path, std::string(xml::word(merge.below.format))}, merge.above);
    if (!merge.on_top) co_return;
    auto definition = domain->definition().copy();
    if (drop_images(definition, {merge})) co_await domain->store_definition(std::move(definition));
}

} // namespace

// Images are removed when nothing names them any more: whenever this is broken off, all documents lead to all data.
Task<> merge_snapshot(DomainPtr domain, SnapshotPtr snapshot) {
    const auto missing = co_await rpc::blocking_result([disks = snapshot->disks] { return missing_images(disks); });
    const auto merges = plan(*domain, *snapshot, missing);
    const bool running = domain->is_active(); // QEMU lets go of each image, which then goes at once
    for (const auto& merge : merges) {
        if (merge.done) continue;
        if (running)
            co_await merge_into(domain, merge.disk, merge.below.source.path, merge.image.path);
        else
            co_await merge_stopped(domain, merge);
    }
    co_await drop_from_snapshots(domain, snapshot->name, merges);
    if (running) co_return;
    std::vector<std::string> gone;
    for (const auto& merge : merges) gone.push_back(merge.image.path);
    co_await domain->hypervisor().driver().state_files().remove_images(domain->name(), std::move(gone));
}

} // namespace lodge::daemon
