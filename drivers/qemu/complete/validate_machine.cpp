// <features>, memory and limits: what the machine as a whole can do.
#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include "drivers/qemu/complete/validate.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::From;

namespace {

void check_emulator(const xml::Domain& domain, const EmulatorProfile& emulator) {
    const auto refuse = [&](const char* what, std::string_view value) {
        unsupported(From::qemu, "Emulator '{}' does not support {} '{}'", emulator.path, what, value);
    };
    const auto& type = domain.os.type;
    if (type.value != xml::OsType::hvm) refuse("os type", xml::word(type.value));
    const bool runs = emulator.arch == type.arch || (emulator.arch == "x86_64" && type.arch == "i686");
    if (!runs) refuse("arch", type.arch);
    const bool kvm = domain.type == xml::VirtType::kvm;
    if ((!kvm && domain.type != xml::VirtType::qemu) || (kvm && !emulator.kvm)) refuse("virt type", xml::word(domain.type));
    if (!emulator.machine(type.machine)) refuse("machine type", type.machine);
}

struct FeatureRow {
    bool present;
    const char* name;
};

// Features of machines that are no PCs.
void check_foreign_features(const xml::Domain& domain, const xml::Features& features) {
    const FeatureRow rows[] = {
        {features.hpt.has_value(), "hpt"},
        {features.htm.has_value(), "htm"},
        {features.nested_hv.has_value(), "nested-hv"},
        {features.ccf_assist.has_value(), "ccf-assist"},
        {!features.cfpc.empty(), "cfpc"},
        {!features.sbbc.empty(), "sbbc"},
        {!features.ibs.empty(), "ibs"},
        {features.gic.has_value(), "gic"},
    };
    for (const auto& row : rows)
        if (row.present)
            unsupported(From::qemu, "The '{}' feature is not supported for architecture '{}' or machine type '{}'", row.name,
                        domain.os.type.arch, domain.os.type.machine);
}

void check_smm(const xml::Domain& domain, const xml::Features& features) {
    if (!features.smm || !features.smm->tseg) return;
    if (!is_q35(domain.os.type.machine)) unsupported(From::qemu, "SMM TSEG is only supported with q35 machine type");
    if (features.smm->tseg->bytes % (1024 * 1024)) unsupported(From::qemu, "SMM TSEG size must be divisible by 1 MiB");
}

void check_cache_tuning(const xml::Domain& domain) {
    const bool tunes = domain.cputune && (!domain.cputune->cache_tunes.empty() || !domain.cputune->memory_tunes.empty());
    if (tunes && domain.type != xml::VirtType::kvm) unsupported(From::qemu, "cachetune is only supported for KVM domains");
}

void check_vcpus(const xml::Domain& domain, const CompleteContext& ctx) {
    const auto* machine = emulator_of(domain, ctx).machine(domain.os.type.machine);
    if (machine && machine->max_cpus && domain.max_vcpus() > machine->max_cpus)
        unsupported(From::qemu, "Maximum CPUs greater than specified machine type limit {}", machine->max_cpus);
}

void check_nvram(const xml::OsNvram& nvram) {
    if (!nvram.type) return;
    using enum xml::SourceType;
    if (*nvram.type != file && *nvram.type != block && *nvram.type != network)
        unsupported(From::qemu, "unsupported nvram disk type '{}'", xml::word(*nvram.type));
    apply({{!nvram.source.slices.empty(), "slices are not supported with NVRAM"},
           {nvram.source.reservations.has_value(), "persistent reservations are not supported with NVRAM"}});
    validate_source(nvram.source, xml::StorageFormat::raw, false);
}

void check_firmware(const xml::Domain& domain) {
    const auto& os = domain.os;
    const bool acpi = domain.features && domain.features->acpi;
    const bool uefi = os.firmware == xml::Firmware::efi || (os.loader && os.loader->type == xml::LoaderType::pflash);
    apply({{uefi && !acpi, "UEFI requires ACPI on this architecture"}});
    const bool serial = os.bios && xml::is_yes(os.bios->use_serial);
    apply({{serial && domain.devices.serials.empty(), "need at least one serial port to use BIOS serial output"}},
          rpc::Code::xml_error);
}

void check_secure_boot(const xml::Domain& domain) {
    const auto& os = domain.os;
    if (os.loader && xml::is_yes(os.loader->secure)) {
        const auto& features = domain.features;
        const bool smm = features && features->smm && features->smm->state.value_or(true);
        apply({{!is_q35(os.type.machine), "Secure boot is supported with q35 machine types only"},
               {os.type.arch != "x86_64", "Secure boot is supported for x86_64 architecture only"},
               {!os.firmware && !smm, "Secure boot requires SMM feature enabled"}});
    }
    if (os.nvram) check_nvram(*os.nvram);
}

void check_lifecycle(const xml::Domain& domain) {
    using enum xml::LifecycleAction;
    const auto &off = domain.on_poweroff, &reboot = domain.on_reboot, &crash = domain.on_crash;
    apply({{off == rename_restart || reboot == rename_restart || crash == rename_restart,
            "qemu driver doesn't support the 'rename-restart' action for 'on_reboot'/'on_poweroff'/'on_crash'"},
           {off == preserve || reboot == preserve,
            "qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'"},
           {off == restart && reboot == destroy,
            "qemu driver doesn't support 'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'"}});
}

void check_many_vcpus(const xml::Domain& domain) {
    constexpr unsigned most = 255;
    if (domain.max_vcpus() <= most) return;
    if (!is_q35(domain.os.type.machine))
        unsupported(From::qemu, "more than {} vCPUs are only supported on q35-based machine types", most);
    if (!domain.devices.iommu || !xml::is_on(domain.devices.iommu->eim))
        unsupported(From::qemu, "more than {} vCPUs require extended interrupt mode enabled on the iommu device", most);
}

void check_tcg(const xml::Domain& domain, const xml::TcgFeatures& tcg) {
    if (domain.type != xml::VirtType::qemu)
        unsupported(From::qemu, "TCG features are incompatible with domain type '{}'", xml::word(domain.type));
    if (tcg.tb_cache.value_or(xml::Kibibytes{}) % 1024 != 0)
        unsupported(From::qemu, "tb-cache size must be an integer multiple of MiB");
}

void check_sysinfo(const xml::Sysinfo& info) {
    for (const auto& entry : info.fw_cfg)
        apply(
            {{!entry.name.starts_with("opt/"), "Invalid firmware name"},
             {entry.name.starts_with("opt/ovmf/") || entry.name.starts_with("opt/org.qemu/"), "That firmware name is reserved"}});
}

void check_consoles(const xml::Devices& devices) {
    using enum xml::ConsoleTargetType;
    for (const auto& console : devices.consoles) {
        const auto type = console.target.type.value_or(serial);
        if (type == sclp || type == sclplm)
            unsupported(From::qemu, "{}console is not supported in this QEMU binary", xml::word(type));
        if (type != virtio && type != serial) unsupported(From::qemu, "unsupported console target type {}", xml::word(type));
    }
}

void check_panic(const xml::Panic& panic) {
    using enum xml::PanicModel;
    const bool placed = panic.info.address.has_value();
    apply({{panic.model == s390, "only S390 guests support panic device of model 's390'"},
           {panic.model == hyperv && placed, "setting the panic device address is not supported for model 'hyperv'"},
           {panic.model == pseries, "only pSeries guests support panic device of model 'pseries'"},
           {panic.model == isa && placed && !panic.info.is(xml::AddressType::isa),
            "panic is supported only with ISA address type"}});
}

void check_tpms(const xml::Devices& devices) {
    unsigned proxies = 0, others = 0;
    for (const auto& tpm : devices.tpms) ++(tpm.model == xml::TpmModel::spapr_tpm_proxy ? proxies : others);
    apply({{proxies > 1, "only a single TPM Proxy device is supported"},
           {others > 1, "only a single TPM non-proxy device is supported"}});
}

} // namespace

bool has_shared_memory(const xml::Domain& domain) {
    const auto& cells = domain.cpu ? domain.cpu->cells : std::vector<xml::NumaCell>{};
    const bool backing = domain.memory_backing && domain.memory_backing->access == xml::MemoryAccess::shared;
    if (cells.empty()) return backing;
    return std::ranges::all_of(
        cells, [&](const xml::NumaCell& cell) { return cell.access ? *cell.access == xml::MemoryAccess::shared : backing; });
}

void validate_machine(const xml::Domain& domain, const CompleteContext& ctx) {
    check_emulator(domain, emulator_of(domain, ctx));
    apply({{domain.memtune && domain.memtune->min_guarantee.value_or(xml::Kibibytes{}) > 0,
            "Parameter 'min_guarantee' not supported by QEMU."}});
    check_firmware(domain);
    check_lifecycle(domain);
    validate_cpu(domain);
    validate_memory_plug(domain);
    validate_clock(domain);
    check_secure_boot(domain);
    check_vcpus(domain, ctx);
    validate_topology(domain);
    check_many_vcpus(domain);
    check_cache_tuning(domain);
    if (domain.features) {
        check_foreign_features(domain, *domain.features);
        check_smm(domain, *domain.features);
        if (domain.features->tcg) check_tcg(domain, *domain.features->tcg);
    }
    validate_memory(domain);
    check_consoles(domain.devices);
    for (const auto& info : domain.sysinfo) check_sysinfo(info);
    for (const auto& panic : domain.devices.panics) check_panic(panic);
    check_tpms(domain.devices);
    if (!domain.launch_security) return;
    const bool sev = domain.launch_security->type == xml::LaunchSecurityType::sev;
    apply({{sev, "SEV launch security is not supported with this QEMU binary"},
           {!sev, "S390 PV launch security is not supported with this QEMU binary"}});
}

} // namespace lodge::drivers::qemu
