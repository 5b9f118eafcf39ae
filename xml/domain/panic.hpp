// <panic>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class PanicModel { isa, pseries, hyperv, s390, pvpanic };
inline std::span<const std::string_view> enum_words(PanicModel) {
    static constexpr std::string_view w[] = {"isa", "pseries", "hyperv", "s390", "pvpanic"};
    return w;
}

struct Panic {
    std::optional<PanicModel> model;
    DeviceInfo info;
};
void describe(Doc&, Panic&);

} // namespace lodge::xml
