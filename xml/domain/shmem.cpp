#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, ShmemServer& server) { doc.attribute("path", server.path); }

void describe(Doc& doc, ShmemMsi& msi) {
    doc.attribute("vectors", msi.vectors, Mark::any_base);
    doc.attribute("ioeventfd", msi.ioeventfd);
}

void describe(Doc& doc, Shmem& shmem) {
    doc.required("name", shmem.name);
    doc.attribute("role", shmem.role, Mark::guest | Mark::positive);
    doc.group("model", [&] { doc.attribute("type", shmem.model, Mark::guest); });
    doc.child("size", shmem.size, Mark::guest);
    doc.child("server", shmem.server, Mark::guest);
    doc.child("msi", shmem.msi, Mark::guest);
    describe_info(doc, shmem.info);
    check_shmem(doc, shmem);
}

} // namespace lodge::xml
