#include "xml/domain/qemu_parts.hpp"

namespace lodge::xml {

static void describe(Doc& doc, QemuArg& a) { doc.required("value", a.value); }
static void describe(Doc& doc, QemuEnv& e) {
    doc.required("name", e.name);
    doc.attribute("value", e.value);
}
void describe(Doc& doc, QemuCommandline& c) {
    doc.list("qemu:arg", c.args);
    doc.list("qemu:env", c.envs);
}

static void describe(Doc& doc, QemuCapability& c) { doc.required("capability", c.capability); }
void describe(Doc& doc, QemuCapabilities& c) {
    doc.list("qemu:add", c.add);
    doc.list("qemu:del", c.del);
}

static void describe(Doc& doc, QemuProperty& p) {
    doc.required("name", p.name);
    doc.required("type", p.type);
    doc.attribute("value", p.value);
}
static void describe(Doc& doc, QemuDeviceOverride& d) {
    doc.required("alias", d.alias);
    doc.group("qemu:frontend", [&] { doc.list("qemu:property", d.properties); });
}
void describe(Doc& doc, QemuOverride& o) { doc.list("qemu:device", o.devices); }
void describe(Doc& doc, QemuDeprecation& d) { doc.attribute("behavior", d.behavior); }

} // namespace lodge::xml
