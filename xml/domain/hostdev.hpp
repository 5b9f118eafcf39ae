// <hostdev>: devices of the host given to the guest.
#pragma once
#include "xml/domain/storage_source.hpp"

namespace lodge::xml {

enum class HostdevMode { subsystem, capabilities };
inline std::span<const std::string_view> enum_words(HostdevMode) {
    static constexpr std::string_view w[] = {"subsystem", "capabilities"};
    return w;
}
enum class HostdevType { usb, pci, scsi, scsi_host, mdev, storage, misc, net };
inline std::span<const std::string_view> enum_words(HostdevType) {
    static constexpr std::string_view w[] = {"usb", "pci", "scsi", "scsi_host", "mdev", "storage", "misc", "net"};
    return w;
}
enum class PciDriver { default_, kvm, vfio, xen };
inline std::span<const std::string_view> enum_words(PciDriver) {
    static constexpr std::string_view w[] = {"default", "kvm", "vfio", "xen"};
    return w;
}
enum class HostdevModel { virtio, virtio_transitional, virtio_non_transitional, vfio_pci, vfio_ccw, vfio_ap };
inline std::span<const std::string_view> enum_words(HostdevModel) {
    static constexpr std::string_view w[] = {"virtio", "virtio-transitional", "virtio-non-transitional", "vfio-pci", "vfio-ccw",
                                             "vfio-ap"};
    return w;
}

struct HostdevSource {
    std::optional<StartupPolicy> startup_policy; // usb
    std::optional<std::string> guest_reset;      // usb: off, uninitialized, on
    std::optional<YesNo> write_filtering;        // pci
    std::optional<YesNo> missing;                // usb, live
    // usb: by product, by place, or both
    std::optional<Hex<4>> vendor, product;
    std::optional<std::uint32_t> usb_bus, usb_device;
    PciAddress pci;
    // scsi
    std::string protocol;              // adapter (or none), iscsi; vhost for scsi_host
    std::string adapter;               // scsi_host0
    DriveAddress scsi;                 // bus, target, unit
    bool scsi_address = false;         // it was given
    std::optional<std::uint32_t> node; // number of its block node, while its guest runs
    std::string name;                  // iscsi
    std::vector<SourceHost> hosts;
    std::optional<StorageAuth> auth;
    std::string initiator_iqn;
    std::string wwpn; // scsi_host
    rpc::Uuid mdev;
    std::string block, character, interface; // capabilities
};
struct Hostdev {
    HostdevMode mode = HostdevMode::subsystem;
    HostdevType type = HostdevType::pci;
    std::optional<YesOrOther> managed;
    std::optional<HostdevModel> model;
    std::optional<OnOff> display, ramfb;
    std::optional<Sgio> sgio;
    std::optional<YesNo> rawio;
    std::optional<PciDriver> driver;
    HostdevSource source;
    std::optional<Teaming> teaming;
    bool readonly = false, shareable = false;
    DeviceInfo info;
};
void describe(Doc&, Hostdev&);
// The <source> of a device of this type.
void describe_hostdev_source(Doc&, HostdevSource&, HostdevType);

} // namespace lodge::xml
