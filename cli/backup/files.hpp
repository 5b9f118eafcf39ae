// Files of a backup: written aside, synced, renamed; copies that keep holes; sums. Long work stops at ^C by throwing.
#pragma once
#include "cli/fd.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace lodge::cli {

namespace fs = std::filesystem;

// Called with the bytes done and the bytes in all.
using Progress = std::function<void(unsigned long long, unsigned long long)>;

Fd open_file(const fs::path& path, int flags, unsigned mode = 0600);

std::string read_file(const fs::path& path);
void write_file(const fs::path& path, const std::string& text); // new, 0600, synced
// Byte for byte; holes stay holes.
void copy_sparse(const fs::path& from, const fs::path& to, const Progress& progress = {});
void sync_path(const fs::path& path); // a file or a folder

std::string sha256_of_text(const std::string& text);
std::string sha256_of_file(const fs::path& path, const Progress& progress = {});

void stop_if_interrupted();
// QEMU writes the last of an image after it said the job is done; it holds its locks on the file until then.
void wait_until_unlocked(const fs::path& path);

// A new folder that exists under its name only when it is whole: everything is written into NAME.partial.
class PartialFolder {
  public:
    // Refuses what exists and is not empty; clears a partial folder whose writer is gone.
    explicit PartialFolder(fs::path final_path);
    ~PartialFolder(); // removes what was not finished
    PartialFolder(const PartialFolder&) = delete;
    PartialFolder& operator=(const PartialFolder&) = delete;

    const fs::path& path() const { return partial_; }
    void finish();

  private:
    fs::path final_, partial_;
    Fd lock_;
    bool finished_ = false;
};

} // namespace lodge::cli
