// What the guest boots: an order of devices, or a kernel.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool has_own_order(const Domain& domain) {
    const auto ordered = [](const auto& list) {
        for (const auto& device : list)
            if (device.info.boot && device.info.boot->order) return true;
        return false;
    };
    return ordered(domain.devices.disks) || ordered(domain.devices.interfaces) || ordered(domain.devices.hostdevs) ||
           ordered(domain.devices.redirdevs);
}

const std::string* first_disk(const Domain& domain, BootDevice kind) {
    for (const auto& disk : domain.devices.disks) {
        const bool fits = kind == BootDevice::cdrom ? disk.device == DiskDevice::cdrom
                          : kind == BootDevice::fd  ? disk.device == DiskDevice::floppy
                                                    : disk.device == DiskDevice::disk || disk.device == DiskDevice::lun;
        if (fits) return &disk.info.alias;
    }
    return nullptr;
}

const std::string* first_device(const Domain& domain, BootDevice kind) {
    if (kind != BootDevice::network) return first_disk(domain, kind);
    if (domain.devices.interfaces.empty()) return nullptr;
    return &domain.devices.interfaces.front().info.alias;
}

void add_menu(Builder& builder) {
    const Os& os = builder.domain.os;
    std::string words;
    const auto add = [&](const std::string& text) { words += (words.empty() ? "" : ",") + text; };
    if (os.boot_menu && os.boot_menu->enable) {
        add(fmt::format("menu={}", on_off(*os.boot_menu->enable)));
    }
    if (os.bios && os.bios->reboot_timeout) add(fmt::format("reboot-timeout={}", *os.bios->reboot_timeout));
    if (os.boot_menu && os.boot_menu->timeout) add(fmt::format("splash-time={}", *os.boot_menu->timeout));
    add("strict=on");
    builder.option("-boot", words);
}

} // namespace

std::map<std::string, unsigned> boot_order(const Domain& domain) {
    std::map<std::string, unsigned> order;
    if (has_own_order(domain)) return order;
    unsigned place = 0;
    for (const auto& boot : domain.os.boot) {
        ++place;
        if (const std::string* alias = first_device(domain, boot.dev))
            order[*alias] = place; // of a kind named twice the last counts
    }
    return order;
}

void add_boot(Builder& builder) {
    add_menu(builder);
    const Os& os = builder.domain.os;
    if (!os.kernel.empty()) builder.option("-kernel", os.kernel);
    if (!os.initrd.empty()) builder.option("-initrd", os.initrd);
    if (!os.cmdline.empty()) builder.option("-append", os.cmdline);
    if (!os.dtb.empty()) builder.option("-dtb", os.dtb);
    for (const auto& table : os.acpi_tables)
        if (table.type == "slic") builder.option("-acpitable", "sig=SLIC,file=" + escape(table.path));
}

} // namespace lodge::drivers::qemu
