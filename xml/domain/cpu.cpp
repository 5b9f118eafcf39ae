#include "xml/domain/cpu.hpp"

namespace lodge::xml {

static void describe(Doc& doc, CpuModel& m) {
    doc.attribute("fallback", m.fallback, Mark::blank);
    doc.attribute("vendor_id", m.vendor_id, Mark::guest);
    doc.text(m.name, Mark::guest);
}
static void describe(Doc& doc, CpuTopology& t) {
    doc.required("sockets", t.sockets, Mark::guest | Mark::positive);
    doc.attribute("dies", t.dies, Mark::guest | Mark::positive);
    doc.required("cores", t.cores, Mark::guest | Mark::positive);
    doc.required("threads", t.threads, Mark::guest | Mark::positive);
}
static void describe(Doc& doc, CpuCache& c) {
    doc.attribute("level", c.level, Mark::guest);
    doc.required("mode", c.mode, Mark::guest);
}
void describe(Doc& doc, MaxPhysAddr& m) {
    doc.required("mode", m.mode, Mark::guest);
    doc.attribute("bits", m.bits, Mark::guest);
}
void describe(Doc& doc, CpuFeature& f) {
    doc.attribute("policy", f.policy, Mark::guest);
    doc.required("name", f.name, Mark::guest | Mark::blank);
}
static void describe(Doc& doc, CellSibling& s) {
    doc.required("id", s.id, Mark::guest);
    doc.required("value", s.value, Mark::guest);
}
void describe(Doc& doc, CellCache& c) {
    doc.required("level", c.level, Mark::positive);
    doc.required("associativity", c.associativity);
    doc.required("policy", c.policy);
    // libvirt takes any unit, and heeds none.
    doc.group(
        "size",
        [&] {
            std::string unit = "KiB";
            doc.required("value", c.size.value);
            doc.attribute("unit", unit);
        },
        Mark::required);
    doc.group(
        "line",
        [&] {
            std::string unit = "B";
            doc.required("value", c.line_size);
            doc.attribute("unit", unit);
        },
        Mark::required);
}
static void describe(Doc& doc, NumaCell& c) {
    std::string unit = "KiB";
    if (doc.reading()) unit.clear();
    doc.attribute("id", c.id);
    doc.attribute("cpus", c.cpus, Mark::guest);
    doc.required("memory", c.memory_kib, Mark::guest);
    doc.attribute("unit", unit);
    doc.attribute("memAccess", c.access, Mark::positive);
    doc.attribute("discard", c.discard);
    doc.group("distances", [&] { doc.list("sibling", c.distances, Mark::required); });
    doc.list("cache", c.caches);
    if (doc.reading()) c.memory_kib = (c.memory_kib * unit_bytes(unit, 1024) + 1023) / 1024;
}
void describe(Doc& doc, Interconnect& i) {
    doc.required("initiator", i.initiator);
    doc.required("target", i.target);
    doc.attribute("cache", i.cache);
    doc.required("type", i.type);
    doc.required("value", i.value);
    doc.attribute("unit", i.unit);
}

void describe(Doc& doc, Cpu& c) {
    doc.attribute("mode", c.mode, Mark::guest);
    doc.attribute("match", c.match);
    doc.attribute("check", c.check, Mark::guest);
    doc.attribute("migratable", c.migratable);
    doc.text_child("arch", c.arch, Mark::guest);
    doc.child("model", c.model);
    doc.text_child("vendor", c.vendor, Mark::guest);
    doc.child("topology", c.topology);
    doc.child("cache", c.cache, Mark::single);
    doc.child("maxphysaddr", c.max_phys_addr);
    doc.list("feature", c.features, Mark::guest);
    doc.group("numa", [&] {
        doc.list("cell", c.cells, Mark::required | Mark::guest);
        doc.group("interconnects", [&] {
            doc.list("latency", c.latencies);
            doc.list("bandwidth", c.bandwidths);
        });
    });
    if (!doc.reading()) return;
    for (auto& way : c.bandwidths) {
        const auto bytes = way.value * unit_bytes(way.unit, 1024);
        way.value = bytes / 1024 + (bytes % 1024 != 0);
        way.unit = "KiB";
    }
}

} // namespace lodge::xml
