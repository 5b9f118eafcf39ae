// Snapshots of a running guest's disks, inside them and beside them, and bitmaps of their changes.
#include "drivers/qemu/bitmaps.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

constexpr auto job_limit = 24h; // a snapshot writes all of the guest's memory

} // namespace

std::string QemuStateKeeper::node_of(const std::string& disk) const {
    const auto* found = find_disk(machine_.domain(), disk);
    if (!found) rpc::fail(Code::invalid_arg, "no disk named '{}' with a medium", disk);
    return format_node(found->source);
}

json QemuStateKeeper::nodes_of(const std::vector<std::string>& disks) const {
    json nodes = json::array();
    for (const auto& disk : disks) nodes.push_back(node_of(disk));
    return nodes;
}

// A job of QEMU from its command to its end, which an event tells.
Task<> QemuStateKeeper::run_job(std::string command, json arguments, std::string id) {
    const auto machine = machine_.shared_from_this();
    auto qmp = machine_.shared_qmp();
    arguments["job-id"] = id;
    const auto job = std::make_shared<Job>(executor());
    jobs_[id] = job;
    std::exception_ptr failure;
    try {
        // What a daemon began that was then killed has ended unseen.
        for (const json left = co_await qmp->ask("query-jobs", nullptr, job_limit); const auto& one : left) {
            if (one.value("id", "") != id) continue;
            if (one.value("status", "") != "concluded") co_await job->concluded.wait();
            co_await qmp->ask("job-dismiss", {{"id", id}}, job_limit);
            job->concluded.reset();
        }
        co_await qmp->ask(command, std::move(arguments), job_limit);
        co_await job->concluded.wait();
        if (!job->lost.empty()) rpc::fail(Code::operation_failed, "{} failed: {}", command, job->lost);
        const json all = co_await qmp->ask("query-jobs", nullptr, job_limit);
        qmp->send("job-dismiss", {{"id", id}});
        for (const auto& one : all)
            if (one.value("id", "") == id && one.contains("error"))
                rpc::fail(Code::operation_failed, "{} failed: {}", command, one["error"].get<std::string>());
    } catch (...) {
        failure = std::current_exception();
    }
    jobs_.erase(id);
    if (failure) std::rethrow_exception(failure);
}

Task<> QemuStateKeeper::save_snapshot(std::string name, std::vector<std::string> disks) {
    const json nodes = nodes_of(disks);
    bool taken = false;
    try {
        co_await run_job("snapshot-save", {{"tag", name}, {"vmstate", nodes.at(0)}, {"devices", nodes}}, "snapshot-save");
    } catch (const rpc::Error& error) {
        taken = error.detail().find("already exists") != std::string::npos;
        if (!taken) throw;
    }
    if (!taken) co_return;
    // Of that name nobody knows a snapshot: it is what a killed daemon left, and is replaced.
    co_await delete_snapshot(name, disks);
    co_await run_job("snapshot-save", {{"tag", name}, {"vmstate", nodes.at(0)}, {"devices", nodes}}, "snapshot-save");
}

Task<> QemuStateKeeper::load_snapshot(std::string name, std::vector<std::string> disks) {
    const json nodes = nodes_of(disks);
    co_await run_job("snapshot-load", {{"tag", name}, {"vmstate", nodes.at(0)}, {"devices", nodes}}, "snapshot-load");
}

Task<> QemuStateKeeper::delete_snapshot(std::string name, std::vector<std::string> disks) {
    co_await run_job("snapshot-delete", {{"tag", name}, {"devices", nodes_of(disks)}}, "snapshot-delete");
}

namespace {

// One disk's step onto its new file.
struct Step {
    Overlay overlay;
    xml::Disk after; // the disk as it is then
    std::string old_node;
    std::string made; // the file that was made for it
};

xml::Disk disk_after(const xml::Disk& disk, const Overlay& overlay, unsigned index) {
    xml::BackingStore fresh;
    fresh.type = fresh.source.type = overlay.block_device ? xml::SourceType::block : xml::SourceType::file;
    fresh.source.path = overlay.path;
    fresh.source.index = index;
    fresh.format = overlay.format == "qed" ? xml::StorageFormat::qed : xml::StorageFormat::qcow2;
    fresh.backing.emplace() = top_link(disk);
    xml::Disk after = disk;
    set_top_link(after, std::move(fresh));
    return after;
}

// Nodes of the new file, with nothing below: the transaction puts it on top of the old one.
xml::Disk alone(const xml::Disk& after) {
    xml::BackingStore link = top_link(after);
    link.backing.emplace(); // "and nothing below"
    return disk_of_link(after, std::move(link));
}

Task<> add_format_node(std::shared_ptr<PlugSteps> steps, xml::Disk disk, BuildContext context, bool storage_too) {
    auto nodes = top_nodes(disk, context);
    if (!storage_too)
        std::erase_if(nodes.nodes, [&](const Json& node) { return node.at("node-name") == storage_node(disk.source); });
    co_await add_block_nodes(*steps, std::move(nodes));
}

// What is recorded of the disk's changes goes on in the new file.
void propagate_bitmaps(json& actions, const NodeBitmaps& all, const std::string& from, const std::string& to) {
    const auto bitmaps = all.find(from);
    if (bitmaps == all.end()) return;
    for (const auto& bitmap : bitmaps->second)
        if (bitmap.is_sound()) actions.push_back(add_bitmap(to, bitmap.name, bitmap.granularity, true, true));
}

} // namespace

Task<> QemuStateKeeper::add_overlays(std::vector<Overlay> overlays) {
    const auto machine = machine_.shared_from_this();
    auto qmp = machine_.shared_qmp();
    const auto& parts = machine->parts();
    const BuildContext context = co_await running_context(parts.world, parts.domain, parts.id, parts.runtime.master_key_path());
    const json known = co_await qmp->ask("query-named-block-nodes", {{"flat", true}});
    const auto bitmaps = bitmaps_in(known);
    const auto commands = std::make_shared<PlugSteps>(qmp);
    std::vector<std::shared_ptr<Step>> steps;
    std::exception_ptr failure;
    try {
        json actions = json::array();
        for (auto& overlay : overlays) {
            const auto* disk = find_disk(machine_.domain(), overlay.disk);
            if (!disk) rpc::fail(Code::invalid_arg, "no disk named '{}' with a medium", overlay.disk);
            auto step = steps.emplace_back(std::make_shared<Step>());
            step->old_node = format_node(disk->source);
            step->after = disk_after(*disk, overlay, machine->take_block_number());
            step->overlay = overlay;
            const std::string fresh_node = format_node(step->after.source);
            const auto identity = parts.runtime.identity;
            const bool made =
                co_await rpc::blocking_result([&] { return make_image_file(overlay.path, overlay.reuse, identity); });
            if (made) step->made = overlay.path;
            if (!overlay.reuse) {
                const auto* below = xml::links_below(step->after).front();
                NewImage image{step->after, node_size(known, step->old_node), below};
                image.disk = disk_of_link(step->after, top_link(step->after));
                co_await create_image(machine, commands, std::move(image), context);
            }
            co_await add_format_node(commands, alone(step->after), context, overlay.reuse);
            propagate_bitmaps(actions, bitmaps, step->old_node, fresh_node);
            actions.push_back({{"type", "blockdev-snapshot"}, {"data", {{"node", step->old_node}, {"overlay", fresh_node}}}});
        }
        co_await qmp->ask("transaction", {{"actions", std::move(actions)}});
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        co_await commands->undo();
        for (const auto& step : steps)
            if (!step->made.empty()) ::unlink(step->made.c_str());
        std::rethrow_exception(failure);
    }
    for (const auto& step : steps)
        if (auto* disk = find_disk(machine_.domain(), step->overlay.disk)) *disk = step->after;
}

// ---- bitmaps ----

Task<> QemuStateKeeper::add_bitmaps(std::vector<Bitmap> bitmaps) {
    const auto machine = machine_.shared_from_this();
    json actions = json::array();
    for (const auto& bitmap : bitmaps) actions.push_back(add_bitmap(node_of(bitmap.disk), bitmap.name, 0, true, true));
    co_await machine_.qmp().ask("transaction", {{"actions", std::move(actions)}});
}

// A record goes from all layers; the lower ones must be written for that.
Task<> QemuStateKeeper::remove_bitmaps(std::vector<Bitmap> bitmaps) {
    const auto machine = machine_.shared_from_this();
    const auto& parts = machine->parts();
    const BuildContext context = co_await running_context(parts.world, parts.domain, parts.id, parts.runtime.master_key_path());
    const auto known = bitmaps_in(co_await machine_.qmp().ask("query-named-block-nodes", {{"flat", true}}));
    json actions = json::array(), opened = json::array();
    for (const auto& bitmap : bitmaps) {
        const auto* disk = find_disk(machine_.domain(), bitmap.disk);
        if (!disk) continue; // went with its disk
        for (const auto& node : format_nodes(*disk))
            if (find_bitmap(known, node, bitmap.name)) actions.push_back(remove_bitmap(node, bitmap.name));
        for (const auto* link : xml::links_below(*disk))
            if (find_bitmap(known, format_node(link->source), bitmap.name))
                opened.push_back(json::parse(top_nodes(disk_of_link(*disk, *link), context).nodes.back().dump()));
    }
    if (actions.empty()) co_return;
    std::exception_ptr failure;
    try {
        if (!opened.empty()) co_await machine_.qmp().ask("blockdev-reopen", {{"options", opened}});
        co_await machine_.qmp().ask("transaction", {{"actions", std::move(actions)}});
    } catch (...) {
        failure = std::current_exception();
    }
    for (auto& node : opened) node["read-only"] = true;
    if (!opened.empty()) co_await machine_.qmp().send("blockdev-reopen", {{"options", opened}}).reply();
    if (failure) std::rethrow_exception(failure);
}

Task<std::vector<std::uint64_t>> QemuStateKeeper::bitmap_sizes(std::vector<Bitmap> bitmaps) {
    const auto machine = machine_.shared_from_this();
    const auto known = bitmaps_in(co_await machine_.qmp().ask("query-named-block-nodes", {{"flat", true}}));
    std::vector<std::uint64_t> sizes;
    for (const auto& wanted : bitmaps) {
        const auto* disk = find_disk(machine_.domain(), wanted.disk);
        const auto nodes = disk ? format_nodes(*disk) : std::vector<std::string>();
        if (!is_sound_chain(known, nodes, wanted.name))
            rpc::fail(Code::operation_failed, "disk '{}' has no bitmap '{}'", wanted.disk, wanted.name);
        std::uint64_t size = 0;
        for (const auto& node : nodes)
            if (const auto* bitmap = find_bitmap(known, node, wanted.name)) size += bitmap->count;
        sizes.push_back(size);
    }
    co_return sizes;
}

} // namespace lodge::drivers::qemu
