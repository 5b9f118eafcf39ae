// What only some machines can: give their whole state away and take it back. Save images, core dumps, snapshots inside and beside
// disk images, bitmaps of changes. A facet of Machine and of Driver (for domains that do not run). Control thread only; callers
// hold the domain's job. Which files and which disks, and what a guest's states and events are meanwhile, is the daemon's
// business.
#pragma once
#include "rpc/task.hpp"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lodge::xml {
struct Cpu;
struct Domain;
} // namespace lodge::xml

namespace lodge::drivers {

using rpc::Fd;
using rpc::Task;

// The head of a save image: what must be known to start the guest again, and to edit.
struct SaveHead {
    std::string domain;  // the document, inactive, with secrets
    std::string cookie;  // what else is to be remembered; may be empty
    bool running = true; // whether the guest runs again when it is restored
};
// What an image of the guest's memory is for; each has its own setting of how it is compressed.
enum class ImageUse { save, snapshot };
struct SaveTarget {
    std::string path;
    SaveHead head;
    ImageUse use = ImageUse::save;
    bool bypass_cache = false;
};
// Whence a machine takes its state at its start, instead of booting.
struct RestoreSource {
    std::string path; // of a save image; empty: see snapshot
    bool bypass_cache = false;
    std::string snapshot;                      // name of a snapshot inside its disks
    std::vector<std::string> disks;            // that have it, the first of them the memory too
    std::shared_ptr<const xml::Cpu> asked_cpu; // where the document's is what the guest got when it started first

    explicit operator bool() const { return !path.empty() || !snapshot.empty(); }
};
struct DumpTarget {
    std::string path;
    bool memory_only = false; // a core file, not a save stream
    std::string format;       // of a memory-only dump: elf, kdump-zlib, …
    bool bypass_cache = false;
};
// From now on the guest writes into a new file on top of what the disk had.
struct Overlay {
    std::string disk; // target dev
    std::string path, format;
    bool block_device = false;
    bool reuse = false; // the file was made by the caller
};
struct Bitmap {
    std::string disk, name;
};

// Facet of a machine that runs.
class StateKeeper {
  public:
    virtual ~StateKeeper() = default;

    // Throws Code::operation_invalid, with the reasons, where the state of this guest cannot be carried to a file: to be asked
    // before the guest is paused for it.
    virtual Task<> require_savable() = 0;
    // Writes the guest's state; the guest stands still when it returns. A file that is not whole never looks so, and is removed
    // where it was made for this. Ends early with Code::operation_aborted at abort(), with QEMU's words when it fails.
    virtual Task<> save(SaveTarget target) = 0;
    virtual Task<> dump(DumpTarget target) = 0;
    // Ends what an earlier daemon began and nobody waits for any more.
    virtual Task<> give_up() = 0;

    // Inside the images of `disks`, the first of which keeps the memory too.
    virtual Task<> save_snapshot(std::string name, std::vector<std::string> disks) = 0;
    virtual Task<> delete_snapshot(std::string name, std::vector<std::string> disks) = 0;
    // All of them at one point in time, or none; changes the live document.
    virtual Task<> add_overlays(std::vector<Overlay> overlays) = 0;

    // New bitmaps record changes from one point in time on.
    virtual Task<> add_bitmaps(std::vector<Bitmap> bitmaps) = 0;
    virtual Task<> remove_bitmaps(std::vector<Bitmap> bitmaps) = 0;
    // Bytes that each has recorded.
    virtual Task<std::vector<std::uint64_t>> bitmap_sizes(std::vector<Bitmap> bitmaps) = 0;
};

// Facet of a driver: what lies in files.
class StateFiles {
  public:
    virtual ~StateFiles() = default;

    virtual Task<SaveHead> read_head(std::string path) = 0;
    // True for an image whose writing was broken off.
    virtual Task<bool> is_partial(std::string path) = 0;
    // Throws Code::operation_failed when the new head does not fit into the place of the old one.
    virtual Task<> replace_head(std::string path, SaveHead head) = 0;

    enum class SnapshotAction { create, apply, remove };
    // Snapshots inside the images of a domain that does not run.
    virtual Task<> snapshot_images(std::vector<std::string> images, std::string name, SnapshotAction action) = 0;
    // A new image on top of `backing`.
    virtual Task<> create_overlay(std::string backing, std::string backing_format, Overlay overlay) = 0;
    // What an image of a domain that does not run has of its own flows into the one below; `above` stands on that from then on.
    // The image stays, with all that it has: whoever names it can still be told, or all of this be done again.
    struct Image {
        std::string path, format;
    };
    virtual Task<> merge_image(Image image, Image below, std::optional<Image> above) = 0;
    // Files that nothing names any more. What cannot be removed is only logged.
    virtual Task<> remove_images(std::string domain, std::vector<std::string> paths) = 0;
};

} // namespace lodge::drivers
