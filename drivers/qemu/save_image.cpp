#include "drivers/qemu/save_image.hpp"
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::fail;

namespace {

constexpr std::uint32_t newest_version = 2;
constexpr std::size_t growth = 64 * 1024; // that a document may grow by when it is edited
constexpr std::uint32_t largest_room = 64 << 20;

// On disk: the magic and these, in the byte order of the host that wrote them.
struct Fields {
    std::uint32_t version, room, was_running, format, cookie_at;
    std::uint32_t unused[14];
};
constexpr std::size_t header_size = magic_size + sizeof(Fields);

void swap_bytes(Fields& fields) {
    for (auto* value : {&fields.version, &fields.room, &fields.was_running, &fields.format, &fields.cookie_at})
        *value = __builtin_bswap32(*value);
}

// What was asked for, or nothing.
std::string read_exactly(int fd, std::size_t size, std::uint64_t at) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(fd, bytes.data() + have, size - have, static_cast<off_t>(at + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {};
        have += static_cast<std::size_t>(got);
    }
    return bytes;
}

} // namespace

const char* word(StreamFormat format) {
    switch (format) {
    case StreamFormat::raw: return "raw";
    case StreamFormat::gzip: return "gzip";
    case StreamFormat::bzip2: return "bzip2";
    case StreamFormat::xz: return "xz";
    case StreamFormat::lzop: return "lzop";
    }
    fail(Code::operation_failed, "Invalid compressed save format {}", static_cast<std::uint32_t>(format));
}

StreamFormat stream_format(const std::string& wanted, const char* use) {
    if (wanted.empty()) return StreamFormat::raw;
    for (const auto format : {StreamFormat::raw, StreamFormat::gzip, StreamFormat::bzip2, StreamFormat::xz, StreamFormat::lzop})
        if (wanted == word(format)) return format;
    fail(Code::operation_failed, "Invalid {} image format specified in configuration file", use);
}

std::string magic(bool complete) { return complete ? "LibvirtQemudSave" : "LibvirtQemudPart"; }

std::uint64_t SaveImage::stream_at() const { return header_size + room; }

std::string encode(SaveImage& image) {
    const std::size_t domain_size = image.head.domain.size() + 1;
    const std::size_t size = domain_size + (image.head.cookie.empty() ? 0 : image.head.cookie.size() + 1);
    if (image.room == 0) image.room = static_cast<std::uint32_t>(size + growth);
    if (size > image.room) fail(Code::operation_failed, "new xml too large to fit in file");
    Fields fields{};
    fields.version = newest_version;
    fields.room = image.room;
    fields.was_running = image.head.running;
    fields.format = static_cast<std::uint32_t>(image.format);
    if (!image.head.cookie.empty()) fields.cookie_at = static_cast<std::uint32_t>(domain_size);
    std::string bytes = magic(image.complete);
    bytes.append(reinterpret_cast<const char*>(&fields), sizeof fields);
    bytes.append(image.head.domain).push_back('\0');
    bytes.append(image.head.cookie);
    bytes.resize(header_size + image.room, '\0');
    return bytes;
}

SaveImage read_image(int fd) {
    const std::string header = read_exactly(fd, header_size, 0);
    if (header.empty()) fail(Code::operation_failed, "failed to read qemu header");
    SaveImage image;
    image.complete = header.starts_with(magic(true));
    if (!image.complete && !header.starts_with(magic(false))) fail(Code::operation_failed, "image magic is incorrect");
    Fields fields;
    std::memcpy(&fields, header.data() + magic_size, sizeof fields);
    if (fields.version > newest_version) swap_bytes(fields);
    if (fields.version > newest_version)
        fail(Code::operation_failed, "image version is not supported ({} > {})", fields.version, newest_version);
    if (fields.room == 0 || fields.room > largest_room)
        fail(Code::operation_failed, "invalid header data length: {}", fields.room);
    const std::string documents = read_exactly(fd, fields.room, header_size);
    if (documents.empty() || fields.cookie_at > fields.room) fail(Code::operation_failed, "failed to read domain XML");
    image.room = fields.room;
    image.head.running = fields.was_running != 0;
    image.format = fields.version == newest_version ? static_cast<StreamFormat>(fields.format) : StreamFormat::raw;
    image.head.domain = documents.c_str(); // each ends in a zero
    if (fields.cookie_at) image.head.cookie = documents.c_str() + fields.cookie_at;
    return image;
}

} // namespace lodge::drivers::qemu
