#include "drivers/qemu/complete/validate.hpp"
#include "xml/domain/disk_names.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::Disk;
using xml::DiskBus;
using xml::DiskDevice;
using xml::SourceType;
using xml::StorageFormat;

namespace {

DiskBus bus_of(const Disk& disk) { return disk.target.bus.value_or(DiskBus::none); }
bool is_removable(const Disk& disk) { return disk.device == DiskDevice::cdrom || disk.device == DiskDevice::floppy; }
const std::string& name_of(const Disk& disk) { return disk.target.dev; }

void check_geometry(const Disk& disk) {
    const auto& geometry = disk.geometry;
    if (!geometry || !geometry->cyls || !geometry->heads || !geometry->secs) return;
    const auto bus = bus_of(disk);
    if (bus == DiskBus::usb || bus == DiskBus::sd)
        unsupported(From::qemu, "CHS geometry can not be set for '{}' bus", xml::word(bus));
    if (geometry->trans.value_or(xml::GeometryTrans::default_) != xml::GeometryTrans::default_ && bus != DiskBus::ide)
        unsupported(From::qemu, "CHS translation mode can only be set for 'ide' bus not '{}'", xml::word(bus));
}

void check_medium(const Disk& disk) {
    const auto bus = bus_of(disk);
    if (!disk.serial.empty() && bus == DiskBus::sd)
        rpc::fail(From::qemu, Code::internal_error, "Serial property not supported for drive bus '{}'", xml::word(bus));
    if (disk.device == DiskDevice::cdrom && (bus == DiskBus::virtio || bus == DiskBus::sd))
        unsupported(From::qemu, "disk type of '{}' does not support ejectable media", name_of(disk));
    if (!xml::is_on(disk.driver.copy_on_read)) return;
    if (disk.readonly) unsupported(From::qemu, "copy_on_read is not compatible with read-only disk '{}'", name_of(disk));
    if (is_removable(disk)) unsupported(From::qemu, "copy_on_read is not supported with removable disk '{}'", name_of(disk));
}

void check_identity(const Disk& disk) {
    const auto bus = bus_of(disk);
    const bool named = !disk.vendor.empty() || !disk.product.empty();
    apply({{!disk.wwn.empty() && bus != DiskBus::ide && bus != DiskBus::scsi, "Only ide and scsi disk support wwn"},
           {named && bus != DiskBus::scsi, "Only scsi disk supports vendor and product"}});
    if (disk.device != DiskDevice::lun) return;
    if (bus != DiskBus::virtio && bus != DiskBus::scsi)
        unsupported(From::qemu, "disk device='lun' is not supported for bus='{}'", xml::word(bus));
    if (xml::is_on(disk.driver.copy_on_read))
        unsupported(From::qemu, "copy_on_read is not compatible with 'lun' disk '{}'", name_of(disk));
    apply({{!disk.wwn.empty(), "Setting wwn is not supported for lun device"},
           {named, "Setting vendor or product is not supported for lun device"}});
}

void check_rotation(const Disk& disk) {
    if (!disk.target.rotation_rate.value_or(0)) return;
    const auto bus = bus_of(disk);
    apply({{bus != DiskBus::scsi && bus != DiskBus::ide && bus != DiskBus::sata,
            "rotation rate is only valid for SCSI/IDE/SATA bus"},
           {disk.device != DiskDevice::disk, "rotation rate is only valid for disk device"}},
          Code::internal_error);
}

void check_place(const Disk& disk) {
    const auto bus = bus_of(disk);
    const bool drives = bus == DiskBus::scsi || bus == DiskBus::ide || bus == DiskBus::fdc || bus == DiskBus::sata;
    if ((drives && !disk.info.is(AddressType::drive)) ||
        (bus == DiskBus::usb && disk.info.address && !disk.info.is(AddressType::usb)))
        rpc::fail(From::qemu, Code::internal_error, "unexpected address type for {} disk", xml::word(bus));
    apply({{disk.readonly && disk.device == DiskDevice::disk && bus == DiskBus::ide, "readonly ide disks are not supported"},
           {disk.readonly && disk.device == DiskDevice::disk && bus == DiskBus::sata, "readonly sata disks are not supported"}});
}

void check_driver(const Disk& disk, const xml::Domain& domain) {
    const auto cache = disk.driver.cache.value_or(xml::DiskCache::default_);
    const bool direct = cache == xml::DiskCache::directsync || cache == xml::DiskCache::none;
    apply({{disk.driver.io == xml::DiskIo::native && !direct, "io='native' needs either no disk cache or directsync cache mode"},
           {!disk.serial.empty() && bus_of(disk) == DiskBus::scsi && disk.device == DiskDevice::lun,
            "scsi-block 'lun' devices do not support the serial property"}});
    const auto safe = [](unsigned char c) {
        return std::isalnum(c) || std::string_view("-_ .+").find(static_cast<char>(c)) != std::string_view::npos;
    };
    if (!std::ranges::all_of(disk.serial, safe))
        rpc::fail(From::qemu, Code::internal_error, "driver serial '{}' contains unsafe characters", disk.serial);
    const auto thread = disk.driver.iothread.value_or(0);
    if (!thread) return;
    if (bus_of(disk) != DiskBus::virtio)
        unsupported(From::qemu, "IOThreads not available for bus {} target {}", xml::word(bus_of(disk)), name_of(disk));
    if (!has_iothread(domain, thread)) unsupported(From::qemu, "Disk iothread '{}' not defined in iothreadid", thread);
}

// ---- limits ----

using Limits = std::array<std::uint64_t, 19>;

Limits limits_of(const xml::IoTune& t) {
    const auto v = [](const std::optional<std::uint64_t>& value) { return value.value_or(0); };
    return {v(t.total_bytes_sec),
            v(t.read_bytes_sec),
            v(t.write_bytes_sec),
            v(t.total_iops_sec),
            v(t.read_iops_sec),
            v(t.write_iops_sec),
            v(t.total_bytes_sec_max),
            v(t.read_bytes_sec_max),
            v(t.write_bytes_sec_max),
            v(t.total_iops_sec_max),
            v(t.read_iops_sec_max),
            v(t.write_iops_sec_max),
            v(t.size_iops_sec),
            v(t.total_bytes_sec_max_length),
            v(t.read_bytes_sec_max_length),
            v(t.write_bytes_sec_max_length),
            v(t.total_iops_sec_max_length),
            v(t.read_iops_sec_max_length),
            v(t.write_iops_sec_max_length)};
}

constexpr std::uint64_t most = 1'000'000'000'000'000; // QEMU's own bound

void check_limits(const Disk& disk, const std::vector<Disk>& disks) {
    if (!disk.iotune) return;
    const auto limits = limits_of(*disk.iotune);
    const auto& group = disk.iotune->group_name;
    const bool any = std::ranges::any_of(limits, [](std::uint64_t limit) { return limit != 0; });
    apply({{!group.empty() && !any, "group_name can be configured only together with settings"}});
    for (const auto& other : disks)
        if (!group.empty() && name_of(other) != name_of(disk) && other.iotune && other.iotune->group_name == group &&
            limits_of(*other.iotune) != limits)
            unsupported(From::qemu, "different iotunes for disks {} and {}", name_of(disk), name_of(other));
    if (std::ranges::any_of(limits.begin(), limits.begin() + 13, [](std::uint64_t limit) { return limit > most; }))
        rpc::fail(From::qemu, Code::argument_unsupported, "block I/O throttle limit must be no more than {} using QEMU", most);
}

void check_transient(const Disk& disk) {
    if (!disk.transient) return;
    const auto& name = name_of(disk);
    if (disk.source.empty()) unsupported(From::qemu, "transient disk '{}' must not be empty", name);
    if (disk.readonly) unsupported(From::qemu, "transient disk '{}' must not be read-only", name);
    if (disk.source.type != SourceType::file)
        unsupported(From::qemu, "transient disk supported only with 'file' type ({})", name);
    if (disk.device != DiskDevice::disk) unsupported(From::qemu, "transient disk supported only with 'disk' device ({})", name);
    const auto bus = bus_of(disk);
    const bool plugs = bus == DiskBus::usb || bus == DiskBus::virtio || bus == DiskBus::scsi;
    if (xml::is_yes(disk.transient->share_backing) && !plugs)
        unsupported(From::qemu, "disk bus '{}' doesn't support transiend disk backing image sharing", xml::word(bus));
}

void check_name(const Disk& disk) {
    const auto& driver = disk.driver.name;
    if (!driver.empty() && driver != "qemu")
        unsupported(From::qemu, "unsupported driver name '{}' for disk '{}'", driver, name_of(disk));
    if (!xml::disk_index(name_of(disk))) unsupported(From::qemu, "invalid disk target '{}'", name_of(disk));
    if (std::isdigit(static_cast<unsigned char>(name_of(disk).back())))
        unsupported(From::qemu, "invalid disk target '{}', partitions can't appear in disk targets", name_of(disk));
}

void check_sources(const Disk& disk, bool shared_memory) {
    const auto format = disk.driver.type.value_or(StorageFormat::none);
    if (disk.shareable && !disk.readonly && format != StorageFormat::raw)
        unsupported(From::qemu, "shared access for disk '{}' requires use of supported storage format", name_of(disk));
    check_name(disk);
    validate_source(disk.source, format, disk.readonly);
    const auto& cache = disk.driver.metadata_cache;
    apply({{cache && cache->max_size.value_or(xml::Bytes{}) > 0 && format != StorageFormat::qcow2,
            "metadata cache max size control is supported only with qcow2 images"}});
    if (disk.encryption) validate_encryption(*disk.encryption, disk.source, format);
    for (const auto* link = &disk.backing; *link && (*link)->type; link = &(*link)->backing)
        validate_source((*link)->source, (*link)->format, true);
    apply({{disk.source.type == SourceType::vhostuser && !shared_memory, "'vhostuser' requires shared memory"}});
}

} // namespace

void validate_device(const Disk& disk, const Guest& guest) {
    check_geometry(disk);
    check_medium(disk);
    check_identity(disk);
    check_rotation(disk);
    check_place(disk);
    check_driver(disk, guest.domain);
    check_limits(disk, guest.domain.devices.disks);
    check_transient(disk);
    check_sources(disk, has_shared_memory(guest.domain));
}

} // namespace lodge::drivers::qemu
