#include "xml/domain_capabilities.hpp"

namespace lodge::xml {

static void describe(Doc& doc, CapabilityEnum& one) {
    doc.required("name", one.name);
    doc.list("value", one.values);
}
static void describe(Doc& doc, CapabilityGroup& group) {
    doc.required("supported", group.supported);
    doc.list("enum", group.enums);
}
static void describe(Doc& doc, LoaderCapabilities& loader) {
    doc.required("supported", loader.supported);
    doc.list("value", loader.values);
    doc.list("enum", loader.enums);
}
static void describe(Doc& doc, OsCapabilities& os) {
    doc.required("supported", os.supported);
    doc.list("enum", os.enums);
    doc.child("loader", os.loader);
}

static void describe(Doc& doc, CpuModelOffer& model) {
    doc.attribute("fallback", model.fallback);
    doc.attribute("usable", model.usable);
    doc.attribute("vendor", model.vendor);
    doc.attribute("deprecated", model.deprecated);
    doc.text(model.name);
}
static void describe(Doc& doc, CpuModeOffer& mode) {
    doc.required("name", mode.name);
    doc.required("supported", mode.supported);
    doc.list("enum", mode.enums);
    doc.list("model", mode.models);
    doc.text_child("vendor", mode.vendor);
    doc.child("maxphysaddr", mode.max_phys_addr);
    doc.list("feature", mode.features);
}

static void describe(Doc& doc, SevCapabilities& sev) {
    doc.required("supported", sev.supported);
    doc.text_child("cbitpos", sev.cbitpos);
    doc.text_child("reducedPhysBits", sev.reduced_phys_bits);
    doc.text_child("maxGuests", sev.max_guests);
    doc.text_child("maxESGuests", sev.max_es_guests);
}
static void describe(Doc& doc, SgxSection& section) {
    std::string unit = "KiB";
    doc.attribute("node", section.node);
    doc.attribute("size", section.size_kib);
    doc.attribute("unit", unit);
}
static void describe(Doc& doc, SgxCapabilities& sgx) {
    doc.required("supported", sgx.supported);
    doc.text_child("flc", sgx.flc);
    doc.text_child("sgx1", sgx.sgx1);
    doc.text_child("sgx2", sgx.sgx2);
    if (doc.when(sgx.section_size_kib.has_value())) {
        doc.group("section_size", [&] {
            std::string unit = "KiB";
            doc.attribute("unit", unit);
            doc.text(sgx.section_size_kib);
        });
    }
    doc.group("sections", [&] { doc.list("section", sgx.sections); });
}

static void describe(Doc& doc, DeviceCapabilities& devices) {
    doc.child("disk", devices.disk);
    doc.child("graphics", devices.graphics);
    doc.child("video", devices.video);
    doc.child("hostdev", devices.hostdev);
    doc.child("rng", devices.rng);
    doc.child("filesystem", devices.filesystem);
    doc.child("tpm", devices.tpm);
    doc.child("redirdev", devices.redirdev);
    doc.child("channel", devices.channel);
}
static void describe(Doc& doc, FeatureCapabilities& features) {
    doc.child("gic", features.gic);
    doc.child("vmcoreinfo", features.vmcoreinfo);
    doc.child("genid", features.genid);
    doc.child("backingStoreInput", features.backing_store_input);
    doc.child("backup", features.backup);
    doc.child("sev", features.sev);
    doc.child("sgx", features.sgx);
    doc.child("hyperv", features.hyperv);
}

void describe(Doc& doc, DomainCapabilities& capabilities) {
    doc.text_child("path", capabilities.path);
    doc.text_child("domain", capabilities.domain);
    doc.text_child("machine", capabilities.machine);
    doc.text_child("arch", capabilities.arch);
    doc.group("vcpu", [&] { doc.attribute("max", capabilities.max_vcpus); });
    doc.child("iothreads", capabilities.iothreads);
    doc.child("os", capabilities.os);
    doc.group("cpu", [&] { doc.list("mode", capabilities.cpu_modes); });
    doc.child("memoryBacking", capabilities.memory_backing);
    doc.child("devices", capabilities.devices);
    doc.child("features", capabilities.features);
}

DomainCapabilities parse_domain_capabilities(std::string_view text, const ReadOptions& options) {
    return parse<DomainCapabilities>(text, "domainCapabilities", options);
}

std::string format_domain_capabilities(const DomainCapabilities& capabilities) {
    return format(capabilities, "domainCapabilities");
}

} // namespace lodge::xml
