#include "xml/domain/abi_words.hpp"
#include "xml/domain/abi_values.hpp"

namespace lodge::xml {

namespace {

constexpr const char* null = "<null>";
constexpr const char* unset = "default"; // a switch that is neither on nor off

constexpr AbiWords part(const char* path, std::span<const AbiWords> rows) {
    return {path, nullptr, "", nullptr, nullptr, From::domain, rows};
}
constexpr AbiWords checked(const char* path, void (*check)(const GuestView&, const GuestView&)) {
    return {path, nullptr, "", nullptr, nullptr, From::domain, {}, check};
}
using Shown = std::string (*)(const GuestView&, const std::string& path);
constexpr AbiWords of_cpu(const char* path, const char* text, const char* absent = "", Shown shown = nullptr) {
    return {path, text, absent, shown, nullptr, From::cpu};
}
constexpr AbiWords of_sysinfo(const char* path, const char* text, const char* absent = "", Shown shown = nullptr) {
    return {path, text, absent, shown, nullptr, From::sysinfo};
}

constexpr AbiWords place[] = {
    {"address/@type", "Target device address type {} does not match source {}", "none"},
    {"address", "Target device PCI address {}does not match source {}", "", pci_place},
    {"address", "Target device drive address {} does not match source {}", "", drive_place},
    {"address", "Target device virtio serial address {} does not match source {}", "", serial_place},
    {"address", "Target device ccid address {} does not match source {}", "", ccid_place},
    {"address", "Target device isa address {} does not match source {}", "", isa_place},
    {"address", "Target device dimm slot {} does not match source {}", "", dimm_slot},
    {"address", "Target device dimm base address '{}' does not match source '{}'", "", dimm_base},
    {"acpi/@index", "Target ACPI index '{}' does not match source '{}'", "0"},
};
constexpr AbiWords virtio[] = {
    {"@iommu", "Target device iommu option '{}' does not match source '{}'", unset},
    {"@ats", "Target device ats option '{}' does not match source '{}'", unset},
    {"@packed", "Target device packed option '{}' does not match source '{}'", unset},
    {"@page_per_vq", "Target device page_per_vq option '{}' does not match source '{}'", unset},
};
// Of devices whose <driver> says nothing else.
constexpr AbiWords virtio_only[] = {
    {"", "Target device virtio options don't match the source", "", is_there},
    part("", virtio),
};

// ---- the machine ----

constexpr AbiWords memory[] = {
    {"memory/text()", "Target domain max memory {} does not match source {}", "0", initial_memory},
    {"currentMemory/text()", "Target domain current memory {} does not match source {}", "0"},
    {"maxMemory/text()", "Target maximum memory size '{}' doesn't match source '{}'", "0"},
    {"maxMemory/@slots", "Target domain memory slots count '{}' doesn't match source '{}'", "0"},
    {"cpu/numa/cell[]", "Target NUMA node count '{}' doesn't match source '{}'"},
    {"cpu/numa/cell[]/@memory", "Size of target NUMA node {3} ({0}) doesn't match source ({1})"},
    {"cpu/numa/cell[]/@cpus", "Processor mask of target NUMA node {3} doesn't match source"},
    checked("cpu/numa/cell[]/distances", check_distances),
};

constexpr const char* feature = "State of feature '{2}' differs: source: '{1}', destination: '{0}'";
constexpr const char* enlightenment = "State of HyperV enlightenment feature '{2}' differs: source: '{1}', destination: '{0}'";
constexpr const char* kvm_feature = "State of KVM feature '{2}' differs: source: '{1}', destination: '{0}'";
constexpr AbiWords features[] = {
    {"acpi", feature, unset, switch_state},
    {"apic", feature, "", apic_state},
    {"pae", feature, unset, switch_state},
    {"hap", feature, unset, switch_state},
    {"viridian", feature, unset, switch_state},
    {"privnet", feature, unset, switch_state},
    {"hyperv", feature, unset, hyperv_state},
    {"kvm", feature, unset, switch_state},
    {"pvspinlock", feature, unset, switch_state},
    {"capabilities/@policy", "State of feature 'capabilities' differs: source: 'policy={1}', destination: 'policy={0}'", unset},
    {"pmu", feature, unset, switch_state},
    {"vmport", feature, unset, switch_state},
    {"gic", feature, "", gic_state},
    {"smm", feature, unset, switch_state},
    {"ioapic/@driver", "State of feature 'ioapic' differs: source: 'driver={1}', destination: 'driver={0}'", "none"},
    {"hpt", feature, "", hpt_state},
    {"vmcoreinfo", feature, unset, switch_state},
    {"htm", feature, unset, switch_state},
    {"nested-hv", feature, unset, switch_state},
    {"ccf-assist", feature, unset, switch_state},
    {"xen", feature, unset, switch_state},
    {"cfpc/@value", "State of feature 'cfpc' differs: source: 'value={1}', destination: 'value={0}'", "none"},
    {"sbbc/@value", "State of feature 'sbbc' differs: source: 'value={1}', destination: 'value={0}'", "none"},
    {"ibs/@value", "State of feature 'ibs' differs: source: 'value={1}', destination: 'value={0}'", "none"},
    {"hyperv/relaxed", enlightenment, unset, switch_state},
    {"hyperv/vapic", enlightenment, unset, switch_state},
    {"hyperv/spinlocks/@retries", "HyperV spinlock retry count differs: source: '{1}', destination: '{0}'", "0"},
    {"hyperv/vpindex", enlightenment, unset, switch_state},
    {"hyperv/runtime", enlightenment, unset, switch_state},
    {"hyperv/synic", enlightenment, unset, switch_state},
    {"hyperv/stimer", enlightenment, unset, switch_state},
    {"hyperv/reset", enlightenment, unset, switch_state},
    {"hyperv/vendor_id/@value", "HyperV vendor_id differs: source: '{1}', destination: '{0}'", "(null)"},
    {"hyperv/frequencies", enlightenment, unset, switch_state},
    {"hyperv/reenlightenment", enlightenment, unset, switch_state},
    {"hyperv/tlbflush", enlightenment, unset, switch_state},
    {"hyperv/ipi", enlightenment, unset, switch_state},
    {"hyperv/evmcs", enlightenment, unset, switch_state},
    {"hyperv/avic", enlightenment, unset, switch_state},
    {"hyperv/stimer/direct", "State of HyperV stimer direct feature differs: source: '{1}', destination: '{0}'", unset,
     switch_state},
    {"xen/e820_host", "State of Xen feature '{2}' differs: source: '{1}', destination: '{0}'", unset, switch_state},
    {"xen/passthrough", "State of Xen feature '{2}' differs: source: '{1}', destination: '{0}'", unset, switch_state},
    {"xen/passthrough/@mode", "'mode' of Xen passthrough feature differs: source: '{1}', destination: '{0}'", unset},
    {"kvm/hidden", kvm_feature, unset, switch_state},
    {"kvm/hint-dedicated", kvm_feature, unset, switch_state},
    {"kvm/poll-control", kvm_feature, unset, switch_state},
    {"kvm/pv-ipi", kvm_feature, unset, switch_state},
    {"kvm/dirty-ring", kvm_feature, unset, switch_state},
    {"kvm/dirty-ring/@size", "dirty ring size of KVM feature '(null)' differs: source: '{1}', destination: '{0}'", "0"},
    {"smm/tseg", "SMM TSEG differs: source: {1}, destination: '{0}'", "", is_specified},
    {"smm/tseg", "Size of SMM TSEG size differs: source: '{1}', destination: '{0}'", "", amount},
};

constexpr AbiWords timers[] = {
    {"timer[]", "Target domain timers do not match source"},
    {"timer[]/@name", "Target timer {} does not match source {}"},
    {"timer[]/@present", "Target timer presence '{}' does not match source '{}'", unset},
    {"timer[]/@frequency", "Target TSC frequency {} does not match source {}", "0"},
    {"timer[]/@mode", "Target TSC mode {} does not match source {}", "none"},
};

constexpr AbiWords cpu[] = {
    of_cpu("", "Target CPU does not match source", "", is_there),
    of_cpu("@mode", "Target CPU mode {} does not match source {}", "custom"),
    of_cpu("@check", "Target CPU check {} does not match source {}", unset),
    of_cpu("arch", "Target CPU arch {} does not match source {}", "none"),
    of_cpu("model/text()", "Target CPU model {} does not match source {}", null),
    of_cpu("vendor", "Target CPU vendor {} does not match source {}", null),
    of_cpu("model/@vendor_id", "Target CPU vendor id {} does not match source {}", null),
    of_cpu("topology/@sockets", "Target CPU sockets {} does not match source {}", "0"),
    of_cpu("topology/@dies", "Target CPU dies {} does not match source {}", "0"),
    of_cpu("topology/@cores", "Target CPU cores {} does not match source {}", "0"),
    of_cpu("topology/@threads", "Target CPU threads {} does not match source {}", "0"),
    of_cpu("maxphysaddr/@mode", "Target CPU maxphysaddr does not match source"),
    of_cpu("maxphysaddr/@bits", "Target CPU maxphysaddr does not match source"),
    of_cpu("feature[]", "Target CPU feature count {} does not match source {}"),
    of_cpu("feature[]/@name", "Target CPU feature {} does not match source {}"),
    of_cpu("feature[]/@policy", "Target CPU feature policy {} does not match source {}"),
    of_cpu("cache/@mode", "Target CPU cache does not match source"),
    of_cpu("cache/@level", "Target CPU cache does not match source"),
};

constexpr AbiWords sysinfo[] = {
    of_sysinfo("@type", "Target sysinfo {} does not match source {}"),
    of_sysinfo("bios", "Target sysinfo does not match source", "", is_there),
    of_sysinfo("bios/vendor", "Target sysinfo BIOS vendor {} does not match source {}", null, entry),
    of_sysinfo("bios/version", "Target sysinfo BIOS version {} does not match source {}", null, entry),
    of_sysinfo("bios/date", "Target sysinfo BIOS date {} does not match source {}", null, entry),
    of_sysinfo("bios/release", "Target sysinfo BIOS release {} does not match source {}", null, entry),
    of_sysinfo("system", "Target sysinfo does not match source", "", is_there),
    of_sysinfo("system/manufacturer", "Target sysinfo system vendor {} does not match source {}", null, entry),
    of_sysinfo("system/product", "Target sysinfo system product {} does not match source {}", null, entry),
    of_sysinfo("system/version", "Target sysinfo system version {} does not match source {}", null, entry),
    of_sysinfo("system/serial", "Target sysinfo system serial {} does not match source {}", null, entry),
    of_sysinfo("system/uuid", "Target sysinfo system uuid {} does not match source {}", null, entry),
    of_sysinfo("system/sku", "Target sysinfo system sku {} does not match source {}", null, entry),
    of_sysinfo("system/family", "Target sysinfo system family {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]", "Target sysinfo base board count '{}' does not match source '{}'"),
    of_sysinfo("baseBoard[]/manufacturer", "Target sysinfo base board vendor {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]/product", "Target sysinfo base board product {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]/version", "Target sysinfo base board version {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]/serial", "Target sysinfo base board serial {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]/asset", "Target sysinfo base board asset {} does not match source {}", null, entry),
    of_sysinfo("baseBoard[]/location", "Target sysinfo base board location {} does not match source {}", null, entry),
    of_sysinfo("chassis", "Target chassis does not match source", "", is_there),
    of_sysinfo("chassis/manufacturer", "Target sysinfo chassis vendor {} does not match source {}", null, entry),
    of_sysinfo("chassis/version", "Target sysinfo chassis version {} does not match source {}", null, entry),
    of_sysinfo("chassis/serial", "Target sysinfo chassis serial {} does not match source {}", null, entry),
    of_sysinfo("chassis/asset", "Target sysinfo chassis asset {} does not match source {}", null, entry),
    of_sysinfo("chassis/sku", "Target sysinfo chassis sku {} does not match source {}", null, entry),
};

// ---- devices ----

constexpr AbiWords devices[] = {
    {"disk[]", "Target domain disk count {} does not match source {}"},
    {"disk[]/@device", "Target disk device {} does not match source {}"},
    {"disk[]/target/@bus", "Target disk bus {} does not match source {}", "none"},
    {"disk[]/target/@dev", "Target disk {} does not match source {}"},
    {"disk[]/serial", "Target disk serial {} does not match source {}", null},
    {"disk[]/wwn", "Target disk wwn '{}' does not match source '{}'", null},
    {"disk[]/readonly", "Target disk access mode does not match source"},
    {"disk[]/@model", "Target disk model {} does not match source {}", unset},
    {"disk[]/target/@rotation_rate", "Target disk rotation rate {} RPM does not match source {} RPM", "0"},
    {"disk[]/driver/@queues", "Target disk queue count {} does not match source {}", "0"},
    {"disk[]/driver/@queue_size", "Target disk queue size {} does not match source {}", "0", nullptr, "@queues"},
    part("disk[]/driver", virtio),
    part("disk[]", place),

    {"controller[]", "Target domain controller count {} does not match source {}"},
    {"controller[]/@type", "Target controller type {} does not match source {}"},
    {"controller[]/@index", "Target controller index {} does not match source {}", "0"},
    {"controller[]/@model", "Target controller model {} does not match source {}", "", controller_model},
    {"controller[]/@ports", "Target controller ports {} does not match source {}", "-1"},
    {"controller[]/@vectors", "Target controller vectors {} does not match source {}", "-1"},
    part("controller[]/driver", virtio),
    part("controller[]", place),

    {"filesystem[]", "Target domain filesystem count {} does not match source {}"},
    {"filesystem[]/target/@dir", "Target filesystem guest target {} does not match source {}"},
    {"filesystem[]/readonly", "Target filesystem access mode does not match source"},
    {"filesystem[]/@model", "Target filesystem model does not match source"},
    part("filesystem[]/driver", virtio_only),
    part("filesystem[]", place),

    {"interface[]", "Target domain net card count {} does not match source {}"},
    {"interface[]/mac/@address", "Target network card mac {} does not match source {}"},
    {"interface[]/model/@type", "Target network card model {} does not match source {}", "", unknown_nic_model},
    {"interface[]/model/@type", "Target network card model {} does not match source {}", "", known_nic_model},
    {"interface[]/mtu/@size", "Target network card MTU {} does not match source {}", "0"},
    part("interface[]/driver", virtio_only),
    part("interface[]", place),

    {"input[]", "Target domain input device count {} does not match source {}"},
    {"input[]/@type", "Target input device type {} does not match source {}"},
    {"input[]/@bus", "Target input device bus {} does not match source {}"},
    {"input[]/@model", "Target input model {} does not match source {}", "", input_model},
    part("input[]/driver", virtio_only),
    part("input[]", place),

    {"sound[]", "Target domain sound card count {} does not match source {}"},
    {"sound[]/@model", "Target sound card model {} does not match source {}"},
    part("sound[]", place),

    {"video[]", "Target domain video card count {} does not match source {}"},
    {"video[]/model/@type", "Target video card model {} does not match source {}"},
    {"video[]/model/@ram", "Target video card ram {} does not match source {}", "0"},
    {"video[]/model/@vram", "Target video card vram {} does not match source {}", "0"},
    {"video[]/model/@vram64", "Target video card vram64 {} does not match source {}", "0"},
    {"video[]/model/@vgamem", "Target video card vgamem {} does not match source {}", "0"},
    {"video[]/model/@heads", "Target video card heads {} does not match source {}", "0"},
    {"video[]/model/acceleration", "Target video card acceleration does not match source", "", is_there},
    {"video[]/model/acceleration/@accel2d", "Target video card 2d accel {} does not match source {}", "", yes_no_number},
    {"video[]/model/acceleration/@accel3d", "Target video card 3d accel {} does not match source {}", "", yes_no_number},
    part("video[]/driver", virtio_only),
    part("video[]", place),

    {"hostdev[]", "Target domain host device count {} does not match source {}"},
    {"hostdev[]/@mode", "Target host device mode {} does not match source {}"},
    {"hostdev[]/@type", "Target host device subsystem {} does not match source {}"},
    part("hostdev[]", place),

    {"smartcard[]", "Target domain smartcard count {} does not match source {}"},
    part("smartcard[]", place),

    {"serial[]", "Target domain serial port count {} does not match source {}"},
    {"serial[]/target/@type", "Target serial type {} does not match source {}", "none"},
    {"serial[]/target/model/@name", "Target serial model {} does not match source {}", "none"},
    {"serial[]/target/@port", "Target serial port {} does not match source {}", "-1"},
    part("serial[]", place),

    {"parallel[]", "Target domain parallel port count {} does not match source {}"},
    {"parallel[]/target/@port", "Target parallel port {} does not match source {}", "-1"},
    part("parallel[]", place),

    {"channel[]", "Target domain channel count {} does not match source {}"},
    {"channel[]/target/@type", "Target channel type {} does not match source {}", "none"},
    {"channel[]/target/@name", "Target channel name {} does not match source {}", null},
    {"channel[]/target", "Target channel addr {} does not match source {}", "", forwarded},
    part("channel[]", place),

    {"console[]", "Target domain console count {} does not match source {}"},
    {"console[]/target/@type", "Target console type {} does not match source {}", "none"},
    part("console[]", place),

    {"hub[]", "Target domain hub device count {} does not match source {}"},
    {"hub[]/@type", "Target hub device type {} does not match source {}"},
    part("hub[]", place),

    {"redirdev[]", "Target domain redirected devices count {} does not match source {}"},
    {"redirdev[]/@bus", "Target redirected device bus {} does not match source {}"},
    {"redirdev[]/@type", "Target redirected device source type {} does not match source device source type {}"},
    part("redirdev[]", place),

    {"redirfilter", "Target domain USB redirection filter count {} does not match source {}", "", presence},
    {"redirfilter/usbdev[]", "Target USB redirection filter rule count {} does not match source {}"},
    {"redirfilter/usbdev[]/@class", "Target USB Class code does not match source"},
    {"redirfilter/usbdev[]/@vendor", "Target USB vendor ID does not match source"},
    {"redirfilter/usbdev[]/@product", "Target USB product ID does not match source"},
    {"redirfilter/usbdev[]/@version", "Target USB version does not match source"},
    {"redirfilter/usbdev[]/@allow", "Target USB allow '{}' does not match source '{}'"},

    {"watchdog[]", "Target domain watchdog count {} does not match source {}"},
    {"watchdog[]/@model", "Target watchdog model {} does not match source {}"},
    part("watchdog[]", place),

    {"memballoon", "Target domain memory balloon count {} does not match source {}", "", presence},
    {"memballoon/@model", "Target balloon model {} does not match source {}"},
    {"memballoon/@autodeflate", "Target balloon autodeflate attribute value '{}' does not match source '{}'", unset},
    {"memballoon/@freePageReporting", "Target balloon freePageReporting attribute value '{}' does not match source '{}'", unset},
    part("memballoon/driver", virtio_only),
    part("memballoon", place),

    {"rng[]", "Target domain RNG device count {} does not match source {}"},
    {"rng[]/@model", "Target RNG model '{}' does not match source '{}'"},
    part("rng[]/driver", virtio_only),
    part("rng[]", place),

    {"panic[]", "Target domain panic device count {} does not match source {}"},
    {"panic[]/@model", "Target panic model '{}' does not match source '{}'", unset},
    part("panic[]", place),

    {"shmem[]", "Target domain shared memory device count {} does not match source {}"},
    {"shmem[]/@role", "Target shared memory role '{}' does not match source role '{}'", unset},
    {"shmem[]/model/@type", "Target shared memory model '{}' does not match source model '{}'"},
    {"shmem[]/size/text()", "Target shared memory size '{}' does not match source size '{}'", "", mebibytes},
    {"shmem[]/server", "Target shared memory server usage doesn't match source", "", presence},
    {"shmem[]/msi", "Target shared memory MSI configuration doesn't match source", "", msi},
    part("shmem[]", place),

    {"tpm[]", "Target domain TPM device count {} does not match source {}"},
    {"tpm[]/backend/@type", "Target TPM device type doesn't match source"},
    {"tpm[]/@model", "Target TPM device model doesn't match source"},
    {"tpm[]/backend/@version", "Target TPM version doesn't match source"},
    {"tpm[]/backend/active_pcr_banks", "Target active PCR banks doesn't match source", "", pcr_banks},
    part("tpm[]", place),

    {"memory[]", "Target domain memory device count {} does not match source {}"},
    {"memory[]/@model", "Target memory device model '{}' doesn't match source model '{}'"},
    {"memory[]/target/node", "Target memory device targetNode '{}' doesn't match source targetNode '{}'", "-1"},
    {"memory[]/target/size/text()", "Target memory device size '{}' doesn't match source memory device size '{}'"},
    {"memory[]/target/block/text()", "Target memory device block size '{}' doesn't match source memory device block size '{}'",
     "0"},
    {"memory[]/target/requested/text()",
     "Target memory device requested size '{}' doesn't match source memory device requested size '{}'", "0"},
    {"memory[]/target/label/size/text()", "Target NVDIMM label size '{1}' doesn't match source NVDIMM label size '{0}'", "0"},
    {"memory[]/source/alignsize/text()", "Target NVDIMM alignment '{1}' doesn't match source NVDIMM alignment '{0}'", "0"},
    {"memory[]/source/pmem", "Target NVDIMM pmem flag doesn't match source NVDIMM pmem flag"},
    {"memory[]/target/readonly", "Target NVDIMM readonly flag doesn't match source NVDIMM readonly flag"},
    {"memory[]/uuid", "Target NVDIMM UUID doesn't match source NVDIMM"},
    part("memory[]", place),

    {"iommu", "Target domain IOMMU device count does not match source", "", presence},
    {"iommu/@model", "Target domain IOMMU device model '{}' does not match source '{}'"},
    {"iommu/driver/@intremap", "Target domain IOMMU device intremap value '{}' does not match source '{}'", unset},
    {"iommu/driver/@caching_mode", "Target domain IOMMU device caching mode '{}' does not match source '{}'", unset},
    {"iommu/driver/@eim", "Target domain IOMMU device eim value '{}' does not match source '{}'", unset},
    {"iommu/driver/@iotlb", "Target domain IOMMU device iotlb value '{}' does not match source '{}'", unset},
    {"iommu/driver/@aw_bits", "Target domain IOMMU device aw_bits value '{}' does not match source '{}'", "0"},
    part("iommu", place),

    {"vsock", "Target domain vsock device count does not match source", "", presence},
    {"vsock/@model", "Target domain vsock device model '{}' does not match source '{}'", unset},
    part("vsock/driver", virtio_only),
    part("vsock", place),
};

constexpr AbiWords domain[] = {
    {"@type", "Target domain virt type {} does not match source {}"},
    {"uuid", "Target domain uuid {} does not match source {}"},
    {"genid", "Target domain requested genid does not match source", "", presence},
    {"genid/text()", "Target domain genid {} does not match source {}"},
    {"name", "Target domain name '{}' does not match source '{}'"},
    part("", memory),
    {"vcpu", "Target domain vCPU max {} does not match source {}", "", most_vcpus},
    checked("vcpus", check_vcpus),
    {"os/type/text()", "Target domain OS type {} does not match source {}"},
    {"os/type/@arch", "Target domain architecture {} does not match source {}"},
    {"os/type/@machine", "Target domain machine type {} does not match source {}"},
    {"os/smbios/@mode", "Target domain SMBIOS mode {} does not match source {}", "none"},
    part("features", features),
    part("clock", timers),
    part("cpu", cpu),
    {"sysinfo[]", "Target domain count of sysinfo does not match source"},
    part("sysinfo[]", sysinfo),
    part("devices", devices),
    {"memoryBacking/source/@type", "Target memoryBacking source '{}' doesn't match source memoryBacking source'{}'", "none",
     nullptr, nullptr, From::qemu},
};

} // namespace

std::span<const AbiWords> abi_words() { return domain; }

} // namespace lodge::xml
