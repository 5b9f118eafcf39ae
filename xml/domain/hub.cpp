#include "xml/domain/hub.hpp"

namespace lodge::xml {

void describe(Doc& doc, Hub& hub) {
    doc.required("type", hub.type, Mark::guest);
    describe_info(doc, hub.info);
}

} // namespace lodge::xml
