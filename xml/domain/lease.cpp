#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, Lease& lease) {
    doc.text_child("lockspace", lease.lockspace);
    doc.text_child("key", lease.key);
    doc.group("target", [&] {
        doc.attribute("path", lease.path);
        doc.attribute("offset", lease.offset);
    });
    check_lease(doc, lease);
}

} // namespace lodge::xml
