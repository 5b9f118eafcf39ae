#include "xml/domain/iommu.hpp"

namespace lodge::xml {

void describe(Doc& doc, Iommu& iommu) {
    doc.required("model", iommu.model);
    doc.group("driver", [&] {
        doc.attribute("intremap", iommu.intremap);
        doc.attribute("caching_mode", iommu.caching_mode);
        doc.attribute("eim", iommu.eim);
        doc.attribute("iotlb", iommu.iotlb);
        doc.attribute("aw_bits", iommu.aw_bits);
    });
    describe_info(doc, iommu.info);
}

} // namespace lodge::xml
