#include "cli/backup/staged_files.hpp"

#include "cli/failure.hpp"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::cli {

fs::path StagedFiles::add(const fs::path& target, bool replace) {
    std::error_code error;
    if (!replace && fs::exists(fs::symlink_status(target, error))) fail("'{}' exists; --force overwrites it", target.string());
    if (!fs::is_directory(target.parent_path(), error)) fail("there is no folder '{}'", target.parent_path().string());
    for (const auto& other : entries_)
        if (other.target == target) fail("two files would go to '{}'; choose another --image-dir", target.string());
    Entry entry{target, target, target};
    entry.fresh += ".lodge-restore";
    entry.old += ".lodge-old";
    if (fs::exists(fs::symlink_status(entry.old, error)))
        fail("'{}' is left from an earlier restore that was killed; look at it and move it away", entry.old.string());
    fs::remove(entry.fresh, error);
    entries_.push_back(entry);
    return entry.fresh;
}

void StagedFiles::put_in_place() {
    for (auto& entry : entries_) {
        struct stat before{};
        if (::stat(entry.target.c_str(), &before) == 0) { // keep whose it was: the guest's QEMU must be able to open it
            if (::chown(entry.fresh.c_str(), before.st_uid, before.st_gid) < 0 ||
                ::chmod(entry.fresh.c_str(), before.st_mode & 07777) < 0)
                fail("cannot give '{}' to the owner of the old file: {}", entry.fresh.string(), std::strerror(errno));
        }
        sync_path(entry.fresh);
    }
    for (auto& entry : entries_) {
        std::error_code error;
        if (fs::exists(fs::symlink_status(entry.target, error))) {
            fs::rename(entry.target, entry.old);
            entry.had_old = true;
        }
        fs::rename(entry.fresh, entry.target);
        entry.placed = true;
        sync_path(entry.target.parent_path());
    }
}

void StagedFiles::accept() {
    accepted_ = true;
    std::error_code ignored;
    for (const auto& entry : entries_)
        if (entry.had_old) fs::remove(entry.old, ignored);
}

StagedFiles::~StagedFiles() {
    if (accepted_) return;
    std::error_code ignored;
    for (const auto& entry : entries_) {
        fs::remove(entry.fresh, ignored);
        if (entry.placed) fs::remove(entry.target, ignored);
        if (entry.had_old) fs::rename(entry.old, entry.target, ignored);
    }
}

} // namespace lodge::cli
