#include "xml/domain/check.hpp"

namespace lodge::xml {

static void describe(Doc& doc, BlkioDevice& d) {
    doc.text_child("path", d.path);
    doc.text_child("weight", d.weight, Mark::wraps);
    doc.text_child("read_iops_sec", d.read_iops, Mark::wraps);
    doc.text_child("write_iops_sec", d.write_iops, Mark::wraps);
    doc.text_child("read_bytes_sec", d.read_bytes, Mark::wraps);
    doc.text_child("write_bytes_sec", d.write_bytes, Mark::wraps);
}
// A zero says nothing, and what is no number says it too.
template<class T> static void forget_zero(std::optional<T>& value) {
    if (value == T{}) value.reset();
}
static void describe_weight(Doc& doc, std::optional<unsigned>& weight) {
    if (!doc.reading()) return doc.text_child("weight", weight);
    std::string text;
    std::uint32_t number = 0;
    doc.text_child("weight", text);
    weight.reset();
    if (parse_word(text, number, Mark::none) && number != 0) weight = number;
}
void describe(Doc& doc, BlkioTune& t) {
    describe_weight(doc, t.weight);
    doc.list("device", t.devices);
    if (!doc.reading()) return;
    for (auto& d : t.devices) {
        forget_zero(d.weight);
        forget_zero(d.read_iops);
        forget_zero(d.write_iops);
        forget_zero(d.read_bytes);
        forget_zero(d.write_bytes);
    }
    std::erase_if(t.devices, [](const BlkioDevice& d) {
        return !d.path.empty() && !d.weight && !d.read_iops && !d.write_iops && !d.read_bytes && !d.write_bytes;
    });
}

void describe(Doc& doc, MemTune& t) {
    doc.child("hard_limit", t.hard_limit);
    doc.child("soft_limit", t.soft_limit);
    doc.child("min_guarantee", t.min_guarantee);
    doc.child("swap_hard_limit", t.swap_hard_limit);
}

static void describe(Doc& doc, HugePage& p) {
    std::string unit = "KiB";
    if (doc.reading()) unit.clear();
    doc.required("size", p.size_kib);
    doc.attribute("unit", unit);
    doc.attribute("nodeset", p.nodeset);
    if (doc.reading()) p.size_kib = p.size_kib * unit_bytes(unit, 1024) / 1024;
}
static void describe(Doc& doc, HugePages& p) { doc.list("page", p.pages); }
static void describe(Doc& doc, Allocation& a) {
    doc.attribute("mode", a.mode, Mark::blank);
    doc.attribute("threads", a.threads, Mark::blank);
}
void describe(Doc& doc, MemoryBacking& b) {
    doc.child("hugepages", b.huge_pages);
    doc.flag("nosharepages", b.no_share_pages);
    doc.flag("locked", b.locked);
    doc.group("source", [&] { doc.attribute("type", b.source, Mark::guest | Mark::blank); });
    doc.group("access", [&] { doc.attribute("mode", b.access, Mark::blank); });
    doc.child("allocation", b.allocation);
    doc.flag("discard", b.discard);
}

void describe(Doc& doc, IoThread& t) {
    doc.required("id", t.id, Mark::positive);
    doc.attribute("thread_pool_min", t.thread_pool_min);
    doc.attribute("thread_pool_max", t.thread_pool_max);
}
void describe(Doc& doc, DefaultIoThread& t) {
    doc.attribute("thread_pool_min", t.thread_pool_min);
    doc.attribute("thread_pool_max", t.thread_pool_max);
}

static void describe(Doc& doc, VcpuPin& p) {
    doc.required("vcpu", p.vcpu);
    doc.required("cpuset", p.cpuset);
}
static void describe(Doc& doc, EmulatorPin& p) { doc.required("cpuset", p.cpuset); }
static void describe(Doc& doc, IoThreadPin& p) {
    doc.required("iothread", p.iothread, Mark::positive);
    doc.required("cpuset", p.cpuset);
}
static void describe(Doc& doc, SchedVcpus& s) {
    doc.required("vcpus", s.vcpus);
    doc.required("scheduler", s.scheduler);
    doc.attribute("priority", s.priority);
}
static void describe(Doc& doc, SchedIoThreads& s) {
    doc.required("iothreads", s.iothreads);
    doc.required("scheduler", s.scheduler);
    doc.attribute("priority", s.priority);
}
static void describe(Doc& doc, SchedEmulator& s) {
    doc.required("scheduler", s.scheduler);
    doc.attribute("priority", s.priority);
}
static void describe(Doc& doc, CacheAllocation& c) {
    doc.required("id", c.id);
    doc.required("level", c.level);
    doc.required("type", c.type);
    doc.required("size", c.size);
    doc.attribute("unit", c.unit);
}
static void describe(Doc& doc, CacheMonitor& m) {
    doc.required("level", m.level);
    doc.check("@level", [&] {
        if (m.level != 3) broken("Invalid monitor cache level '{}'", m.level);
    });
    doc.required("vcpus", m.vcpus);
}
static void describe(Doc& doc, CacheTune& t) {
    doc.required("vcpus", t.vcpus);
    doc.attribute("id", t.id, Mark::private_);
    doc.list("cache", t.caches);
    doc.list("monitor", t.monitors);
}
static void describe(Doc& doc, MemoryBandwidth& m) {
    doc.required("id", m.id);
    doc.required("bandwidth", m.bandwidth);
}
static void describe(Doc& doc, BandwidthMonitor& m) { doc.required("vcpus", m.vcpus); }
static void describe(Doc& doc, MemoryTune& t) {
    doc.required("vcpus", t.vcpus);
    doc.list("node", t.nodes);
    doc.list("monitor", t.monitors);
}
void describe(Doc& doc, CpuTune& t) {
    doc.text_child("shares", t.shares);
    doc.text_child("period", t.period, Mark::unless_zero);
    doc.text_child("quota", t.quota, Mark::unless_zero);
    doc.text_child("global_period", t.global_period, Mark::unless_zero);
    doc.text_child("global_quota", t.global_quota, Mark::unless_zero);
    doc.text_child("emulator_period", t.emulator_period, Mark::unless_zero);
    doc.text_child("emulator_quota", t.emulator_quota, Mark::unless_zero);
    doc.text_child("iothread_period", t.iothread_period, Mark::unless_zero);
    doc.text_child("iothread_quota", t.iothread_quota, Mark::unless_zero);
    doc.list("vcpupin", t.vcpu_pins);
    doc.child("emulatorpin", t.emulator_pin, Mark::single);
    doc.list("iothreadpin", t.iothread_pins);
    doc.child("emulatorsched", t.emulator_sched);
    doc.list("vcpusched", t.vcpu_scheds);
    doc.list("iothreadsched", t.iothread_scheds);
    doc.list("cachetune", t.cache_tunes);
    doc.list("memorytune", t.memory_tunes);
}

static void describe(Doc& doc, NumaMemory& m) {
    doc.attribute("mode", m.mode);
    doc.attribute("nodeset", m.nodeset);
    doc.attribute("placement", m.placement);
}
static void describe(Doc& doc, NumaNode& n) {
    doc.required("cellid", n.cell);
    doc.attribute("mode", n.mode);
    doc.attribute("nodeset", n.nodeset);
}
void describe(Doc& doc, NumaTune& t) {
    doc.child("memory", t.memory);
    doc.list("memnode", t.nodes);
}

static void describe(Doc& doc, FibreChannel& f) { doc.required("appid", f.app_id); }
void describe(Doc& doc, Resource& r) {
    doc.text_child("partition", r.partition);
    doc.child("fibrechannel", r.fibre_channel);
}

} // namespace lodge::xml
