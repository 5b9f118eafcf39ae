#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

static void describe(Doc& doc, MaxMemory& m) {
    doc.attribute("slots", m.slots, Mark::guest);
    describe(doc, m.size);
}
static void describe(Doc& doc, Memory& m) {
    doc.attribute("dumpCore", m.dump_core);
    describe(doc, m.size);
}
static void describe(Doc& doc, Vcpu& v) {
    doc.attribute("placement", v.placement);
    doc.attribute("cpuset", v.cpuset);
    doc.attribute("current", v.current, Mark::guest);
    doc.text(v.maximum, Mark::required | Mark::guest | Mark::wraps);
}
static void describe(Doc& doc, VcpuEntry& v) {
    doc.required("id", v.id, Mark::guest);
    doc.required("enabled", v.enabled, Mark::guest);
    doc.attribute("hotpluggable", v.hotpluggable);
    doc.attribute("order", v.order, Mark::guest);
}
static void describe(Doc& doc, GenId& g) { doc.text(g.value); }

void describe(Doc& doc, Domain& d) {
    doc.required("type", d.type, Mark::guest);
    doc.attribute("id", d.id, Mark::live);
    doc.text_child("name", d.name, Mark::guest);
    if (doc.reading() && d.name.empty()) rpc::fail(From::domain, Code::no_name, "");
    doc.text_child("uuid", d.uuid, Mark::guest);
    doc.child("genid", d.genid, Mark::single | Mark::guest);
    doc.text_child("title", d.title);
    doc.text_child("description", d.description);
    doc.raw("metadata", d.metadata);
    doc.child("maxMemory", d.max_memory, Mark::guest);
    doc.child("memory", d.memory, Mark::guest);
    doc.child("currentMemory", d.current_memory, Mark::guest);
    doc.child("blkiotune", d.blkiotune);
    doc.child("memtune", d.memtune);
    doc.child("memoryBacking", d.memory_backing);
    doc.child("vcpu", d.vcpu);
    doc.group("vcpus", [&] { doc.list("vcpu", d.vcpus); });
    doc.text_child("iothreads", d.iothreads);
    doc.group("iothreadids", [&] { doc.list("iothread", d.iothread_ids); });
    doc.child("defaultiothread", d.default_iothread);
    doc.child("cputune", d.cputune);
    doc.child("numatune", d.numatune, Mark::single);
    doc.child("resource", d.resource, Mark::single);
    doc.list("sysinfo", d.sysinfo, Mark::guest);
    doc.text_child("bootloader", d.bootloader);
    doc.text_child("bootloader_args", d.bootloader_args);
    doc.child("os", d.os, Mark::required);
    doc.child("idmap", d.idmap);
    doc.child("features", d.features);
    doc.child("cpu", d.cpu);
    doc.child("clock", d.clock);
    doc.text_child("on_poweroff", d.on_poweroff);
    doc.text_child("on_reboot", d.on_reboot);
    doc.text_child("on_crash", d.on_crash);
    doc.text_child("on_lockfailure", d.on_lockfailure);
    doc.child("pm", d.pm);
    doc.group("perf", [&] { doc.list("event", d.perf); });
    doc.child("devices", d.devices);
    doc.list("seclabel", d.seclabels);
    doc.child("qemu:commandline", d.qemu_commandline);
    doc.child("qemu:capabilities", d.qemu_capabilities);
    doc.child("qemu:override", d.qemu_override);
    doc.child("qemu:deprecation", d.qemu_deprecation);
    doc.child("keywrap", d.keywrap);
    doc.child("launchSecurity", d.launch_security);
}

Domain::Domain() = default;
Domain::Domain(const Domain&) = default;
Domain::Domain(Domain&&) noexcept = default;
Domain& Domain::operator=(const Domain&) = default;
Domain& Domain::operator=(Domain&&) noexcept = default;
Domain::~Domain() = default;

void Domain::set_total_memory_kib(std::uint64_t kib) {
    if (!memory) memory.emplace();
    memory->size.value = kib;
}

void Domain::set_max_vcpus(unsigned count) {
    if (!vcpu) vcpu.emplace();
    vcpu->maximum = count;
    if (vcpu->current && *vcpu->current >= count) vcpu->current.reset();
}

void Domain::set_online_vcpus(unsigned count) {
    if (!vcpu) vcpu.emplace();
    vcpu->current.reset();
    if (count != vcpu->maximum) vcpu->current = count;
}

std::string Domain::disk_target(const std::string& path) const {
    for (const auto& disk : devices.disks)
        if (disk.target.dev == path) return path;
    for (const auto& disk : devices.disks)
        if (!path.empty() && disk.source.path == path) return disk.target.dev;
    return {};
}

const Disk& Domain::disk_source(const std::string& target) const {
    return *std::ranges::find_if(devices.disks, [&](const Disk& disk) { return disk.target.dev == target; });
}

Domain parse_domain(std::string_view text, const ReadOptions& options) {
    ReadOptions named = options;
    if (named.from == From::xml) named.from = From::domain;
    Domain domain = parse<Domain>(text, domain_root, named);
    rpc::as_nobody([&] { check_domain(domain); });
    return domain;
}

std::string format_domain(const Domain& domain, const WriteOptions& options) { return format(domain, domain_root, options); }

} // namespace lodge::xml
