#include "drivers/qemu/state_files.hpp"
#include "drivers/process/process.hpp"
#include "rpc/log.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

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

Command qemu_img(std::vector<std::string> words) {
    Command command;
    command.program = "qemu-img";
    command.args = std::move(words);
    return command;
}

const char* option(StateFiles::SnapshotAction action) {
    switch (action) {
    case StateFiles::SnapshotAction::create: return "-c";
    case StateFiles::SnapshotAction::apply: return "-a";
    case StateFiles::SnapshotAction::remove: return "-d";
    }
    return "";
}

} // namespace

Task<> QemuStateFiles::snapshot_images(std::vector<std::string> images, std::string name, SnapshotAction action) {
    std::exception_ptr failure;
    std::vector<std::string> done;
    for (const auto& image : images) {
        try {
            co_await run_checked(qemu_img({"snapshot", option(action), name, image}), {.time = std::chrono::minutes(30)});
            done.push_back(image);
        } catch (const rpc::Error& error) {
            // What cannot be deleted does not keep the others from being deleted.
            if (action == SnapshotAction::remove) log::warn("{}", error.what());
            failure = std::current_exception();
        }
        if (failure && action != SnapshotAction::remove) break;
    }
    if (failure && action == SnapshotAction::create)
        for (const auto& image : done) co_await run(qemu_img({"snapshot", "-d", name, image}));
    if (failure && action != SnapshotAction::remove) std::rethrow_exception(failure);
}

Task<> QemuStateFiles::create_overlay(std::string backing, std::string backing_format, Overlay overlay) {
    co_await run_checked(qemu_img({"create", "-q", "-f", overlay.format, "-F", backing_format, "-b", backing, overlay.path}));
}

Task<> QemuStateFiles::merge_image(Image image, Image below, std::optional<Image> above) {
    const RunLimits hours{.time = std::chrono::hours(12)};
    co_await run_checked(qemu_img({"commit", "-q", "-d", "-f", image.format, "-b", below.path, image.path}), hours);
    if (above)
        co_await run_checked(
            qemu_img({"rebase", "-q", "-u", "-f", above->format, "-F", below.format, "-b", below.path, above->path}), hours);
}

} // namespace lodge::drivers::qemu
