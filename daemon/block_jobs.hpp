// Block jobs of running guests by libvirt's rules: what a client may ask, on which disks nothing else may happen meanwhile, and
// what is told and written down when a job ends. The callers hold the domain's job, but for tend_block_job().
#pragma once
#include "daemon/domain.hpp"
#include "drivers/block_jobs.hpp"

namespace lodge::daemon {

// Throw in libvirt's words when a disk has a job, or any has.
void require_no_block_job(Domain& domain, const xml::Disk& disk);
void require_no_block_jobs(Domain& domain);
// Throws when no disk of that kind can ever have one.
void require_block_jobs_possible(const xml::Disk& disk);
// By target or path; throws Code::invalid_arg.
const xml::Disk& find_live_disk(Domain& domain, const std::string& name);

struct BlockCopyRequest {
    xml::Disk destination; // its own image, and what is below
    bool has_format = false;
    std::uint64_t speed = 0, buffer = 0;
    std::uint32_t granularity = 0;
};
// Flags are VIR_DOMAIN_BLOCK_REBASE_*, _COPY_*, _COMMIT_*; speeds are bytes per second.
Task<> pull_blocks(DomainPtr domain, std::string disk, std::optional<std::string> base, std::uint64_t speed, unsigned flags);
Task<> copy_blocks(DomainPtr domain, std::string disk, BlockCopyRequest request, unsigned flags);
Task<> commit_blocks(DomainPtr domain, std::string disk, std::optional<std::string> base, std::optional<std::string> top,
                     std::uint64_t speed, unsigned flags);
Task<> abort_block_job(DomainPtr domain, std::string disk, unsigned flags);

// The image `top` flows into `base` and is removed; returns when that is done. Should the daemon end meanwhile, its next one sees
// to the rest. Throws Code::internal_error when it fails.
Task<> merge_into(DomainPtr domain, std::string disk, std::string base, std::string top);

// Does what follows from the end of a disk's job, once the domain's job is free. Owned by the executor.
void tend_block_job(DomainPtr domain, std::string disk);

} // namespace lodge::daemon
