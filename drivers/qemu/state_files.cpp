#include "drivers/qemu/state_files.hpp"
#include "drivers/process/process.hpp"
#include "rpc/log.hpp"
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace fs = std::filesystem;
using rpc::Code;

// ---- heads of save images ----

namespace {

Fd open_file(const std::string& path, int flags) {
    Fd file(::open(path.c_str(), flags | O_CLOEXEC));
    if (!file) rpc::fail_errno(errno, fmt::format("Failed to open file '{}'", path));
    return file;
}

void require_complete(const SaveImage& image) {
    if (!image.complete) rpc::fail(Code::operation_failed, "save image is incomplete");
}

} // namespace

Task<SaveHead> QemuStateFiles::read_head(std::string path) {
    SaveImage image;
    co_await rpc::blocking([&] { image = read_image(open_file(path, O_RDONLY).get()); });
    require_complete(image);
    co_return std::move(image.head);
}

// Too short to be read at all is as broken off as one that says so.
Task<bool> QemuStateFiles::is_partial(std::string path) {
    bool partial = false;
    co_await rpc::blocking([&] {
        const Fd file = open_file(path, O_RDONLY);
        char begin[magic_size];
        const ssize_t got = ::pread(file.get(), begin, sizeof begin, 0);
        partial = got < static_cast<ssize_t>(sizeof begin) || std::string_view(begin, sizeof begin) == magic(false);
    });
    co_return partial;
}

// In place, since a stream of gigabytes follows. The image is not whole until the new head is.
Task<> QemuStateFiles::replace_head(std::string path, SaveHead head) {
    co_await rpc::blocking([&] {
        const Fd file = open_file(path, O_RDWR);
        SaveImage image = read_image(file.get());
        require_complete(image);
        image.head = std::move(head);
        image.complete = false;
        const std::string bytes = encode(image);
        const auto write = [&](std::string_view what, off_t at) {
            if (::pwrite(file.get(), what.data(), what.size(), at) != static_cast<ssize_t>(what.size()) ||
                ::fdatasync(file.get()) < 0)
                rpc::fail_errno(errno, fmt::format("failed to write header data to '{}'", path));
        };
        write(bytes, 0);
        write(magic(true), 0);
    });
}

Task<OpenImage> open_image(std::string path, bool bypass_cache) {
    OpenImage out;
    co_await rpc::blocking([&] {
        out.stream = open_file(path, O_RDONLY);
        const SaveImage image = read_image(out.stream.get());
        require_complete(image);
        out.format = image.format;
        if (::lseek(out.stream.get(), static_cast<off_t>(image.stream_at()), SEEK_SET) < 0)
            rpc::fail_errno(errno, fmt::format("cannot seek in '{}'", path));
        ::posix_fadvise(out.stream.get(), 0, 0, bypass_cache ? POSIX_FADV_NOREUSE : POSIX_FADV_SEQUENTIAL);
    });
    co_return out;
}

// ---- disk images ----

namespace {

const char* option(StateFiles::SnapshotAction action) {
    switch (action) {
    case StateFiles::SnapshotAction::create: return "-c";
    case StateFiles::SnapshotAction::apply: return "-a";
    case StateFiles::SnapshotAction::remove: return "-d";
    }
    return "";
}

} // namespace

QemuStateFiles::QemuStateFiles(std::string lock_path)
    : lock_path_(std::move(lock_path)) {}

// A daemon that was killed leaves a qemu-img behind that still writes, or dies slowly while the kernel flushes what it wrote;
// QEMU's own lock on the image would refuse us. Each child inherits the lock's file, so the lock is free when the last is gone.
Task<Command> QemuStateFiles::qemu_img(std::vector<std::string> words) {
    co_await rpc::blocking([this] {
        fs::create_directories(fs::path(lock_path_).parent_path());
        const std::scoped_lock one(opening_);
        if (!lock_) lock_ = Fd(::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!lock_) rpc::fail_errno(errno, fmt::format("cannot open lock file '{}'", lock_path_));
        while (::flock(lock_.get(), LOCK_EX) < 0)
            if (errno != EINTR) rpc::fail_errno(errno, fmt::format("cannot lock '{}'", lock_path_));
    });
    Command command;
    command.program = "qemu-img";
    command.args = std::move(words);
    command.fds = {{lock_.get(), 3}};
    co_return command;
}

Task<> QemuStateFiles::snapshot_images(std::vector<std::string> images, std::string name, SnapshotAction action) {
    std::exception_ptr failure;
    std::vector<std::string> done;
    for (const auto& image : images) {
        try {
            co_await run_checked(co_await qemu_img({"snapshot", option(action), name, image}),
                                 {.time = std::chrono::minutes(30)});
            done.push_back(image);
        } catch (const rpc::Error& error) {
            // What cannot be deleted does not keep the others from being deleted.
            if (action == SnapshotAction::remove) log::warn("{}", error.what());
            failure = std::current_exception();
        }
        if (failure && action != SnapshotAction::remove) break;
    }
    if (failure && action == SnapshotAction::create)
        for (const auto& image : done) co_await run(co_await qemu_img({"snapshot", "-d", name, image}));
    if (failure && action != SnapshotAction::remove) std::rethrow_exception(failure);
}

Task<> QemuStateFiles::create_overlay(std::string backing, std::string backing_format, Overlay overlay) {
    co_await run_checked(
        co_await qemu_img({"create", "-q", "-f", overlay.format, "-F", backing_format, "-b", backing, overlay.path}));
}

// Both steps can be done again, so they end with us: the next daemon need not wait for hours.
Task<> QemuStateFiles::merge_image(Image image, Image below, std::optional<Image> above) {
    std::vector<std::vector<std::string>> steps{{"commit", "-q", "-d", "-f", image.format, "-b", below.path, image.path}};
    if (above) steps.push_back({"rebase", "-q", "-u", "-f", above->format, "-F", below.format, "-b", below.path, above->path});
    for (auto& words : steps) {
        auto command = co_await qemu_img(std::move(words));
        command.dies_with_us = true;
        co_await run_checked(std::move(command), {.time = std::chrono::hours(12)});
    }
}

Task<> QemuStateFiles::remove_images(std::string domain, std::vector<std::string> paths) {
    return remove_image_files(std::move(domain), std::move(paths));
}

Task<> remove_image_files(std::string domain, std::vector<std::string> paths) {
    co_await rpc::blocking([&] {
        for (const auto& path : paths)
            if (::unlink(path.c_str()) < 0 && errno != ENOENT)
                log::warn("{}: cannot remove image '{}': {}", domain, path, rpc::errno_text(errno));
    });
}

} // namespace lodge::drivers::qemu
