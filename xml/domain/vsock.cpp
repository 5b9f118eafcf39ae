#include "xml/domain/vsock.hpp"

namespace lodge::xml {

void describe(Doc& doc, VsockCid& cid) {
    doc.attribute("auto", cid.automatic);
    doc.attribute("address", cid.address, Mark::positive);
}

void describe(Doc& doc, Vsock& vsock) {
    doc.attribute("model", vsock.model, Mark::guest);
    doc.child("cid", vsock.cid);
    describe_info(doc, vsock.info);
    doc.group("driver", [&] { describe_virtio(doc, vsock.virtio); });
}

} // namespace lodge::xml
