#include "drivers/storage/volume_file.hpp"
#include "drivers/storage/image_header.hpp"
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers {

namespace {

constexpr std::string_view unfinished = ".lodge-unfinished";

struct OpenFile {
    Fd fd;
    struct stat status{};
};

bool is_volume_kind(mode_t mode) { return S_ISREG(mode) || S_ISBLK(mode) || S_ISDIR(mode); }

// None: nothing that could be a volume, or nothing that we may look at.
std::optional<OpenFile> open_if_volume(const std::string& path) {
    OpenFile file;
    if (::lstat(path.c_str(), &file.status) < 0) {
        if (errno == ENOENT) return std::nullopt;
        rpc::fail_errno(errno, fmt::format("cannot stat file '{}'", path));
    }
    if (S_ISFIFO(file.status.st_mode) || S_ISSOCK(file.status.st_mode)) return std::nullopt;
    file.fd = Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.fd) {
        for (const int harmless : {ENOENT, ELOOP, ENXIO, EACCES, EPERM, ENOMEDIUM})
            if (errno == harmless) return std::nullopt;
        rpc::fail_errno(errno, fmt::format("cannot open volume '{}'", path));
    }
    if (::fstat(file.fd.get(), &file.status) < 0) rpc::fail_errno(errno, fmt::format("cannot stat file '{}'", path));
    if (!is_volume_kind(file.status.st_mode)) return std::nullopt;
    return file;
}

OpenFile open_volume(const std::string& path) {
    OpenFile file;
    if (::lstat(path.c_str(), &file.status) < 0) {
        if (errno == ENOENT) rpc::fail(Code::no_storage_vol, "no storage vol with matching path '{}'", path);
        rpc::fail_errno(errno, fmt::format("cannot stat file '{}'", path));
    }
    if (S_ISFIFO(file.status.st_mode)) rpc::fail(Code::internal_error, "Volume path '{}' is a FIFO", path);
    if (S_ISSOCK(file.status.st_mode)) rpc::fail(Code::internal_error, "Volume path '{}' is a socket", path);
    file.fd = Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.fd) rpc::fail_errno(errno, fmt::format("cannot open volume '{}'", path));
    if (::fstat(file.fd.get(), &file.status) < 0) rpc::fail_errno(errno, fmt::format("cannot stat file '{}'", path));
    if (!is_volume_kind(file.status.st_mode)) rpc::fail(Code::internal_error, "unexpected storage mode for '{}'", path);
    return file;
}

xml::Timestamp timestamp(const timespec& time) { return {time.tv_sec, static_cast<std::uint32_t>(time.tv_nsec)}; }

struct Sizes {
    std::uint64_t capacity = 0, allocation = 0, physical = 0;
};

Sizes sizes_of(const OpenFile& file) {
    if (S_ISDIR(file.status.st_mode)) return {};
    if (S_ISREG(file.status.st_mode)) {
        const auto size = static_cast<std::uint64_t>(file.status.st_size);
        return {size, static_cast<std::uint64_t>(file.status.st_blocks) * 512, size};
    }
    const off_t end = ::lseek(file.fd.get(), 0, SEEK_END);
    if (end < 0) rpc::fail_errno(errno, "failed to seek to the end of a device");
    return {static_cast<std::uint64_t>(end), static_cast<std::uint64_t>(end), static_cast<std::uint64_t>(end)};
}

void read_status(xml::VolumeTarget& target, const struct stat& status) {
    target.permissions = {xml::PermissionBits{status.st_mode & 0777u}, status.st_uid, status.st_gid, {}};
    target.timestamps = xml::Timestamps{timestamp(status.st_atim), timestamp(status.st_mtim), timestamp(status.st_ctim), {}};
}

void keep_sizes(xml::Volume& volume, const Sizes& sizes) {
    volume.capacity = xml::Bytes{sizes.capacity};
    volume.allocation = xml::Bytes{sizes.allocation};
    volume.physical.reset();
    if (sizes.physical > 0) volume.physical = xml::Bytes{sizes.physical};
}

std::uint64_t less_payload(std::uint64_t capacity, const ImageHeader& header) {
    return capacity > header.payload_offset ? capacity - header.payload_offset : 0;
}

// The image below may be anywhere, also out of reach for now: then its document stays as the header gave it.
void read_backing(xml::VolumeTarget& backing) {
    try {
        if (const auto file = open_if_volume(backing.path)) read_status(backing, file->status);
    } catch (const rpc::Error&) {
    }
}

bool is_local(const std::string& name) { return name.front() == '/' || name.find(':') == std::string::npos; }

std::string probed_format(const std::string& path) {
    try {
        if (const auto file = open_if_volume(path); file && !S_ISDIR(file->status.st_mode))
            return read_image_header(file->fd.get()).format;
    } catch (const rpc::Error&) {
    }
    return "raw";
}

xml::VolumeTarget backing_of(const std::string& path, const ImageHeader& header) {
    xml::VolumeTarget backing;
    backing.path = header.backing;
    backing.format = "raw";
    if (!is_local(header.backing)) return backing;
    if (header.backing.front() != '/') backing.path = (fs::path(path).parent_path() / header.backing).string();
    const auto words = xml::volume_format_words(xml::VolumeFormats::image);
    const bool told = std::ranges::find(words, header.backing_format) != words.end();
    backing.format = told ? header.backing_format : probed_format(backing.path);
    return backing;
}

} // namespace

void refresh_volume_file(xml::Volume& volume) {
    auto& target = volume.target;
    const auto file = open_volume(target.path);
    auto sizes = sizes_of(file);
    read_status(target, file.status);
    if (!S_ISDIR(file.status.st_mode) && !target.format.empty() && (target.format != "raw" || target.encryption)) {
        const auto header = read_image_header(file.fd.get(), target.format);
        if (header.capacity > 0) sizes.capacity = header.capacity;
        if (target.encryption) sizes.capacity = less_payload(sizes.capacity, header);
    }
    keep_sizes(volume, sizes);
    if (volume.backing) read_backing(*volume.backing);
}

bool probe_volume_file(xml::Volume& volume) {
    auto& target = volume.target;
    const auto file = open_if_volume(target.path);
    if (!file) return false;
    auto sizes = sizes_of(*file);
    read_status(target, file->status);
    volume.type = xml::VolumeType::file;
    if (S_ISDIR(file->status.st_mode)) {
        volume.type = xml::VolumeType::dir;
        target.format = "dir";
        keep_sizes(volume, sizes);
        return true;
    }
    const auto header = read_image_header(file->fd.get());
    target.format = header.format;
    if (header.capacity > 0) sizes.capacity = header.capacity;
    target.cluster_size.reset();
    if (header.cluster_size > 0) target.cluster_size = xml::ClusterSize{header.cluster_size};
    target.encryption.reset();
    if (header.encryption) {
        sizes.capacity = less_payload(sizes.capacity, header);
        target.encryption.emplace().format = *header.encryption;
    }
    target.compat = header.compat;
    target.features = header.features;
    keep_sizes(volume, sizes);
    volume.backing.reset();
    if (!header.backing.empty()) {
        volume.backing = backing_of(target.path, header);
        if (is_local(header.backing)) read_backing(*volume.backing);
    }
    return true;
}

// ---- folders ----

FolderFigures folder_figures(const std::string& path) {
    struct statvfs space{};
    struct stat status{};
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) rpc::fail_errno(errno, fmt::format("cannot open path '{}'", path));
    if (::fstat(fd.get(), &status) < 0) rpc::fail_errno(errno, fmt::format("cannot stat path '{}'", path));
    if (::fstatvfs(fd.get(), &space) < 0) rpc::fail_errno(errno, fmt::format("cannot statvfs path '{}'", path));
    FolderFigures figures;
    figures.capacity = static_cast<std::uint64_t>(space.f_frsize) * space.f_blocks;
    figures.available = static_cast<std::uint64_t>(space.f_frsize) * space.f_bfree;
    figures.allocation = figures.capacity - figures.available;
    figures.permissions = {xml::PermissionBits{status.st_mode & 0777u}, status.st_uid, status.st_gid, {}};
    return figures;
}

std::vector<std::string> volume_names(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
    if (!dir) {
        const int error = errno;
        rpc::as_nobody([&] { rpc::fail_errno(error, fmt::format("cannot open directory '{}'", folder)); });
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == ".." || name.ends_with(unfinished)) continue;
        if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) continue;
        names.emplace_back(name);
    }
    return names;
}

static void set_owner(const std::string& path, const xml::Permissions& wanted) {
    if (!wanted.owner.given() && !wanted.group.given()) return;
    if (::chown(path.c_str(), wanted.owner.id, wanted.group.id) < 0)
        rpc::fail_errno(errno, fmt::format("cannot chown '{}' to ({}, {})", path, wanted.owner.id, wanted.group.id));
}
static void set_mode(const std::string& path, unsigned mode) {
    if (::chmod(path.c_str(), mode) < 0) rpc::fail_errno(errno, fmt::format("cannot set mode of '{}' to {:04o}", path, mode));
}

// Images that are written in place gain nothing from copying on write. Only btrfs lets us choose; not told, it is off there.
static void set_copy_on_write(const std::string& path, std::optional<bool> wanted) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file) rpc::fail_errno(errno, fmt::format("unable to open '{}'", path));
    struct statfs system{};
    if (::fstatfs(file.get(), &system) < 0) rpc::fail_errno(errno, fmt::format("unable to get fs type on '{}'", path));
    if (system.f_type != BTRFS_SUPER_MAGIC) {
        if (wanted)
            rpc::as_nobody([&] { rpc::fail_errno(ENOSYS, fmt::format("unable to control COW flag on '{}', not btrfs", path)); });
        return;
    }
    int flags = 0;
    if (::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) < 0)
        rpc::fail_errno(errno, fmt::format("unable get directory flags on '{}'", path));
    flags = wanted.value_or(false) ? flags & ~FS_NOCOW_FL : flags | FS_NOCOW_FL;
    if (::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) < 0 && wanted)
        rpc::fail_errno(errno, fmt::format("unable to set directory flags on '{}'", path));
}

void make_pool_folder(const xml::Pool& pool) {
    constexpr unsigned default_mode = 0711;
    const auto& path = pool.target.path;
    if (!path.starts_with('/')) rpc::fail(Code::invalid_arg, "path '{}' is not absolute", path);
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error) rpc::fail_errno(error.value(), fmt::format("cannot create path '{}'", fs::path(path).parent_path().string()));
    const bool fresh = ::mkdir(path.c_str(), 0700) == 0;
    if (!fresh && errno != EEXIST) rpc::fail_errno(errno, fmt::format("failed to create directory '{}'", path));
    const auto& wanted = pool.target.permissions;
    set_owner(path, wanted);
    if (wanted.mode || fresh) set_mode(path, wanted.mode ? wanted.mode->bits : default_mode);
    set_copy_on_write(path, pool.cow ? std::optional(pool.cow->value) : std::nullopt);
}

// ---- making ----

static constexpr unsigned default_volume_mode = 0600;

std::string unfinished_path(const std::string& path) {
    const auto slash = path.rfind('/') + 1;
    return path.substr(0, slash) + "." + path.substr(slash) + std::string(unfinished);
}

void give_final_name(const std::string& path) {
    const std::string aside = unfinished_path(path);
    if (::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return;
    // File systems without that flag: link() refuses a taken name as well.
    if (errno == EINVAL && ::link(aside.c_str(), path.c_str()) == 0) return void(::unlink(aside.c_str()));
    if (errno == EEXIST) rpc::fail(Code::operation_invalid, "volume target path '{}' already exists", path);
    rpc::fail_errno(errno, fmt::format("Failed to create file '{}'", path));
}

void settle_owner(int file, const std::string& path, const xml::Permissions& wanted) {
    const auto mode = wanted.mode ? wanted.mode->bits : default_volume_mode;
    if ((wanted.owner.given() || wanted.group.given()) && ::fchown(file, wanted.owner.id, wanted.group.id) < 0)
        rpc::fail_errno(errno, fmt::format("cannot chown '{}' to ({}, {})", path, wanted.owner.id, wanted.group.id));
    if (::fchmod(file, mode) < 0) rpc::fail_errno(errno, fmt::format("cannot set mode of '{}' to {:04o}", path, mode));
}

void settle_owner_of_new(const std::string& path, const xml::Permissions& wanted) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) rpc::fail_errno(errno, fmt::format("failed to create {}", path));
    settle_owner(file.get(), path, wanted);
}

Fd create_raw_file(const xml::Volume& volume, bool allocate) {
    const auto& path = volume.target.path;
    const std::string aside = unfinished_path(path);
    ::unlink(aside.c_str()); // of a daemon that died over it
    Fd file(::open(aside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, default_volume_mode));
    if (!file) rpc::fail_errno(errno, fmt::format("Failed to create file '{}'", path));
    settle_owner(file.get(), path, volume.target.permissions);
    if (volume.target.nocow) set_copy_on_write(aside, false); // while it is empty, or it has no effect
    if (::ftruncate(file.get(), static_cast<off_t>(volume.capacity_bytes())) < 0)
        rpc::fail_errno(errno, fmt::format("cannot extend file '{}'", path));
    const auto allocation = volume.allocation_bytes();
    if (allocate && allocation > 0 && ::fallocate(file.get(), 0, 0, static_cast<off_t>(allocation)) < 0 && errno != ENOSYS &&
        errno != EOPNOTSUPP)
        rpc::fail_errno(errno, fmt::format("cannot allocate {} bytes in file '{}'", allocation, path));
    return file;
}

void create_folder(const xml::Volume& volume) {
    const auto& path = volume.target.path;
    if (::mkdir(path.c_str(), 0700) < 0) rpc::fail_errno(errno, fmt::format("failed to create directory '{}'", path));
    try {
        settle_owner_of_new(path, volume.target.permissions);
    } catch (...) {
        ::rmdir(path.c_str());
        throw;
    }
}

void clone_blocks(int from, int to, const std::string& path) {
    if (::ioctl(to, FICLONE, from) < 0) rpc::fail_errno(errno, fmt::format("failed to clone files from '{}'", path));
}

std::optional<std::uint64_t> copy_some(int from, int to, std::uint64_t offset) {
    constexpr std::size_t most = 16 << 20, block = 1 << 20;
    off_t data = ::lseek(from, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return std::nullopt; // nothing but a hole from here on
    if (data < 0) data = static_cast<off_t>(offset);     // knows no holes
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    std::vector<char> buffer(block);
    auto at = static_cast<std::uint64_t>(data);
    const auto end = std::min(at + most, hole > data ? static_cast<std::uint64_t>(hole) : UINT64_MAX);
    while (at < end) {
        const ssize_t got = ::pread(from, buffer.data(), std::min(buffer.size(), end - at), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rpc::fail_errno(errno, "failed reading from the source volume");
        if (got == 0) return std::nullopt;
        for (ssize_t done = 0; done < got;) {
            const ssize_t wrote =
                ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(got - done), static_cast<off_t>(at) + done);
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) rpc::fail_errno(errno, "failed writing to the new volume");
            done += wrote;
        }
        at += static_cast<std::uint64_t>(got);
    }
    return at;
}

// ---- changing ----

void delete_volume_file(const xml::Volume& volume) {
    const auto& path = volume.target.path;
    switch (volume.type.value_or(xml::VolumeType::file)) {
    case xml::VolumeType::file:
        if (::unlink(path.c_str()) < 0 && errno != ENOENT) rpc::fail_errno(errno, fmt::format("cannot unlink file '{}'", path));
        return;
    case xml::VolumeType::dir:
        if (::rmdir(path.c_str()) < 0 && errno != ENOENT)
            rpc::fail_errno(errno, fmt::format("cannot remove directory '{}'", path));
        return;
    default: rpc::fail(Code::no_support, "removing block or network volumes is not supported: {}", path);
    }
}

void resize_raw_file(const std::string& path, std::uint64_t capacity, bool allocate) {
    const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!file) rpc::fail_errno(errno, fmt::format("Unable to open '{}'", path));
    if (allocate) {
        if (::fallocate(file.get(), 0, 0, static_cast<off_t>(capacity)) < 0)
            rpc::fail_errno(errno, fmt::format("Failed to pre-allocate space for file '{}'", path));
    } else if (::ftruncate(file.get(), static_cast<off_t>(capacity)) < 0) {
        rpc::fail_errno(errno, fmt::format("Failed to truncate file '{}'", path));
    }
    if (::fsync(file.get()) < 0) rpc::fail_errno(errno, fmt::format("cannot sync data to file '{}'", path));
}

bool wipe_sparse(int file, const std::string& path) {
    struct stat status{};
    if (::fstat(file, &status) < 0) rpc::fail_errno(errno, fmt::format("Failed to stat storage volume with path '{}'", path));
    if (!S_ISREG(status.st_mode) || status.st_blocks >= status.st_size / 512) return false;
    for (const off_t size : {off_t{0}, status.st_size})
        if (::ftruncate(file, size) < 0)
            rpc::fail_errno(errno, fmt::format("Failed to truncate volume with path '{}' to {} bytes", path, size));
    return true;
}

std::optional<std::uint64_t> wipe_some(int file, const std::string& path, std::uint64_t offset, std::uint64_t end) {
    static const std::vector<char> zeros(1 << 20);
    constexpr std::uint64_t most = 16 << 20;
    const auto stop = std::min(end, offset + most);
    while (offset < stop) {
        const auto size = std::min<std::uint64_t>(zeros.size(), stop - offset);
        const ssize_t wrote = ::pwrite(file, zeros.data(), size, static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0)
            rpc::fail_errno(errno, fmt::format("Failed to write {} bytes to storage volume with path '{}'", size, path));
        offset += static_cast<std::uint64_t>(wrote);
    }
    if (offset < end) return offset;
    if (::fdatasync(file) < 0) rpc::fail_errno(errno, fmt::format("cannot sync data to volume with path '{}'", path));
    return std::nullopt;
}

} // namespace lodge::drivers
