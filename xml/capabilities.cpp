#include "xml/capabilities.hpp"

namespace lodge::xml {

static void describe(Doc& doc, CapabilityPages& pages) {
    std::string unit = "KiB";
    doc.attribute("unit", unit);
    doc.attribute("size", pages.size);
    doc.text(pages.count);
}
static void describe(Doc& doc, HostCpuSignature& signature) {
    doc.attribute("family", signature.family);
    doc.attribute("model", signature.model);
    doc.attribute("stepping", signature.stepping);
}
static void describe(Doc& doc, HostCpuCounter& counter) {
    doc.attribute("name", counter.name);
    doc.attribute("frequency", counter.frequency);
    doc.attribute("scaling", counter.scaling);
}
static void describe(Doc& doc, HostCpuTopology& topology) {
    doc.attribute("sockets", topology.sockets);
    doc.attribute("dies", topology.dies);
    doc.attribute("cores", topology.cores);
    doc.attribute("threads", topology.threads);
}
static void describe(Doc& doc, HostCpuAddressing& addressing) {
    doc.attribute("mode", addressing.mode);
    doc.attribute("bits", addressing.bits);
}
static void describe(Doc& doc, HostCpuFeature& feature) { doc.required("name", feature.name); }

static void describe(Doc& doc, HostPower& power) {
    doc.flag("suspend_mem", power.suspend_mem);
    doc.flag("suspend_disk", power.suspend_disk);
    doc.flag("suspend_hybrid", power.suspend_hybrid);
}

static void describe(Doc& doc, HostCellCpu& cpu) {
    doc.attribute("id", cpu.id);
    doc.attribute("socket_id", cpu.socket_id);
    doc.attribute("die_id", cpu.die_id);
    doc.attribute("core_id", cpu.core_id);
    doc.attribute("siblings", cpu.siblings);
}
static void describe(Doc& doc, HostCellDistance& distance) {
    doc.attribute("id", distance.id);
    doc.attribute("value", distance.value);
}
static void describe(Doc& doc, HostCell& cell) {
    doc.attribute("id", cell.id);
    doc.group("memory", [&] {
        std::string unit = "KiB";
        doc.attribute("unit", unit);
        doc.text(cell.memory_kib);
    });
    doc.list("pages", cell.pages);
    doc.group("distances", [&] { doc.list("sibling", cell.distances); });
    doc.list("cache", cell.caches);
    doc.group("cpus", [&] {
        auto count = cell.cpus.size();
        doc.attribute("num", count);
        doc.list("cpu", cell.cpus);
    });
}
static void describe(Doc& doc, HostTopology& topology) {
    doc.group("cells", [&] {
        auto count = topology.cells.size();
        doc.attribute("num", count);
        doc.list("cell", topology.cells);
    });
    doc.group("interconnects", [&] {
        doc.list("latency", topology.latencies);
        doc.list("bandwidth", topology.bandwidths);
    });
}

static void describe(Doc& doc, ResourceMonitor& monitor) {
    doc.attribute("level", monitor.level);
    doc.attribute("reuseThreshold", monitor.reuse_threshold);
    doc.attribute("maxMonitors", monitor.max_monitors);
    doc.list("feature", monitor.features);
}
static void describe(Doc& doc, CacheControl& control) {
    doc.attribute("granularity", control.granularity);
    doc.attribute("min", control.min);
    doc.attribute("unit", control.unit);
    doc.attribute("type", control.type);
    doc.attribute("maxAllocs", control.max_allocations);
}
static void describe(Doc& doc, BandwidthControl& control) {
    doc.attribute("granularity", control.granularity);
    doc.attribute("min", control.min);
    doc.attribute("maxAllocs", control.max_allocations);
}
static void describe(Doc& doc, BandwidthNode& node) {
    doc.attribute("id", node.id);
    doc.attribute("cpus", node.cpus);
    doc.child("control", node.control);
}

static void describe(Doc& doc, HostCacheBank& bank) {
    doc.attribute("id", bank.id);
    doc.attribute("level", bank.level);
    doc.attribute("type", bank.type);
    doc.attribute("size", bank.size);
    doc.attribute("unit", bank.unit);
    doc.attribute("cpus", bank.cpus);
    doc.list("control", bank.controls);
}

static void describe(Doc& doc, BaseLabel& label) {
    doc.attribute("type", label.type);
    doc.text(label.label);
}
static void describe(Doc& doc, SecurityModel& model) {
    doc.text_child("model", model.model);
    doc.text_child("doi", model.doi);
    doc.list("baselabel", model.base_labels);
}

static void describe(Doc& doc, HostCapabilities& host) {
    doc.text_child("uuid", host.uuid);
    doc.child("cpu", host.cpu);
    doc.child("power_management", host.power);
    doc.group("iommu", [&] { doc.attribute("support", host.iommu); });
    doc.group("migration_features", [&] {
        doc.flag("live", host.migrates_live);
        doc.group("uri_transports", [&] { doc.list("uri_transport", host.uri_transports); });
    });
    doc.child("topology", host.topology);
    doc.group("cache", [&] {
        doc.list("bank", host.cache_banks);
        doc.child("monitor", host.cache_monitor);
    });
    doc.group("memory_bandwidth", [&] {
        doc.list("node", host.bandwidth_nodes);
        doc.child("monitor", host.bandwidth_monitor);
    });
    doc.list("secmodel", host.security_models);
}

static void describe(Doc& doc, GuestMachine& machine) {
    doc.attribute("canonical", machine.canonical);
    doc.attribute("maxCpus", machine.max_cpus);
    doc.attribute("deprecated", machine.deprecated);
    doc.text(machine.name);
}
static void describe(Doc& doc, GuestDomain& domain) {
    doc.attribute("type", domain.type);
    doc.text_child("emulator", domain.emulator);
    doc.list("machine", domain.machines);
}
static void describe(Doc& doc, GuestArch& arch) {
    doc.attribute("name", arch.name);
    doc.text_child("wordsize", arch.wordsize);
    doc.text_child("emulator", arch.emulator);
    doc.list("machine", arch.machines);
    doc.list("domain", arch.domains);
}
static void describe(Doc& doc, GuestFeature& feature) {
    doc.attribute("default", feature.default_);
    doc.attribute("toggle", feature.toggle);
}
static void describe(Doc& doc, GuestFeatures& features) {
    doc.flag("pae", features.pae);
    doc.flag("nonpae", features.nonpae);
    doc.child("acpi", features.acpi);
    doc.child("apic", features.apic);
    doc.flag("cpuselection", features.cpuselection);
    doc.flag("deviceboot", features.deviceboot);
    doc.child("disksnapshot", features.disksnapshot);
}
static void describe(Doc& doc, GuestCapabilities& guest) {
    doc.text_child("os_type", guest.os_type);
    doc.child("arch", guest.arch);
    doc.child("features", guest.features);
}

void describe(Doc& doc, HostCpu& cpu) {
    doc.text_child("arch", cpu.arch);
    doc.text_child("model", cpu.model);
    doc.text_child("vendor", cpu.vendor);
    doc.group("microcode", [&] { doc.attribute("version", cpu.microcode); });
    doc.child("signature", cpu.signature);
    doc.child("counter", cpu.counter);
    doc.child("topology", cpu.topology);
    doc.child("maxphysaddr", cpu.addressing);
    doc.list("feature", cpu.features);
    doc.list("pages", cpu.pages);
}

void describe(Doc& doc, Capabilities& capabilities) {
    doc.child("host", capabilities.host);
    doc.list("guest", capabilities.guests);
}

Capabilities parse_capabilities(std::string_view text, const ReadOptions& options) {
    return parse<Capabilities>(text, "capabilities", options);
}

std::string format_capabilities(const Capabilities& capabilities) {
    const auto text = format(capabilities, "capabilities");
    std::string spaced;
    spaced.reserve(text.size() + 16);
    for (std::size_t start = 0; start < text.size();) {
        const auto end = text.find('\n', start) + 1;
        const auto line = std::string_view(text).substr(start, end - start);
        spaced += line;
        if (line == "<capabilities>\n" || line == "  </host>\n" || line == "  </guest>\n") spaced += '\n';
        start = end;
    }
    return spaced;
}

} // namespace lodge::xml
