#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

void add_iommu(Builder& builder) {
    const auto& iommu = builder.domain.devices.iommu;
    if (!iommu || iommu->model == IommuModel::smmuv3) return; // smmuv3 is a property of the machine
    Json json{{"driver", iommu->model == IommuModel::virtio ? "virtio-iommu" : "intel-iommu"}, {"id", iommu->info.alias}};
    if (iommu->model == IommuModel::intel) {
        if (iommu->intremap) json["intremap"] = on_off(*iommu->intremap);
        put(json, "caching-mode", iommu->caching_mode);
        if (iommu->eim) json["eim"] = on_off(*iommu->eim);
        put(json, "device-iotlb", iommu->iotlb);
        put(json, "aw-bits", iommu->aw_bits);
    } else {
        put_address(json, builder.domain, iommu->info);
    }
    builder.device(json);
}

} // namespace lodge::drivers::qemu
