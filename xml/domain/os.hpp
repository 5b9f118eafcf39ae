// How the guest boots, and what its firmware tells it of the machine: <os>, <sysinfo>.
#pragma once
#include "xml/domain/storage_source.hpp"

namespace lodge::xml {

enum class OsType { hvm, xen, linux_, exe, uml, xenpvh };
inline std::span<const std::string_view> enum_words(OsType) {
    static constexpr std::string_view w[] = {"hvm", "xen", "linux", "exe", "uml", "xenpvh"};
    return w;
}
enum class Firmware { bios, efi };
inline std::span<const std::string_view> enum_words(Firmware) {
    static constexpr std::string_view w[] = {"bios", "efi"};
    return w;
}
enum class LoaderType { rom, pflash };
inline std::span<const std::string_view> enum_words(LoaderType) {
    static constexpr std::string_view w[] = {"rom", "pflash"};
    return w;
}
enum class BootDevice { fd, cdrom, hd, network };
inline std::span<const std::string_view> enum_words(BootDevice) {
    static constexpr std::string_view w[] = {"fd", "cdrom", "hd", "network"};
    return w;
}
enum class SmbiosMode { emulate, host, sysinfo };
inline std::span<const std::string_view> enum_words(SmbiosMode) {
    static constexpr std::string_view w[] = {"emulate", "host", "sysinfo"};
    return w;
}

struct OsTypeElement { // <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    std::string arch, machine;
    OsType value = OsType::hvm;
};
struct FirmwareFeature { // <feature enabled='yes' name='secure-boot'/>
    YesNo enabled;
    std::string name;
};
struct Loader {
    std::optional<YesNo> readonly, secure, stateless;
    std::optional<LoaderType> type;
    std::string path;
};
struct OsNvram { // path as text, or a source of its own
    std::string template_;
    std::optional<SourceType> type; // absent: the path is the text
    std::string path;
    StorageSource source;
};
struct BootEntry {
    BootDevice dev = BootDevice::hd;
};
struct BootMenu {
    std::optional<YesNo> enable;
    std::optional<unsigned> timeout; // milliseconds
};
struct Bios {
    std::optional<YesNo> use_serial;
    std::optional<int> reboot_timeout; // milliseconds, -1: never
};
struct Smbios {
    SmbiosMode mode = SmbiosMode::emulate;
};
struct AcpiTable {
    std::string type, path;
};
struct InitEnv {
    std::string name, value;
};

struct Os {
    std::optional<Firmware> firmware;
    OsTypeElement type;
    std::vector<FirmwareFeature> firmware_features;
    std::string init;
    std::vector<std::string> init_args;
    std::vector<InitEnv> init_env;
    std::string init_dir, init_user, init_group;
    std::optional<Loader> loader;
    std::optional<OsNvram> nvram;
    std::string kernel, initrd, cmdline, dtb, root;
    std::vector<AcpiTable> acpi_tables;
    std::vector<BootEntry> boot;
    std::optional<BootMenu> boot_menu;
    std::optional<Smbios> smbios;
    std::optional<Bios> bios;

    // Local file with the guest's firmware variables; empty: none.
    std::string nvram_path() const;
};
void describe(Doc&, Os&);

struct SysinfoEntry {
    std::string name, file, value;
};
void describe(Doc&, SysinfoEntry&);
struct SysinfoBlock {
    std::vector<SysinfoEntry> entries;
};
void describe(Doc&, SysinfoBlock&);
struct Sysinfo {
    std::string type = "smbios"; // or fwcfg
    std::optional<SysinfoBlock> bios, system;
    std::vector<SysinfoBlock> base_boards;
    std::optional<SysinfoBlock> chassis;
    std::vector<SysinfoBlock> processors, memory_devices;
    std::vector<std::string> oem_strings;
    std::vector<SysinfoEntry> fw_cfg; // type='fwcfg'
};
void describe(Doc&, Sysinfo&);

} // namespace lodge::xml
