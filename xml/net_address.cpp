#include "xml/net_address.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <cstring>

namespace lodge::xml {

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    for (std::size_t i = 0; i < 6; ++i) {
        unsigned value = 0;
        const auto end = std::from_chars(text.data(), text.data() + std::min<std::size_t>(text.size(), 2), value, 16);
        if (end.ec != std::errc{}) return std::nullopt;
        mac.bytes[i] = static_cast<std::uint8_t>(value);
        text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
        if (i == 5) break;
        if (text.empty() || text.front() != ':') return std::nullopt;
        text.remove_prefix(1);
    }
    return text.empty() ? std::optional(mac) : std::nullopt;
}

MacAddress MacAddress::random() {
    std::random_device source;
    const auto bits = source();
    return {{0x52, 0x54, 0x00, static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8),
             static_cast<std::uint8_t>(bits >> 16)}};
}

std::string MacAddress::text() const { return fmt::format("{:02x}", fmt::join(bytes, ":")); }

IpAddress::IpAddress(std::string_view text)
    : text_(text) {
    std::array<std::uint8_t, 16> bytes{};
    int family = 0;
    in_addr v4{}; // "10.1" and "010.0x1" are addresses too, as for getaddrinfo()
    const bool has_blank = text_.find_first_of(" \t\n\v\f\r") != std::string::npos;
    if (!has_blank && inet_aton(text_.c_str(), &v4))
        family = 4, std::memcpy(bytes.data(), &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text_.c_str(), bytes.data()) == 1)
        family = 6;
    if (family) *this = of(family, bytes);
}

IpAddress IpAddress::of(int family, const std::array<std::uint8_t, 16>& bytes) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
    IpAddress address;
    address.text_ = text;
    address.family_ = family;
    address.bytes_ = bytes;
    return address;
}

static std::array<std::uint8_t, 16> mask_bytes(unsigned prefix) {
    std::array<std::uint8_t, 16> mask{};
    for (unsigned bit = 0; bit < prefix && bit < 128; ++bit) mask[bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
    return mask;
}

IpAddress IpAddress::network(unsigned prefix) const {
    auto bytes = bytes_;
    const auto mask = mask_bytes(std::min(prefix, bits()));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] &= mask[i];
    return of(family_, bytes);
}

IpAddress IpAddress::broadcast(unsigned prefix) const {
    auto bytes = bytes_;
    const auto mask = mask_bytes(std::min(prefix, bits()));
    for (std::size_t i = 0; i < bits() / 8; ++i) bytes[i] |= static_cast<std::uint8_t>(~mask[i]);
    return of(family_, bytes);
}

bool IpAddress::is_multicast() const { return is_v4() ? bytes_[0] >> 4 == 0xe : is_v6() && bytes_[0] == 0xff; }

std::optional<unsigned> IpAddress::as_netmask() const {
    if (!valid()) return std::nullopt;
    for (unsigned prefix = 0; prefix <= bits(); ++prefix)
        if (std::memcmp(mask_bytes(prefix).data(), bytes_.data(), bits() / 8) == 0) return prefix;
    return std::nullopt;
}

IpAddress IpAddress::netmask_v4(unsigned prefix) { return of(4, mask_bytes(std::min(prefix, 32U))); }

std::optional<std::uint64_t> range_size(const IpAddress& first, const IpAddress& last) {
    if (!first.valid() || first.is_v4() != last.is_v4()) return std::nullopt;
    const std::size_t length = first.bits() / 8;
    if (std::memcmp(first.bytes().data(), last.bytes().data(), length) > 0) return std::nullopt;
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < length; ++i) {
        if (size >> 48) return std::nullopt; // more than anybody counts
        size = (size << 8) + last.bytes()[i] - first.bytes()[i];
    }
    return size + 1;
}

} // namespace lodge::xml
