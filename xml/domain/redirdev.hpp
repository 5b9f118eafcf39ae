// <redirdev>: USB devices of whoever looks at the guest's screen; <redirfilter>: which of them.
#pragma once
#include "xml/domain/chardev.hpp"

namespace lodge::xml {

enum class RedirBus { usb };
inline std::span<const std::string_view> enum_words(RedirBus) {
    static constexpr std::string_view w[] = {"usb"};
    return w;
}
struct Redirdev {
    RedirBus bus = RedirBus::usb;
    CharSource source;
    DeviceInfo info;
};
struct UsbVersion { // 9.40 stands for 0x0940
    std::uint32_t bcd = 0;
};
template<> struct Traits<UsbVersion> {
    static bool present(UsbVersion) { return true; }
    static bool parse(UsbVersion& v, std::string_view text);
    static void format(UsbVersion v, std::string& out);
    static void random(UsbVersion& v, Random& r);
};
// Upper-case hexadecimal, as libvirt writes the filter's ids: 0x15E1.
template<unsigned digits> struct UpperHex {
    std::uint32_t value = 0;
};
template<unsigned digits> struct Traits<UpperHex<digits>> {
    static bool present(UpperHex<digits>) { return true; }
    static bool parse(UpperHex<digits>& v, std::string_view text, Mark marks) { return parse_word(text, v.value, marks); }
    static void format(UpperHex<digits> v, std::string& out) { out += fmt::format("0x{:0{}X}", v.value, digits); }
    static void random(UpperHex<digits>& v, Random& r) { v.value = r() % 0x100; }
};
struct RedirRule { // absent (or "-1" in documents): any
    std::optional<UpperHex<2>> usb_class;
    std::optional<UpperHex<4>> vendor, product;
    std::optional<UsbVersion> version;
    YesNo allow;
};
struct RedirFilter {
    std::vector<RedirRule> rules;
};
void describe(Doc&, Redirdev&);
void describe(Doc&, RedirRule&);
void describe(Doc&, RedirFilter&);

} // namespace lodge::xml
