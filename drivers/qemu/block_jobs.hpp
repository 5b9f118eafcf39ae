// Block jobs of one running QEMU: begun here, followed by its events, kept in the status file so that a later daemon follows them
// on. What a job's end means for images, nodes, bitmaps and the live document is in block_job_end.cpp. Belongs to its machine.
#pragma once
#include "drivers/block_jobs.hpp"
#include "drivers/qemu/bitmaps.hpp"
#include "drivers/qemu/qmp.hpp"

namespace lodge::drivers::qemu {

class QemuMachine;
class PlugSteps;

struct QemuBlockJob {
    BlockJob job;
    bool over = false; // QEMU has concluded it and waits to be told to forget it; a pull it forgets by itself
    // of a pull
    std::string error;
    bool lost = false; // QEMU knows nothing of it, so it ended somehow
    // of a pull or commit
    std::optional<std::uint32_t> top, base;
    bool delete_images = false;
    bool pivots = false; // by itself
    // of a copy
    bool shallow = false, reuse = false;
    bool own_chain = false; // a shallow copy with images below that are not the disk's
    std::string made;       // the file that was made for it
    // of a backup
    std::vector<std::string> nodes; // that go with it, in the order of their removal
    std::string bitmap;             // temporary, on the disk's node
    // Set once all documents show the end: what they name no more and still has to go.
    struct Leftover {
        BlockJobStatus status = BlockJobStatus::completed;
        json commands = json::array(); // pairs of a command of QEMU and its arguments
        std::vector<std::string> files;
    };
    std::optional<Leftover> leftover;
};

class QemuBlockJobs final : public BlockJobs {
  public:
    explicit QemuBlockJobs(QemuMachine& machine)
        : machine_(machine) {}

    std::optional<BlockJob> on(const std::string& disk) const override;
    bool any() const override { return !jobs_.empty(); }
    Task<> pull(PullOrder order) override;
    Task<> commit(CommitOrder order) override;
    Task<> copy(CopyOrder order) override;
    Task<BlockJobFigures> figures(std::string disk) override;
    Task<> set_speed(std::string disk, std::uint64_t bytes) override;
    Task<> cancel(std::string disk) override;
    Task<> pivot(std::string disk) override;
    Task<> over(std::string disk) override;
    Task<std::optional<BlockJobEnd>> conclude(std::string disk, Keep keep) override;

    // ---- for backups ----
    // Enters a job that the caller begins right away.
    void enter(QemuBlockJob job);
    void begun(const std::string& disk);
    void drop(const std::string& disk) { jobs_.erase(disk); }

    // ---- for the machine ----
    void on_event(const QmpEvent& event);
    void on_end();
    json status() const;
    void take_status(const json& kept);
    // After a restart of the daemon. `query_jobs`: what QEMU knows of. What it does not is taken back.
    void resync(const json& query_jobs);
    static Task<> report_what_happened(std::shared_ptr<QemuMachine> machine);

  private:
    struct Entry {
        QemuBlockJob data;
        std::shared_ptr<rpc::Signal> signal = nullptr; // somebody waits for its end
    };
    QemuBlockJob& get(const std::string& disk);
    Task<> begin(std::string disk, QemuBlockJob job, std::function<Task<>()> keep, std::string command, json arguments);
    Task<> start_copy(std::shared_ptr<PlugSteps> steps, CopyOrder order, QemuBlockJob job);
    Task<> install_copy_chain(QemuBlockJob job);
    Task<> end_as(std::string disk, BlockJobState state, std::string command, json arguments);
    Task<> add_write_bitmap(std::string node, std::string disk);
    void set_over(Entry& entry);
    void set_ready(Entry& entry);
    void report_ready(const QemuBlockJob& job);

    // block_job_end.cpp. Those that return links have taken them out of the live document.
    using Links = std::vector<xml::BackingStore>;
    Task<bool> has_pulled(QemuBlockJob job);
    Task<Links> end_pull(QemuBlockJob job);
    Task<Links> end_commit(QemuBlockJob job);
    Task<Links> end_active_commit(QemuBlockJob job);
    Task<> fail_active_commit(QemuBlockJob job);
    Task<Links> end_pivot(QemuBlockJob job);
    Task<Links> abandon_copy(QemuBlockJob job);
    Task<Links> show_end(QemuBlockJob job, BlockJobEnd end);
    Task<BlockJobFigures> learn_end(QemuBlockJob job, BlockJobEnd& end);
    Task<> turn_to_end(std::string disk, BlockJobEnd& end, Keep keep);
    Task<> merge_bitmaps(Merge merge, std::optional<xml::Disk> reopened = std::nullopt);
    Task<> remove_leftover(QemuBlockJob::Leftover leftover);
    Task<> take_back(QemuBlockJob job);

    QemuMachine& machine_;
    std::map<std::string, Entry> jobs_; // by disk
};

} // namespace lodge::drivers::qemu
