// What firmware tells the guest of its machine: SMBIOS tables, fw_cfg files, the generation id.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

struct Word {
    std::string_view document, qemu;
};

void add_table(Builder& builder, unsigned type, const SysinfoBlock& block, std::initializer_list<Word> words) {
    std::string text = fmt::format("type={}", type);
    bool any = false;
    for (const auto& [document, qemu] : words)
        for (const auto& entry : block.entries)
            if (entry.name == document) {
                any = true;
                text += fmt::format(",{}={}", qemu, escape(entry.value));
            }
    if (any) builder.option("-smbios", text);
}

void add_smbios(Builder& builder, const Sysinfo& info) {
    if (info.bios)
        add_table(builder, 0, *info.bios,
                  {{"vendor", "vendor"}, {"version", "version"}, {"date", "date"}, {"release", "release"}});
    if (info.system)
        add_table(builder, 1, *info.system,
                  {{"manufacturer", "manufacturer"},
                   {"product", "product"},
                   {"version", "version"},
                   {"serial", "serial"},
                   {"uuid", "uuid"},
                   {"sku", "sku"},
                   {"family", "family"}});
    if (info.base_boards.size() > 1)
        rpc::fail(Code::config_unsupported, "qemu does not support more than one entry to Type 2 in SMBIOS table");
    for (const auto& board : info.base_boards)
        add_table(builder, 2, board,
                  {{"manufacturer", "manufacturer"},
                   {"product", "product"},
                   {"version", "version"},
                   {"serial", "serial"},
                   {"asset", "asset"},
                   {"location", "location"}});
    if (info.chassis)
        add_table(
            builder, 3, *info.chassis,
            {{"manufacturer", "manufacturer"}, {"version", "version"}, {"serial", "serial"}, {"asset", "asset"}, {"sku", "sku"}});
    if (info.oem_strings.empty()) return;
    std::string text = "type=11";
    for (const auto& value : info.oem_strings) text += ",value=" + escape(value);
    builder.option("-smbios", text);
}

void add_fw_cfg(Builder& builder, const Sysinfo& info) {
    for (const auto& entry : info.fw_cfg) {
        std::string text = "name=" + escape(entry.name);
        text += entry.file.empty() ? ",string=" + escape(entry.value) : ",file=" + escape(entry.file);
        builder.option("-fw_cfg", text);
    }
}

bool shows_sysinfo(const Domain& domain) {
    if (!domain.os.smbios || domain.os.smbios->mode == SmbiosMode::emulate) return false;
    if (domain.os.smbios->mode == SmbiosMode::host)
        rpc::fail(Code::config_unsupported, "Host SMBIOS information is not available");
    return true;
}

} // namespace

void add_sysinfo(Builder& builder) {
    const Domain& domain = builder.domain;
    const bool shown = shows_sysinfo(domain);
    for (const auto& info : domain.sysinfo) {
        if (info.type == "fwcfg")
            add_fw_cfg(builder, info);
        else if (shown)
            add_smbios(builder, info);
    }
}

void add_generation_id(Builder& builder) {
    const auto& genid = builder.domain.genid;
    if (genid && genid->value) builder.device({{"driver", "vmgenid"}, {"guid", genid->value->text()}, {"id", "vmgenid0"}});
}

} // namespace lodge::drivers::qemu
