// <watchdog>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class WatchdogModel { i6300esb, ib700, diag288, itco };
inline std::span<const std::string_view> enum_words(WatchdogModel) {
    static constexpr std::string_view w[] = {"i6300esb", "ib700", "diag288", "itco"};
    return w;
}
enum class WatchdogAction { reset, shutdown, poweroff, pause, dump, none, inject_nmi };
inline std::span<const std::string_view> enum_words(WatchdogAction) {
    static constexpr std::string_view w[] = {"reset", "shutdown", "poweroff", "pause", "dump", "none", "inject-nmi"};
    return w;
}

struct Watchdog {
    WatchdogModel model = WatchdogModel::i6300esb;
    WatchdogAction action = WatchdogAction::reset;
    DeviceInfo info;
};
void describe(Doc&, Watchdog&);

} // namespace lodge::xml
