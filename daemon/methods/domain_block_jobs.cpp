// Calls that move a running guest's disks about: pull, rebase, copy, commit; and looking at such a job, its speed and its end.
#include "daemon/block_jobs.hpp"
#include "daemon/lookup.hpp"
#include "daemon/params.hpp"
#include "xml/domain/device.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;

constexpr std::uint64_t mib = 1 << 20;

std::uint64_t speed_in_bytes(std::uint64_t given, bool bytes) {
    constexpr std::uint64_t most = std::uint64_t{INT64_MAX} / mib;
    if (bytes) return given;
    if (given > most) fail(Code::overflow, "bandwidth must be less than {}", most);
    return given * mib;
}

void require_sane_speed(std::uint64_t bytes) {
    if (bytes > INT64_MAX)
        fail(Code::invalid_arg, "bandwidth must be less than '{}' bytes/s ({} MiB/s)", INT64_MAX, INT64_MAX / mib);
}

Task<> pull(ClientPtr client, remote::DomainBlockPullArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockPull");
    const auto speed = speed_in_bytes(args.bandwidth, args.flags & api::domain_block_pull_bandwidth_bytes);
    co_await pull_blocks(domain, args.path, std::nullopt, speed, 0);
}

// A copy, as it was asked for before there was a call of its own.
Task<> rebase_copy(DomainPtr domain, remote::DomainBlockRebaseArgs args, std::uint64_t speed) {
    if (args.flags & api::domain_block_rebase_relative)
        fail(Code::argument_unsupported, "Relative backing during copy not supported yet");
    require_sane_speed(speed);
    BlockCopyRequest request;
    request.destination.source.type =
        args.flags & api::domain_block_rebase_copy_dev ? xml::SourceType::block : xml::SourceType::file;
    request.destination.source.path = args.base.value_or("");
    request.has_format = args.flags & api::domain_block_rebase_copy_raw;
    if (request.has_format) request.destination.driver.type = xml::StorageFormat::raw;
    request.speed = speed;
    // These two count in both calls alike.
    co_await copy_blocks(domain, args.path, std::move(request),
                         args.flags & (api::domain_block_copy_shallow | api::domain_block_copy_reuse_ext));
}

Task<> rebase(ClientPtr client, remote::DomainBlockRebaseArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockRebase");
    const auto speed = speed_in_bytes(args.bandwidth, args.flags & api::domain_block_rebase_bandwidth_bytes);
    if (args.flags & api::domain_block_rebase_copy) co_return co_await rebase_copy(domain, std::move(args), speed);
    co_await pull_blocks(domain, args.path, args.base, speed, args.flags);
}

Task<> copy(ClientPtr client, remote::DomainBlockCopyArgs args) {
    check_params(args.params, {{api::domain_block_copy_bandwidth, ParamType::ullong},
                               {api::domain_block_copy_granularity, ParamType::uint},
                               {api::domain_block_copy_buf_size, ParamType::ullong}});
    auto domain = find_domain(*client, args.dom);
    BlockCopyRequest request;
    request.speed = param<std::uint64_t>(args.params, api::domain_block_copy_bandwidth).value_or(0);
    request.buffer = param<std::uint64_t>(args.params, api::domain_block_copy_buf_size).value_or(0);
    request.granularity = param<std::uint32_t>(args.params, api::domain_block_copy_granularity).value_or(0);
    if (request.granularity & (request.granularity - 1)) fail(Code::invalid_arg, "granularity must be power of 2");
    request.destination = xml::parse<xml::Disk>(args.destxml, "disk", {.from = From::domain, .where = "(disk_definition)"});
    request.has_format = request.destination.driver.type.has_value();
    require_sane_speed(request.speed);
    auto job = co_await domain->acquire("virDomainBlockCopy");
    co_await copy_blocks(domain, args.path, std::move(request), args.flags);
}

Task<> commit(ClientPtr client, remote::DomainBlockCommitArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockCommit");
    const auto speed = speed_in_bytes(args.bandwidth, args.flags & api::domain_block_commit_bandwidth_bytes);
    co_await commit_blocks(domain, args.disk, args.base, args.top, speed, args.flags);
}

Task<> abort(ClientPtr client, remote::DomainBlockJobAbortArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockJobAbort");
    co_await abort_block_job(domain, args.path, args.flags);
}

Task<> set_speed(ClientPtr client, remote::DomainBlockJobSetSpeedArgs args) {
    const auto speed = speed_in_bytes(args.bandwidth, args.flags & api::domain_block_job_speed_bandwidth_bytes);
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockJobSetSpeed");
    domain->require_active();
    const std::string disk = find_live_disk(*domain, args.path).target.dev;
    const auto machine = domain->shared_machine();
    auto* jobs = machine->block_jobs();
    if (!jobs || !jobs->on(disk)) fail(Code::invalid_arg, "disk {} does not have an active block job", disk);
    co_await jobs->set_speed(disk, speed);
}

Task<remote::DomainGetBlockJobInfoRet> info(ClientPtr client, remote::DomainGetBlockJobInfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    domain->require_active();
    const std::string disk = find_live_disk(*domain, args.path).target.dev;
    const auto machine = domain->shared_machine();
    auto* jobs = machine ? machine->block_jobs() : nullptr;
    remote::DomainGetBlockJobInfoRet ret;
    const auto job = jobs ? jobs->on(disk) : std::nullopt;
    if (!job) co_return ret;
    const auto figures = co_await jobs->figures(disk);
    ret.found = 1;
    ret.type = static_cast<int>(job->kind);
    const bool bytes = args.flags & api::domain_block_job_info_bandwidth_bytes;
    ret.bandwidth = bytes ? figures.speed : (figures.speed + mib - 1) / mib;
    ret.cur = figures.current;
    ret.end = figures.end;
    co_return ret;
}

constexpr Method table[] = {
    on<remote::DomainBlockPullCall, pull>(),       on<remote::DomainBlockRebaseCall, rebase>(),
    on<remote::DomainBlockCopyCall, copy>(),       on<remote::DomainBlockCommitCall, commit>(),
    on<remote::DomainBlockJobAbortCall, abort>(),  on<remote::DomainBlockJobSetSpeedCall, set_speed>(),
    on<remote::DomainGetBlockJobInfoCall, info>(),
};

} // namespace

const MethodTable methods::domain_block_jobs = table;

} // namespace lodge::daemon
