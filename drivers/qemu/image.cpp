#include "drivers/qemu/image.hpp"
#include "drivers/storage/image_header.hpp"
#include "xml/domain/domain.hpp"
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

xml::SourceType reached_as(const xml::StorageSource& source) {
    if (source.type != xml::SourceType::volume || source.path.empty()) return source.type;
    return source.path.starts_with("/dev/") ? xml::SourceType::block : xml::SourceType::file;
}

// 0: the file or device is there, or it is none of this host's; else the error.
static int missing(const xml::Disk& disk) {
    const auto& source = disk.source;
    const auto type = reached_as(source);
    if (source.empty() || !source.fd_group.empty() || (type != xml::SourceType::file && type != xml::SourceType::block)) return 0;
    return ::access(source.path.c_str(), F_OK) == 0 ? 0 : errno;
}

void require_medium(const xml::Disk& disk) {
    if (const int error = missing(disk))
        rpc::fail(rpc::From::storage, rpc::Code::system_error, "Cannot access storage file '{}': {}", disk.source.path,
                  rpc::errno_text(error));
}

void require_image(const xml::Disk& disk) {
    if (disk.source.startup_policy != xml::StartupPolicy::optional) require_medium(disk);
}

std::vector<event::DiskDropped> require_images(xml::Domain& domain) {
    std::vector<event::DiskDropped> dropped;
    std::erase_if(domain.devices.disks, [&](xml::Disk& disk) {
        require_image(disk);
        if (!missing(disk)) return false;
        const bool whole = disk.device == xml::DiskDevice::disk || disk.device == xml::DiskDevice::lun;
        dropped.push_back({disk.info.alias, disk.source.path, !whole});
        if (whole) return true;
        disk.source.path.clear();
        disk.source.index.reset();
        disk.source.startup_policy.reset(); // it was meant for that image
        return false;
    });
    return dropped;
}

namespace {

constexpr std::size_t longest_chain = 200;

std::string header_word(xml::StorageFormat format) { return std::string(xml::word(format)); }

bool may_have_backing(xml::StorageFormat format) {
    using enum xml::StorageFormat;
    return format == cow || format == qcow || format == qcow2 || format == qed || format == vmdk;
}

Fd open_image(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)); }

// "nbd://…", "json:{…": not a file; but "/a:b" is.
bool is_file_name(const std::string& name) { return name.front() == '/' || name.find(':') == std::string::npos; }

std::string beside(const std::string& path, const std::string& name) {
    return (std::filesystem::path(path).parent_path() / name).string(); // an absolute name stays what it is
}

xml::StorageFormat backing_format(const ImageHeader& above, const std::string& above_path, int file) {
    xml::StorageFormat format{};
    if (!above.backing_format.empty() && xml::Traits<xml::StorageFormat>::parse(format, above.backing_format)) return format;
    // A guess may be a guest's doing: it must not lead to further files.
    const auto found = read_image_header(file);
    if (found.backing.empty() && xml::Traits<xml::StorageFormat>::parse(format, found.format)) return format;
    rpc::fail(Code::operation_invalid,
              "format of backing image '{}' of image '{}' was not specified in the image metadata (See "
              "https://libvirt.org/kbase/backing_chains.html for troubleshooting)",
              above.backing, above_path);
}

// The link below an image, as its header tells; absent: it is no file of this host's.
std::optional<xml::BackingStore> find_below(const std::string& path, const ImageHeader& header) {
    if (!is_file_name(header.backing)) return std::nullopt;
    xml::BackingStore link;
    link.source.path = beside(path, header.backing);
    const Fd file = open_image(link.source.path);
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) < 0)
        rpc::fail_errno(errno, fmt::format("Cannot access backing file '{}' of storage file '{}'", link.source.path, path));
    link.type = link.source.type = S_ISBLK(status.st_mode) ? xml::SourceType::block : xml::SourceType::file;
    link.detected = true;
    link.format = backing_format(header, path, file.get());
    return link;
}

} // namespace

void find_chain(xml::Disk& disk) {
    if (disk.source.empty() || disk.source.type == xml::SourceType::vhostuser) return;
    auto* below = &disk.backing;
    const auto* source = &disk.source;
    auto format = disk.driver.type.value_or(xml::StorageFormat::raw);
    for (std::size_t length = 0; !xml::ends_here(*below); ++length) {
        if (length == longest_chain)
            rpc::fail(Code::internal_error, "backing chain of '{}' has more than {} images", disk.source.path, longest_chain);
        if (!*below) {
            const auto type = reached_as(*source);
            ImageHeader header;
            if (may_have_backing(format) && source->fd_group.empty()) { // nobody but QEMU looks into what is lent
                if (type != xml::SourceType::file && type != xml::SourceType::block) return;
                const Fd file = open_image(source->path);
                if (!file) rpc::fail_errno(errno, fmt::format("Cannot access storage file '{}'", source->path));
                header = read_image_header(file.get(), header_word(format));
            }
            auto link = header.backing.empty() ? xml::BackingStore() : find_below(source->path, header);
            if (!link) return;
            below->emplace() = std::move(*link);
            if (!(*below)->type) return;
        }
        source = &(*below)->source;
        format = (*below)->format;
        below = &(*below)->backing;
    }
}

void find_chains(xml::Domain& domain) {
    for (auto& disk : domain.devices.disks) find_chain(disk);
}

std::string relative_name(const std::vector<std::string>& chain) {
    std::string name;
    for (const auto& path : chain) {
        const Fd file = open_image(path);
        const auto header = file ? read_image_header(file.get()) : ImageHeader();
        if (header.backing.empty() || header.backing.front() == '/' || !is_file_name(header.backing)) return {};
        name = name.empty() ? header.backing : beside(name, header.backing);
    }
    return name;
}

std::optional<BlockInfo> look_at_image(const ImagePlace& image) {
    const Fd file(::open(image.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) < 0) return std::nullopt;
    BlockInfo info;
    if (S_ISBLK(status.st_mode)) {
        info.physical = static_cast<std::uint64_t>(std::max<off_t>(0, ::lseek(file.get(), 0, SEEK_END)));
        info.allocation = info.physical;
    } else {
        info.physical = static_cast<std::uint64_t>(status.st_size);
        info.allocation = static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    info.capacity = info.physical;
    if (const auto header = read_image_header(file.get(), image.qcow2 ? "qcow2" : "raw"); header.capacity > 0)
        info.capacity = header.capacity;
    return info;
}

BlockInfo read_image_info(const ImagePlace& image) {
    const auto info = look_at_image(image);
    if (!info) rpc::fail_errno(errno, fmt::format("Cannot access storage file '{}'", image.path));
    return *info;
}

} // namespace lodge::drivers::qemu
