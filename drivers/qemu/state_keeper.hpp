// A running QEMU's state: to files by its migration stream, into its disks by its snapshot jobs, beside them by overlays. What
// takes long ends with an event of QEMU, never by asking again. Belongs to its machine.
#pragma once
#include "drivers/driver.hpp"
#include "drivers/qemu/qmp.hpp"
#include "drivers/qemu/stream_filter.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

class QemuMachine;

// How images are packed, by use; words of qemu.conf.
struct ImageFormats {
    std::string save, dump, snapshot;
};

class QemuStateKeeper final : public StateKeeper {
  public:
    QemuStateKeeper(QemuMachine& machine, ImageFormats formats)
        : machine_(machine)
        , formats_(std::move(formats)) {}

    Task<> require_savable() override;
    Task<> save(SaveTarget target) override;
    Task<> dump(DumpTarget target) override;
    Task<> give_up() override;
    Task<> save_snapshot(std::string name, std::vector<std::string> disks) override;
    Task<> delete_snapshot(std::string name, std::vector<std::string> disks) override;
    Task<> add_overlays(std::vector<Overlay> overlays) override;
    Task<> add_bitmaps(std::vector<Bitmap> bitmaps) override;
    Task<> remove_bitmaps(std::vector<Bitmap> bitmaps) override;
    Task<std::vector<std::uint64_t>> bitmap_sizes(std::vector<Bitmap> bitmaps) override;

    // Takes the state from a stream; for a QEMU that was started to wait for it.
    Task<> load(Fd stream);

    // The same of a snapshot inside its disks.
    Task<> load_snapshot(std::string name, std::vector<std::string> disks);

    // One of QEMU's jobs that end by themselves, from its command to its end.
    Task<> run_job(std::string command, json arguments, std::string id);

    // What the machine passes on.
    void on_event(const QmpEvent& event);
    void on_end(const std::string& reason);
    bool is_streaming() const { return stream_ != nullptr; }
    Task<JobFigures> figures();
    Task<> abort();

  private:
    // A stream of state under way, or a memory dump.
    struct Stream {
        explicit Stream(Executor executor)
            : ended(std::move(executor)) {}
        int operation = 0; // VIR_DOMAIN_JOB_OPERATION_*
        std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
        bool of_dump = false, aborted = false;
        std::string status, error;
        std::map<std::string, std::uint64_t> figures;
        rpc::Signal ended;
    };
    struct Job {
        explicit Job(Executor executor)
            : concluded(std::move(executor)) {}
        rpc::Signal concluded;
        std::string lost; // why nobody will tell of it any more
    };

    std::shared_ptr<Stream> begin(int operation);
    Task<> stream_out(std::shared_ptr<Stream> stream, Fd into);
    Task<> dump_memory(std::shared_ptr<Stream> stream, Fd file, std::string format);
    Task<> await_stream(std::shared_ptr<Stream> stream);
    Task<> describe_failure(std::shared_ptr<Stream> stream);
    void end(const std::shared_ptr<Stream>& stream, bool success);
    std::string node_of(const std::string& disk) const;
    json nodes_of(const std::vector<std::string>& disks) const;
    Executor executor() const;

    QemuMachine& machine_;
    ImageFormats formats_;
    std::shared_ptr<Stream> stream_;
    std::map<std::string, std::shared_ptr<Job>> jobs_; // of QEMU, by id
};

} // namespace lodge::drivers::qemu
