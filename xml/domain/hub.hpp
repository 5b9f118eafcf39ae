// <hub>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class HubType { usb };
inline std::span<const std::string_view> enum_words(HubType) {
    static constexpr std::string_view w[] = {"usb"};
    return w;
}

struct Hub {
    HubType type = HubType::usb;
    DeviceInfo info;
};
void describe(Doc&, Hub&);

} // namespace lodge::xml
