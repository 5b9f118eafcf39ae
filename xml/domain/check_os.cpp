#include "xml/domain/check.hpp"
#include "xml/domain/check_cpu.hpp"

namespace lodge::xml {

void check_firmware_features(const Domain& d) {
    for (const auto& feature : d.os.firmware_features)
        check_enumerated("name", "feature", feature.name, {"enrolled-keys", "secure-boot"});
}

void check_architecture(const Domain& d) {
    static constexpr std::string_view known[] = {
        "aarch64",     "alpha",    "armv6l",     "armv7b",       "armv7l",  "cris",      "i686",     "ia64",    "lm32",
        "loongarch64", "m68k",     "microblaze", "microblazeel", "mips",    "mips64",    "mips64el", "mipsel",  "openrisc",
        "parisc",      "parisc64", "ppc",        "ppc64",        "ppc64le", "ppcemb",    "riscv32",  "riscv64", "s390",
        "s390x",       "sh4",      "sh4eb",      "sparc",        "sparc64", "unicore32", "x86_64",   "xtensa",  "xtensaeb"};
    const auto& arch = d.os.type.arch;
    if (!arch.empty() && !std::ranges::binary_search(known, arch)) unsupported("Unknown architecture {}", arch);
}

void check_acpi_tables(const Domain& d) {
    if (d.os.acpi_tables.size() > 1) broken("Only one acpi table is supported");
    for (const auto& table : d.os.acpi_tables)
        if (table.type != "slic") broken("Unknown acpi table type: {}", table.type);
}

// mm/dd/yy or mm/dd/yyyy
static bool is_bios_date(const std::string& text) {
    unsigned month = 0, day = 0, year = 0;
    int length = 0;
    if (std::sscanf(text.c_str(), "%2u/%2u/%4u%n", &month, &day, &year, &length) != 3) return false;
    const bool valid_year = year < 100 || (year >= 1900 && year <= 9999);
    return static_cast<std::size_t>(length) == text.size() && month >= 1 && month <= 12 && day >= 1 && day <= 31 && valid_year;
}

void check_sysinfo(const Domain& d) {
    for (const auto& info : d.sysinfo) {
        check_enumerated("type", "sysinfo", info.type, {"smbios", "fwcfg"});
        for (const auto& entry : info.bios ? info.bios->entries : std::vector<SysinfoEntry>{})
            if (entry.name == "date" && !is_bios_date(entry.value)) inconsistent("Invalid BIOS 'date' format");
        for (const auto& entry : info.system ? info.system->entries : std::vector<SysinfoEntry>{})
            if (entry.name == "uuid" && !rpc::Uuid::parse(entry.value)) inconsistent("malformed <sysinfo> uuid element");
        for (const auto& entry : info.fw_cfg) {
            if (entry.name.empty()) broken("Firmware entry is missing 'name' attribute");
            if (entry.value.empty() == entry.file.empty()) broken("Firmware entry must have either value or 'file' attribute");
        }
    }
}

static void check_hyperv(const Hyperv& hyperv) {
    if (hyperv.spinlocks && hyperv.spinlocks->retries && *hyperv.spinlocks->retries < 4095)
        broken("HyperV spinlock retry count must be at least 4095");
    if (hyperv.vendor_id && *hyperv.vendor_id->state) {
        const auto& value = hyperv.vendor_id->value;
        if (value.empty()) broken("missing 'value' attribute for HyperV feature 'vendor_id'");
        if (value.size() > 12) broken("HyperV vendor_id value must not be more than 12 characters.");
        if (value.find(',') != std::string::npos) broken("HyperV vendor_id value is invalid");
    }
}

static void check_kvm(const KvmFeatures& kvm) {
    if (!kvm.dirty_ring || !kvm.dirty_ring->size) return;
    const auto size = *kvm.dirty_ring->size;
    if (size < 1024 || size > 65536 || (size & (size - 1)) != 0) broken("dirty ring must be power of 2 and ranges [1024, 65536]");
}

void check_features(const Domain& d) {
    if (!d.features) return;
    const auto& features = *d.features;
    if (features.hyperv) check_hyperv(*features.hyperv);
    if (features.kvm) check_kvm(*features.kvm);
    if (features.gic && !features.gic->version.empty())
        check_enumerated("version", "gic", features.gic->version, {"host", "2", "3"});
}

void check_clock(const Domain& d) {
    if (!d.clock) return;
    const auto& clock = *d.clock;
    if (clock.offset == ClockOffset::timezone && clock.timezone.empty())
        malformed("missing 'timezone' attribute for clock with offset='timezone'");
    if (clock.offset == ClockOffset::absolute && !clock.start)
        malformed("missing 'start' attribute for clock with offset='absolute'");
    std::int64_t seconds = 0;
    const bool fixed = clock.offset == ClockOffset::utc || clock.offset == ClockOffset::localtime;
    if (fixed && !clock.adjustment.empty() && clock.adjustment != "reset" && !parse_signed(clock.adjustment, seconds))
        broken("unknown clock adjustment '{}'", clock.adjustment);
}

void check_guest_cpu(const Domain& d) {
    if (d.cpu) check_cpu(*d.cpu);
}

} // namespace lodge::xml
