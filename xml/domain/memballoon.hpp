// <memballoon>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class BalloonModel { virtio, xen, none, virtio_transitional, virtio_non_transitional };
inline std::span<const std::string_view> enum_words(BalloonModel) {
    static constexpr std::string_view w[] = {"virtio", "xen", "none", "virtio-transitional", "virtio-non-transitional"};
    return w;
}

struct Memballoon {
    BalloonModel model = BalloonModel::virtio;
    std::optional<OnOff> autodeflate, free_page_reporting;
    std::optional<std::uint32_t> stats_period;
    DeviceInfo info;
    VirtioOptions virtio;
};
void describe(Doc&, Memballoon&);

} // namespace lodge::xml
