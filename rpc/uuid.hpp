// A domain's, network's or pool's UUID: 16 raw bytes on the wire, 36 characters in documents.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lodge::rpc {

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    static Uuid random();
    // Takes what libvirt takes: 32 hex digits with dashes and blanks anywhere between bytes.
    static std::optional<Uuid> parse(std::string_view text);
    std::string text() const;
    bool is_nil() const { return *this == Uuid{}; }
    auto operator<=>(const Uuid&) const = default;
};

struct UuidHash {
    std::size_t operator()(const Uuid& uuid) const {
        return std::hash<std::string_view>()({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
    }
};

} // namespace lodge::rpc
