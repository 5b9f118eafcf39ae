#include "xml/domain/watchdog.hpp"

namespace lodge::xml {

void describe(Doc& doc, Watchdog& watchdog) {
    doc.required("model", watchdog.model, Mark::guest);
    doc.attribute("action", watchdog.action);
    describe_info(doc, watchdog.info);
}

} // namespace lodge::xml
