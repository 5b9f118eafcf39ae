#include "xml/domain/iommu.hpp"

namespace lodge::xml {

void describe(Doc& doc, Iommu& iommu) {
    doc.required("model", iommu.model, Mark::guest);
    doc.group("driver", [&] {
        doc.attribute("intremap", iommu.intremap, Mark::guest);
        doc.attribute("caching_mode", iommu.caching_mode, Mark::guest);
        doc.attribute("eim", iommu.eim, Mark::guest);
        doc.attribute("iotlb", iommu.iotlb, Mark::guest);
        doc.attribute("aw_bits", iommu.aw_bits, Mark::guest);
    });
    describe_info(doc, iommu.info);
}

} // namespace lodge::xml
