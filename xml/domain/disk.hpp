// <disk>: a drive of the guest, what stands behind it, and its limits.
#pragma once
#include "xml/domain/storage_source.hpp"

namespace lodge::xml {

enum class DiskDevice { disk, cdrom, floppy, lun };
inline std::span<const std::string_view> enum_words(DiskDevice) {
    static constexpr std::string_view w[] = {"disk", "cdrom", "floppy", "lun"};
    return w;
}
enum class DiskBus { none, ide, fdc, scsi, virtio, xen, usb, uml, sata, sd };
inline std::span<const std::string_view> enum_words(DiskBus) {
    static constexpr std::string_view w[] = {"none", "ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd"};
    return w;
}
enum class DiskCache { default_, none, writethrough, writeback, directsync, unsafe };
inline std::span<const std::string_view> enum_words(DiskCache) {
    static constexpr std::string_view w[] = {"default", "none", "writethrough", "writeback", "directsync", "unsafe"};
    return w;
}
enum class DiskErrorPolicy { default_, stop, report, ignore, enospace };
inline std::span<const std::string_view> enum_words(DiskErrorPolicy) {
    static constexpr std::string_view w[] = {"default", "stop", "report", "ignore", "enospace"};
    return w;
}
enum class DiskIo { default_, native, threads, io_uring };
inline std::span<const std::string_view> enum_words(DiskIo) {
    static constexpr std::string_view w[] = {"default", "native", "threads", "io_uring"};
    return w;
}
enum class Discard { default_, unmap, ignore };
inline std::span<const std::string_view> enum_words(Discard) {
    static constexpr std::string_view w[] = {"default", "unmap", "ignore"};
    return w;
}
enum class DetectZeroes { default_, off, on, unmap };
inline std::span<const std::string_view> enum_words(DetectZeroes) {
    static constexpr std::string_view w[] = {"default", "off", "on", "unmap"};
    return w;
}
enum class SnapshotMode { default_, no, internal, external, manual };
inline std::span<const std::string_view> enum_words(SnapshotMode) {
    static constexpr std::string_view w[] = {"default", "no", "internal", "external", "manual"};
    return w;
}
enum class TrayState { closed, open };
inline std::span<const std::string_view> enum_words(TrayState) {
    static constexpr std::string_view w[] = {"closed", "open"};
    return w;
}
enum class GeometryTrans { default_, none, auto_, lba };
inline std::span<const std::string_view> enum_words(GeometryTrans) {
    static constexpr std::string_view w[] = {"default", "none", "auto", "lba"};
    return w;
}

struct DiskDriver {
    std::string name; // "qemu"
    std::optional<StorageFormat> type;
    std::optional<DiskCache> cache;
    std::optional<DiskErrorPolicy> error_policy, rerror_policy;
    std::optional<DiskIo> io;
    std::optional<OnOff> ioeventfd, event_idx, copy_on_read;
    std::optional<Discard> discard;
    std::optional<std::uint32_t> iothread;
    std::optional<DetectZeroes> detect_zeroes;
    std::optional<std::uint32_t> queues, queue_size;
    VirtioOptions virtio;
    std::optional<MetadataCache> metadata_cache;
};
struct DiskTarget {
    std::string dev;
    std::optional<DiskBus> bus;
    std::optional<TrayState> tray;
    std::optional<OnOff> removable;
    std::optional<std::uint32_t> rotation_rate;
};
struct IoTune {
    std::optional<std::uint64_t> total_bytes_sec, read_bytes_sec, write_bytes_sec, total_iops_sec, read_iops_sec, write_iops_sec;
    std::optional<std::uint64_t> total_bytes_sec_max, read_bytes_sec_max, write_bytes_sec_max, total_iops_sec_max,
        read_iops_sec_max, write_iops_sec_max;
    std::optional<std::uint64_t> size_iops_sec;
    std::string group_name;
    std::optional<std::uint64_t> total_bytes_sec_max_length, read_bytes_sec_max_length, write_bytes_sec_max_length,
        total_iops_sec_max_length, read_iops_sec_max_length, write_iops_sec_max_length;
};
struct Geometry {
    std::uint32_t cyls = 0, heads = 0, secs = 0;
    std::optional<GeometryTrans> trans;
};
struct BlockIo {
    std::optional<std::uint32_t> logical_block_size, physical_block_size;
};
// A link of the chain below a disk; without a type it says "the chain ends here".
struct BackingStore {
    std::optional<SourceType> type;
    std::optional<YesNo> detected; // found in the image above it when the guest started: no part of an inactive document
    StorageFormat format = StorageFormat::raw;
    std::optional<MetadataCache> metadata_cache;
    StorageSource source;
    Box<BackingStore> backing;
};
struct DiskMirror { // live only: the running copy job
    std::optional<SourceType> type;
    std::string file, format_attribute; // libvirt's old spelling of a copy to a file
    std::string job, ready;
    std::optional<StorageFormat> format;
    std::optional<MetadataCache> metadata_cache;
    StorageSource source;
    Box<BackingStore> backing;
};
struct Transient {
    std::optional<YesNo> share_backing;
};
struct Disk {
    SourceType type() const { return source.type; }
    DiskDevice device = DiskDevice::disk;
    std::optional<VirtioModel> model;
    std::optional<YesNo> rawio;
    std::optional<Sgio> sgio;
    std::optional<SnapshotMode> snapshot;
    DiskDriver driver;
    std::optional<StorageAuth> auth; // given beside <source>; libvirt writes it there again
    StorageSource source;
    Box<BackingStore> backing;
    std::string backend_domain;
    std::optional<Geometry> geometry;
    std::optional<BlockIo> blockio;
    std::optional<DiskMirror> mirror;
    DiskTarget target;
    std::optional<IoTune> iotune;
    bool readonly = false, shareable = false;
    std::optional<Transient> transient;
    std::string serial, wwn, vendor, product;
    std::optional<Encryption> encryption; // as auth
    DeviceInfo info;
};
void describe(Doc&, Disk&);
void describe(Doc&, DiskDriver&);
void describe(Doc&, DiskTarget&);
void describe(Doc&, IoTune&);
void describe(Doc&, Geometry&);
void describe(Doc&, BlockIo&);
void describe(Doc&, BackingStore&);
void describe(Doc&, DiskMirror&);
void describe(Doc&, Transient&);

// A disk's own image as a link of a chain, with all that lies below it; and a link of a chain as the disk's image.
BackingStore top_link(const Disk&);
void set_top_link(Disk&, BackingStore);
// The links below a disk's own image, the uppermost first, without the one that says "the chain ends here".
std::vector<BackingStore*> links_below(Disk&);
std::vector<const BackingStore*> links_below(const Disk&);
// Whether it is known that nothing lies below.
bool ends_here(const Box<BackingStore>&);

} // namespace lodge::xml
