// Network addresses as documents spell them: shared by networks, interfaces, guests' NICs and port descriptions.
#pragma once
#include "xml/describe.hpp"
#include <array>

namespace lodge::xml {

// Six bytes, written as 52:54:00:aa:bb:cc.
struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    // Takes what libvirt takes: six hexadecimal numbers of one or two digits with colons between.
    static std::optional<MacAddress> parse(std::string_view text);
    static MacAddress random(); // 52:54:00 and three random bytes
    std::string text() const;
    bool is_multicast() const { return bytes[0] & 1; }
    auto operator<=>(const MacAddress&) const = default;
};

// An IPv4 or IPv6 address in its normal spelling. What is no address is kept to the letter, so that the check which knows the
// object's name can refuse it in libvirt's words.
class IpAddress {
  public:
    IpAddress() = default;
    explicit IpAddress(std::string_view text);

    bool empty() const { return text_.empty(); }
    bool valid() const { return family_ != 0; }
    bool is_v4() const { return family_ == 4; }
    bool is_v6() const { return family_ == 6; }
    unsigned bits() const { return is_v4() ? 32 : 128; }
    const std::string& text() const { return text_; }
    const std::array<std::uint8_t, 16>& bytes() const { return bytes_; } // IPv4: the first four

    // The network that an address stands in, and its last address; `prefix` above bits() counts as bits().
    IpAddress network(unsigned prefix) const;
    IpAddress broadcast(unsigned prefix) const;
    bool is_multicast() const;
    // The length of the netmask that this address is, when it is one.
    std::optional<unsigned> as_netmask() const;
    static IpAddress netmask_v4(unsigned prefix);
    bool operator==(const IpAddress& other) const { return text_ == other.text_; }

  private:
    static IpAddress of(int family, const std::array<std::uint8_t, 16>& bytes);
    std::string text_;
    int family_ = 0;
    std::array<std::uint8_t, 16> bytes_{};
};

// How many addresses a range holds, when both ends are of one family and in order.
std::optional<std::uint64_t> range_size(const IpAddress& first, const IpAddress& last);

template<> struct Traits<MacAddress> {
    static bool present(const MacAddress&) { return true; }
    static bool parse(MacAddress& v, std::string_view text) {
        const auto parsed = MacAddress::parse(text);
        if (parsed) v = *parsed;
        return parsed.has_value();
    }
    static void format(const MacAddress& v, std::string& out) { out += v.text(); }
    static void random(MacAddress& v, Random& r) {
        v.bytes = {0x52, 0x54, 0x00};
        for (std::size_t i = 3; i < 6; ++i) v.bytes[i] = static_cast<std::uint8_t>(r());
    }
};
template<> struct Traits<IpAddress> {
    static bool present(const IpAddress& v) { return !v.empty(); }
    static bool parse(IpAddress& v, std::string_view text) { return v = IpAddress(text), true; }
    static void format(const IpAddress& v, std::string& out) { out += v.text(); }
    static void random(IpAddress& v, Random& r) {
        v = IpAddress(r() & 1 ? fmt::format("192.168.{}.{}", r() % 256, r() % 256)
                              : fmt::format("2001:db8:{:x}::{:x}", 1 + r() % 9999, 1 + r() % 9999));
    }
};

} // namespace lodge::xml
