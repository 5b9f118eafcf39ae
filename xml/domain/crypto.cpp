#include "xml/domain/crypto.hpp"

namespace lodge::xml {

void describe(Doc& doc, Crypto& crypto) {
    doc.attribute("model", crypto.model);
    doc.attribute("type", crypto.type);
    doc.group("backend", [&] {
        doc.attribute("model", crypto.backend);
        doc.attribute("queues", crypto.queues);
    });
    doc.group("driver", [&] { describe_virtio(doc, crypto.virtio); });
    describe_info(doc, crypto.info);
}

} // namespace lodge::xml
