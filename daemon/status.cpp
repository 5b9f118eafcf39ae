#include "daemon/status.hpp"

namespace lodge::daemon {

void describe(xml::Doc& doc, DomainStatus& status) {
    doc.required("state", status.state);
    doc.required("reason", status.reason);
    doc.required("id", status.id);
    doc.attribute("pid", status.pid);
    doc.attribute("agentTimeout", status.agent_timeout);
    doc.attribute("taints", status.taints);
    doc.flag("persistent", status.persistent);
    doc.flag("autodestroy", status.autodestroy);
    doc.text_child("machine", status.machine);
    doc.text_child("backup", status.backup);
    doc.child("domain", status.domain);
}

} // namespace lodge::daemon
