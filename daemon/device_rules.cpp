#include "daemon/device_rules.hpp"
#include <algorithm>

namespace lodge::daemon {

using rpc::Code;
using rpc::fail;
using rpc::From;
using xml::Device;

namespace {

template<class T> const T* as(const Device& device) { return std::get_if<T>(&device); }

const char* reach_word(Reach reach) { return reach == Reach::live ? "live" : "persistent"; }

bool is_usb(const Device& device) {
    if (const auto* disk = as<xml::Disk>(device)) return disk->target.bus == xml::DiskBus::usb;
    if (const auto* input = as<xml::Input>(device)) return input->bus == xml::InputBus::usb;
    if (const auto* hostdev = as<xml::Hostdev>(device))
        return hostdev->mode == xml::HostdevMode::subsystem && hostdev->type == xml::HostdevType::usb;
    return as<xml::Hub>(device) || as<xml::Redirdev>(device);
}

bool has_usb(const xml::Domain& domain) {
    return std::ranges::any_of(domain.devices.controllers, [](const xml::Controller& controller) {
        return controller.type == xml::ControllerType::usb && controller.model != xml::ControllerModel::none;
    });
}

void check_usb(const xml::Domain& domain, const Device& device) {
    if (is_usb(device) && !has_usb(domain))
        fail(From::domain, Code::config_unsupported, "Device configuration is not compatible: Domain has no USB bus support");
}

void check_boot(const xml::Domain& domain, const Device& device, const xml::DeviceInfo* old) {
    const auto* info = xml::info_of(device);
    if (!info || !info->boot) return;
    if (!domain.os.boot.empty())
        fail(From::domain, Code::config_unsupported, "per-device boot elements cannot be used together with os/boot elements");
    if (old && old->boot && old->boot->order == info->boot->order) return;
    for (std::size_t kind = 0; kind < xml::device_kinds; ++kind)
        for (std::size_t place = 0; place < xml::count_of(domain.devices, kind); ++place) {
            const Device other = xml::device_at(domain.devices, {kind, place});
            const auto* other_info = xml::info_of(other);
            if (other_info && other_info->boot && other_info->boot->order == info->boot->order)
                fail(From::domain, Code::config_unsupported, "boot order {} is already used by another device",
                     info->boot->order);
        }
}

std::uint64_t total_memory(const xml::Domain& domain) { return domain.total_memory_kib(); }

void check_memory_limit(const xml::Domain& domain, const Device& device, bool added) {
    const auto* memory = as<xml::MemoryDevice>(device);
    if (!memory) return;
    if (!domain.cpu || domain.cpu->cells.empty())
        fail(From::domain, Code::xml_detail, "can't add memory backend as guest has no NUMA nodes configured");
    if (!domain.max_memory)
        fail(From::domain, Code::config_unsupported, "cannot use/hotplug a memory device when domain 'maxMemory' is not defined");
    const std::uint64_t size = memory->target.size, limit = domain.max_memory->size;
    if (added && total_memory(domain) + size > limit)
        fail(From::domain, Code::config_unsupported,
             "Attaching memory device with size '{}' would exceed domain's maxMemory config size '{}'", size, limit);
}

// A changed device has to fit into the memory that the domain has: only new domains get as much as they need.
void check_memory_total(const xml::Domain& domain, const xml::MemoryDevice& wanted, const xml::MemoryDevice& present) {
    std::uint64_t devices = wanted.target.size - present.target.size;
    for (const auto& memory : domain.devices.memories) devices += memory.target.size;
    if (devices > domain.total_memory_kib())
        fail(From::domain, Code::xml_error, "Total size of memory devices exceeds the total memory size");
}

void check_alias(const xml::Domain& domain, const Device& device) {
    const auto* info = xml::info_of(device);
    if (info && !info->alias.empty() && xml::find_alias(domain.devices, info->alias))
        fail(From::domain, Code::invalid_arg, "non unique alias detected: {}", info->alias);
}

// ---- what is there already ----

bool has_target(const xml::Domain& domain, const xml::Disk& disk) {
    return std::ranges::any_of(domain.devices.disks, [&](const auto& other) { return other.target.dev == disk.target.dev; });
}

bool scsi_place_taken(const xml::Domain& domain, const xml::Disk& disk) {
    if (!disk.info.is(xml::AddressType::drive)) return false;
    const bool scsi = disk.target.bus == xml::DiskBus::scsi || (!disk.target.bus && disk.target.dev.starts_with("sd"));
    const auto same = [&](const auto& other) {
        return other.info.is(xml::AddressType::drive) && other.info.address->drive == disk.info.address->drive;
    };
    if (!scsi) return false;
    return std::ranges::any_of(domain.devices.disks,
                               [&](const xml::Disk& d) { return d.target.bus == xml::DiskBus::scsi && same(d); }) ||
           std::ranges::any_of(domain.devices.hostdevs,
                               [&](const xml::Hostdev& h) { return h.type == xml::HostdevType::scsi && same(h); });
}

void check_disk(const xml::Domain& domain, const xml::Disk& disk, Reach reach) {
    // Of the running guest's disks the document's own checks say it.
    if (reach == Reach::config && has_target(domain, disk))
        fail(Code::operation_invalid, "target {} already exists", disk.target.dev);
    if (scsi_place_taken(domain, disk)) fail(Code::operation_invalid, "Domain already contains a disk with that address");
}

void check_controller(const xml::Domain& domain, const xml::Controller& controller, Reach reach) {
    if (reach == Reach::live && controller.type != xml::ControllerType::scsi)
        fail(Code::operation_unsupported, "'{}' controller cannot be hot plugged.", word(controller.type));
    if (!controller.index || !xml::find_device(domain, controller)) return;
    if (reach == Reach::live)
        fail(Code::operation_failed, "target {}:{} already exists", word(controller.type), *controller.index);
    fail(Code::operation_invalid, "controller index='{}' already exists", *controller.index);
}

// The guest finds its virtio ports by name, wherever they lead to on the host.
bool has_port_of_that_name(const xml::Domain& domain, const Device& device) {
    const auto* channel = as<xml::Channel>(device);
    if (!channel || channel->target.type != xml::ChannelTargetType::virtio || channel->target.name.empty()) return false;
    return std::ranges::any_of(domain.devices.channels, [&](const auto& other) {
        return other.target.type == channel->target.type && other.target.name == channel->target.name;
    });
}

void check_character_device(const xml::Domain& domain, const Device& device, Reach reach) {
    const auto* console = as<xml::Console>(device);
    if (console && console->target.type.value_or(xml::ConsoleTargetType::serial) == xml::ConsoleTargetType::serial) {
        if (reach == Reach::live) fail(Code::config_unsupported, "unsupported console target type serial");
        fail(Code::operation_unsupported, "attaching serial console is not supported");
    }
    const bool known = xml::find_device(domain, device) || (reach == Reach::live && has_port_of_that_name(domain, device));
    if (known) fail(Code::operation_invalid, "chardev already exists");
}

void check_memory_slots(const xml::Domain& domain) {
    const auto slots = domain.max_memory ? domain.max_memory->slots.value_or(0) : 0;
    if (domain.devices.memories.size() >= slots) fail(Code::config_unsupported, "no free memory device slot available");
}

void check_single(const xml::Domain& domain, const Device& device) {
    if (as<xml::Watchdog>(device) && !domain.devices.watchdogs.empty())
        fail(Code::operation_invalid, "domain already has a watchdog");
    if (as<xml::Vsock>(device) && domain.devices.vsock) fail(Code::operation_invalid, "domain already has a vsock device");
}

bool is_attachable(const Device& device, Reach reach) {
    if (as<xml::Sound>(device)) return reach == Reach::config;
    return !(as<xml::Video>(device) || as<xml::Graphics>(device) || as<xml::Hub>(device) || as<xml::Smartcard>(device) ||
             as<xml::Memballoon>(device) || as<xml::Nvram>(device) || as<xml::Tpm>(device) || as<xml::Panic>(device) ||
             as<xml::Iommu>(device) || as<xml::Audio>(device) || as<xml::Crypto>(device));
}

// ---- what is not there ----

[[noreturn]] void missing_nic(const xml::Nic& nic) {
    fail(From::domain, Code::device_missing, "no device found at address '{}' matching MAC address '{}' and alias '{}'",
         nic.info.is_pci() ? nic.info.address->pci.text() : "(<null>)", nic.mac.address ? nic.mac.address->text() : "(<null>)",
         nic.info.alias.empty() ? "(<null>)" : nic.info.alias);
}

[[noreturn]] void missing_in_config(const Device& device) {
    const auto missing = [](const char* text) { fail(Code::device_missing, "{}", text); };
    if (const auto* disk = as<xml::Disk>(device)) fail(Code::device_missing, "no target device {}", disk->target.dev);
    if (const auto* nic = as<xml::Nic>(device)) missing_nic(*nic);
    if (const auto* lease = as<xml::Lease>(device))
        fail(Code::device_missing, "Lease {} in lockspace {} does not exist", lease->key, lease->lockspace);
    if (xml::kind_word(device) == "chr") fail(Code::invalid_arg, "device not present in domain configuration");
    if (as<xml::Filesystem>(device)) missing("no matching filesystem device was found");
    if (as<xml::Rng>(device)) missing("no matching RNG device was found");
    if (as<xml::MemoryDevice>(device)) missing("matching memory device was not found");
    if (as<xml::Redirdev>(device)) missing("no matching redirdev was not found");
    if (as<xml::Shmem>(device)) missing("matching shmem device was not found");
    if (as<xml::Watchdog>(device)) missing("domain has no watchdog");
    if (as<xml::Input>(device)) missing("matching input device not found");
    if (as<xml::Vsock>(device)) fail(Code::operation_failed, "matching vsock device not found");
    fail(Code::device_missing, "device not present in domain configuration");
}

[[noreturn]] void missing_hostdev(const xml::Hostdev& hostdev) {
    const auto& source = hostdev.source;
    switch (hostdev.type) {
    case xml::HostdevType::pci: fail(Code::device_missing, "host pci device {} not found", source.pci.text());
    case xml::HostdevType::usb:
        if (source.usb_bus.value_or(0) && source.usb_device.value_or(0))
            fail(Code::device_missing, "host usb device {:03}.{:03} not found", *source.usb_bus, *source.usb_device);
        fail(Code::device_missing, "host usb device vendor=0x{:04x} product=0x{:04x} not found",
             source.vendor ? source.vendor->value : 0, source.product ? source.product->value : 0);
    case xml::HostdevType::scsi:
        if (source.protocol == "iscsi") fail(Code::device_missing, "host scsi iSCSI path {} not found", source.name);
        fail(Code::device_missing, "host scsi device {}:{}:{}.{} not found", source.adapter, source.scsi.bus, source.scsi.target,
             source.scsi.unit);
    case xml::HostdevType::mdev: fail(Code::device_missing, "mediated device '{}' not found", source.mdev.text());
    default: fail(Code::internal_error, "unexpected hostdev type {}", static_cast<int>(hostdev.type));
    }
}

[[noreturn]] void missing_in_live(const xml::Domain& domain, const Device& device) {
    const auto not_in = [](const char* what, std::string_view model) {
        fail(Code::device_missing, "{} '{}' {} device not present in domain configuration",
             std::string_view(what) == "chr" ? "chr type" : "model", model, what);
    };
    if (const auto* disk = as<xml::Disk>(device)) fail(Code::device_missing, "disk {} not found", disk->target.dev);
    if (const auto* nic = as<xml::Nic>(device)) missing_nic(*nic);
    if (const auto* hostdev = as<xml::Hostdev>(device)) missing_hostdev(*hostdev);
    if (const auto* controller = as<xml::Controller>(device))
        fail(Code::device_missing, "controller {}:{} not found", word(controller->type),
             static_cast<int>(controller->index.value_or(~0u)));
    if (const auto* lease = as<xml::Lease>(device))
        fail(Code::invalid_arg, "Lease {} in lockspace {} does not exist", lease->key, lease->lockspace);
    if (xml::kind_word(device) == "chr")
        fail(Code::device_missing, "chr type '{}' device not present in domain configuration", xml::element_of(device));
    if (as<xml::Filesystem>(device)) fail(Code::device_missing, "matching filesystem not found");
    if (const auto* rng = as<xml::Rng>(device)) not_in("RNG", word(static_cast<xml::RngBackend>(rng->model)));
    if (const auto* memory = as<xml::MemoryDevice>(device))
        fail(Code::device_missing, "model '{}' memory device not present in the domain configuration", word(memory->model));
    if (as<xml::Redirdev>(device)) fail(Code::operation_invalid, "no matching redirdev was not found");
    if (const auto* shmem = as<xml::Shmem>(device)) not_in("shmem", word(shmem->model));
    if (as<xml::Watchdog>(device)) {
        if (domain.devices.watchdogs.empty()) fail(Code::device_missing, "watchdog device not present in domain configuration");
        not_in("watchdog", word(domain.devices.watchdogs.front().model));
    }
    if (as<xml::Input>(device)) fail(Code::device_missing, "matching input device not found");
    if (as<xml::Vsock>(device)) fail(Code::device_missing, "matching vsock device not found");
    fail(Code::device_missing, "device not present in domain configuration");
}

} // namespace

void check_new_device(const xml::Domain& domain, const Device& device) {
    check_alias(domain, device);
    check_usb(domain, device);
    check_boot(domain, device, nullptr);
    check_memory_limit(domain, device, true);
}

void check_changed_device(const xml::Domain& domain, const Device& device, const Device& old, Reach reach) {
    const auto *info = xml::info_of(device), *old_info = xml::info_of(old);
    if (reach == Reach::live && info && old_info) {
        if (!info->alias.empty() && !old_info->alias.empty() && info->alias != old_info->alias)
            fail(From::domain, Code::operation_denied, "changing device alias is not allowed");
        if (info->acpi_index.value_or(0) != old_info->acpi_index.value_or(0))
            fail(From::domain, Code::operation_denied, "changing device 'acpi index' is not allowed");
    }
    check_usb(domain, device);
    check_boot(domain, device, old_info);
    check_memory_limit(domain, device, false);
    if (reach == Reach::config && as<xml::MemoryDevice>(device))
        check_memory_total(domain, std::get<xml::MemoryDevice>(device), std::get<xml::MemoryDevice>(old));
}

void check_attachable(const Device& device, Reach reach) {
    if (!is_attachable(device, reach))
        fail(Code::operation_unsupported, "{} attach of device '{}' is not supported", reach_word(reach), xml::kind_word(device));
}

void check_attach(const xml::Domain& domain, const Device& device, Reach reach) {
    if (const auto* disk = as<xml::Disk>(device)) check_disk(domain, *disk, reach);
    if (const auto* controller = as<xml::Controller>(device)) check_controller(domain, *controller, reach);
    if (const auto* lease = as<xml::Lease>(device); lease && reach == Reach::config && xml::find_device(domain, device))
        fail(Code::operation_invalid, "Lease {} in lockspace {} already exists", lease->key, lease->lockspace);
    if ((as<xml::Hostdev>(device) || as<xml::Shmem>(device)) && xml::find_device(domain, device))
        fail(Code::operation_invalid, "device is already in the domain configuration");
    if (const auto* fs = as<xml::Filesystem>(device))
        if (std::ranges::any_of(domain.devices.filesystems, [&](const auto& other) { return other.target == fs->target; }))
            fail(Code::operation_invalid, "Target already exists");
    if (xml::kind_word(device) == "chr") check_character_device(domain, device, reach);
    if (as<xml::MemoryDevice>(device)) check_memory_slots(domain);
    check_single(domain, device);
}

void check_update(const Device& device, Reach reach) {
    if (as<xml::Disk>(device) || as<xml::Graphics>(device) || as<xml::Nic>(device) || as<xml::MemoryDevice>(device)) return;
    if (reach == Reach::live)
        fail(Code::config_unsupported, "live update of device '{}' is not supported", xml::kind_word(device));
    fail(Code::operation_unsupported, "persistent update of device '{}' is not supported", xml::kind_word(device));
}

xml::DeviceAt find_to_detach(const xml::Domain& domain, const Device& wanted, Reach reach) {
    if (!is_attachable(wanted, reach))
        fail(Code::operation_unsupported, "{} detach of device '{}' is not supported", reach_word(reach), xml::kind_word(wanted));
    const auto* controller = as<xml::Controller>(wanted);
    if (controller && reach == Reach::live && controller->type != xml::ControllerType::scsi)
        fail(Code::operation_unsupported, "'{}' controller cannot be hot unplugged.", word(controller->type));
    const auto* console = as<xml::Console>(wanted);
    if (console && reach == Reach::config &&
        console->target.type.value_or(xml::ConsoleTargetType::serial) == xml::ConsoleTargetType::serial)
        fail(Code::operation_invalid, "detaching serial console is not supported");
    // A document has one watchdog; libvirt takes any description of it for that one.
    if (as<xml::Watchdog>(wanted) && reach == Reach::config && !domain.devices.watchdogs.empty()) return {wanted.index(), 0};
    if (const auto at = xml::find_device(domain, wanted)) return *at;
    reach == Reach::live ? missing_in_live(domain, wanted) : missing_in_config(wanted);
}

xml::DeviceAt find_to_update(const xml::Domain& domain, const Device& wanted, Reach reach) {
    if (const auto* memory = as<xml::MemoryDevice>(wanted)) {
        const auto& all = domain.devices.memories;
        for (std::size_t place = 0; place < all.size(); ++place)
            if (xml::same_address(memory->info, all[place].info) &&
                (memory->info.alias.empty() || memory->info.alias == all[place].info.alias))
                return {wanted.index(), place};
        if (reach == Reach::live)
            fail(Code::config_unsupported, "memory '{}' not found", memory->info.alias.empty() ? "(null)" : memory->info.alias);
        fail(Code::invalid_arg, "memory not found");
    }
    if (const auto at = xml::find_device(domain, wanted)) return *at;
    if (const auto* nic = as<xml::Nic>(wanted)) missing_nic(*nic);
    if (const auto* graphics = as<xml::Graphics>(wanted)) {
        if (reach == Reach::live)
            fail(Code::device_missing, "cannot find existing graphics device to modify of type '{}'", word(graphics->type));
        fail(Code::invalid_arg, "cannot find existing graphics type '{}' device to modify", word(graphics->type));
    }
    const auto& target = std::get<xml::Disk>(wanted).target.dev;
    if (reach == Reach::live) fail(Code::internal_error, "disk '{}' not found", target);
    fail(Code::invalid_arg, "target {} doesn't exist.", target);
}

void count_memory(xml::Domain& domain, const Device& device, bool added) {
    const auto* memory = as<xml::MemoryDevice>(device);
    if (!memory) return;
    const std::uint64_t size = memory->target.size;
    const auto adjust = [&](std::uint64_t kib) { return added ? kib + size : kib - std::min(kib, size); };
    domain.set_total_memory_kib(adjust(domain.total_memory_kib()));
    if (domain.current_memory) domain.current_memory->value = adjust(domain.current_memory->value);
}

xml::DeviceAt add_device(xml::Domain& domain, Device device) {
    count_memory(domain, device, true);
    const xml::DeviceAt at{device.index(), xml::count_of(domain.devices, device.index())};
    xml::insert_device(domain.devices, at, std::move(device));
    return at;
}

void remove_device(xml::Domain& domain, xml::DeviceAt at) {
    const Device device = xml::device_at(domain.devices, at);
    count_memory(domain, device, false);
    xml::erase_device(domain.devices, at);
    // The first console is the first serial port in another guise, and goes with it.
    auto& consoles = domain.devices.consoles;
    if (as<xml::Serial>(device) && at.place == 0 && !consoles.empty() &&
        consoles.front().target.type == xml::ConsoleTargetType::serial)
        consoles.erase(consoles.begin());
}

} // namespace lodge::daemon
