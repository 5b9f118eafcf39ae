#include "xml/domain/memballoon.hpp"

namespace lodge::xml {

void describe(Doc& doc, Memballoon& balloon) {
    doc.required("model", balloon.model, Mark::guest);
    doc.attribute("autodeflate", balloon.autodeflate, Mark::guest);
    doc.attribute("freePageReporting", balloon.free_page_reporting, Mark::guest);
    doc.group("stats", [&] { doc.attribute("period", balloon.stats_period, Mark::any_base); });
    if (doc.when(balloon.model != BalloonModel::none)) describe_info(doc, balloon.info);
    doc.group("driver", [&] { describe_virtio(doc, balloon.virtio); });
}

} // namespace lodge::xml
