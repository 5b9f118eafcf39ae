// What devices of a domain have in common: where they stand (address), what they are called (alias), their turn at boot, their
// ROM, and the options of virtio devices.
#pragma once
#include "xml/describe.hpp"
#include <array>

namespace lodge::xml {

enum class AddressType { pci, drive, virtio_serial, ccid, usb, spapr_vio, virtio_s390, ccw, virtio_mmio, isa, dimm, unassigned };
inline std::span<const std::string_view> enum_words(AddressType) {
    static constexpr std::string_view w[] = {"pci",         "drive", "virtio-serial", "ccid", "usb",  "spapr-vio",
                                             "virtio-s390", "ccw",   "virtio-mmio",   "isa",  "dimm", "unassigned"};
    return w;
}

// What a mainframe calls the place as well.
struct ZpciAddress {
    std::optional<Hex<4>> uid;
    std::optional<Hex<8>> fid;
};

// All zero (and no multifunction) means: a place on a PCI bus, wherever there is one.
struct PciAddress {
    Hex<4> domain;
    Hex<2> bus;
    Hex<2> slot;
    Hex<1> function;
    std::optional<OnOff> multifunction;
    std::optional<ZpciAddress> zpci;

    bool empty() const { return !domain && !bus && !slot; } // whatever the function: to be assigned
    bool same_place(const PciAddress& other) const {
        return domain == other.domain && bus == other.bus && slot == other.slot && function == other.function;
    }
    std::string text() const; // 0000:00:01.0
};
struct DriveAddress {
    std::uint32_t controller = 0, bus = 0, target = 0, unit = 0;
    bool operator==(const DriveAddress&) const = default;
};
struct VirtioSerialAddress {
    std::uint32_t controller = 0, bus = 0, port = 0;
};
struct CcidAddress {
    std::uint32_t controller = 0, slot = 0;
};
// A path through hubs: "1.2.1". No port: any.
struct UsbPort {
    std::array<std::uint8_t, 4> path{}; // ends at the first 0
    bool malformed = false;
    bool operator==(const UsbPort&) const = default;
};
struct UsbAddress {
    std::uint32_t bus = 0;
    UsbPort port;
};
struct IsaAddress {
    std::optional<Hex<1>> iobase, irq;
};
struct DimmAddress {
    std::uint32_t slot = 0;
    std::optional<Hex<1, std::uint64_t>> base;
};
struct CcwAddress {
    Hex<1> cssid, ssid;
    Hex<4> devno;
};

template<> struct Traits<UsbPort> {
    static bool present(const UsbPort& v) { return v.path[0] != 0; }
    static bool parse(UsbPort& v, std::string_view text);
    static void format(const UsbPort& v, std::string& out);
    static void random(UsbPort& v, Random& r);
};

// Only the part that `type` names has a meaning.
struct Address {
    AddressType type = AddressType::pci;
    PciAddress pci;
    DriveAddress drive;
    VirtioSerialAddress virtio_serial;
    CcidAddress ccid;
    UsbAddress usb;
    IsaAddress isa;
    DimmAddress dimm;
    CcwAddress ccw;
    std::optional<Hex<8, std::uint64_t>> reg; // spapr-vio
};
void describe(Doc&, Address&);
void describe(Doc&, PciAddress&);
void describe(Doc&, DriveAddress&);

struct Boot {
    std::uint32_t order = 0;
    std::string loadparm;
};
struct Rom {
    std::optional<YesNo> enabled;
    std::optional<OnOff> bar;
    std::optional<std::string> file; // empty: no ROM
};
struct UsbMaster {
    std::uint32_t startport = 0;
};
void describe(Doc&, Boot&);
void describe(Doc&, Rom&);
void describe(Doc&, UsbMaster&);

struct DeviceInfo {
    std::string alias; // "ua-…": the user's, kept in the definition; others belong to the running guest
    std::optional<Address> address;
    std::optional<Boot> boot;
    std::optional<Rom> rom;
    std::optional<UsbMaster> master;
    std::optional<std::uint32_t> acpi_index;

    bool is_pci() const { return address && address->type == AddressType::pci; }
    bool is(AddressType type) const { return address && address->type == type; }
};
// Which parts of DeviceInfo a device kind has beside alias, acpi and address.
enum class InfoParts : unsigned { plain = 0, boot = 1, rom = 2, boot_and_rom = 3 };
void describe_info(Doc&, DeviceInfo&, InfoParts parts = InfoParts::plain);

struct VirtioOptions {
    std::optional<OnOff> iommu, ats, packed, page_per_vq;
    bool any() const { return iommu || ats || packed || page_per_vq; }
};
// Attributes of a device's <driver>.
void describe_virtio(Doc&, VirtioOptions&);
// <driver> for kinds that have nothing else in it.
void describe(Doc&, VirtioOptions&);

enum class VirtioModel { virtio, transitional, non_transitional };
inline std::span<const std::string_view> enum_words(VirtioModel) {
    static constexpr std::string_view w[] = {"virtio", "virtio-transitional", "virtio-non-transitional"};
    return w;
}

// <seclabel> of a disk's or character device's source.
struct SourceLabel {
    std::string model;
    std::optional<YesNo> relabel, labelskip;
    std::string label;
};
void describe(Doc&, SourceLabel&);

// A card that stands in for another while the guest migrates.
struct Teaming {
    std::string type;       // persistent, transient
    std::string persistent; // the alias of the card that stays
};
void describe(Doc&, Teaming&);
void describe_teaming(Doc&, std::optional<Teaming>&);

struct Reconnect {
    YesNo enabled;
    std::optional<std::uint32_t> timeout;
};
void describe(Doc&, Reconnect&);

} // namespace lodge::xml
