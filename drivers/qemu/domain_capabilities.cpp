// What a guest of one emulator, machine and accelerator may have: enumerations that clients build their menus from.
#include "drivers/driver.hpp"
#include "drivers/qemu/capabilities.hpp"
#include "drivers/qemu/firmware.hpp"
#include <filesystem>
#include <fnmatch.h>

namespace lodge::drivers::qemu {

namespace {

using Words = std::vector<std::string>;

// What an emulator offers with one machine type.
struct Offer {
    const EmulatorInfo& emulator;
    const HypervisorCpu& cpu;
    const MachineType& machine;
    std::string arch;
    bool kvm;

    bool has(const char* type) const { return emulator.has_type(type); }
    bool is_pc() const { return machine.name.starts_with("pc-i440fx") || machine.name == "isapc"; }
    bool is_x86() const { return arch == "x86_64" || arch == "i686"; }
};

xml::CapabilityGroup flag(bool supported) { return {supported, {}}; }

xml::LoaderCapabilities loader_of(const Offer& offer, const std::vector<Firmware>& firmware) {
    xml::LoaderCapabilities loader{true, {}, {}};
    bool secure = false;
    for (const auto& image : firmware) {
        loader.values.push_back(image.code);
        secure = secure || image.secure();
    }
    // No descriptor speaks of this machine: images that are there by their usual names may still do.
    std::error_code ignored;
    if (firmware.empty())
        for (const char* image : {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE.secboot.fd"})
            if (offer.is_x86() && std::filesystem::exists(image, ignored)) loader.values.emplace_back(image);
    loader.enums = {
        {"type", {"rom", "pflash"}}, {"readonly", {"yes", "no"}}, {"secure", secure ? Words{"yes", "no"} : Words{"no"}}};
    return loader;
}

xml::OsCapabilities os_of(const Offer& offer) {
    std::vector<Firmware> suiting;
    for (const auto& image : find_firmware())
        for (const auto& [arch, pattern] : image.machines)
            if (image.is_efi() && arch == offer.arch && ::fnmatch(pattern.c_str(), offer.machine.name.c_str(), 0) == 0) {
                suiting.push_back(image);
                break;
            }
    return {true, {{"firmware", suiting.empty() ? Words{} : Words{"efi"}}}, loader_of(offer, suiting)};
}

xml::CpuModeOffer passing_mode(const char* mode, const char* choice, bool supported, bool both) {
    xml::CpuModeOffer out;
    out.name = mode;
    out.supported = supported;
    if (supported) out.enums = {{choice, both ? Words{"on", "off"} : Words{"off"}}};
    return out;
}

xml::CpuModeOffer host_model_of(const Offer& offer) {
    xml::CpuModeOffer mode;
    mode.name = "host-model";
    mode.supported = offer.cpu.reported.has_value();
    if (!mode.supported) return mode;
    const auto& cpu = *offer.cpu.reported;
    xml::CpuModelOffer model;
    model.fallback = xml::CpuFallback::forbid;
    model.name = cpu.model->name;
    mode.models = {model};
    mode.vendor = cpu.vendor;
    mode.features = cpu.features;
    return mode;
}

// Models that documents may name, in QEMU's order.
xml::CpuModeOffer custom_of(const Offer& offer) {
    xml::CpuModeOffer mode;
    mode.name = "custom";
    mode.supported = true;
    for (const auto& cpu : offer.cpu.models) {
        const auto* known = cpu_map().model(cpu.name);
        if (!known) continue;
        xml::CpuModelOffer model;
        model.usable = cpu.blockers.empty() ? "yes" : "no";
        if (cpu.deprecated) model.deprecated = xml::YesNo(true);
        model.vendor = known->vendor.empty() ? "unknown" : known->vendor;
        model.name = cpu.name;
        mode.models.push_back(std::move(model));
    }
    return mode;
}

xml::CapabilityGroup disk_of(const Offer& offer) {
    Words buses;
    if (offer.is_pc()) buses.emplace_back("ide");
    buses.emplace_back("fdc");
    if (offer.has("virtio-scsi-pci") || offer.has("virtio-scsi-device")) buses.emplace_back("scsi");
    if (offer.has("virtio-blk-pci") || offer.has("virtio-blk-device")) buses.emplace_back("virtio");
    if (offer.has("usb-storage")) buses.emplace_back("usb");
    if (offer.has("ich9-ahci")) buses.emplace_back("sata");
    Words models{"virtio"};
    if (offer.has("virtio-blk-pci-transitional")) models.emplace_back("virtio-transitional");
    if (offer.has("virtio-blk-pci-non-transitional")) models.emplace_back("virtio-non-transitional");
    return {true, {{"diskDevice", {"disk", "cdrom", "floppy", "lun"}}, {"bus", buses}, {"model", models}}};
}

xml::CapabilityGroup graphics_of(const Offer& offer) {
    Words types{"sdl", "vnc"};
    if (offer.has("chardev-spicevmc")) types.emplace_back("spice");
    if (offer.has("egl-headless") || offer.emulator.version >= 3'000'000) types.emplace_back("egl-headless");
    if (offer.emulator.version >= 7'000'000) types.emplace_back("dbus");
    return {true, {{"type", types}}};
}

xml::CapabilityGroup video_of(const Offer& offer) {
    static constexpr const char* models[][2] = {
        {"VGA", "vga"}, {"cirrus-vga", "cirrus"},   {"vmware-svga", "vmvga"}, {"qxl-vga", "qxl"}, {"virtio-gpu-pci", "virtio"},
        {"", "none"},   {"bochs-display", "bochs"}, {"ramfb", "ramfb"}};
    Words words;
    for (const auto& [type, word] : models)
        if (!*type || offer.has(type) || (std::string_view(word) == "qxl" && offer.has("qxl"))) words.emplace_back(word);
    return {true, {{"modelType", words}}};
}

xml::CapabilityGroup hostdev_of(const Offer& offer) {
    Words types{"usb", "pci"};
    if (offer.has("scsi-generic")) types.emplace_back("scsi");
    std::error_code ignored;
    const bool vfio = offer.has("vfio-pci") && std::filesystem::exists("/dev/vfio/vfio", ignored);
    return {true,
            {{"mode", {"subsystem"}},
             {"startupPolicy", {"default", "mandatory", "requisite", "optional"}},
             {"subsysType", types},
             {"capsType", {}},
             {"pciBackend", vfio ? Words{"vfio"} : Words{}}}};
}

xml::CapabilityGroup rng_of(const Offer& offer) {
    Words models{"virtio"};
    if (offer.has("virtio-rng-pci-transitional")) models.emplace_back("virtio-transitional");
    if (offer.has("virtio-rng-pci-non-transitional")) models.emplace_back("virtio-non-transitional");
    return {offer.has("virtio-rng-pci") || offer.has("virtio-rng-device"),
            {{"model", models}, {"backendModel", {"random", "egd", "builtin"}}}};
}

xml::CapabilityGroup filesystem_of(const Offer& offer) {
    Words drivers{"path", "handle"};
    if (offer.has("vhost-user-fs-device") || offer.has("vhost-user-fs-pci")) drivers.emplace_back("virtiofs");
    return {true, {{"driverType", drivers}}};
}

xml::CapabilityGroup tpm_of(const Offer& offer) {
    const bool emulated = has_swtpm() && offer.emulator.tpm_backends.contains("emulator");
    Words models, backends;
    for (const char* model : {"tpm-tis", "tpm-crb", "tpm-spapr"})
        if (offer.emulator.tpm_models.contains(model)) models.emplace_back(model);
    if (offer.emulator.tpm_backends.contains("passthrough")) backends.emplace_back("passthrough");
    if (emulated) backends.emplace_back("emulator");
    if (offer.emulator.tpm_backends.contains("emulator")) backends.emplace_back("external"); // somebody else's swtpm
    xml::CapabilityGroup tpm{!models.empty(), {{"model", models}, {"backendModel", backends}}};
    if (emulated) tpm.enums.push_back({"backendVersion", {"1.2", "2.0"}});
    return tpm;
}

xml::DeviceCapabilities devices_of(const Offer& offer) {
    xml::DeviceCapabilities devices;
    devices.disk = disk_of(offer);
    devices.graphics = graphics_of(offer);
    devices.video = video_of(offer);
    devices.hostdev = hostdev_of(offer);
    devices.rng = rng_of(offer);
    devices.filesystem = filesystem_of(offer);
    devices.tpm = tpm_of(offer);
    devices.redirdev = {true, {{"bus", {"usb"}}}};
    devices.channel = {true, {{"type", offer.has("chardev-spicevmc") ? Words{"pty", "unix", "spicevmc"} : Words{"pty", "unix"}}}};
    return devices;
}

// Only what the host's KVM offers is worth asking for; two need nothing of the host.
xml::CapabilityGroup hyperv_of(const Offer& offer) {
    static constexpr std::string_view known[] = {"relaxed",         "vapic",    "spinlocks", "vpindex",   "runtime",
                                                 "synic",           "stimer",   "reset",     "vendor_id", "frequencies",
                                                 "reenlightenment", "tlbflush", "ipi",       "evmcs",     "avic"};
    Words words;
    for (const auto& feature : known)
        if (feature == "spinlocks" || feature == "vendor_id" || offer.emulator.hyperv.contains("hv-" + std::string(feature)))
            words.emplace_back(feature);
    return {true, {{"features", words}}};
}

xml::FeatureCapabilities features_of(const Offer& offer) {
    xml::FeatureCapabilities features;
    features.gic = flag(false);
    features.vmcoreinfo = flag(offer.has("vmcoreinfo"));
    features.genid = flag(offer.has("vmgenid"));
    features.backing_store_input = flag(true);
    features.backup = flag(offer.emulator.version >= 6'000'000);
    features.sev.emplace().supported = offer.emulator.sev;
    features.sgx.emplace().supported = offer.emulator.sgx;
    if (offer.is_x86()) features.hyperv = hyperv_of(offer);
    return features;
}

xml::DomainCapabilities document_of(const Offer& offer) {
    xml::DomainCapabilities out;
    out.path = offer.emulator.path;
    out.domain = offer.kvm ? "kvm" : "qemu";
    out.machine = offer.machine.name;
    out.arch = offer.arch;
    out.max_vcpus = offer.machine.max_cpus;
    out.iothreads = flag(offer.has("iothread"));
    out.os = os_of(offer);
    out.cpu_modes = {passing_mode("host-passthrough", "hostPassthroughMigratable", offer.kvm, offer.arch == "x86_64"),
                     passing_mode("maximum", "maximumMigratable", true, true), host_model_of(offer), custom_of(offer)};
    out.memory_backing = {true, {{"sourceType", {"file", "anonymous", "memfd"}}}};
    out.devices = devices_of(offer);
    out.features = features_of(offer);
    return out;
}

} // namespace

const MachineType& require_machine(const EmulatorInfo& emulator, const std::string& name) {
    const auto* machine = emulator.machine(name);
    if (!machine) rpc::fail(Code::invalid_arg, "the machine '{}' is not supported by emulator '{}'", name, emulator.path);
    return *machine;
}

xml::DomainCapabilities domain_capabilities_of(const EmulatorInfo& emulator, const HypervisorCpu& cpu,
                                               const std::string& machine) {
    return document_of({emulator, cpu, require_machine(emulator, machine), architecture_name(emulator.arch), emulator.kvm});
}

} // namespace lodge::drivers::qemu
