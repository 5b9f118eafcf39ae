// <rng>: random bytes for the guest.
#pragma once
#include "xml/domain/chardev.hpp"

namespace lodge::xml {

enum class RngBackend { random, egd, builtin };
inline std::span<const std::string_view> enum_words(RngBackend) {
    static constexpr std::string_view w[] = {"random", "egd", "builtin"};
    return w;
}

struct RngRate {
    std::uint32_t bytes = 0;
    std::optional<std::uint32_t> period;
};
struct Rng {
    VirtioModel model = VirtioModel::virtio;
    std::optional<RngRate> rate;
    std::optional<RngBackend> backend;
    std::string file;  // random
    CharSource source; // egd
    VirtioOptions virtio;
    DeviceInfo info;
};
void describe(Doc&, Rng&);
void describe(Doc&, RngRate&);

} // namespace lodge::xml
