// Disks and drives.
#include "drivers/nodedev/device_facts.hpp"
#include <algorithm>

namespace lodge::drivers {

namespace {

std::string drive_type(const UdevDevice& device, const std::string& block) {
    const auto told = device.property("ID_TYPE");
    if (!told.empty() && told != "generic") return told;
    if (!device.property("ID_DRIVE_FLOPPY").empty()) return "floppy";
    if (!device.property("ID_CDROM").empty()) return "cd";
    if (!device.property("ID_DRIVE_FLASH_SD").empty()) return "sd";
    // Drivers of whose disks udev says nothing.
    for (const auto& [prefix, type] :
         {std::pair("/dev/vd", "disk"), std::pair("/dev/dasd", "dasd"), std::pair("/dev/nvme", "disk")})
        if (block.starts_with(prefix)) return type;
    return {};
}

std::string trimmed(const std::string& text) { return std::string(xml::trim(text)); }

void measure(const UdevDevice& device, std::optional<std::uint64_t>& blocks, std::optional<std::uint64_t>& block_size) {
    blocks = device.number("size");
    block_size = device.number("queue/logical_block_size");
}

void removable_medium(const UdevDevice& device, bool present, xml::NodeCapability& storage) {
    xml::NodeDetail detail;
    detail.type = "removable";
    detail.media_available = present ? 1U : 0U;
    detail.media_size = 0;
    if (present) {
        detail.media_label = device.property("ID_FS_LABEL");
        measure(device, detail.block_count, detail.block_size);
        detail.media_size = detail.block_count.value_or(0) * detail.block_size.value_or(0);
    }
    if (device.number("removable") == 1U) {
        storage.details.push_back(std::move(detail));
    } else {
        storage.size = 0;
        storage.block_count = detail.block_count;
        storage.block_size = detail.block_size;
    }
}

} // namespace

bool storage_facts(const UdevDevice& device, xml::NodeCapability& storage) {
    storage.block = device.node();
    if (storage.block.empty()) return false;
    storage.storage_bus = device.property("ID_BUS");
    storage.serial = device.property("ID_SERIAL");
    storage.storage_vendor = trimmed(device.attribute("device/vendor"));
    storage.model = trimmed(device.attribute("device/model"));
    storage.drive_type = drive_type(device, storage.block);
    if (storage.drive_type == "cd" || storage.drive_type == "cd/dvd") {
        storage.drive_type = "cdrom";
        removable_medium(device, device.property("ID_CDROM_MEDIA") == "1", storage);
        return true;
    }
    if (storage.drive_type == "floppy") {
        removable_medium(device, !device.property("ID_FS_LABEL").empty(), storage);
        return true;
    }
    if (storage.drive_type != "disk" && storage.drive_type != "sd" && storage.drive_type != "dasd") return false;
    if (storage.drive_type == "dasd") storage.serial = device.attribute("device/uid");
    measure(device, storage.block_count, storage.block_size);
    if (!storage.block_count || !storage.block_size) return false;
    storage.size = *storage.block_count * *storage.block_size;
    if (storage.block_size == 0U) storage.block_size.reset();
    if (storage.block_count == 0U) storage.block_count.reset();
    return true;
}

} // namespace lodge::drivers
