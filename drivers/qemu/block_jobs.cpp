#include "drivers/qemu/block_jobs.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

// A link of a disk's chain, and what stands above it.
const xml::BackingStore& link_at(const std::vector<xml::BackingStore>& chain, std::uint32_t number) {
    const auto found =
        std::ranges::find(chain, number, [](const xml::BackingStore& link) { return link.source.index.value_or(0); });
    if (found == chain.end()) rpc::fail(Code::internal_error, "no image of number {}", number);
    return *found;
}

std::vector<xml::BackingStore> chain_of(const xml::Disk& disk) {
    std::vector<xml::BackingStore> chain{top_link(disk)};
    for (const auto* link : xml::links_below(disk)) chain.push_back(*link);
    return chain;
}

// Paths of the images from the one above `first` down to the one above `last`: whose headers lead from there to `last`.
std::vector<std::string> paths_between(const std::vector<xml::BackingStore>& chain, std::uint32_t above, std::uint32_t last) {
    std::vector<std::string> paths;
    bool inside = false;
    for (const auto& link : chain) {
        const auto number = link.source.index.value_or(0);
        if (number == last) break;
        inside = inside || number == above;
        if (inside) paths.push_back(link.source.path);
    }
    return paths;
}

// How the image above is to call `base`: absent where QEMU finds that out itself.
Task<std::optional<std::string>> name_of_base(std::vector<xml::BackingStore> chain, std::uint32_t above, std::uint32_t base,
                                              bool relative) {
    const auto& link = link_at(chain, base);
    if (relative) {
        std::string name;
        co_await rpc::blocking([&] { name = relative_name(paths_between(chain, above, base)); });
        if (name.empty()) rpc::fail(Code::operation_invalid, "can't keep relative backing relationship");
        co_return name;
    }
    const auto type = reached_as(link.source);
    if (type != xml::SourceType::file && type != xml::SourceType::block) co_return std::nullopt;
    co_return link.source.path;
}

const xml::Disk& require_disk(QemuMachine& machine, const std::string& name) {
    const auto* disk = find_disk(machine.domain(), name);
    if (!disk) rpc::fail(Code::config_unsupported, "disk {} has no source file to be committed", name);
    return *disk;
}

json job_arguments(const std::string& device, std::uint64_t speed) {
    json arguments = {{"device", device}, {"auto-finalize", true}, {"auto-dismiss", false}};
    if (speed) arguments["speed"] = speed;
    return arguments;
}

QemuBlockJob new_job(BlockJobKind kind, const char* word, const std::string& disk, const std::string& node) {
    QemuBlockJob job;
    job.job = {fmt::format("{}-{}-{}", word, disk, node), disk, kind, BlockJobState::starting};
    return job;
}

Task<BuildContext> context_of(std::shared_ptr<QemuMachine> machine) {
    const auto& parts = machine->parts();
    co_return co_await running_context(parts.world, parts.domain, parts.id, parts.runtime.master_key_path());
}

void show_commit(QemuMachine& machine, const std::string& name, const xml::BackingStore& base) {
    auto* disk = find_disk(machine.domain(), name);
    if (!disk) return;
    auto& mirror = disk->mirror.emplace();
    mirror.type = base.source.type;
    mirror.format = base.format;
    mirror.source = base.source;
    mirror.job = "active-commit";
}

} // namespace

QemuBlockJob& QemuBlockJobs::get(const std::string& disk) {
    const auto found = jobs_.find(disk);
    if (found == jobs_.end()) rpc::fail(Code::invalid_arg, "disk {} does not have an active block job", disk);
    return found->second.data;
}

std::optional<BlockJob> QemuBlockJobs::on(const std::string& disk) const {
    const auto found = jobs_.find(disk);
    if (found == jobs_.end() || found->second.data.leftover) return std::nullopt; // the documents show no job any more either
    return found->second.data.job;
}

void QemuBlockJobs::enter(QemuBlockJob job) {
    const std::string disk = job.job.disk;
    jobs_[disk] = {std::move(job), nullptr};
}

void QemuBlockJobs::begun(const std::string& disk) {
    const auto found = jobs_.find(disk);
    if (found != jobs_.end() && found->second.data.job.state == BlockJobState::starting)
        found->second.data.job.state = BlockJobState::running;
}

// From here on a later daemon looks whether QEMU runs it.
Task<> QemuBlockJobs::begin(std::string disk, QemuBlockJob job, std::function<Task<>()> keep, std::string command,
                            json arguments) {
    const auto machine = machine_.shared_from_this();
    arguments["job-id"] = job.job.name;
    enter(std::move(job));
    std::exception_ptr failure;
    try {
        if (keep) co_await keep();
        co_await machine->qmp().ask(command, std::move(arguments));
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return begun(disk);
    drop(disk);
    std::rethrow_exception(failure);
}

Task<> QemuBlockJobs::pull(PullOrder order) {
    const auto machine = machine_.shared_from_this();
    const auto& disk = require_disk(machine_, order.disk);
    const std::string node = format_node(disk.source);
    auto job = new_job(BlockJobKind::pull, "pull", order.disk, node);
    json arguments = job_arguments(node, order.speed);
    arguments["auto-dismiss"] = true; // QEMU 7.2 dies when it is asked for its nodes while it remembers a pull that has ended
    if (order.base) {
        const auto chain = chain_of(disk);
        job.base = order.base;
        arguments["base-node"] = format_node(link_at(chain, *order.base).source);
        const auto name = co_await name_of_base(chain, disk.source.index.value_or(0), *order.base, order.relative);
        if (name) arguments["backing-file"] = *name;
    }
    co_await begin(order.disk, std::move(job), order.keep, "block-stream", std::move(arguments));
}

Task<> QemuBlockJobs::commit(CommitOrder order) {
    const auto machine = machine_.shared_from_this();
    const auto disk = require_disk(machine_, order.disk);
    const auto chain = chain_of(disk);
    const auto& top = link_at(chain, order.top);
    const auto& base = link_at(chain, order.base);
    const bool active = order.top == disk.source.index;
    auto job =
        new_job(active ? BlockJobKind::active_commit : BlockJobKind::commit, "commit", order.disk, format_node(top.source));
    job.top = order.top;
    job.base = order.base;
    job.delete_images = order.delete_images;
    job.pivots = active && order.pivots;
    json arguments = job_arguments(device_node(disk), order.speed);
    arguments["top-node"] = format_node(top.source);
    arguments["base-node"] = format_node(base.source);
    if (!active) {
        std::uint32_t above = 0;
        for (const auto& link : chain) {
            if (link.source.index == order.top) break;
            above = link.source.index.value_or(0);
        }
        if (const auto name = co_await name_of_base(chain, above, order.base, order.relative)) arguments["backing-file"] = *name;
    }
    co_await machine->own_images(disk_of_link(disk, base));
    if (active) show_commit(*machine, order.disk, base);
    std::exception_ptr failure;
    try {
        co_await begin(order.disk, std::move(job), order.keep, "block-commit", std::move(arguments));
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    if (auto* live = find_disk(machine->domain(), order.disk)) live->mirror.reset();
    std::rethrow_exception(failure);
}

// ---- copies ----

Task<> QemuBlockJobs::copy(CopyOrder order) {
    const auto machine = machine_.shared_from_this();
    auto steps = std::make_shared<PlugSteps>(machine->shared_qmp());
    auto& target = order.target;
    if (order.reuse && !target.backing) {
        auto found = disk_of_link(xml::Disk(), target);
        co_await rpc::blocking([&] { find_chain(found); });
        target.backing = found.backing;
    }
    target.source.index = machine->take_block_number();
    for (auto* link = target.backing && target.backing->type ? &*target.backing : nullptr; link;
         link = link->backing && link->backing->type ? &*link->backing : nullptr)
        link->source.index = machine->take_block_number();
    auto job = new_job(BlockJobKind::copy, "copy", order.disk, format_node(require_disk(machine_, order.disk).source));
    job.shallow = order.shallow;
    job.reuse = order.reuse;
    job.own_chain = target.backing && target.backing->type;
    std::exception_ptr failure;
    bool made = false;
    const auto type = reached_as(target.source);
    const bool local = type == xml::SourceType::file || type == xml::SourceType::block;
    try {
        // Whose it was is to be remembered, so that it can be given back.
        const bool lent = machine->parts().runtime.lends;
        const auto identity = lent ? std::nullopt : machine->parts().runtime.identity;
        if (local && type == xml::SourceType::file)
            made = co_await rpc::blocking_result([&] { return make_image_file(target.source.path, order.reuse, identity); });
        if (made) job.made = target.source.path;
        co_await machine->own_images(disk_of_link(require_disk(machine_, order.disk), target));
        co_await start_copy(steps, order, job);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    if (auto* disk = find_disk(machine->domain(), order.disk)) disk->mirror.reset();
    co_await steps->undo();
    if (made) ::unlink(target.source.path.c_str());
    std::rethrow_exception(failure);
}

Task<> QemuBlockJobs::start_copy(std::shared_ptr<PlugSteps> steps, CopyOrder order, QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    const BuildContext context = co_await context_of(machine);
    const xml::Disk disk = require_disk(machine_, order.disk);
    xml::Disk mirror = disk_of_link(disk, order.target);
    if (order.reuse) {
        mirror.backing.emplace(); // what is below is opened when it takes the disk's place
    } else {
        if (order.shallow && job.own_chain) co_await add_block_nodes(*steps, nodes_below(mirror, context));
        if (order.shallow && !job.own_chain) mirror.backing = disk.backing;
        const json named = co_await machine->qmp().ask("query-named-block-nodes", {{"flat", true}});
        const auto below = xml::links_below(mirror);
        NewImage image{mirror, node_size(named, format_node(disk.source)), below.empty() ? nullptr : below.front()};
        co_await create_image(machine, steps, std::move(image), context);
    }
    auto nodes = top_nodes(mirror, context);
    if (!order.reuse)
        std::erase_if(nodes.nodes, [&](const Json& node) { return node.at("node-name") == storage_node(mirror.source); });
    co_await add_block_nodes(*steps, std::move(nodes));
    if (auto* live = find_disk(machine->domain(), order.disk)) {
        auto& shown = live->mirror.emplace();
        shown.type = order.target.source.type;
        shown.format = order.target.format;
        shown.source = order.target.source;
        shown.backing = order.target.backing;
        shown.job = "copy";
        if (shown.type == xml::SourceType::file) {
            shown.file = order.target.source.path;
            shown.format_attribute = xml::word(order.target.format);
        }
    }
    json arguments = job_arguments(device_node(disk), order.speed);
    arguments["target"] = format_node(mirror.source);
    arguments["sync"] = order.shallow ? "top" : "full";
    if (order.granularity) arguments["granularity"] = order.granularity;
    if (order.buffer) arguments["buf-size"] = order.buffer;
    if (order.synchronous) arguments["copy-mode"] = "write-blocking";
    co_await begin(order.disk, std::move(job), order.keep, "blockdev-mirror", std::move(arguments));
}

// ---- looking and telling ----

Task<BlockJobFigures> QemuBlockJobs::figures(std::string disk) {
    const auto machine = machine_.shared_from_this();
    const QemuBlockJob job = get(disk);
    const json all = co_await machine->qmp().ask("query-block-jobs");
    BlockJobFigures out{0, 0, 1};
    for (const auto& one : all) {
        if (one.value("device", "") != job.job.name) continue;
        out = {one.value("speed", std::uint64_t{0}), one.value("offset", std::uint64_t{0}), one.value("len", std::uint64_t{0})};
        const bool ready = one.value("ready", false);
        // Who polls takes "all of it" for the end: a job that begins, or has not caught up yet, is not there.
        if (out.current == 0 && out.end == 0) out.end = 1, out.current = ready ? 1 : 0;
        if (!ready && out.current == out.end && out.current > 0) --out.current;
    }
    co_return out;
}

Task<> QemuBlockJobs::set_speed(std::string disk, std::uint64_t bytes) {
    const auto machine = machine_.shared_from_this();
    co_await machine->qmp().ask("block-job-set-speed", {{"device", get(disk).job.name}, {"speed", bytes}});
}

static void require_going(const BlockJob& job) {
    if (job.state == BlockJobState::aborting || job.state == BlockJobState::pivoting)
        rpc::fail(Code::operation_invalid, "block job on disk '{}' is still being ended", job.disk);
}

static void show_ending(QemuMachine& machine, const std::string& name, const char* ready) {
    auto* disk = find_disk(machine.domain(), name);
    if (disk && disk->mirror) disk->mirror->ready = ready;
}

// The job may be over before QEMU has answered, and what its end means hangs on its state.
Task<> QemuBlockJobs::end_as(std::string disk, BlockJobState state, std::string command, json arguments) {
    const auto machine = machine_.shared_from_this();
    const BlockJob before = get(disk).job;
    get(disk).job.state = state;
    std::exception_ptr failure;
    try {
        co_await machine->qmp().ask(command, std::move(arguments));
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    const auto found = jobs_.find(disk);
    if (found != jobs_.end() && found->second.data.job.name == before.name && found->second.data.job.state == state)
        found->second.data.job.state = before.state;
    std::rethrow_exception(failure);
}

Task<> QemuBlockJobs::cancel(std::string disk) {
    const QemuBlockJob job = get(disk);
    require_going(job.job);
    const bool forced = job.job.kind == BlockJobKind::backup;
    co_await end_as(disk, BlockJobState::aborting, "block-job-cancel", {{"device", job.job.name}, {"force", forced}});
    show_ending(machine_, disk, "abort");
}

Task<> QemuBlockJobs::add_write_bitmap(std::string node, std::string disk) {
    const auto machine = machine_.shared_from_this();
    const json named = co_await machine->qmp().ask("query-named-block-nodes", {{"flat", true}});
    const auto bitmaps = bitmaps_in(named);
    const auto* live = find_disk(machine->domain(), disk);
    if (!live || !bitmaps.contains(format_node(live->source))) co_return; // no record is kept that it could be missing from
    if (find_bitmap(bitmaps, node, write_bitmap)) co_return;              // by a daemon that was killed right behind it
    json actions = json::array({add_bitmap(node, write_bitmap, 0, false, true)});
    co_await machine->qmp().ask("transaction", {{"actions", std::move(actions)}});
}

// The images below a copy that was made elsewhere are opened late: until now they were being written there.
Task<> QemuBlockJobs::install_copy_chain(QemuBlockJob job) {
    const auto machine = machine_.shared_from_this();
    const auto* live = find_disk(machine->domain(), job.job.disk);
    if (!job.reuse || !job.shallow || !job.own_chain || !live || !live->mirror) co_return;
    const BuildContext context = co_await context_of(machine);
    xml::BackingStore link;
    link.format = live->mirror->format.value_or(xml::StorageFormat::raw);
    link.source = live->mirror->source;
    link.backing = live->mirror->backing;
    const auto mirror = disk_of_link(*live, link);
    co_await machine->own_images(mirror);
    PlugSteps steps(machine->shared_qmp());
    std::exception_ptr failure;
    try {
        co_await add_block_nodes(steps, nodes_below(mirror, context));
        json actions =
            json::array({{{"type", "blockdev-snapshot"},
                          {"data", {{"node", format_node(mirror.backing->source)}, {"overlay", format_node(mirror.source)}}}}});
        co_await steps.ask("transaction", {{"actions", std::move(actions)}});
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await steps.undo();
    std::rethrow_exception(failure);
}

static const char* word(BlockJobKind kind) {
    static constexpr const char* words[] = {"", "pull", "copy", "commit", "active-commit", "backup"};
    return words[static_cast<std::size_t>(kind)];
}

Task<> QemuBlockJobs::pivot(std::string disk) {
    const auto machine = machine_.shared_from_this();
    const QemuBlockJob job = get(disk);
    require_going(job.job);
    if (job.job.state != BlockJobState::ready)
        rpc::fail(Code::block_copy_active, "block job '{}' not ready for pivot yet", job.job.name);
    const bool copies = job.job.kind == BlockJobKind::copy;
    if (!copies && job.job.kind != BlockJobKind::active_commit)
        rpc::fail(Code::operation_invalid, "job type '{}' does not support pivot", word(job.job.kind));
    co_await install_copy_chain(job);
    const auto* live = find_disk(machine->domain(), disk);
    if (live && live->mirror) co_await add_write_bitmap(format_node(live->mirror->source), disk);
    co_await end_as(disk, BlockJobState::pivoting, "job-complete", {{"id", job.job.name}});
    show_ending(machine_, disk, "pivot");
}

// ---- what QEMU tells ----

void QemuBlockJobs::set_over(Entry& entry) {
    entry.data.over = true;
    if (entry.signal) entry.signal->set();
    machine_.report(event::BlockJobOver{entry.data.job.disk});
}

void QemuBlockJobs::set_ready(Entry& entry) {
    auto& job = entry.data.job;
    if (job.state != BlockJobState::running && job.state != BlockJobState::starting) return; // it may waver on its way out
    job.state = BlockJobState::ready;
    report_ready(entry.data);
}

// One that cannot pivot ends all the same: somebody may wait for that.
static Task<> pivot_or_cancel(std::shared_ptr<QemuMachine> machine, std::string disk) {
    std::exception_ptr failure;
    try {
        co_await machine->block_jobs()->pivot(disk);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await machine->block_jobs()->cancel(disk);
    std::rethrow_exception(failure);
}

void QemuBlockJobs::report_ready(const QemuBlockJob& job) {
    const auto disk = job.job.disk;
    show_ending(machine_, disk, "yes");
    if (job.pivots) rpc::spawn(machine_.executor(), job.job.name, pivot_or_cancel(machine_.shared_from_this(), disk));
    machine_.report(event::BlockJobReady{disk}); // may change the list of jobs
}

void QemuBlockJobs::on_event(const QmpEvent& event) {
    if (event.name == "BLOCK_JOB_COMPLETED" && event.data.is_object())
        for (auto& [disk, entry] : jobs_)
            if (entry.data.job.name == event.data.value("device", "")) entry.data.error = event.data.value("error", "");
    if (event.name != "JOB_STATUS_CHANGE" || !event.data.is_object()) return;
    const std::string name = event.data.value("id", ""), status = event.data.value("status", "");
    for (auto& [disk, entry] : jobs_) {
        if (entry.data.job.name != name) continue;
        if (status == "ready") set_ready(entry);
        if (status == "concluded") set_over(entry);
        return; // the report may have changed the list
    }
}

Task<> QemuBlockJobs::over(std::string disk) {
    const auto machine = machine_.shared_from_this();
    const auto found = jobs_.find(disk);
    if (found == jobs_.end() || found->second.data.over) co_return;
    if (!found->second.signal) found->second.signal = std::make_shared<rpc::Signal>(machine->executor());
    const auto signal = found->second.signal;
    co_await signal->wait();
    if (!jobs_.contains(disk)) rpc::fail(Code::operation_failed, "domain is not running");
}

void QemuBlockJobs::on_end() {
    for (auto& [disk, entry] : std::exchange(jobs_, {}))
        if (entry.signal) entry.signal->set();
}

} // namespace lodge::drivers::qemu
