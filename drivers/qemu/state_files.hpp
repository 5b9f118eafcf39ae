// State that lies in files while no QEMU runs: heads of save images, snapshots inside disk images, overlays.
#pragma once
#include "drivers/process/command.hpp"
#include "drivers/qemu/save_image.hpp"
#include "rpc/task.hpp"
#include <mutex>

namespace lodge::drivers::qemu {

class QemuStateFiles final : public StateFiles {
  public:
    // `lock_path`: held by each qemu-img that runs.
    explicit QemuStateFiles(std::string lock_path);

    Task<SaveHead> read_head(std::string path) override;
    Task<bool> is_partial(std::string path) override;
    Task<> replace_head(std::string path, SaveHead head) override;
    Task<> merge_image(Image image, Image below, std::optional<Image> above) override;
    Task<> remove_images(std::string domain, std::vector<std::string> paths) override;
    Task<> snapshot_images(std::vector<std::string> images, std::string name, SnapshotAction action) override;
    Task<> create_overlay(std::string backing, std::string backing_format, Overlay overlay) override;

  private:
    Task<Command> qemu_img(std::vector<std::string> words);

    const std::string lock_path_;
    std::mutex opening_;
    Fd lock_;
};

// As StateFiles::remove_images().
Task<> remove_image_files(std::string domain, std::vector<std::string> paths);

// An image opened for restoring, its stream at the offset.
struct OpenImage {
    Fd stream;
    StreamFormat format = StreamFormat::raw;
};
Task<OpenImage> open_image(std::string path, bool bypass_cache);

} // namespace lodge::drivers::qemu
