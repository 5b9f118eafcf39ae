#include "xml/domain/panic.hpp"

namespace lodge::xml {

void describe(Doc& doc, Panic& panic) {
    doc.attribute("model", panic.model, Mark::guest);
    describe_info(doc, panic.info);
}

} // namespace lodge::xml
