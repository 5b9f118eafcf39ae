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
    if (doc.reading() && v.placement == Placement::auto_) v.cpuset.clear();
}
static void describe(Doc& doc, VcpuEntry& v) {
    doc.required("id", v.id, Mark::guest);
    doc.required("enabled", v.enabled, Mark::guest);
    doc.attribute("hotpluggable", v.hotpluggable);
    doc.attribute("order", v.order, Mark::guest);
}
static void describe(Doc& doc, GenId& g) { doc.text(g.value); }

// libvirt's order of reading; it reads kinds of devices one after another, not as they stand.
static constexpr std::string_view domain_order[] = {"@id",
                                                    "name",
                                                    "uuid",
                                                    "genid",
                                                    "@type",
                                                    "os",
                                                    "os/type",
                                                    "title",
                                                    "seclabel",
                                                    "memory",
                                                    "currentMemory",
                                                    "maxMemory",
                                                    "memory/@dumpCore",
                                                    "memoryBacking",
                                                    "blkiotune",
                                                    "memtune",
                                                    "vcpu",
                                                    "vcpus",
                                                    "iothreads",
                                                    "iothreadids",
                                                    "defaultiothread",
                                                    "cputune",
                                                    "cpu",
                                                    "numatune",
                                                    "resource",
                                                    "features",
                                                    "on_reboot",
                                                    "on_poweroff",
                                                    "on_crash",
                                                    "on_lockfailure",
                                                    "pm",
                                                    "perf",
                                                    "clock",
                                                    "os/@firmware",
                                                    "os/firmware",
                                                    "os/initenv",
                                                    "os/loader",
                                                    "os/nvram",
                                                    "os/acpi",
                                                    "os/boot",
                                                    "os/bootmenu",
                                                    "os/bios",
                                                    "devices/disk",
                                                    "devices/controller",
                                                    "devices/lease",
                                                    "devices/filesystem",
                                                    "devices/interface",
                                                    "devices/smartcard",
                                                    "devices/parallel",
                                                    "devices/serial",
                                                    "devices/console",
                                                    "devices/channel",
                                                    "devices/input",
                                                    "devices/graphics",
                                                    "devices/sound",
                                                    "devices/audio",
                                                    "devices/video",
                                                    "devices/hostdev",
                                                    "devices/watchdog",
                                                    "devices/memballoon",
                                                    "devices/rng",
                                                    "devices/tpm",
                                                    "devices/nvram",
                                                    "devices/hub",
                                                    "devices/redirdev",
                                                    "devices/redirfilter",
                                                    "devices/panic",
                                                    "devices/shmem",
                                                    "launchSecurity",
                                                    "devices/memory",
                                                    "devices/iommu",
                                                    "devices/vsock",
                                                    "idmap",
                                                    "sysinfo",
                                                    "os/smbios",
                                                    "keywrap"};

void describe(Doc& doc, Domain& d) {
    doc.read_in_order(domain_order);
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
    doc.child("blkiotune", d.blkiotune, Mark::joined | Mark::filled);
    doc.child("memtune", d.memtune, Mark::joined);
    doc.child("memoryBacking", d.memory_backing, Mark::joined | Mark::filled);
    doc.child("vcpu", d.vcpu);
    doc.group("vcpus", [&] { doc.list("vcpu", d.vcpus); }, Mark::joined);
    doc.text_child("iothreads", d.iothreads);
    doc.group("iothreadids", [&] { doc.list("iothread", d.iothread_ids); }, Mark::joined);
    doc.child("defaultiothread", d.default_iothread);
    doc.child("cputune", d.cputune, Mark::joined | Mark::filled);
    doc.child("numatune", d.numatune, Mark::single | Mark::filled);
    doc.child("resource", d.resource, Mark::single);
    doc.list("sysinfo", d.sysinfo, Mark::guest);
    doc.text_child("bootloader", d.bootloader);
    doc.text_child("bootloader_args", d.bootloader_args);
    doc.child("os", d.os, Mark::required | Mark::joined);
    doc.child("idmap", d.idmap, Mark::joined | Mark::filled);
    doc.child("features", d.features, Mark::joined | Mark::filled);
    doc.child("cpu", d.cpu);
    doc.child("clock", d.clock, Mark::joined);
    doc.text_child("on_poweroff", d.on_poweroff);
    doc.text_child("on_reboot", d.on_reboot);
    doc.text_child("on_crash", d.on_crash);
    doc.text_child("on_lockfailure", d.on_lockfailure);
    doc.child("pm", d.pm, Mark::joined | Mark::filled);
    doc.group("perf", [&] { doc.list("event", d.perf); }, Mark::joined);
    doc.child("devices", d.devices, Mark::joined);
    doc.list("seclabel", d.seclabels);
    doc.child("qemu:commandline", d.qemu_commandline);
    doc.child("qemu:capabilities", d.qemu_capabilities, Mark::filled);
    doc.child("qemu:override", d.qemu_override, Mark::filled);
    doc.child("qemu:deprecation", d.qemu_deprecation);
    doc.child("keywrap", d.keywrap, Mark::joined);
    doc.child("launchSecurity", d.launch_security);
    check_parts(doc, d);
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
    return parse<Domain>(text, domain_root, named);
}

std::string format_domain(const Domain& domain, const WriteOptions& options) { return format(domain, domain_root, options); }

} // namespace lodge::xml
