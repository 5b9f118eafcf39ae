// Backups of running guests, and the background job they are: begin, look, abort.
#include "daemon/block_jobs.hpp"
#include "daemon/checkpoints.hpp"
#include "daemon/finished_job.hpp"
#include "daemon/lookup.hpp"
#include "drivers/backup.hpp"
#include "xml/backup.hpp"
#include "xml/schema.hpp"
#include <ctime>

namespace lodge::daemon {

namespace {

using rpc::fail;

drivers::BackupTarget plan_target(Domain& domain, xml::BackupDisk& disk, bool pull, bool reuse) {
    auto& store = pull ? disk.scratch : disk.target;
    if (!disk.driver.type) disk.driver.type = xml::StorageFormat::qcow2;
    if (pull && disk.driver.type != xml::StorageFormat::qcow2)
        fail(Code::config_unsupported, "pull mode backup for disk '{}' requires qcow2 driver", disk.name);
    const auto& of = find_live_disk(domain, disk.name);
    require_block_jobs_possible(of);
    require_no_block_job(domain, of);
    if (!disk.incremental.empty() && !domain.checkpoints.find(disk.incremental))
        fail(Code::no_domain_checkpoint, "Checkpoint '{}' for incremental backup of disk '{}' not found", disk.incremental,
             disk.name);
    if (store.path.empty())
        fail(Code::xml_error, "backup {} of disk '{}' names no {}", pull ? "scratch" : "target", disk.name,
             store.type == xml::SourceType::block ? "device" : "file");
    if (pull && disk.export_name.empty()) disk.export_name = disk.name;
    if (pull && !disk.incremental.empty() && disk.export_bitmap.empty()) disk.export_bitmap = "backup-" + disk.name;
    return {disk.name,
            store.path,
            std::string(xml::word(*disk.driver.type)),
            reuse,
            store.type == xml::SourceType::block,
            disk.incremental,
            disk.export_name,
            disk.export_bitmap};
}

drivers::BackupServer plan_server(xml::Backup& backup) {
    if (!backup.server) {
        backup.server.emplace();
        backup.server->name = "localhost";
    }
    const auto& server = *backup.server;
    const bool tcp = server.transport == xml::HostTransport::tcp;
    if (tcp && !server.port.value_or(0)) fail(Code::operation_unsupported, "<domainbackup> must specify TCP port for now");
    return {tcp ? "" : server.socket, server.name, std::to_string(server.port.value_or(0)), server.tls && *server.tls};
}

drivers::BackupPlan plan(Domain& domain, xml::Backup& backup, unsigned flags, const std::string& suffix) {
    xml::align_disks(backup, domain.live(), suffix);
    drivers::BackupPlan plan;
    plan.pull = backup.mode == xml::BackupMode::pull;
    if (plan.pull) plan.server = plan_server(backup);
    for (auto& disk : backup.disks)
        if (disk.backup)
            plan.targets.push_back(plan_target(domain, disk, plan.pull, flags & api::domain_backup_begin_reuse_external));
    if (plan.targets.empty()) fail(Code::config_unsupported, "no disks selected for backup");
    return plan;
}

// The document of the running job names the nodes, too.
void number_disks(xml::Backup& backup, const std::vector<std::uint32_t>& numbers) {
    std::size_t at = 0;
    for (auto& disk : backup.disks)
        if (disk.backup && at < numbers.size()) disk.index = numbers[at++];
}

Task<> backup_begin(ClientPtr client, remote::DomainBackupBeginArgs args) {
    auto domain = find_domain(*client, args.dom);
    co_await rpc::blocking([&] {
        xml::validate_schema(args.backup_xml, "domainbackup.rng");
        if (args.checkpoint_xml) xml::validate_schema(*args.checkpoint_xml, "domaincheckpoint.rng");
    });
    auto backup = xml::parse_backup(args.backup_xml);
    std::optional<xml::Checkpoint> checkpoint;
    if (args.checkpoint_xml) checkpoint = xml::parse_checkpoint(*args.checkpoint_xml, false);
    auto job = co_await domain->acquire("virDomainBackupBegin");
    if (!domain->is_active()) fail(Code::operation_unsupported, "cannot perform disk backup for inactive domain");
    if (!domain->job.backup_xml.empty()) fail(Code::operation_invalid, "another backup job is already running");
    if (checkpoint) checkpoint = co_await plan_checkpoint(domain, std::move(*checkpoint));
    domain->require_active();
    auto wish = plan(*domain, backup, args.flags, checkpoint ? checkpoint->name : std::to_string(std::time(nullptr)));
    if (checkpoint) wish.bitmaps = bitmaps_of(*checkpoint);
    wish.keep = [domain] { return domain->write_status(); };
    domain->job.backup_xml = xml::format_backup(backup);
    const auto machine = domain->shared_machine();
    std::exception_ptr failure;
    try {
        number_disks(backup, co_await machine->backup_begin(std::move(wish)));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        domain->job.backup_xml.clear();
        std::rethrow_exception(failure);
    }
    if (!domain->job.backup_xml.empty()) domain->job.backup_xml = xml::format_backup(backup); // it may be over already
    domain->keep_status();
    if (checkpoint)
        co_await keep_moment<xml::Checkpoint>(domain, std::make_shared<const xml::Checkpoint>(std::move(*checkpoint)), true);
}

remote::DomainBackupGetXmlDescRet backup_xml(Client& client, const remote::DomainBackupGetXmlDescArgs& args) {
    auto domain = find_domain(client, args.dom);
    if (domain->job.backup_xml.empty()) fail(Code::no_domain_backup, "no domain backup job present");
    return {domain->job.backup_xml};
}

Task<remote::DomainGetJobInfoRet> job_info(ClientPtr client, remote::DomainGetJobInfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    remote::DomainGetJobInfoRet ret;
    domain->require_active();
    const auto figures = co_await domain->shared_machine()->job();
    if (!figures.active) co_return ret;
    ret.type = api::domain_job_unbounded;
    ret.timeElapsed = figures.elapsed_ms;
    if (figures.of_pull) co_return ret;
    ret.dataTotal = (figures.of_memory ? ret.memTotal : ret.fileTotal) = figures.total;
    ret.dataProcessed = (figures.of_memory ? ret.memProcessed : ret.fileProcessed) = figures.processed;
    ret.dataRemaining = (figures.of_memory ? ret.memRemaining : ret.fileRemaining) = figures.remaining;
    co_return ret;
}

remote::DomainGetJobStatsRet finished_stats(const JobRecord& job) {
    remote::DomainGetJobStatsRet ret;
    if (job.operation == 0) return ret;
    ret.type = job.success ? api::domain_job_completed : job.canceled ? api::domain_job_cancelled : api::domain_job_failed;
    ret.params = finished_params(job);
    return ret;
}

Task<remote::DomainGetJobStatsRet> job_stats(ClientPtr client, remote::DomainGetJobStatsArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (args.flags & api::domain_job_stats_completed) {
        auto ret = finished_stats(domain->job);
        if (!(args.flags & api::domain_job_stats_keep_completed)) domain->job.operation = 0;
        co_return ret;
    }
    remote::DomainGetJobStatsRet ret;
    domain->require_active();
    const auto figures = co_await domain->shared_machine()->job();
    if (!figures.active) co_return ret;
    ret.type = api::domain_job_unbounded;
    ret.params = {{"operation", figures.operation}, {"time_elapsed", figures.elapsed_ms}};
    if (figures.of_pull) {
        ret.params.push_back({"disk_temp_used", figures.processed});
        ret.params.push_back({"disk_temp_total", figures.total});
        co_return ret;
    }
    const std::string what = figures.of_memory ? "memory" : "disk";
    ret.params.push_back({what + "_total", figures.total});
    ret.params.push_back({what + "_processed", figures.processed});
    ret.params.push_back({what + "_remaining", figures.remaining});
    if (figures.of_memory) {
        ret.params.push_back({"data_total", figures.total});
        ret.params.push_back({"data_processed", figures.processed});
        ret.params.push_back({"data_remaining", figures.remaining});
    }
    co_return ret;
}

Task<> abort(ClientPtr client, remote::NonnullDomain named) {
    auto domain = find_domain(*client, named);
    domain->require_active();
    co_await domain->shared_machine()->abort_job();
}
Task<> abort_job(ClientPtr client, remote::DomainAbortJobArgs args) { co_await abort(client, args.dom); }
Task<> abort_job_flags(ClientPtr client, remote::DomainAbortJobFlagsArgs args) { co_await abort(client, args.dom); }

constexpr Method table[] = {
    on<remote::DomainBackupBeginCall, backup_begin>(), on<remote::DomainBackupGetXmlDescCall, backup_xml>(),
    on<remote::DomainGetJobInfoCall, job_info>(),      on<remote::DomainGetJobStatsCall, job_stats>(),
    on<remote::DomainAbortJobCall, abort_job>(),       on<remote::DomainAbortJobFlagsCall, abort_job_flags>(),
};

} // namespace

const MethodTable methods::domain_backup = table;

} // namespace lodge::daemon
