// One device by itself: what a client attaches, changes or detaches. A kind of device is a member of the variant and the list in
// <devices> that holds its like; nothing else lists the kinds.
#pragma once
#include "xml/domain/device_at.hpp"
#include "xml/domain/devices.hpp"
#include <variant>

namespace lodge::xml {

struct Domain;

using DeviceKinds = std::variant<Disk, Controller, Lease, Filesystem, Nic, Smartcard, Serial, Parallel, Console, Channel, Input,
                                 Tpm, Graphics, Sound, Audio, Video, Hostdev, Redirdev, Hub, Watchdog, Memballoon, Rng, Nvram,
                                 Panic, Shmem, MemoryDevice, Iommu, Vsock, Crypto>;
// Copies stand in the source file: with so many kinds they would take each file that copies one a second to compile.
struct Device : DeviceKinds {
    using DeviceKinds::DeviceKinds;
    Device(const Device&);
    Device(Device&&) noexcept;
    Device& operator=(const Device&);
    Device& operator=(Device&&) noexcept;
    ~Device();
};
inline constexpr std::size_t device_kinds = std::variant_size_v<DeviceKinds>;

// Reads a document whose root is a device: <disk …>. Throws Code::config_unsupported for a root that is none.
Device parse_device(std::string_view text, const ReadOptions& options);
// libvirt's word for the kind: "disk", "interface", "chr" (of all character devices).
std::string_view kind_word(const Device& device);
// "serial", "channel" …: the element.
std::string_view element_of(const Device& device);

std::size_t count_of(const Devices& devices, std::size_t kind);
Device device_at(const Devices& devices, DeviceAt at);
// The device takes this place among its like; those from there on move.
void insert_device(Devices& devices, DeviceAt at, Device device);
void replace_device(Devices& devices, DeviceAt at, Device device);
void erase_device(Devices& devices, DeviceAt at);
// Null: this kind has none (leases, graphics, …).
DeviceInfo* info_of(Device& device);
const DeviceInfo* info_of(const Device& device);

std::optional<DeviceAt> find_alias(const Devices& devices, std::string_view alias);
// The device of the document that `wanted` means, by what libvirt goes by for each kind (a disk's target, a card's MAC address,
// …). Throws when it could be several.
std::optional<DeviceAt> find_device(const Domain& domain, const Device& wanted);

bool same_address(const DeviceInfo& a, const DeviceInfo& b);
bool same_source(const CharSource& a, const CharSource& b);

} // namespace lodge::xml
