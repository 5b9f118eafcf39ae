#include "drivers/qemu/backup.hpp"
#include "drivers/qemu/command_line/builder.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

constexpr int job_operation_backup = 9; // VIR_DOMAIN_JOB_OPERATION_BACKUP

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}
std::uint64_t age_ms(const Backup& backup) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ms() - backup.began_ms));
}

} // namespace

bool Backup::all(BackupState state) const {
    return std::ranges::all_of(disks, [&](const BackupDisk& disk) { return disk.state == state; });
}
bool Backup::any(BackupState state) const {
    return std::ranges::any_of(disks, [&](const BackupDisk& disk) { return disk.state == state; });
}

json backup_status(const Backup& backup) {
    json disks = json::array();
    for (const auto& disk : backup.disks) disks.push_back({disk.disk, disk.made, static_cast<int>(disk.state)});
    return {{"disks", std::move(disks)}, {"began_ms", backup.began_ms}, {"pull", backup.pull},      {"objects", backup.objects},
            {"error", backup.error},     {"total", backup.total},       {"current", backup.current}};
}

std::shared_ptr<Backup> backup_from_status(const json& kept) {
    auto backup = std::make_shared<Backup>();
    backup->began_ms = kept.value("began_ms", std::int64_t{0});
    backup->pull = kept.value("pull", false);
    backup->objects = kept.value("objects", backup->objects);
    backup->error = kept.value("error", "");
    backup->total = kept.value("total", std::uint64_t{0});
    backup->current = kept.value("current", std::uint64_t{0});
    for (const auto& disk : kept.at("disks"))
        backup->disks.push_back({disk.at(0), disk.at(1), static_cast<BackupState>(disk.at(2).get<int>())});
    return backup;
}

// ---- beginning ----

namespace {

// A backup on its way: what has been made so far, and what the transaction will say.
class BackupStart {
  public:
    BackupStart(std::shared_ptr<QemuMachine> machine, BackupPlan plan)
        : machine_(std::move(machine))
        , plan_(std::move(plan))
        , steps_(std::make_shared<PlugSteps>(machine_->shared_qmp())) {
        backup->pull = plan_.pull;
    }

    Task<> prepare();
    Task<> begin();
    Task<> export_disks();
    Task<> undo();

    std::shared_ptr<Backup> backup = std::make_shared<Backup>();
    std::vector<std::uint32_t> numbers;

  private:
    struct Part {
        BackupTarget wish;
        xml::Disk disk, store;
        QemuBlockJob job;
        std::string bitmap; // of what has changed since the checkpoint
    };
    Part plan_part(const BackupTarget& wish);
    Task<> make_store(std::shared_ptr<Part> part);
    void add_actions(Part& part);
    Task<> start_server();

    std::shared_ptr<QemuMachine> machine_;
    BackupPlan plan_;
    std::shared_ptr<PlugSteps> steps_;
    BuildContext context_;
    json named_;
    NodeBitmaps bitmaps_;
    std::vector<std::shared_ptr<Part>> parts_;
    json actions_ = json::array();
};

BackupStart::Part BackupStart::plan_part(const BackupTarget& wish) {
    const auto* disk = find_disk(machine_->domain(), wish.disk);
    if (!disk) rpc::fail(Code::invalid_arg, "no disk named '{}' with something to back up", wish.disk);
    Part part{wish, *disk, {}, {}, ""};
    xml::BackingStore link;
    if (!xml::Traits<xml::StorageFormat>::parse(link.format, wish.format.empty() ? "qcow2" : wish.format))
        rpc::fail(Code::config_unsupported, "unknown format '{}' for the backup of disk '{}'", wish.format, wish.disk);
    link.type = link.source.type = wish.block_device ? xml::SourceType::block : xml::SourceType::file;
    link.source.path = wish.path;
    link.source.index = machine_->take_block_number();
    // What the copy has not, it has from the disk: in a pull backup all that the guest leaves alone, in an incremental one all
    // that has not changed.
    if (plan_.pull || (!wish.since.empty() && link.format == xml::StorageFormat::qcow2))
        link.backing.emplace() = top_link(*disk);
    else
        link.backing.emplace();
    part.store = disk_of_link(xml::Disk(), std::move(link));
    const auto chain = format_nodes(*disk);
    if (!wish.since.empty()) {
        if (!is_sound_chain(bitmaps_, chain, wish.since))
            rpc::fail(Code::checkpoint_inconsistent, "missing or broken bitmap '{}' for disk '{}'", wish.since, wish.disk);
        part.bitmap = wish.export_bitmap.empty() ? "backup-" + wish.disk : wish.export_bitmap;
    }
    part.job.job = {fmt::format("backup-{}-{}", wish.disk, chain.front()), wish.disk, BlockJobKind::backup,
                    BlockJobState::starting};
    part.job.nodes = {format_node(part.store.source), storage_node(part.store.source)};
    if (!plan_.pull) part.job.bitmap = part.bitmap;
    return part;
}

Task<> BackupStart::make_store(std::shared_ptr<Part> part) {
    const auto& wish = part->wish;
    const bool reuse = wish.existing || wish.block_device;
    if (!reuse && ::access(wish.path.c_str(), F_OK) == 0)
        rpc::fail(Code::invalid_arg, "store '{}' for backup of '{}' exists", wish.path, wish.disk);
    const auto identity = machine_->parts().runtime.identity;
    const bool made = co_await rpc::blocking_result([&] { return make_image_file(wish.path, reuse, identity); });
    backup->disks.push_back({wish.disk, made ? wish.path : "", BackupState::running});
    auto nodes = top_nodes(part->store, context_);
    if (!wish.existing) {
        const auto below = xml::links_below(part->store);
        NewImage image{part->store, node_size(named_, format_node(part->disk.source)), below.empty() ? nullptr : below.front()};
        co_await create_image(machine_, steps_, std::move(image), context_);
        std::erase_if(nodes.nodes, [&](const Json& node) { return node.at("node-name") == storage_node(part->store.source); });
    }
    co_await add_block_nodes(*steps_, std::move(nodes));
}

void BackupStart::add_actions(Part& part) {
    const std::string source = format_node(part.disk.source), store = format_node(part.store.source);
    if (!part.bitmap.empty()) {
        Merge merge{format_nodes(part.disk), "", plan_.pull ? store : source, part.wish.since, part.bitmap, ""};
        for (auto& action : merge_actions(bitmaps_, merge)) actions_.push_back(std::move(action));
    }
    json data = {
        {"device", source}, {"target", store}, {"job-id", part.job.job.name}, {"auto-finalize", true}, {"auto-dismiss", false}};
    data["sync"] = plan_.pull ? "none" : part.bitmap.empty() ? "full" : "incremental";
    if (!plan_.pull && !part.bitmap.empty()) data["bitmap"] = part.bitmap;
    actions_.push_back({{"type", "blockdev-backup"}, {"data", std::move(data)}});
}

Task<> BackupStart::prepare() {
    const auto& parts = machine_->parts();
    context_ = co_await running_context(parts.world, parts.domain, parts.id, parts.runtime.master_key_path());
    named_ = co_await machine_->qmp().ask("query-named-block-nodes", {{"flat", true}});
    bitmaps_ = bitmaps_in(named_);
    for (const auto& bitmap : plan_.bitmaps)
        if (const auto* disk = find_disk(machine_->domain(), bitmap.disk))
            actions_.push_back(add_bitmap(format_node(disk->source), bitmap.name, 0, true, true));
    for (const auto& wish : plan_.targets) {
        parts_.push_back(std::make_shared<Part>(plan_part(wish)));
        numbers.push_back(parts_.back()->store.source.index.value_or(0));
    }
    for (const auto& part : parts_) {
        co_await make_store(part);
        add_actions(*part);
    }
    if (plan_.pull) co_await start_server();
}

Task<> BackupStart::start_server() {
    const auto& server = plan_.server;
    json arguments;
    if (server.tls) {
        const auto& tls = machine_->parts().world->settings.backup_tls;
        if (tls.dir.empty()) rpc::fail(Code::operation_invalid, "backup TLS directory not configured");
        const std::string id = "objlibvirt_backup_tls0";
        for (const auto& object : tls_objects(context_, tls, id, id + "-secret0", true)) {
            backup->objects.insert(backup->objects.begin(), object.at("id").get<std::string>());
            co_await steps_->step("object-add", json(object), "object-del", {{"id", object.at("id").get<std::string>()}});
        }
        arguments["tls-creds"] = id;
    }
    if (server.socket.empty())
        arguments["addr"] = {{"type", "inet"}, {"data", {{"host", server.host}, {"port", server.port}}}};
    else
        arguments["addr"] = {{"type", "unix"}, {"data", {{"path", server.socket}}}};
    co_await steps_->step("nbd-server-start", std::move(arguments), "nbd-server-stop", nullptr);
}

Task<> BackupStart::begin() {
    auto& jobs = *machine_->block_jobs();
    backup->began_ms = now_ms();
    for (const auto& part : parts_) jobs.enter(part->job);
    if (plan_.keep) co_await plan_.keep();
    co_await machine_->qmp().ask("transaction", {{"actions", actions_}});
    for (const auto& part : parts_) jobs.begun(part->wish.disk);
}

Task<> BackupStart::export_disks() {
    if (!plan_.pull) co_return;
    for (const auto& part : parts_) {
        const std::string node = format_node(part->store.source);
        json arguments = {{"type", "nbd"}, {"id", "libvirt-nbd-" + node}, {"node-name", node}, {"writable", false}};
        arguments["name"] = part->wish.export_name.empty() ? part->wish.disk : part->wish.export_name;
        if (!part->bitmap.empty()) arguments["bitmaps"] = json::array({part->bitmap});
        co_await machine_->qmp().ask("block-export-add", std::move(arguments));
    }
}

Task<> BackupStart::undo() {
    for (const auto& part : parts_) machine_->block_jobs()->drop(part->wish.disk);
    co_await steps_->undo();
    const auto disks = backup->disks;
    co_await rpc::blocking([&] {
        for (const auto& disk : disks)
            if (!disk.made.empty()) ::unlink(disk.made.c_str());
    });
}

} // namespace

Task<std::vector<std::uint32_t>> QemuMachine::begin_backup(std::shared_ptr<QemuMachine> self, BackupPlan plan) {
    if (self->backup_) rpc::fail(Code::operation_invalid, "another backup job is already running");
    if (plan.targets.empty()) rpc::fail(Code::config_unsupported, "no disks selected for backup");
    BackupStart start(self, std::move(plan));
    self->backup_ = start.backup; // from here on nobody else begins one
    std::exception_ptr failure;
    bool begun = false;
    try {
        co_await start.prepare();
        co_await start.begin();
        begun = true;
        co_await start.export_disks();
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return start.numbers;
    if (begun) {
        co_await self->cancel_backup();
    } else {
        co_await start.undo();
        self->backup_.reset();
    }
    std::rethrow_exception(failure);
}

// ---- its end ----

Task<> QemuMachine::cancel_backup() {
    const auto self = shared_from_this();
    const auto backup = backup_;
    if (!backup) co_return;
    for (const auto& disk : backup->disks) {
        if (disk.state != BackupState::running) continue;
        try {
            co_await block_jobs_.cancel(disk.disk);
        } catch (const rpc::Error& error) {
            log::debug("{}: backup of disk '{}' is ending already: {}", name(), disk.disk, error.message());
        }
    }
}

Task<> QemuMachine::end_backup_of(std::string disk, BlockJobEnd end, QemuBlockJob job, BlockJobFigures figures) {
    const auto self = shared_from_this();
    const auto backup = backup_;
    if (backup && backup->pull) {
        co_await qmp_->send("nbd-server-stop").reply();
        for (const auto& object : std::exchange(backup->objects, {})) qmp_->send("object-del", {{"id", object}});
    }
    for (const auto& node : job.nodes) qmp_->send("blockdev-del", {{"node-name", node}});
    if (!job.bitmap.empty() && !end.before.source.empty())
        qmp_->send("block-dirty-bitmap-remove", {{"node", format_node(end.before.source)}, {"name", job.bitmap}});
    co_await ask("query-status"); // the nodes are closed and the files whole when this is answered
    if (!backup) co_return;
    for (auto& one : backup->disks)
        if (one.disk == disk)
            one.state = end.status == BlockJobStatus::completed  ? BackupState::complete
                        : end.status == BlockJobStatus::canceled ? BackupState::canceled
                                                                 : BackupState::failed;
    if (backup->error.empty()) backup->error = end.error;
    backup->current += figures.current;
    backup->total += figures.end;
    if (!backup->any(BackupState::running)) co_return co_await conclude_backup(self);
    // One that is not whole makes all of them worthless.
    if (!backup->all(BackupState::complete) && end.status != BlockJobStatus::completed) co_await cancel_backup();
}

Task<> QemuMachine::conclude_backup(std::shared_ptr<QemuMachine> self) {
    const auto backup = std::exchange(self->backup_, nullptr);
    const bool failed = backup->any(BackupState::failed);
    const bool canceled = !failed && !backup->pull && backup->any(BackupState::canceled);
    if (backup->pull || failed || canceled) {
        co_await rpc::blocking([&] {
            for (const auto& disk : backup->disks)
                if (!disk.made.empty()) ::unlink(disk.made.c_str());
        });
    }
    event::JobCompleted told{job_operation_backup, !failed && !canceled, canceled, backup->error, {}};
    told.figures["time_elapsed"] = age_ms(*backup);
    if (backup->total) {
        told.figures[backup->pull ? "disk_temp_total" : "disk_total"] = backup->total;
        told.figures[backup->pull ? "disk_temp_used" : "disk_processed"] = backup->current;
        if (!backup->pull) told.figures["disk_remaining"] = backup->total - std::min(backup->total, backup->current);
    }
    self->tell(std::move(told));
}

// The guest has ended and with it the backup; copies that are not whole never look so.
Task<> QemuMachine::end_backup_with_guest(std::shared_ptr<QemuMachine> self) {
    if (!self->backup_) co_return;
    for (auto& disk : self->backup_->disks)
        if (disk.state == BackupState::running) disk.state = BackupState::failed;
    if (self->backup_->error.empty()) self->backup_->error = "the guest ended during the backup";
    co_await conclude_backup(self);
}

// ---- looking ----

Task<JobFigures> QemuMachine::job() {
    const auto self = shared_from_this();
    if (keeper_.is_streaming()) co_return co_await keeper_.figures();
    JobFigures figures;
    const auto backup = backup_;
    if (!backup) co_return figures;
    figures.active = true;
    figures.of_pull = backup->pull;
    figures.operation = job_operation_backup;
    figures.elapsed_ms = age_ms(*backup);
    figures.total = backup->total;
    figures.processed = backup->current;
    const json jobs = co_await ask("query-jobs");
    for (const auto& disk : backup->disks) {
        const auto job = block_jobs_.on(disk.disk);
        if (!job || disk.state != BackupState::running) continue;
        for (const auto& one : jobs) {
            if (one.value("id", "") != job->name) continue;
            figures.total += one.value("total-progress", std::uint64_t{0});
            figures.processed += one.value("current-progress", std::uint64_t{0});
        }
    }
    figures.remaining = figures.total - std::min(figures.total, figures.processed);
    co_return figures;
}

Task<> QemuMachine::abort_job() {
    const auto self = shared_from_this();
    if (keeper_.is_streaming()) co_return co_await keeper_.abort();
    if (!backup_) rpc::fail(Code::operation_invalid, "no job is active on the domain");
    co_await cancel_backup();
}

} // namespace lodge::drivers::qemu
