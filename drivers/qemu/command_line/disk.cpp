// Disks: their block nodes, then the drive that the guest sees.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool is_disk(const Disk& disk) { return disk.device == DiskDevice::disk || disk.device == DiskDevice::lun; }

const DriveAddress& drive_address(const Disk& disk) {
    if (!disk.info.is(AddressType::drive)) rpc::fail(Code::internal_error, "disk '{}' has no drive address", disk.target.dev);
    return disk.info.address->drive;
}

Json virtio_json(const Domain& domain, const Disk& disk) {
    const bool vhostuser = disk.source.type == SourceType::vhostuser;
    Json json{{"driver", virtio_driver(vhostuser ? "vhost-user-blk" : "virtio-blk", disk.info, disk.model)}};
    const DiskDriver& driver = disk.driver;
    put_virtio(json, driver.virtio);
    if (driver.iothread) json["iothread"] = fmt::format("iothread{}", *driver.iothread);
    put(json, "ioeventfd", driver.ioeventfd);
    put(json, "event_idx", driver.event_idx);
    put(json, "num-queues", driver.queues);
    put(json, "queue-size", driver.queue_size);
    put_address(json, domain, disk.info);
    return json;
}

Json ide_json(const Domain& domain, const Disk& disk) {
    const DriveAddress& address = drive_address(disk);
    Json json{{"driver", disk.device == DiskDevice::cdrom ? "ide-cd" : "ide-hd"}};
    const std::string controller = controller_alias(
        domain, disk.target.bus == DiskBus::sata ? ControllerType::sata : ControllerType::ide, address.controller);
    if (disk.target.bus == DiskBus::sata) {
        json["bus"] = fmt::format("{}.{}", controller, address.unit);
    } else {
        json["bus"] = fmt::format("{}.{}", controller, address.bus);
        json["unit"] = address.unit;
    }
    return json;
}

Json scsi_json(const Domain& domain, const Disk& disk) {
    const DriveAddress& address = drive_address(disk);
    const char* driver = disk.device == DiskDevice::lun ? "scsi-block" : disk.device == DiskDevice::cdrom ? "scsi-cd" : "scsi-hd";
    Json json{{"driver", driver}};
    json["bus"] = controller_alias(domain, ControllerType::scsi, address.controller) + ".0";
    const ControllerModel model = scsi_model(domain, address.controller);
    if (is_parallel_scsi(model)) {
        if (address.target != 0) rpc::fail(Code::config_unsupported, "target must be 0 for controller model '{}'", word(model));
        json["scsi-id"] = address.unit;
    } else {
        json["channel"] = address.bus;
        json["scsi-id"] = address.target;
        json["lun"] = address.unit;
    }
    if (disk.device != DiskDevice::lun) json["device_id"] = disk.serial.empty() ? "drive-" + disk.info.alias : disk.serial;
    return json;
}

Json floppy_json(const Disk& disk) { return {{"driver", "floppy"}, {"unit", drive_address(disk).unit}}; }

Json usb_json(const Domain& domain, const Disk& disk) {
    Json json{{"driver", "usb-storage"}};
    put_address(json, domain, disk.info);
    return json;
}

void put_error_policy(Json& json, const Disk& disk) {
    const auto name = [](DiskErrorPolicy policy) {
        return policy == DiskErrorPolicy::enospace ? std::string_view("enospc") : word(policy);
    };
    const auto write = disk.driver.error_policy.value_or(DiskErrorPolicy::default_);
    auto read = disk.driver.rerror_policy.value_or(DiskErrorPolicy::default_);
    if (read == DiskErrorPolicy::default_ && write != DiskErrorPolicy::enospace) read = write;
    if (write != DiskErrorPolicy::default_) json["werror"] = name(write);
    if (read != DiskErrorPolicy::default_) json["rerror"] = name(read);
}

void put_geometry(Json& json, const Disk& disk) {
    if (!disk.geometry || !disk.geometry->cyls) return;
    json["cyls"] = disk.geometry->cyls;
    json["heads"] = disk.geometry->heads;
    json["secs"] = disk.geometry->secs;
    if (disk.geometry->trans && *disk.geometry->trans != GeometryTrans::default_)
        json["bios-chs-trans"] = word(*disk.geometry->trans);
}

void put_write_cache(Json& json, const Disk& disk) {
    if (!is_disk(disk)) return;
    DiskCache mode = disk.driver.cache.value_or(DiskCache::default_);
    if (mode == DiskCache::default_ && disk.shareable) mode = DiskCache::none;
    if (mode == DiskCache::default_) return;
    json["write-cache"] = on_off(mode != DiskCache::writethrough && mode != DiskCache::directsync);
}

void put_names(Json& json, const Disk& disk) {
    if (!disk.wwn.empty()) {
        std::uint64_t wwn = 0;
        parse_unsigned(disk.wwn, wwn, Mark::hex);
        json["wwn"] = wwn;
    }
    put(json, "rotation_rate", disk.target.rotation_rate);
    put(json, "vendor", disk.vendor);
    put(json, "product", disk.product);
}

Json bus_json(const Domain& domain, const Disk& disk) {
    switch (disk.target.bus.value_or(DiskBus::none)) {
    case DiskBus::virtio: return virtio_json(domain, disk);
    case DiskBus::ide:
    case DiskBus::sata: return ide_json(domain, disk);
    case DiskBus::scsi: return scsi_json(domain, disk);
    case DiskBus::fdc: return floppy_json(disk);
    case DiskBus::usb: return usb_json(domain, disk);
    default:
        rpc::fail(Code::config_unsupported, "unsupported disk bus '{}' with device setup",
                  word(disk.target.bus.value_or(DiskBus::none)));
    }
}

bool is_floppy(const Disk& disk) { return disk.target.bus == DiskBus::fdc; }

// Floppies boot in the order that their controller is told, which pc has and q35 needs.
void add_floppy_controller(Builder& builder) {
    Json boot = Json::object();
    bool any = false;
    for (const auto& disk : builder.domain.devices.disks) {
        if (!is_floppy(disk)) continue;
        any = true;
        Json order;
        put_boot(order, builder.domain, disk.info);
        if (order.contains("bootindex")) boot[drive_address(disk).unit ? "bootindexB" : "bootindexA"] = order["bootindex"];
    }
    if (!any) return;
    if (is_pc(builder.domain)) {
        for (const auto& [name, index] : boot.items())
            builder.option("-global", fmt::format("isa-fdc.{}={}", name, index.get<unsigned>()));
        return;
    }
    Json json{{"driver", "isa-fdc"}};
    json.update(boot);
    builder.device(json);
}

// A vhost-user disk is served by a process behind a socket.
void add_vhostuser(Builder& builder, const Disk& disk) {
    CharSource source;
    source.type = CharType::unix_;
    source.edit_first().path = disk.source.path;
    source.edit_first().reconnect = disk.source.reconnect;
    add_chardev(builder, source, disk.info.alias, "disk");
}

// Each guest of several on one image gets an overlay, which is there only once it starts.
bool comes_later(const Builder& builder, const Disk& disk) {
    return builder.ctx.display && disk.transient && disk.transient->share_backing && *disk.transient->share_backing;
}

void add_disk(Builder& builder, const Disk& disk) {
    if (comes_later(builder, disk)) return;
    if (disk.source.type == SourceType::vhostuser)
        add_vhostuser(builder, disk);
    else {
        const BlockNodes nodes = block_nodes(disk, builder.ctx);
        for (const auto& set : nodes.fd_sets)
            for (const int fd : set.fds)
                builder.option("-add-fd", fmt::format("set={},fd={},opaque={}", set.number, builder.pass(fd), set.opaque));
        for (const auto& object : nodes.objects) builder.object(object);
        for (const auto& node : nodes.nodes) builder.blockdev(node);
    }
    builder.device(device_json(builder.domain, disk, builder.ctx));
}

} // namespace

std::string block_device_id(const Disk& disk) {
    const std::string& alias = disk.info.alias;
    switch (disk.target.bus.value_or(DiskBus::none)) {
    case DiskBus::virtio: return fmt::format("/machine/peripheral/{}/virtio-backend", alias);
    case DiskBus::usb: return fmt::format("/machine/peripheral/{}/{}.0/legacy[0]", alias, alias);
    default: return alias;
    }
}

Json device_json(const Domain& domain, const Disk& disk, const BuildContext& ctx) {
    Json json = bus_json(domain, disk);
    const auto bus = disk.target.bus.value_or(DiskBus::none);
    if (disk.shareable) json["share-rw"] = true;
    if (disk.source.type == SourceType::vhostuser)
        json["chardev"] = "chr-vu-" + disk.info.alias;
    else
        put(json, "drive", block_nodes(disk, ctx).top);
    json["id"] = disk.info.alias;
    if (!is_floppy(disk)) put_boot(json, domain, disk.info);
    if (disk.blockio) {
        put(json, "logical_block_size", disk.blockio->logical_block_size);
        put(json, "physical_block_size", disk.blockio->physical_block_size);
    }
    put_names(json, disk);
    if (bus == DiskBus::usb) json["removable"] = disk.target.removable && *disk.target.removable;
    put_write_cache(json, disk);
    put_geometry(json, disk);
    if (!disk.serial.empty() && disk.device != DiskDevice::lun) json["serial"] = disk.serial;
    put_error_policy(json, disk);
    return json;
}

void add_disks(Builder& builder) {
    add_floppy_controller(builder);
    for (const auto& disk : builder.domain.devices.disks) add_disk(builder, disk);
}

} // namespace lodge::drivers::qemu
