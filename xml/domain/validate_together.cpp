// What is wrong only beside something else: devices in one place, names used twice, settings that contradict each other.
#include "xml/domain/validate.hpp"

namespace lodge::xml {

namespace {

// What the disk is called in refusals: where it reads from.
const std::string& source_name(const Disk& disk) { return disk.source.path.empty() ? disk.source.name : disk.source.path; }

void check_disk_pairs(const std::vector<Disk>& disks) {
    for (auto a = disks.begin(); a != disks.end(); ++a)
        for (auto b = std::next(a); b != disks.end(); ++b)
            if (a->target.dev == b->target.dev)
                broken("target '{}' duplicated for disk sources '{}' and '{}'", a->target.dev, source_name(*a), source_name(*b));
}

// What two devices must not share.
std::string place_of(HostdevType type, const HostdevSource& source) {
    switch (type) {
    case HostdevType::pci: return "pci " + source.pci.text();
    case HostdevType::usb:
        if (source.usb_bus.value_or(0) && source.usb_device.value_or(0))
            return fmt::format("usb {}:{}", *source.usb_bus, *source.usb_device);
        return fmt::format("usb {:x}/{:x}", source.vendor.value_or(0).value, source.product.value_or(0).value);
    case HostdevType::scsi:
        if (source.protocol != "iscsi")
            return fmt::format("scsi {} {}:{}:{}", source.adapter, source.scsi.bus, source.scsi.target, source.scsi.unit);
        if (source.hosts.empty()) return "iscsi " + source.name;
        return fmt::format("iscsi {} {} {}", source.hosts.front().name, source.hosts.front().port, source.name);
    case HostdevType::scsi_host: return "scsi_host " + source.wwpn;
    case HostdevType::mdev: return "mdev " + source.mdev.text();
    case HostdevType::storage: return "storage " + source.block;
    case HostdevType::misc: return "misc " + source.character;
    case HostdevType::net: return "net " + source.interface;
    }
    return {};
}

void check_hostdevs(const Domain& d) {
    std::set<std::string> places;
    unsigned ramfbs = 0;
    const auto take = [&](HostdevType type, const HostdevSource& source) {
        if (!places.insert(place_of(type, source)).second) broken("Hostdev already exists in the domain configuration");
    };
    for (const auto& nic : d.devices.interfaces)
        if (nic.type == NicType::hostdev) take(nic.source.hostdev_type, nic.source.hostdev);
    for (const auto& hostdev : d.devices.hostdevs) {
        take(hostdev.type, hostdev.source);
        if (hostdev.type == HostdevType::mdev && is_on(hostdev.ramfb) && ++ramfbs > 1)
            unsupported("Only one vgpu device can have 'ramfb' enabled");
    }
}

// ---- drives in one place ----

const DriveAddress* drive_of(const DeviceInfo& info) { return info.is(AddressType::drive) ? &info.address->drive : nullptr; }

bool is_scsi(const Hostdev& hostdev) { return hostdev.mode == HostdevMode::subsystem && hostdev.type == HostdevType::scsi; }

void check_drives(const Devices& devices) {
    for (auto a = devices.disks.begin(); a != devices.disks.end(); ++a)
        for (auto b = std::next(a); b != devices.disks.end(); ++b) {
            const auto *here = drive_of(a->info), *there = drive_of(b->info);
            if (here && there && a->target.bus == b->target.bus && *here == *there)
                unsupported("Found duplicate drive address for disk with target name '{}' controller='{}' bus='{}' target='{}' "
                            "unit='{}'",
                            a->target.dev, here->controller, here->bus, here->target, here->unit);
        }
    for (auto a = devices.hostdevs.begin(); a != devices.hostdevs.end(); ++a) {
        const auto* here = is_scsi(*a) ? drive_of(a->info) : nullptr;
        if (!here) continue;
        const auto refuse = [&](const char* what) {
            unsupported("SCSI host address controller='{}' bus='{}' target='{}' unit='{}' in use by another SCSI {}", here->bus,
                        here->controller, here->target, here->unit, what);
        };
        for (auto b = std::next(a); b != devices.hostdevs.end(); ++b)
            if (const auto* there = is_scsi(*b) ? drive_of(b->info) : nullptr; there && *here == *there) refuse("host device");
        for (const auto& disk : devices.disks)
            if (const auto* there = drive_of(disk.info); there && disk.target.bus == DiskBus::scsi && *here == *there)
                refuse("disk");
    }
}

// ---- names ----

template<class T> void collect_aliases(const std::vector<T>& devices, std::set<std::string>& aliases) {
    for (const auto& device : devices) {
        const auto& alias = device.info.alias;
        if (alias.starts_with("ua-") && !aliases.insert(alias).second) unsupported("non unique alias detected: {}", alias);
    }
}

void check_aliases(const Devices& devices) {
    std::set<std::string> aliases;
    collect_aliases(devices.disks, aliases);
    collect_aliases(devices.interfaces, aliases);
    collect_aliases(devices.sounds, aliases);
    collect_aliases(devices.hostdevs, aliases);
    collect_aliases(devices.videos, aliases);
    collect_aliases(devices.controllers, aliases);
    collect_aliases(devices.smartcards, aliases);
    collect_aliases(devices.serials, aliases);
    collect_aliases(devices.parallels, aliases);
    collect_aliases(devices.channels, aliases);
    for (const auto& console : devices.consoles) // the first serial port's twin has its name
        if (console.target.type != ConsoleTargetType::serial) collect_aliases(std::vector{console}, aliases);
    collect_aliases(devices.inputs, aliases);
    collect_aliases(devices.filesystems, aliases);
    collect_aliases(devices.watchdogs, aliases);
    collect_aliases(devices.rngs, aliases);
    collect_aliases(devices.hubs, aliases);
    collect_aliases(devices.redirdevs, aliases);
    collect_aliases(devices.shmems, aliases);
    collect_aliases(devices.tpms, aliases);
    collect_aliases(devices.panics, aliases);
    collect_aliases(devices.memories, aliases);
    collect_aliases(devices.cryptos, aliases);
}

void check_mount_tags(const Devices& devices) {
    std::set<std::string> tags;
    for (const auto& fs : devices.filesystems)
        if (fs.driver == FilesystemDriver::virtiofs && !tags.insert(fs.target).second)
            unsupported("filesystem target '{}' specified twice", fs.target);
}

// ---- settings ----

void check_iommu(const Domain& d) {
    if (!d.devices.iommu) return;
    const bool split = d.features && d.features->ioapic && d.features->ioapic->driver == IoapicDriver::qemu;
    const bool remaps = is_on(d.devices.iommu->intremap);
    apply({{remaps && !split, "IOMMU interrupt remapping requires split I/O APIC (ioapic driver='qemu')"},
           {is_on(d.devices.iommu->eim) && !remaps, "IOMMU eim requires interrupt remapping to be enabled"}});
}

void check_lifecycle(const Domain& d) {
    const auto dumps = [](const std::optional<LifecycleAction>& action) {
        return action == LifecycleAction::coredump_destroy || action == LifecycleAction::coredump_restart;
    };
    const auto refuse = [](const char* event, LifecycleAction action) {
        unsupported("Lifecycle event '{}' doesn't support '{}' action", event, word(action));
    };
    if (dumps(d.on_poweroff)) refuse("poweroff", *d.on_poweroff);
    if (dumps(d.on_reboot)) refuse("reboot", *d.on_reboot);
}

void check_page_nodes(const Domain& d) {
    if (!d.memory_backing || !d.memory_backing->huge_pages) return;
    const auto cells = d.cpu ? d.cpu->cells.size() : 0;
    const auto& pages = d.memory_backing->huge_pages->pages;
    const auto nodes_of = [&](const HugePage& page) {
        auto nodes = page.nodeset.empty() ? NumberSet{} : numbers_of(page.nodeset, nullptr);
        if (cells == 0 && nodes == NumberSet{0}) nodes.clear(); // no topology: all memory is node 0
        return nodes;
    };
    for (auto page = pages.begin(); page != pages.end(); ++page) {
        const auto nodes = nodes_of(*page);
        for (auto other = pages.begin(); other != page; ++other) {
            const auto others = nodes_of(*other);
            if (nodes.empty() && others.empty())
                inconsistent("two master hugepages detected: {} and {}", page->size_kib, other->size_kib);
            for (const auto node : nodes)
                if (others.contains(node))
                    inconsistent("nodeset attribute of hugepages of sizes {} and {} intersect", page->size_kib, other->size_kib);
        }
        for (const auto node : nodes)
            if (node >= cells) inconsistent("hugepages: node {} not found", node);
    }
}

void check_firmware(const Os& os) {
    const auto* loader = os.loader ? &*os.loader : nullptr;
    if (os.firmware) {
        const auto refuse = [](bool given, const char* name) {
            if (given) inconsistent("{} cannot be specified when firmware autoselection is enabled", name);
        };
        if (!loader && !os.nvram) return;
        if (loader) {
            refuse(is_yes(loader->readonly), "loader attribute 'readonly'");
            refuse(loader->type.has_value(), "loader attribute 'type'");
            refuse(!loader->path.empty(), "loader path");
        }
        refuse(os.nvram && !os.nvram->template_.empty(), "nvram attribute 'template'");
        refuse(loader && is_no(loader->secure), "loader attribute 'secure'");
        const bool keeps = os.nvram && (!os.nvram->path.empty() || os.nvram->type);
        if (keeps && *os.firmware != Firmware::efi) inconsistent("firmware type '{}' does not support nvram", word(*os.firmware));
    } else {
        if (!os.firmware_features.empty())
            inconsistent("cannot use feature-based firmware autoselection when firmware autoselection is disabled");
        if ((loader && loader->path.empty()) || (!loader && os.nvram))
            inconsistent("no loader path specified and firmware auto selection disabled");
    }
    if (!loader) return;
    if (is_yes(loader->stateless) && os.nvram) {
        if (!os.nvram->template_.empty()) inconsistent("NVRAM template is not permitted when loader is stateless");
        inconsistent("NVRAM is not permitted when loader is stateless");
    }
    if (!is_no(loader->stateless)) return;
    if (!os.firmware && loader->type != LoaderType::pflash) inconsistent("Only pflash loader type permits NVRAM");
    if (os.firmware && *os.firmware != Firmware::efi) inconsistent("Only EFI firmware permits NVRAM");
}

void check_range(const char* name, const std::optional<std::uint64_t>& value, std::uint64_t least, std::uint64_t most) {
    if (value.value_or(0) && (*value < least || *value > most))
        unsupported("Value of cputune '{}' must be in range [{}, {}]", name, least, most);
}

void check_cpu_tune(const CpuTune& tune) {
    const auto period = [](const char* name, const std::optional<std::uint64_t>& value) {
        check_range(name, value, 1000, 1000000);
    };
    // No limit is spelled as a negative quota.
    const auto quota = [](const char* name, const std::optional<std::int64_t>& value) {
        if (value.value_or(-1) > 0) check_range(name, static_cast<std::uint64_t>(*value), 1000, 17592186044415);
    };
    check_range("shares", tune.shares, 2, 262144);
    period("period", tune.period);
    period("global_period", tune.global_period);
    period("emulator_period", tune.emulator_period);
    period("iothread_period", tune.iothread_period);
    quota("quota", tune.quota);
    quota("global_quota", tune.global_quota);
    quota("emulator_quota", tune.emulator_quota);
    quota("iothread_quota", tune.iothread_quota);
}

void check_boot_times(const Os& os) {
    apply({{os.boot_menu && os.boot_menu->timeout.value_or(0) > 65535,
            "invalid value for boot menu timeout, must be in range [0,65535]"},
           {os.bios && os.bios->reboot_timeout && (*os.bios->reboot_timeout < -1 || *os.bios->reboot_timeout > 65535),
            "invalid value for rebootTimeout, must be in range [-1,65535]"}});
}

void check_id_map(const Domain& d) {
    if (!d.idmap) return;
    const auto& map = *d.idmap;
    apply({{map.uids.empty() != map.gids.empty(), "uid and gid should be mapped both"},
           {(!map.uids.empty() && map.uids.front().start != 0) || (!map.gids.empty() && map.gids.front().start != 0),
            "You must map the root user of container"}});
}

void check_thread_pools(const Domain& d) {
    const auto check = [](const auto& pool) {
        const int least = pool.thread_pool_min.value_or(-1), most = pool.thread_pool_max.value_or(-1);
        apply({{most == 0, "thread_pool_max must be a positive integer"},
               {least > most, "thread_pool_min must be smaller or equal to thread_pool_max"}});
    };
    for (const auto& thread : d.iothread_ids) check(thread);
    if (d.default_iothread) check(*d.default_iothread);
}

void check_app_id(const Domain& d) {
    if (!d.resource || !d.resource->fibre_channel) return;
    const auto& id = d.resource->fibre_channel->app_id;
    const auto printable = [](unsigned char c) { return c >= 0x20 && c < 0x7f; };
    if (!std::ranges::all_of(id, printable)) broken("Fibre Channel 'appid' is not a printable string");
    if (id.empty() || id.size() > 128)
        rpc::fail(From::domain, Code::invalid_arg, "Fibre Channel 'appid' string length must be between [1, 128]");
}

void check_primary_video(const Devices& devices) {
    unsigned primaries = 0;
    for (const auto& video : devices.videos)
        if (is_yes(video.model.primary) && ++primaries > 1) unsupported("Only one primary video device is supported");
}

} // namespace

void validate_together(const Domain& d) {
    check_app_id(d);
    check_disk_pairs(d.devices.disks);
    check_hostdevs(d);
    check_drives(d.devices);
    check_aliases(d.devices);
    check_iommu(d);
    check_lifecycle(d);
    check_page_nodes(d);
    check_firmware(d.os);
    if (d.cputune) check_cpu_tune(*d.cputune);
    check_boot_times(d.os);
    check_primary_video(d.devices);
    check_id_map(d);
    check_mount_tags(d.devices);
    check_thread_pools(d);
}

void refuse_virtio_options(const VirtioOptions& options) {
    apply({{options.iommu.has_value(), "iommu driver option is only supported for virtio devices"},
           {options.ats.has_value(), "ats driver option is only supported for virtio devices"},
           {options.packed.has_value(), "packed driver option is only supported for virtio devices"},
           {options.page_per_vq.has_value(), "page_per_vq option is only supported for virtio devices"}});
}

void validate_labels(const std::vector<SourceLabel>& labels, const Domain& domain) {
    for (const auto& label : labels)
        for (const auto& whole : domain.seclabels)
            if (whole.model == label.model && is_no(whole.relabel))
                unsupported("label overrides require relabeling to be enabled at the domain level");
}

} // namespace lodge::xml
