#include "xml/domain/check.hpp"
#include "xml/storage_parts.hpp"
#include <algorithm>

namespace lodge::xml {

static void describe(Doc& doc, OsTypeElement& t) {
    doc.attribute("arch", t.arch, Mark::guest);
    doc.attribute("machine", t.machine, Mark::guest);
    doc.text(t.value, Mark::required | Mark::guest);
}
static void describe(Doc& doc, FirmwareFeature& f) {
    doc.required("enabled", f.enabled);
    doc.required("name", f.name);
}
static void describe(Doc& doc, Loader& l) {
    doc.attribute("readonly", l.readonly);
    doc.attribute("secure", l.secure);
    doc.attribute("type", l.type);
    doc.attribute("stateless", l.stateless);
    doc.text(l.path, Mark::host);
}
static void describe(Doc& doc, OsNvram& n) {
    doc.attribute("template", n.template_, Mark::host);
    doc.attribute("type", n.type, Mark::host);
    if (n.type) n.source.type = *n.type;
    if (doc.when(!n.type)) doc.text(n.path, Mark::host);
    if (doc.when(n.type.has_value())) describe_source(doc, n.source);
    doc.check("source", [&] {
        if (n.type) check_source(n.source);
    });
}
static void describe(Doc& doc, BootEntry& b) { doc.required("dev", b.dev); }
static void describe(Doc& doc, BootMenu& m) {
    doc.attribute("enable", m.enable);
    if (doc.when(m.enable.value_or(false))) doc.attribute("timeout", m.timeout);
}
static void describe(Doc& doc, Bios& b) {
    doc.attribute("useserial", b.use_serial);
    doc.attribute("rebootTimeout", b.reboot_timeout);
}
static void describe(Doc& doc, Smbios& s) { doc.required("mode", s.mode, Mark::guest); }
static void describe(Doc& doc, AcpiTable& t) {
    doc.required("type", t.type);
    doc.text(t.path);
    if (doc.reading()) t.path = clean_path(t.path);
}
static void describe(Doc& doc, InitEnv& e) {
    doc.required("name", e.name);
    doc.text(e.value);
}

// libvirt's VIR_DOMAIN_BOOT_LAST: it reads no more.
static constexpr std::size_t most_boot_devices = 4;

void describe(Doc& doc, Os& os) {
    doc.attribute("firmware", os.firmware);
    doc.child("type", os.type, Mark::required);
    doc.group("firmware", [&] { doc.list("feature", os.firmware_features); });
    doc.text_child("init", os.init);
    doc.list("initarg", os.init_args);
    doc.list("initenv", os.init_env);
    doc.text_child("initdir", os.init_dir);
    doc.text_child("inituser", os.init_user);
    doc.text_child("initgroup", os.init_group);
    doc.child("loader", os.loader, Mark::filled);
    doc.child("nvram", os.nvram);
    doc.text_child("kernel", os.kernel, Mark::host);
    doc.text_child("initrd", os.initrd, Mark::host);
    doc.text_child("cmdline", os.cmdline, Mark::host);
    doc.text_child("dtb", os.dtb, Mark::host);
    doc.text_child("root", os.root, Mark::host);
    doc.group("acpi", [&] { doc.list("table", os.acpi_tables); });
    doc.list("boot", os.boot);
    if (doc.reading() && os.boot.size() > most_boot_devices) os.boot.resize(most_boot_devices);
    doc.child("bootmenu", os.boot_menu);
    doc.child("smbios", os.smbios);
    doc.child("bios", os.bios, Mark::filled);
}

std::string Os::nvram_path() const {
    if (!nvram) return {};
    if (!nvram->type) return nvram->path;
    return *nvram->type == SourceType::file ? nvram->source.path : std::string();
}

void describe(Doc& doc, SysinfoEntry& e) {
    doc.attribute("name", e.name, Mark::guest);
    doc.attribute("file", e.file);
    doc.text(e.value, Mark::guest);
}
void describe(Doc& doc, SysinfoBlock& b) { doc.list("entry", b.entries); }
// The entries that libvirt knows of a block, in its order; the first of a name counts, and an empty one says nothing.
static void keep(std::vector<SysinfoEntry>& entries, std::initializer_list<std::string_view> known) {
    std::vector<SysinfoEntry> kept;
    for (const auto name : known)
        if (const auto found = std::ranges::find(entries, name, &SysinfoEntry::name);
            found != entries.end() && !found->value.empty())
            kept.push_back(std::move(*found));
    entries = std::move(kept);
}
static void normalize(Sysinfo& s) {
    if (s.bios) keep(s.bios->entries, {"vendor", "version", "date", "release"});
    if (s.system) keep(s.system->entries, {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"});
    for (auto& board : s.base_boards) keep(board.entries, {"manufacturer", "product", "version", "serial", "asset", "location"});
    std::erase_if(s.base_boards, [](const SysinfoBlock& board) { return board.entries.empty(); });
    if (s.chassis) keep(s.chassis->entries, {"manufacturer", "version", "serial", "asset", "sku"});
}
void describe(Doc& doc, Sysinfo& s) {
    doc.required("type", s.type, Mark::guest);
    doc.child("bios", s.bios, Mark::filled);
    doc.child("system", s.system, Mark::filled);
    doc.list("baseBoard", s.base_boards, Mark::guest);
    doc.child("chassis", s.chassis, Mark::filled);
    doc.list("processor", s.processors);
    doc.list("memory_device", s.memory_devices);
    doc.group("oemStrings", [&] { doc.list("entry", s.oem_strings); });
    if (doc.when(s.type == "fwcfg")) doc.list("entry", s.fw_cfg);
    if (doc.reading()) normalize(s);
}

} // namespace lodge::xml
