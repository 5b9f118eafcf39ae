// <smartcard>: readers for chip cards.
#pragma once
#include "xml/domain/chardev.hpp"

namespace lodge::xml {

enum class SmartcardMode { host, host_certificates, passthrough };
inline std::span<const std::string_view> enum_words(SmartcardMode) {
    static constexpr std::string_view w[] = {"host", "host-certificates", "passthrough"};
    return w;
}

struct Smartcard {
    SmartcardMode mode = SmartcardMode::host;
    std::vector<std::string> certificates;
    std::string database;
    CharSource source; // passthrough
    DeviceInfo info;
};
void describe(Doc&, Smartcard&);

} // namespace lodge::xml
