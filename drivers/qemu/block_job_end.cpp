// What follows when a block job of QEMU has ended: bitmaps move with the data they describe, the live document names the images
// that are left, the others' nodes go.
#include "drivers/qemu/block_jobs.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/state_files.hpp"
#include "rpc/log.hpp"

namespace lodge::drivers::qemu {

using xml::BackingStore;
using xml::Disk;

namespace {

bool is_image(const BackingStore& link, std::optional<std::uint32_t> number) { return number && link.source.index == number; }

// The links from `first` down to the one above the image of that number, or to the end of the chain.
std::vector<BackingStore> links_above(const xml::Box<BackingStore>& first, std::optional<std::uint32_t> number) {
    std::vector<BackingStore> links;
    for (const auto* at = &first; *at && (*at)->type && !is_image(**at, number); at = &(*at)->backing) links.push_back(**at);
    return links;
}

bool has_image(const Disk& disk, std::optional<std::uint32_t> number) {
    return std::ranges::any_of(xml::links_below(disk), [&](const auto* link) { return is_image(*link, number); });
}

const BackingStore* image_of(const Disk& disk, std::optional<std::uint32_t> number) {
    for (const auto* link : xml::links_below(disk))
        if (is_image(*link, number)) return link;
    return nullptr;
}

std::string node_of(std::optional<std::uint32_t> number) { return number ? fmt::format("libvirt-{}-format", *number) : ""; }

// Nodes from the image of that number down.
std::vector<std::string> nodes_from(const Disk& disk, std::optional<std::uint32_t> number) {
    auto nodes = format_nodes(disk);
    const auto from = std::ranges::find(nodes, node_of(number));
    if (from != nodes.end()) nodes.erase(nodes.begin(), from);
    return nodes;
}

BackingStore mirror_link(const xml::DiskMirror& mirror) {
    BackingStore link;
    link.type = mirror.type;
    link.format = mirror.format.value_or(xml::StorageFormat::raw);
    link.source = mirror.source;
    link.backing = mirror.backing;
    return link;
}

} // namespace

// ---- what all ends have in common ----

// `reopened`: the disk whose own image must be writable for that, and is otherwise not.
Task<> QemuBlockJobs::merge_bitmaps(Merge merge, std::optional<Disk> reopened) {
    const auto machine = machine_.shared_from_this();
    const json named = co_await machine->qmp().ask("query-named-block-nodes", {{"flat", true}});
    const auto all = bitmaps_in(named);
    if (!merge.writes.empty() && !find_bitmap(all, merge.writes, write_bitmap)) merge.writes.clear();
    json actions = merge_actions(all, merge);
    if (actions.empty()) co_return;
    json writable, readable;
    if (reopened) {
        const auto& parts = machine->parts();
        const auto context = co_await running_context(parts.world, parts.domain, parts.id, parts.runtime.master_key_path());
        writable = json::parse(top_nodes(*reopened, context).nodes.back().dump());
        readable = writable;
        readable["read-only"] = true;
        co_await machine->qmp().ask("blockdev-reopen", {{"options", json::array({writable})}});
    }
    // Data matters more than the record of what changed: without it, the next backup is a full one.
    const json reply = co_await machine->qmp().send("transaction", {{"actions", std::move(actions)}}).reply();
    if (reply.contains("error"))
        log::warn("{}: bitmaps cannot follow their data: {}", machine->domain().name, reply["error"].value("desc", ""));
    if (reopened) co_await machine->qmp().ask("blockdev-reopen", {{"options", json::array({readable})}});
}

static QemuBlockJob::Leftover leftover_of(const std::vector<BackingStore>& links, BlockJobStatus status, bool with_files) {
    QemuBlockJob::Leftover leftover{status, json::array(), {}};
    for (const auto& [command, arguments] : removal_of(links)) leftover.commands.push_back({command, arguments});
    if (!with_files) return leftover;
    for (const auto& link : links)
        if (reached_as(link.source) == xml::SourceType::file) leftover.files.push_back(link.source.path);
    return leftover;
}

Task<> QemuBlockJobs::remove_leftover(QemuBlockJob::Leftover leftover) {
    const auto machine = machine_.shared_from_this();
    for (const auto& one : leftover.commands) {
        const json reply = co_await machine->qmp().send(one[0], one[1]).reply();
        if (reply.contains("error"))
            log::warn("{}: {}: {}", machine->domain().name, one[0].get<std::string>(), reply["error"].value("desc", ""));
    }
    if (!leftover.files.empty()) co_await remove_image_files(machine->domain().name, std::move(leftover.files));
}

// ---- each kind ----

// As many images stand below the disk's as would if it had come to its end.
Task<bool> QemuBlockJobs::has_pulled(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    const json named = co_await machine->qmp().ask("query-named-block-nodes"); // only the long answer counts images
    const auto* disk = find_disk(machine->domain(), job.job.disk);
    if (!disk) co_return false;
    const auto top =
        std::ranges::find(named, format_node(disk->source), [](const json& one) { return one.value("node-name", ""); });
    const auto below = job.base ? nodes_from(*disk, job.base).size() : 0;
    co_return top != named.end() && top->value("backing_file_depth", std::size_t{0}) == below;
}

Task<QemuBlockJobs::Links> QemuBlockJobs::end_pull(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    auto* disk = find_disk(machine->domain(), job.job.disk);
    if (!disk || (job.base && !has_image(*disk, job.base))) co_return Links();
    const auto nodes = format_nodes(*disk);
    co_await merge_bitmaps({nodes, node_of(job.base), nodes.front(), "", "", ""});
    disk = find_disk(machine->domain(), job.job.disk);
    if (!disk) co_return Links();
    const auto gone = links_above(disk->backing, job.base);
    if (gone.empty() && job.base) co_return Links(); // it was right below all the time
    xml::Box<BackingStore> rest;
    if (job.base)
        rest = gone.back().backing;
    else
        rest.emplace();
    disk->backing = rest;
    co_return gone;
}

Task<QemuBlockJobs::Links> QemuBlockJobs::end_commit(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    auto* disk = find_disk(machine->domain(), job.job.disk);
    const auto* base = disk ? image_of(*disk, job.base) : nullptr;
    if (!base) co_return Links();
    Merge merge{nodes_from(*disk, job.top), node_of(job.base), node_of(job.base), "", "", ""};
    co_await merge_bitmaps(std::move(merge), disk_of_link(*disk, *base));
    disk = find_disk(machine->domain(), job.job.disk);
    if (!disk) co_return Links();
    auto* at = &disk->backing;
    while (*at && (*at)->type && !is_image(**at, job.top)) at = &(*at)->backing;
    const auto gone = links_above(*at, job.base);
    if (!gone.empty()) *at = xml::Box<BackingStore>(gone.back().backing);
    co_return gone;
}

Task<QemuBlockJobs::Links> QemuBlockJobs::end_active_commit(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    auto* disk = find_disk(machine->domain(), job.job.disk);
    if (!disk || !has_image(*disk, job.base)) co_return Links();
    co_await merge_bitmaps({format_nodes(*disk), node_of(job.base), node_of(job.base), "", "", node_of(job.base)});
    disk = find_disk(machine->domain(), job.job.disk);
    if (!disk) co_return Links();
    auto gone = links_above(disk->backing, job.base);
    gone.insert(gone.begin(), top_link(*disk));
    BackingStore base = *image_of(*disk, job.base);
    set_top_link(*disk, std::move(base));
    disk->mirror.reset();
    co_return gone;
}

Task<> QemuBlockJobs::fail_active_commit(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    if (auto* disk = find_disk(machine->domain(), job.job.disk)) disk->mirror.reset();
    const json named = co_await machine->qmp().ask("query-named-block-nodes", {{"flat", true}});
    if (find_bitmap(bitmaps_in(named), node_of(job.base), write_bitmap))
        machine->qmp().send("block-dirty-bitmap-remove", {{"node", node_of(job.base)}, {"name", write_bitmap}});
}

Task<QemuBlockJobs::Links> QemuBlockJobs::end_pivot(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    auto* disk = find_disk(machine->domain(), job.job.disk);
    if (!disk || !disk->mirror) co_return Links();
    const std::string target = format_node(disk->mirror->source);
    const auto nodes = format_nodes(*disk);
    co_await merge_bitmaps({nodes, job.shallow && nodes.size() > 1 ? nodes[1] : "", target, "", "", target});
    disk = find_disk(machine->domain(), job.job.disk);
    if (!disk || !disk->mirror) co_return Links();
    BackingStore fresh = mirror_link(*disk->mirror);
    std::vector<BackingStore> gone{top_link(*disk)};
    if (job.shallow && !job.reuse && !job.own_chain)
        fresh.backing = disk->backing;
    else
        for (const auto* link : xml::links_below(*disk)) gone.push_back(*link);
    set_top_link(*disk, std::move(fresh));
    disk->mirror.reset();
    co_return gone;
}

Task<QemuBlockJobs::Links> QemuBlockJobs::abandon_copy(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    auto* disk = find_disk(machine->domain(), job.job.disk);
    if (!disk || !disk->mirror) co_return Links();
    const Disk mirror = disk_of_link(*disk, mirror_link(*disk->mirror));
    disk->mirror.reset();
    std::vector<BackingStore> gone{top_link(mirror)};
    if (job.own_chain && !job.reuse)
        for (const auto* link : xml::links_below(mirror)) gone.push_back(*link);
    co_return job.job.kind == BlockJobKind::copy ? gone : Links();
}

// A copy that QEMU never began, or has no memory of.
Task<> QemuBlockJobs::take_back(QemuBlockJob job) {
    auto leftover = leftover_of(co_await abandon_copy(job), BlockJobStatus::failed, false);
    if (job.job.state == BlockJobState::starting && !job.made.empty()) leftover.files.push_back(job.made);
    co_await remove_leftover(std::move(leftover));
}

// ---- the end ----

Task<QemuBlockJobs::Links> QemuBlockJobs::show_end(QemuBlockJob job, BlockJobEnd end) {
    const bool success = end.status == BlockJobStatus::completed;
    switch (job.job.kind) {
    case BlockJobKind::pull:
        if (success) co_return co_await end_pull(job);
        break;
    case BlockJobKind::commit:
        if (success) co_return co_await end_commit(job);
        break;
    case BlockJobKind::active_commit:
        if (success) co_return co_await end_active_commit(job);
        co_await fail_active_commit(job);
        break;
    case BlockJobKind::copy:
        if (success && end.pivoted) co_return co_await end_pivot(job);
        co_return co_await abandon_copy(job);
    case BlockJobKind::backup:
    case BlockJobKind::none: break;
    }
    co_return Links();
}

Task<BlockJobFigures> QemuBlockJobs::learn_end(QemuBlockJob job, BlockJobEnd& end) {
    const auto machine = machine_.shared_from_this();
    BlockJobFigures figures;
    if (job.job.kind == BlockJobKind::pull) {
        end.error = job.error;
        if (job.lost && !co_await has_pulled(job)) end.status = BlockJobStatus::canceled;
        co_return figures;
    }
    for (const json all = co_await machine->qmp().ask("query-jobs"); const auto& one : all) {
        if (one.value("id", "") != job.job.name) continue;
        end.error = one.value("error", "");
        figures = {0, one.value("current-progress", std::uint64_t{0}), one.value("total-progress", std::uint64_t{0})};
    }
    co_return figures;
}

// Until this is kept, QEMU remembers the job (of a pull, its images tell), so that a later daemon finds it ended and does all of
// this again.
Task<> QemuBlockJobs::turn_to_end(std::string disk, BlockJobEnd& end, Keep keep) {
    const auto machine = machine_.shared_from_this();
    const QemuBlockJob job = get(disk);
    const auto figures = co_await learn_end(job, end);
    if (!end.error.empty()) end.status = BlockJobStatus::failed;
    if (job.job.state == BlockJobState::aborting) end.status = BlockJobStatus::canceled;
    const auto gone = co_await show_end(job, end);
    auto& entry = get(disk);
    entry.leftover = leftover_of(gone, end.status, job.delete_images);
    if (job.job.kind == BlockJobKind::backup) {
        machine->qmp().send("job-dismiss", {{"id", job.job.name}});
        co_await machine->end_backup_of(disk, end, job, figures);
    }
    co_await keep(end);
}

Task<std::optional<BlockJobEnd>> QemuBlockJobs::conclude(std::string name, Keep keep) {
    const auto machine = machine_.shared_from_this();
    const auto entry = jobs_.find(name);
    if (entry == jobs_.end() || !entry->second.data.over) co_return std::nullopt;
    const QemuBlockJob job = entry->second.data;
    const auto* disk = find_disk(machine->domain(), name);
    BlockJobEnd end{job.job.kind, BlockJobStatus::completed, job.job.state == BlockJobState::pivoting,
                    job.base,     disk ? *disk : Disk(),     ""};
    std::exception_ptr failure;
    if (job.leftover)
        end.status = job.leftover->status;
    else
        try {
            co_await turn_to_end(name, end, std::move(keep));
        } catch (...) {
            failure = std::current_exception();
        }
    if (job.job.kind != BlockJobKind::pull && job.job.kind != BlockJobKind::backup)
        machine->qmp().send("job-dismiss", {{"id", job.job.name}});
    if (const auto left = jobs_.find(name); left != jobs_.end() && left->second.data.leftover) {
        auto leftover = *left->second.data.leftover;
        if (failure) leftover.files.clear(); // a document may still name them
        co_await remove_leftover(std::move(leftover));
    }
    const bool moved = job.job.kind == BlockJobKind::active_commit || (job.job.kind == BlockJobKind::copy && end.pivoted);
    if (moved && !job.leftover && !failure && end.status == BlockJobStatus::completed)
        co_await machine->give_back_images(end.before);
    drop(name);
    if (failure) std::rethrow_exception(failure);
    co_return end;
}

} // namespace lodge::drivers::qemu
