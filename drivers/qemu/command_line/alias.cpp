// Names of devices, as libvirt gives them: clients find devices by them, and so do status files that libvirt wrote.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

// Position of a disk among those of its letter series: vda 0, vdz 25, vdaa 26.
unsigned disk_number(std::string_view dev) {
    while (!dev.empty() && (dev.back() >= '0' && dev.back() <= '9')) dev.remove_suffix(1); // a partition
    std::size_t prefix = 2;
    if (dev.starts_with("ubd")) prefix = 3;
    if (dev.starts_with("xvd")) prefix = 3;
    unsigned number = 0;
    for (std::size_t i = prefix; i < dev.size(); ++i) {
        if (dev[i] < 'a' || dev[i] > 'z') return 0;
        number = number * 26 + static_cast<unsigned>(dev[i] - 'a') + 1;
    }
    return number ? number - 1 : 0;
}

std::string disk_alias(const Domain& domain, const Disk& disk) {
    const auto bus = disk.target.bus.value_or(DiskBus::none);
    if (disk.info.is(AddressType::drive)) {
        const DriveAddress& a = disk.info.address->drive;
        if (bus == DiskBus::scsi && scsi_model(domain, a.controller) != ControllerModel::lsilogic)
            return fmt::format("scsi{}-{}-{}-{}", a.controller, a.bus, a.target, a.unit);
        return fmt::format("{}{}-{}-{}", word(bus), a.controller, a.bus, a.unit);
    }
    if (bus == DiskBus::virtio) return fmt::format("virtio-disk{}", disk_number(disk.target.dev));
    return fmt::format("{}-disk{}", word(bus), disk_number(disk.target.dev));
}

// The first number above all that are in use: what a plugged device gets too.
template<class List, class Info> unsigned next_number(const List& list, const std::string& prefix, Info info) {
    unsigned next = 0;
    for (const auto& device : list) {
        const std::string& alias = info(device);
        if (!alias.starts_with(prefix)) continue;
        std::uint64_t number = 0;
        if (parse_unsigned(std::string_view(alias).substr(prefix.size()), number))
            next = std::max(next, static_cast<unsigned>(number) + 1);
    }
    return next;
}
template<class List> void number_free(List& list, const std::string& prefix) {
    for (auto& device : list)
        if (device.info.alias.empty())
            device.info.alias = fmt::format(
                "{}{}", prefix, next_number(list, prefix, [](const auto& d) -> const std::string& { return d.info.alias; }));
}
// By place in the list, whatever the others are called; but what comes later takes nobody's number.
template<class List> void number_by_place(List& list, const std::string& prefix) {
    unsigned place = 0;
    for (auto& device : list) {
        if (device.info.alias.empty()) {
            const unsigned next = next_number(list, prefix, [](const auto& d) -> const std::string& { return d.info.alias; });
            device.info.alias = fmt::format("{}{}", prefix, std::max(place, next));
        }
        ++place;
    }
}
template<class Device> void name(std::optional<Device>& device, const char* alias) {
    if (device && device->info.alias.empty()) device->info.alias = alias;
}

const char* memory_prefix(MemoryModel model) {
    switch (model) {
    case MemoryModel::nvdimm: return "nvdimm";
    case MemoryModel::virtio_pmem: return "virtiopmem";
    case MemoryModel::virtio_mem: return "virtiomem";
    case MemoryModel::sgx_epc: return "epc";
    default: return "dimm";
    }
}

void name_memories(Domain& domain) {
    auto& memories = domain.devices.memories;
    for (auto& memory : memories) {
        if (!memory.info.alias.empty()) continue;
        const std::string prefix = memory_prefix(memory.model);
        // DIMMs are named by slot, which outlives their neighbours.
        const bool slotted = memory.info.is(AddressType::dimm);
        const unsigned number =
            slotted ? memory.info.address->dimm.slot
                    : next_number(memories, prefix, [](const MemoryDevice& d) -> const std::string& { return d.info.alias; });
        memory.info.alias = fmt::format("{}{}", prefix, number);
    }
}

void name_consoles(Domain& domain) {
    unsigned place = 0;
    for (auto& console : domain.devices.consoles) {
        const bool serial = console.target.type.value_or(ConsoleTargetType::serial) == ConsoleTargetType::serial;
        // The first console is the first serial port under another name.
        if (console.info.alias.empty() && place == 0 && serial && !domain.devices.serials.empty())
            console.info.alias = domain.devices.serials.front().info.alias;
        if (console.info.alias.empty()) console.info.alias = fmt::format("console{}", place);
        ++place;
    }
}

void number_node(std::optional<std::uint32_t>& index, std::uint32_t& next) {
    if (!index) index = next++;
}
void number_chain(Box<BackingStore>& backing, std::uint32_t& next) {
    if (!backing || !backing->type) return;
    number_node(backing->source.index, next);
    number_chain(backing->backing, next);
}

// libvirt numbers from the last disk to the first, each chain from the top.
void number_nodes(Domain& domain) {
    std::uint32_t next = 1;
    for (auto& disk : domain.devices.disks)
        if (disk.source.index) next = std::max(next, *disk.source.index + 1);
    for (std::size_t i = domain.devices.disks.size(); i-- > 0;) {
        Disk& disk = domain.devices.disks[i];
        // An empty drive has nowhere to keep its number, but takes one.
        if (disk.source.empty()) {
            ++next;
            continue;
        }
        number_node(disk.source.index, next);
        number_chain(disk.backing, next);
    }
    for (auto& hostdev : domain.devices.hostdevs)
        if (has_block_node(hostdev)) number_node(hostdev.source.node, next);
}

} // namespace

std::uint32_t next_block_node(const Domain& domain) {
    std::uint32_t next = 1;
    const auto count = [&](const StorageSource& source) { next = std::max(next, source.index.value_or(0) + 1); };
    const auto count_below = [&](const Box<BackingStore>& first) {
        for (const Box<BackingStore>* link = &first; *link; link = &(*link)->backing) count((*link)->source);
    };
    for (const auto& disk : domain.devices.disks) {
        count(disk.source);
        count_below(disk.backing);
        if (!disk.mirror) continue;
        count(disk.mirror->source);
        count_below(disk.mirror->backing);
    }
    for (const auto& hostdev : domain.devices.hostdevs) next = std::max(next, hostdev.source.node.value_or(0) + 1);
    return next;
}

std::string default_controller_alias(const Domain& domain, const Controller& controller) {
    const unsigned index = controller.index.value_or(0);
    switch (controller.type) {
    case ControllerType::pci:
        if (controller.model == ControllerModel::pcie_root) return "pcie.0";
        if (index == 0 && !controller.model && is_q35(domain)) return "pcie.0";
        return fmt::format("pci.{}", index);
    case ControllerType::ide:
        if (index == 0 && is_pc(domain)) return "ide";
        break;
    case ControllerType::sata:
        if (index == 0 && is_q35(domain)) return "ide";
        break;
    case ControllerType::usb:
        if (index == 0) return "usb";
        break;
    default: break;
    }
    return fmt::format("{}{}", word(controller.type), index);
}

void assign_disk_aliases(Domain& domain) {
    for (auto& disk : domain.devices.disks)
        if (disk.info.alias.empty()) disk.info.alias = disk_alias(domain, disk);
}

void assign_aliases(Domain& domain) {
    auto& devices = domain.devices;
    for (auto& controller : devices.controllers)
        if (controller.info.alias.empty()) controller.info.alias = default_controller_alias(domain, controller);
    assign_disk_aliases(domain);
    number_free(devices.interfaces, "net");
    number_by_place(devices.filesystems, "fs");
    number_by_place(devices.sounds, "sound");
    number_free(devices.hostdevs, "hostdev");
    number_free(devices.redirdevs, "redir");
    number_by_place(devices.videos, "video");
    number_by_place(devices.serials, "serial");
    number_by_place(devices.parallels, "parallel");
    number_by_place(devices.channels, "channel");
    name_consoles(domain);
    number_by_place(devices.hubs, "hub");
    number_free(devices.shmems, "shmem");
    number_by_place(devices.smartcards, "smartcard");
    number_by_place(devices.inputs, "input");
    number_by_place(devices.watchdogs, "watchdog");
    number_by_place(devices.tpms, "tpm");
    number_free(devices.rngs, "rng");
    number_by_place(devices.cryptos, "crypto");
    number_by_place(devices.panics, "panic");
    name(devices.memballoon, "balloon0");
    name(devices.vsock, "vsock0");
    name(devices.iommu, "iommu0");
    name_memories(domain);
    number_nodes(domain);
}

} // namespace lodge::drivers::qemu
