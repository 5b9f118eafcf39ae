#include "daemon/block_jobs.hpp"
#include "daemon/disk_chain.hpp"
#include "rpc/log.hpp"
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::daemon {

using drivers::BlockJobKind;
using drivers::BlockJobState;
using drivers::BlockJobStatus;
using rpc::fail;

namespace {

drivers::BlockJobs& jobs_of(Domain& domain) {
    auto* jobs = domain.machine().block_jobs();
    if (!jobs) fail(Code::no_support, "block jobs");
    return *jobs;
}

std::function<Task<>()> keeper(DomainPtr domain) {
    return [domain] { return domain->write_status(); };
}

void require_idle(Domain& domain, const xml::Disk& disk) {
    require_no_block_job(domain, disk);
    require_block_jobs_possible(disk);
}

} // namespace

void require_no_block_job(Domain& domain, const xml::Disk& disk) {
    const char* words = "disk '{}' already in active block job";
    if (disk.mirror) fail(Code::block_copy_active, fmt::runtime(words), disk.target.dev);
    auto* jobs = domain.has_machine() ? domain.machine().block_jobs() : nullptr;
    if (jobs && jobs->on(disk.target.dev)) fail(Code::operation_unsupported, fmt::runtime(words), disk.target.dev);
}

void require_no_block_jobs(Domain& domain) {
    auto* jobs = domain.has_machine() ? domain.machine().block_jobs() : nullptr;
    if (jobs && jobs->any()) fail(Code::operation_invalid, "domain has active block job");
}

void require_block_jobs_possible(const xml::Disk& disk) {
    const auto& target = disk.target.dev;
    if (disk.target.bus == xml::DiskBus::sd)
        fail(Code::operation_unsupported, "block jobs are not supported on disk '{}' using bus 'sd'", target);
    if (disk.transient) fail(Code::operation_unsupported, "block jobs are not supported on transient disk '{}'", target);
    if (disk.source.type == xml::SourceType::vhostuser)
        fail(Code::operation_unsupported, "block jobs are not supported on vhostuser disk '{}'", target);
}

static const xml::Disk& find_disk_in(const xml::Domain& document, const std::string& name) {
    if (const auto target = document.disk_target(name); !target.empty())
        for (const auto& disk : document.devices.disks)
            if (disk.target.dev == target) return disk;
    for (const auto& disk : document.devices.disks) // an empty drive has no path to be found by
        if (disk.target.dev == name) return disk;
    fail(Code::invalid_arg, "disk '{}' not found in domain", name);
}

const xml::Disk& find_live_disk(Domain& domain, const std::string& name) { return find_disk_in(domain.live(), name); }

Task<> pull_blocks(DomainPtr domain, std::string name, std::optional<std::string> base, std::uint64_t speed, unsigned flags) {
    const bool relative = flags & api::domain_block_rebase_relative;
    if (relative && !base) fail(Code::invalid_arg, "flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base");
    domain->require_active();
    const xml::Disk disk = find_live_disk(*domain, name);
    require_idle(*domain, disk);
    drivers::PullOrder order{{disk.target.dev, speed, keeper(domain)}, std::nullopt, relative};
    if (base) {
        const auto chain = chain_of(disk);
        const auto at = co_await rpc::blocking_result([&] { return find_image(chain, disk.target.dev, base, std::size_t{0}); });
        order.base = chain[at].source.index;
    }
    if (disk.source.empty()) fail(rpc::from_nobody, Code::internal_error, "argument key 'device' must not have null value");
    domain->require_active();
    co_await jobs_of(*domain).pull(std::move(order));
    domain->keep_status();
}

// ---- commit ----

namespace {

struct CommitPlan {
    std::size_t top = 0, base = 0;
};

CommitPlan find_commit(const std::vector<xml::BackingStore>& chain, const xml::Disk& disk, const std::optional<std::string>& base,
                       const std::optional<std::string>& top, bool shallow) {
    const auto& target = disk.target.dev;
    CommitPlan plan;
    if (top && *top != target) plan.top = find_image(chain, target, top);
    if (!base && shallow)
        plan.base = plan.top + 1;
    else
        plan.base = find_image(chain, target, base, plan.top);
    return plan;
}

} // namespace

static Task<> begin_commit(DomainPtr domain, std::string name, std::optional<std::string> base, std::optional<std::string> top,
                           std::uint64_t speed, unsigned flags, bool merges) {
    const bool shallow = flags & api::domain_block_commit_shallow, active = flags & api::domain_block_commit_active;
    const xml::Disk disk = find_disk_in(*domain->current(), name); // libvirt looks for the images before the guest
    const auto& target = disk.target.dev;
    const auto chain = chain_of(disk);
    const auto plan = co_await rpc::blocking_result([&] { return find_commit(chain, disk, base, top, shallow); });
    domain->require_active();
    require_block_jobs_possible(disk);
    if (disk.source.empty()) fail(Code::config_unsupported, "disk {} has no source file to be committed", target);
    require_no_block_job(*domain, disk);
    if (plan.top == 0 && !active && !merges) fail(Code::invalid_arg, "commit of '{}' active layer requires active flag", target);
    const std::string& top_path = chain[plan.top].source.path;
    if (plan.top != 0 && active) fail(Code::invalid_arg, "active commit requested but '{}' is not active", top_path);
    if (plan.top + 1 >= chain.size())
        fail(Code::invalid_arg, "top '{}' in chain for '{}' has no backing file", top_path, disk.source.path);
    if (shallow && plan.base != plan.top + 1)
        fail(Code::invalid_arg, "base '{}' is not immediately below '{}' in chain for '{}'", chain[plan.base].source.path,
             top_path, disk.source.path);
    drivers::CommitOrder order{{target, speed, keeper(domain)},
                               chain[plan.top].source.index.value_or(0),
                               chain[plan.base].source.index.value_or(0),
                               (flags & api::domain_block_commit_relative) != 0,
                               (flags & api::domain_block_commit_delete) != 0,
                               merges};
    co_await jobs_of(*domain).commit(std::move(order));
    domain->keep_status();
}

Task<> commit_blocks(DomainPtr domain, std::string disk, std::optional<std::string> base, std::optional<std::string> top,
                     std::uint64_t speed, unsigned flags) {
    co_await begin_commit(domain, disk, base, top, speed, flags, false);
}

// ---- copy ----

namespace {

// Whether the destination may be written; for the worker pool.
void check_destination(const xml::StorageSource& source, const std::string& target, bool reuse) {
    const bool block = source.type == xml::SourceType::block;
    struct stat status{};
    if (::stat(source.path.c_str(), &status) < 0) {
        if (errno != ENOENT && errno != ENOTDIR) rpc::fail_errno(errno, "unable to verify existence of block copy target");
        if (reuse || block) rpc::fail_errno(errno, fmt::format("missing destination file for disk {}: {}", target, source.path));
        const auto folder = source.path.substr(0, source.path.rfind('/') + 1);
        if (::access(folder.c_str(), F_OK) < 0) rpc::fail_errno(errno, "failed to create copy target");
        return;
    }
    if (S_ISBLK(status.st_mode)) return;
    if (status.st_size && !reuse)
        fail(Code::config_unsupported, "external destination file for disk {} already exists and is not a block device: {}",
             target, source.path);
    if (block)
        fail(Code::invalid_arg, "blockdev flag requested for disk {}, but file '{}' is not a block device", target, source.path);
}

bool is_file_or_device(const xml::StorageSource& source) {
    return source.type == xml::SourceType::file || source.type == xml::SourceType::block;
}

} // namespace

Task<> copy_blocks(DomainPtr domain, std::string name, BlockCopyRequest request, unsigned flags) {
    const bool reuse = flags & api::domain_block_copy_reuse_ext;
    auto& destination = request.destination;
    if (is_file_or_device(destination.source) && !destination.source.path.starts_with('/'))
        fail(Code::invalid_arg, "absolute path must be used as block copy target");
    domain->require_active();
    const xml::Disk disk = find_live_disk(*domain, name);
    const auto& target = disk.target.dev;
    require_idle(*domain, disk);
    if (!destination.source.fd_group.empty())
        fail(Code::config_unsupported, "copy to a FD passed disk source is not yet supported");
    if (!(flags & api::domain_block_copy_transient_job) && domain->is_persistent())
        fail(Code::operation_invalid, "domain is not transient");
    const bool has_backing = !xml::links_below(disk).empty();
    const bool shallow = (flags & api::domain_block_copy_shallow) && has_backing;
    const bool own_backing = !xml::links_below(destination).empty();
    if (own_backing && !shallow)
        fail(Code::invalid_arg, "backingStore of mirror without VIR_DOMAIN_BLOCK_COPY_SHALLOW doesn't make sense");
    if (shallow && !reuse && destination.driver.type == xml::StorageFormat::raw && request.has_format)
        fail(Code::config_unsupported, "shallow copy of disk '{}' into a raw file is not possible", target);
    if (is_file_or_device(destination.source))
        co_await rpc::blocking([&] { check_destination(destination.source, target, reuse); });
    if (!request.has_format) {
        if (reuse) fail(Code::config_unsupported, "reused mirror destination format must be specified");
        destination.driver.type = disk.driver.type.value_or(xml::StorageFormat::raw);
    }
    if (disk.shareable && !disk.readonly && destination.driver.type != xml::StorageFormat::raw)
        fail(Code::operation_unsupported, "can't pivot a shared disk to a storage volume not supporting sharing");
    if (!shallow && !own_backing) destination.backing.emplace();
    drivers::CopyOrder order{{target, request.speed, keeper(domain)},
                             top_link(destination),
                             shallow,
                             reuse,
                             (flags & api::domain_block_copy_synchronous_writes) != 0,
                             request.granularity,
                             request.buffer};
    domain->require_active();
    co_await jobs_of(*domain).copy(std::move(order));
    domain->keep_status();
}

// ---- ends ----

namespace {

Task<> follow(DomainPtr domain, drivers::BlockJobEnd end) {
    if (end.kind == BlockJobKind::backup || !domain->is_active()) co_return;
    if (end.status != BlockJobStatus::completed || !domain->is_persistent()) co_return co_await domain->write_status();
    const xml::Disk* after = nullptr;
    for (const auto& disk : domain->live().devices.disks)
        if (disk.target.dev == end.before.target.dev) after = &disk;
    auto definition = domain->definition().copy();
    if (after && follow_block_job(definition, end, *after)) co_await domain->store_definition(std::move(definition));
    co_await domain->write_status();
}

// The caller holds the domain's job. Empty when there was nothing to conclude.
Task<std::optional<drivers::BlockJobEnd>> finish(DomainPtr domain, std::string disk) {
    if (!domain->is_active() || !domain->has_machine()) co_return std::nullopt;
    const auto machine = domain->shared_machine();
    auto end =
        co_await machine->block_jobs()->conclude(disk, [domain](drivers::BlockJobEnd ended) { return follow(domain, ended); });
    if (!end || !domain->is_active()) co_return std::nullopt;
    if (!end->error.empty()) log::warn("{}: block job of disk '{}' failed: {}", domain->name(), disk, end->error);
    domain->emit_block_job(disk, static_cast<int>(end->kind), static_cast<int>(end->status));
    domain->keep_status();
    co_return end;
}

Task<> tend(DomainPtr domain, std::string disk) {
    constexpr auto as_long_as_it_takes = std::chrono::hours(24 * 365);
    auto job = co_await domain->jobs().acquire(domain, "block job", as_long_as_it_takes);
    co_await finish(domain, disk);
}

} // namespace

void tend_block_job(DomainPtr domain, std::string disk) {
    rpc::spawn(domain->hypervisor().host().executor(), domain->name() + ": end of a block job", tend(domain, std::move(disk)));
}

Task<> abort_block_job(DomainPtr domain, std::string name, unsigned flags) {
    const bool pivot = flags & api::domain_block_job_abort_pivot;
    domain->require_active();
    const std::string disk = find_live_disk(*domain, name).target.dev;
    const auto machine = domain->shared_machine();
    auto& jobs = jobs_of(*domain);
    const auto job = jobs.on(disk);
    if (!job) fail(Code::invalid_arg, "disk {} does not have an active block job", disk);
    if (pivot)
        co_await jobs.pivot(disk);
    else
        co_await jobs.cancel(disk);
    domain->keep_status();
    if (flags & api::domain_block_job_abort_async) co_return;
    co_await jobs.over(disk);
    const auto end = co_await finish(domain, disk);
    if (!pivot || !end || end->status != BlockJobStatus::failed) co_return;
    fail(Code::operation_failed, "block job '{}' failed while pivoting{}{}", job->name, end->error.empty() ? "" : ": ",
         end->error);
}

Task<> merge_into(DomainPtr domain, std::string disk, std::string base, std::string top) {
    const auto machine = domain->shared_machine();
    auto& jobs = jobs_of(*domain);
    co_await begin_commit(domain, disk, base, top, 0, api::domain_block_commit_delete, true);
    co_await jobs.over(disk);
    const auto end = co_await finish(domain, disk);
    if (!end || end->status != BlockJobStatus::completed)
        fail(Code::internal_error, "block job of disk '{}' did not complete{}{}", disk, end && !end->error.empty() ? ": " : "",
             end ? end->error : "");
}

} // namespace lodge::daemon
