#include "xml/domain/validate.hpp"
#include "xml/storage_parts.hpp"

namespace lodge::xml {

namespace {

bool is_removable(const Disk& disk) { return disk.device == DiskDevice::cdrom || disk.device == DiskDevice::floppy; }
DiskBus bus_of(const Disk& disk) { return disk.target.bus.value_or(DiskBus::none); }
template<class T> bool chosen(const std::optional<T>& value) { return value && *value != T::default_; }

const std::optional<StorageAuth>& auth_of(const Disk& disk) { return disk.auth ? disk.auth : disk.source.auth; }
const std::optional<Encryption>& encryption_of(const Disk& disk) {
    return disk.encryption ? disk.encryption : disk.source.encryption;
}

// ---- where the bytes come from ----

void check_secret(const StorageSource& source, const StorageAuth& auth) {
    if (source.type != SourceType::network || !source.protocol) return;
    using enum StorageProtocol;
    const auto protocol = *source.protocol;
    if (protocol == nbd || protocol == sheepdog || protocol == gluster || protocol == tftp || protocol == vxhs || protocol == nfs)
        unsupported("authentication is not supported for protocol '{}'", word(protocol));
    const auto& type = auth.secret.type;
    if (!is_secret_usage(type)) unsupported("unknown secret type '{}'", type);
    if ((protocol == iscsi && type != "iscsi") || (protocol == rbd && type != "ceph"))
        unsupported("invalid secret type '{}'", type);
}

void check_source(const StorageSource& source, const std::optional<StorageAuth>& auth,
                  const std::optional<Encryption>& encryption) {
    if (auth) check_secret(source, *auth);
    const bool luks = encryption && encryption->format == EncryptionFormat::luks;
    if (luks && encryption->cipher && !encryption->cipher->name.empty())
        unsupported("supplying <cipher> for domain disk definition is unnecessary");
    const bool network = source.type == SourceType::network;
    apply({{!network && !source.snapshot.empty(), "<snapshot> element is currently supported only with 'rbd' disks"},
           {!network && !source.config.empty(), "<config> element is currently supported only with 'rbd' disks"}},
          Code::xml_error);
}

void check_chain(const Disk& disk, const Domain& domain) {
    check_source(disk.source, auth_of(disk), encryption_of(disk));
    validate_labels(disk.source.labels, domain);
    for (const auto* link = &disk.backing; *link && (*link)->type; link = &(*link)->backing) {
        check_source((*link)->source, (*link)->source.auth, (*link)->source.encryption);
        validate_labels((*link)->source.labels, domain);
    }
}

void check_lun(const Disk& disk) {
    if (disk.sgio == Sgio::unfiltered) unsupported("unfiltered sgio is no longer supported");
    const auto& source = disk.source;
    if (disk.device != DiskDevice::lun)
        return apply({{source.reservations.has_value(), "<reservations/> allowed only for lun devices"},
                      {disk.rawio.has_value(), "rawio can be used only with device='lun'"},
                      {chosen(disk.sgio), "sgio can be used only with device='lun'"}});
    const bool local_block = source.type == SourceType::block || source.type == SourceType::volume;
    if (source.type == SourceType::network && source.protocol != StorageProtocol::iscsi)
        unsupported("disk device='lun' is not supported for protocol='{}'",
                    source.protocol ? word(*source.protocol) : std::string_view("none"));
    const auto& encryption = encryption_of(disk);
    apply({{source.type != SourceType::network && !local_block, "disk device='lun' is only valid for block type disk source"},
           {disk.driver.type.value_or(StorageFormat::raw) != StorageFormat::raw && disk.driver.type != StorageFormat::none,
            "disk device 'lun' must use 'raw' format"},
           {!source.slices.empty(), "disk device 'lun' doesn't support storage slice"},
           {encryption && encryption->format != EncryptionFormat::default_, "disk device 'lun' doesn't support encryption"}});
}

void check_startup_policy(const Disk& disk) {
    const auto& policy = disk.source.startup_policy;
    if (!policy) return;
    const bool anywhere = disk.source.type == SourceType::network || disk.source.type == SourceType::nvme ||
                          disk.source.type == SourceType::vhostuser;
    if (anywhere) broken("disk startupPolicy '{}' is not allowed for disk of '{}' type", word(*policy), word(disk.source.type));
    if (*policy == StartupPolicy::requisite && !is_removable(disk))
        broken("disk startupPolicy 'requisite' is allowed only for cdrom or floppy");
}

// ---- what the guest sees ----

void check_limits(const Disk& disk) {
    if (!disk.iotune) return;
    const auto& tune = *disk.iotune;
    const auto exclusive = [](const auto& total, const auto& read, const auto& write, const char* name) {
        if (total.value_or(0) && (read.value_or(0) || write.value_or(0)))
            broken("total and read/write {} cannot be set at the same time", name);
    };
    exclusive(tune.total_bytes_sec, tune.read_bytes_sec, tune.write_bytes_sec, "bytes_sec");
    exclusive(tune.total_iops_sec, tune.read_iops_sec, tune.write_iops_sec, "iops_sec");
    exclusive(tune.total_bytes_sec_max, tune.read_bytes_sec_max, tune.write_bytes_sec_max, "bytes_sec_max");
    exclusive(tune.total_iops_sec_max, tune.read_iops_sec_max, tune.write_iops_sec_max, "iops_sec_max");
}

void check_bus(const Disk& disk) {
    using enum DiskBus;
    const auto bus = bus_of(disk);
    const bool drives = bus == ide || bus == scsi || bus == sata || bus == fdc;
    if (drives && disk.info.address && !disk.info.is(AddressType::drive))
        unsupported("Invalid address type '{}' for the disk '{}' with the bus type '{}'", word(disk.info.address->type),
                    disk.target.dev, word(bus));
    if (bus == DiskBus::virtio) return;
    if (disk.model) unsupported("disk model '{}' not supported for bus '{}'", word(*disk.model), word(bus));
    apply({{disk.driver.queues.value_or(0) != 0, "queues attribute in disk driver element is only supported by virtio-blk"},
           {disk.driver.event_idx.has_value(), "disk event_idx mode supported only for virtio bus"},
           {disk.driver.ioeventfd.has_value(), "disk ioeventfd mode supported only for virtio bus"}});
    refuse_virtio_options(disk.driver.virtio);
}

void check_vhost_user(const Disk& disk) {
    if (disk.source.type != SourceType::vhostuser) return;
    const auto& driver = disk.driver;
    apply({{bus_of(disk) != DiskBus::virtio, "vhostuser disk supports only virtio bus"},
           {disk.snapshot && *disk.snapshot != SnapshotMode::no, "only snapshot=no is supported with vhostuser disk"},
           {chosen(driver.cache), "cache is not supported with vhostuser disk"},
           {chosen(driver.error_policy) || chosen(driver.rerror_policy), "error_policy is not supported with vhostuser disk"},
           {chosen(driver.io), "io is not supported with vhostuser disk"},
           {driver.ioeventfd.has_value(), "ioeventfd is not supported with vhostuser disk"},
           {driver.copy_on_read.has_value(), "copy_on_read is not supported with vhostuser disk"},
           {chosen(driver.discard), "discard is not supported with vhostuser disk"},
           {driver.iothread.value_or(0) != 0, "iothread is not supported with vhostuser disk"},
           {chosen(driver.detect_zeroes), "detect_zeroes is not supported with vhostuser disk"},
           {driver.metadata_cache && driver.metadata_cache->max_size.value_or(Bytes{}) > 0,
            "metadata_cache is not supported with vhostuser disk"},
           {disk.iotune.has_value(), "iotune is not supported with vhostuser disk"},
           {static_cast<bool>(disk.backing), "backingStore is not supported with vhostuser disk"},
           {encryption_of(disk).has_value(), "encryption is not supported with vhostuser disk"},
           {disk.readonly, "readonly is not supported with vhostuser disk"},
           {disk.shareable, "shareable is not supported with vhostuser disk"},
           {disk.transient.has_value(), "transient is not supported with vhostuser disk"},
           {!disk.serial.empty(), "serial is not supported with vhostuser disk"},
           {!disk.wwn.empty(), "wwn is not supported with vhostuser disk"},
           {!disk.vendor.empty(), "vendor is not supported with vhostuser disk"},
           {!disk.product.empty(), "product is not supported with vhostuser disk"},
           {auth_of(disk).has_value(), "auth is not supported with vhostuser disk"},
           {disk.geometry.has_value(), "geometry is not supported with vhostuser disk"},
           {disk.blockio.has_value(), "blockio is not supported with vhostuser disk"}});
}

bool is_printable(const std::string& text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

void check_identity(const Disk& disk) {
    if (disk.target.tray == TrayState::open && !is_removable(disk)) unsupported("tray is only valid for cdrom and floppy");
    if (!is_printable(disk.vendor)) broken("disk vendor is not printable string");
    if (disk.vendor.size() > 8) unsupported("disk vendor is more than 8 characters");
    if (!is_printable(disk.product)) broken("disk product is not printable string");
    if (disk.product.size() > 16) unsupported("disk product is more than 16 characters");
}

void check_name(const Disk& disk) {
    const auto bus = bus_of(disk);
    const bool floppy = disk.device == DiskDevice::floppy;
    if (floppy && bus != DiskBus::fdc) malformed("Invalid bus type '{}' for floppy disk", word(bus));
    if (!floppy && bus == DiskBus::fdc) malformed("Invalid bus type '{}' for disk", word(bus));
    if (disk.target.removable && bus != DiskBus::usb) broken("removable is only valid for usb disks");
    check_startup_policy(disk);
    if (!disk.wwn.empty()) check_wwn(disk.wwn);
    const auto& dev = disk.target.dev;
    const auto starts = [&](auto... prefixes) { return (dev.starts_with(prefixes) || ...); };
    if (!is_removable(disk) && !starts("hd", "sd", "vd", "xvd", "ubd")) malformed("Invalid harddisk device name: {}", dev);
    if (floppy && !starts("fd")) malformed("Invalid floppy device name: {}", dev);
    if (disk.source.empty() && disk.source.type != SourceType::volume && disk.device == DiskDevice::disk)
        rpc::fail(From::domain, Code::no_source, "{}", dev);
}

} // namespace

void validate_device(const Disk& disk, const Domain& domain) {
    if (disk.target.dev.empty()) rpc::fail(From::domain, Code::no_target, "{}", disk.source.path);
    check_chain(disk, domain);
    check_lun(disk);
    check_limits(disk);
    check_bus(disk);
    if (disk.source.type == SourceType::nvme && disk.source.nvme_namespace == 0U) unsupported("NVMe namespace can't be zero");
    check_vhost_user(disk);
    check_identity(disk);
    check_name(disk);
}

} // namespace lodge::xml
