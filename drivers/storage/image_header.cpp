#include "drivers/storage/image_header.hpp"
#include <unistd.h>

namespace lodge::drivers {

namespace {

constexpr std::size_t header_max = 0x8200; // the mark of an ISO image is the last thing we look for

enum class Order { little, big };

// The number of `bytes` bytes at `at`; none beyond the end.
std::optional<std::uint64_t> number(std::string_view header, std::size_t at, std::size_t bytes, Order order) {
    if (at > header.size() || header.size() - at < bytes) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        value = value << 8 | static_cast<unsigned char>(header[at + (order == Order::big ? i : bytes - 1 - i)]);
    return value;
}
std::uint64_t big(std::string_view header, std::size_t at, std::size_t bytes) {
    return number(header, at, bytes, Order::big).value_or(0);
}
std::uint64_t little(std::string_view header, std::size_t at, std::size_t bytes) {
    return number(header, at, bytes, Order::little).value_or(0);
}

struct Signature {
    std::string_view format;
    std::size_t at;
    std::string_view magic;
    Order order = Order::little;
    std::size_t version_at = 0;              // of a 32-bit number; 0: has none
    std::array<std::uint64_t, 3> versions{}; // accepted
    std::size_t capacity_at = 0;             // of a 64-bit number; 0: not in the header
    std::uint64_t capacity_unit = 1;
};
constexpr Signature signatures[] = {
    {.format = "iso", .at = 32769, .magic = "CD001"},
    {.format = "vpc",
     .at = 0,
     .magic = "conectix",
     .order = Order::big,
     .version_at = 12,
     .versions = {0x10000},
     .capacity_at = 40},
    {.format = "vdi", .at = 64, .magic = "\x7f\x10\xda\xbe", .version_at = 68, .versions = {0x00010001}, .capacity_at = 368},
    {.format = "ploop", .at = 0, .magic = "WithouFreSpacExt", .capacity_at = 36, .capacity_unit = 512},
    {.format = "cow", .at = 0, .magic = "OOOM", .order = Order::big, .version_at = 4, .versions = {2}, .capacity_at = 1036},
    {.format = "qcow", .at = 0, .magic = "QFI", .order = Order::big, .version_at = 4, .versions = {1}, .capacity_at = 24},
    {.format = "qcow2", .at = 0, .magic = "QFI", .order = Order::big, .version_at = 4, .versions = {2, 3}, .capacity_at = 24},
    {.format = "qed", .at = 0, .magic = "QED", .capacity_at = 48},
    {.format = "vmdk", .at = 0, .magic = "KDMV", .version_at = 4, .versions = {1, 2, 3}, .capacity_at = 12, .capacity_unit = 512},
};

bool matches(const Signature& signature, std::string_view header) {
    if (header.size() < signature.at || !header.substr(signature.at).starts_with(signature.magic)) return false;
    if (signature.version_at == 0) return true;
    const auto version = number(header, signature.version_at, 4, signature.order);
    return version && *version != 0 && std::ranges::find(signature.versions, *version) != signature.versions.end();
}

const Signature* signature_of(std::string_view format) {
    const auto at = std::ranges::find(signatures, format, &Signature::format);
    return at == std::end(signatures) ? nullptr : at;
}

std::string probe(std::string_view header) {
    for (const auto& signature : signatures)
        if (matches(signature, header)) return std::string(signature.format);
    return "raw";
}

// A name of `size` bytes at `offset`; empty when it does not lie in the header.
std::string name_at(std::string_view header, std::uint64_t offset, std::uint64_t size) {
    constexpr std::uint64_t longest = 1023;
    if (offset == 0 || size == 0 || size > longest || offset > header.size() || header.size() - offset < size) return {};
    return std::string(header.substr(offset, size));
}

// Extensions stand between the header and the name of the backing file; its format is one of them.
std::string backing_format_of_qcow2(std::string_view header, std::uint64_t version, std::uint64_t backing_at) {
    constexpr std::uint64_t end_of_extensions = 0, backing_format = 0xe2792aca;
    std::uint64_t at = version >= 3 ? big(header, 100, 4) : 72;
    while (at + 8 <= std::min<std::uint64_t>(backing_at, header.size())) {
        const auto type = big(header, at, 4), size = big(header, at + 4, 4);
        if (type == end_of_extensions) break;
        if (type == backing_format) return name_at(header, at + 8, size);
        at += 8 + (size + 7) / 8 * 8;
    }
    return {};
}

void read_qcow2(std::string_view header, ImageHeader& found) {
    const auto version = big(header, 4, 4);
    const auto backing_at = big(header, 8, 8);
    if (const auto bits = big(header, 20, 4); bits > 0 && bits < 64) found.cluster_size = std::uint64_t{1} << bits;
    const auto method = big(header, 32, 4);
    if (method == 1) found.encryption = xml::EncryptionFormat::qcow;
    if (method == 2) found.encryption = xml::EncryptionFormat::luks;
    found.backing = name_at(header, backing_at, big(header, 16, 4));
    if (!found.backing.empty()) found.backing_format = backing_format_of_qcow2(header, version, backing_at);
    if (version < 3) return;
    constexpr std::uint64_t extended_l2 = 1 << 4, lazy_refcounts = 1 << 0;
    found.compat = "1.1";
    found.features.emplace();
    found.features->extended_l2 = big(header, 72, 8) & extended_l2;
    found.features->lazy_refcounts = big(header, 80, 8) & lazy_refcounts;
}

void read_qcow(std::string_view header, ImageHeader& found) {
    found.backing = name_at(header, big(header, 8, 8), big(header, 16, 4));
    if (big(header, 36, 4) == 1) found.encryption = xml::EncryptionFormat::qcow;
}

void read_qed(std::string_view header, ImageHeader& found) {
    constexpr std::uint64_t has_backing = 1, backing_is_raw = 4;
    const auto features = little(header, 16, 8);
    if (!(features & has_backing)) return;
    found.backing = name_at(header, little(header, 56, 4), little(header, 60, 4));
    if (features & backing_is_raw) found.backing_format = "raw";
}

void read_vmdk(std::string_view header, ImageHeader& found) {
    constexpr std::string_view hint = "parentFileNameHint=\"";
    const auto at = header.find(hint, 0x200);
    if (at == std::string_view::npos) return;
    const auto end = header.find('"', at + hint.size());
    if (end != std::string_view::npos) found.backing = header.substr(at + hint.size(), end - at - hint.size());
}

void read_cow(std::string_view header, ImageHeader& found) {
    if (header.size() < 1032) return;
    const auto name = header.substr(8, 1024);
    found.backing = name.substr(0, std::min(name.find('\0'), name.size()));
}

void read_luks(std::string_view header, ImageHeader& found) {
    using namespace std::string_view_literals;
    constexpr std::uint64_t sector = 512;
    if (!header.starts_with("LUKS\xba\xbe"sv) || big(header, 6, 2) != 1) return;
    found.encryption = xml::EncryptionFormat::luks;
    found.payload_offset = big(header, 104, 4) * sector;
}

} // namespace

ImageHeader parse_image_header(std::string_view header, std::string format) {
    ImageHeader found;
    found.format = format.empty() ? probe(header) : std::move(format);
    if (found.format == "raw") read_luks(header, found);
    const auto* signature = signature_of(found.format);
    if (!signature || !matches(*signature, header)) return found; // it is not what it is said to be
    if (signature->capacity_at > 0) {
        const auto capacity = number(header, signature->capacity_at, 8, signature->order).value_or(0);
        if (capacity <= UINT64_MAX / signature->capacity_unit) found.capacity = capacity * signature->capacity_unit;
    }
    if (found.format == "qcow2") read_qcow2(header, found);
    if (found.format == "qcow") read_qcow(header, found);
    if (found.format == "qed") read_qed(header, found);
    if (found.format == "vmdk") read_vmdk(header, found);
    if (found.format == "cow") read_cow(header, found);
    return found;
}

ImageHeader read_image_header(int file, std::string format) {
    std::string header(header_max, '\0');
    std::size_t have = 0;
    while (have < header.size()) {
        const ssize_t got = ::pread(file, header.data() + have, header.size() - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rpc::fail_errno(errno, "cannot read the header of an image");
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    header.resize(have);
    return parse_image_header(header, std::move(format));
}

} // namespace lodge::drivers
