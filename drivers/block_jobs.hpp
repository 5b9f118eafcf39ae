// What only some machines can: move the data of a running guest's disks about. Jobs that go on by themselves, at most one on each
// disk. A facet of Machine; control thread only. Who orders something, or concludes a job, holds the domain's job; which images a
// client means and what becomes of the definition is the daemon's business.
#pragma once
#include "rpc/task.hpp"
#include "xml/domain/disk.hpp"
#include <functional>

namespace lodge::drivers {

using rpc::Task;

enum class BlockJobKind { none, pull, copy, commit, active_commit, backup }; // counts as VIR_DOMAIN_BLOCK_JOB_TYPE_* do
enum class BlockJobState { starting, running, ready, aborting, pivoting };
enum class BlockJobStatus { completed, failed, canceled, ready }; // as VIR_DOMAIN_BLOCK_JOB_*

struct BlockJob {
    std::string name; // as the VMM knows it
    std::string disk; // target dev
    BlockJobKind kind = BlockJobKind::none;
    BlockJobState state = BlockJobState::starting;
};

struct BlockJobOrder {
    std::string disk;
    std::uint64_t speed = 0; // bytes per second; 0: as fast as it goes
    // Writes Machine::status() before the job begins, so that a daemon killed at any moment knows of it.
    std::function<Task<>()> keep;
};
// Images are named by their numbers (StorageSource::index).
struct PullOrder : BlockJobOrder {
    std::optional<std::uint32_t> base; // stays below; absent: nothing does
    bool relative = false;             // its name is written as seen from the image above
};
struct CommitOrder : BlockJobOrder {
    std::uint32_t top = 0, base = 0;
    bool relative = false, delete_images = false;
    bool pivots = false; // by itself when it has caught up with the guest, whoever is there by then
};
struct CopyOrder : BlockJobOrder {
    xml::BackingStore target;
    bool shallow = false, reuse = false;
    bool synchronous = false; // a write of the guest is done when both have it
    std::uint32_t granularity = 0;
    std::uint64_t buffer = 0;
};

struct BlockJobFigures {
    std::uint64_t speed = 0, current = 0, end = 0;
};

struct BlockJobEnd {
    BlockJobKind kind = BlockJobKind::none;
    BlockJobStatus status = BlockJobStatus::completed;
    bool pivoted = false;
    std::optional<std::uint32_t> base; // of a pull or commit
    xml::Disk before;                  // the live document's disk as it was
    std::string error;
};

class BlockJobs {
  public:
    virtual ~BlockJobs() = default;

    virtual std::optional<BlockJob> on(const std::string& disk) const = 0;
    virtual bool any() const = 0;

    // Failing, they have left nothing behind.
    virtual Task<> pull(PullOrder order) = 0;
    virtual Task<> commit(CommitOrder order) = 0;
    virtual Task<> copy(CopyOrder order) = 0;

    virtual Task<BlockJobFigures> figures(std::string disk) = 0;
    virtual Task<> set_speed(std::string disk, std::uint64_t bytes) = 0;
    // Both return when the job is told to end so, not when it has.
    virtual Task<> cancel(std::string disk) = 0;
    virtual Task<> pivot(std::string disk) = 0;
    // Waits until the job can be concluded. Throws Code::operation_failed when the machine ends before.
    virtual Task<> over(std::string disk) = 0;
    // What follows from a job's end: the live document shows it; `keep` writes that, and what else names the disk's images; then
    // go images and nodes that nobody needs any more. Broken off, it is done again or gone on with. Nothing when no job of this
    // disk has ended.
    using Keep = std::function<Task<>(BlockJobEnd)>;
    virtual Task<std::optional<BlockJobEnd>> conclude(std::string disk, Keep keep) = 0;
};

} // namespace lodge::drivers
