// <iommu>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class IommuModel { intel, smmuv3, virtio };
inline std::span<const std::string_view> enum_words(IommuModel) {
    static constexpr std::string_view w[] = {"intel", "smmuv3", "virtio"};
    return w;
}

struct Iommu {
    IommuModel model = IommuModel::intel;
    std::optional<OnOff> intremap, caching_mode, eim, iotlb;
    std::optional<std::uint32_t> aw_bits;
    DeviceInfo info;
};
void describe(Doc&, Iommu&);

} // namespace lodge::xml
