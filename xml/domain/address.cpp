#include "xml/domain/address.hpp"
#include <algorithm>

namespace lodge::xml {

std::string PciAddress::text() const {
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain.value, bus.value, slot.value, function.value);
}

bool Traits<UsbPort>::parse(UsbPort& v, std::string_view text) {
    v = {};
    std::size_t depth = 0;
    for (;;) {
        const auto dot = text.find('.');
        std::uint64_t number = 0;
        const bool valid = depth < v.path.size() && parse_unsigned(text.substr(0, dot), number) && number > 0 && number < 256;
        if (!valid) return v.malformed = true; // describe(UsbAddress) refuses it in libvirt's words
        v.path[depth++] = static_cast<std::uint8_t>(number);
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}
void Traits<UsbPort>::format(const UsbPort& v, std::string& out) {
    for (std::size_t i = 0; i < v.path.size() && v.path[i] != 0; ++i) out += fmt::format("{}{}", i ? "." : "", v.path[i]);
}
void Traits<UsbPort>::random(UsbPort& v, Random& r) {
    v = {};
    for (std::size_t depth = r() % 4, i = 0; i <= depth; ++i) v.path[i] = static_cast<std::uint8_t>(1 + r() % 8);
}

namespace {

void check_pci(const PciAddress& address) {
    if (address.empty()) return;
    if (address.bus > 0xff)
        rpc::fail(From::none, Code::xml_error, "Invalid PCI address bus='0x{:x}', must be <= 0xFF", address.bus.value);
    if (address.slot > 0x1f)
        rpc::fail(From::none, Code::xml_error, "Invalid PCI address slot='0x{:x}', must be <= 0x1F", address.slot.value);
    if (address.function > 7)
        rpc::fail(From::none, Code::xml_error, "Invalid PCI address function=0x{:x}, must be <= 7", address.function.value);
}

void describe(Doc& doc, VirtioSerialAddress& address) {
    doc.attribute("controller", address.controller, Mark::guest);
    doc.attribute("bus", address.bus, Mark::guest);
    doc.attribute("port", address.port, Mark::guest);
}

void describe(Doc& doc, CcidAddress& address) {
    doc.attribute("controller", address.controller, Mark::guest);
    doc.attribute("slot", address.slot, Mark::guest);
}

constexpr std::string_view usb_order[] = {"@port", "@bus"};

void describe(Doc& doc, UsbAddress& address) {
    doc.read_in_order(usb_order);
    doc.attribute("bus", address.bus);
    doc.attribute("port", address.port);
    doc.check("@port", [&] {
        if (address.port.malformed) rpc::fail(From::device, Code::internal_error, "Cannot parse <address> 'port' attribute");
    });
}

void describe(Doc& doc, IsaAddress& address) {
    doc.attribute("iobase", address.iobase, Mark::guest | Mark::hex);
    doc.attribute("irq", address.irq, Mark::guest | Mark::hex);
}

void describe(Doc& doc, DimmAddress& address) {
    doc.required("slot", address.slot, Mark::guest);
    doc.attribute("base", address.base, Mark::guest | Mark::hex);
}

void describe(Doc& doc, CcwAddress& address) {
    doc.attribute("cssid", address.cssid);
    doc.attribute("ssid", address.ssid);
    doc.attribute("devno", address.devno);
}

constexpr std::string_view user_alias_prefix = "ua-";

bool is_user_alias(const std::string& alias) {
    return alias.starts_with(user_alias_prefix) &&
           std::ranges::all_of(alias, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

} // namespace

void describe(Doc& doc, ZpciAddress& address) {
    doc.attribute("uid", address.uid);
    doc.attribute("fid", address.fid);
}

void describe(Doc& doc, PciAddress& address) {
    doc.attribute("domain", address.domain, Mark::guest);
    doc.attribute("bus", address.bus, Mark::guest);
    doc.attribute("slot", address.slot, Mark::guest);
    doc.attribute("function", address.function, Mark::guest);
    doc.attribute("multifunction", address.multifunction);
    doc.child("zpci", address.zpci, Mark::filled);
    if (doc.reading()) check_pci(address);
}

void describe(Doc& doc, DriveAddress& address) {
    doc.attribute("controller", address.controller, Mark::guest);
    doc.attribute("bus", address.bus, Mark::guest);
    doc.attribute("target", address.target);
    doc.attribute("unit", address.unit, Mark::guest);
}

void describe(Doc& doc, Address& address) {
    doc.required("type", address.type, Mark::guest);
    const auto of = [&](AddressType type, auto& part) {
        if (doc.when(address.type == type)) describe(doc, part);
    };
    // A place that is yet to be found is not written.
    const bool placed = doc.reading() || !address.pci.empty();
    if (doc.when(address.type == AddressType::pci && placed)) describe(doc, address.pci);
    if (doc.when(address.type == AddressType::pci && !placed)) doc.attribute("multifunction", address.pci.multifunction);
    of(AddressType::drive, address.drive);
    of(AddressType::virtio_serial, address.virtio_serial);
    of(AddressType::ccid, address.ccid);
    of(AddressType::usb, address.usb);
    of(AddressType::isa, address.isa);
    of(AddressType::dimm, address.dimm);
    of(AddressType::ccw, address.ccw);
    if (doc.when(address.type == AddressType::spapr_vio)) doc.attribute("reg", address.reg, Mark::hex);
}

void describe(Doc& doc, Boot& boot) {
    doc.required("order", boot.order, Mark::positive);
    doc.attribute("loadparm", boot.loadparm);
}

void describe(Doc& doc, Rom& rom) {
    doc.attribute("enabled", rom.enabled);
    doc.attribute("bar", rom.bar);
    doc.attribute("file", rom.file);
    const bool disabled = rom.enabled && !*rom.enabled;
    if (doc.reading() && disabled && (rom.bar || rom.file))
        doc.refuse(Code::config_unsupported, "ROM tuning is not supported when ROM is disabled");
}

void describe(Doc& doc, UsbMaster& master) { doc.attribute("startport", master.startport); }

void describe_info(Doc& doc, DeviceInfo& info, InfoParts parts) {
    const auto has_part = [&](InfoParts part) { return static_cast<unsigned>(parts) & static_cast<unsigned>(part); };
    if (has_part(InfoParts::boot)) doc.child("boot", info.boot);
    if (doc.when(doc.live() || doc.reading() || is_user_alias(info.alias)))
        doc.group("alias", [&] { doc.attribute("name", info.alias); });
    doc.child("master", info.master);
    if (has_part(InfoParts::rom)) doc.child("rom", info.rom, Mark::filled);
    doc.group("acpi", [&] { doc.attribute("index", info.acpi_index, Mark::guest); });
    doc.child("address", info.address);
    if (doc.reading() && !doc.live() && !is_user_alias(info.alias)) info.alias.clear();
}

void describe_virtio(Doc& doc, VirtioOptions& options) {
    doc.attribute("iommu", options.iommu, Mark::guest);
    doc.attribute("ats", options.ats, Mark::guest);
    doc.attribute("packed", options.packed, Mark::guest);
    doc.attribute("page_per_vq", options.page_per_vq, Mark::guest);
}

void describe(Doc& doc, VirtioOptions& options) { describe_virtio(doc, options); }

void describe(Doc& doc, SourceLabel& label) {
    doc.attribute("model", label.model);
    doc.attribute("relabel", label.relabel);
    doc.attribute("labelskip", label.labelskip, Mark::blank);
    if (doc.reading() && !label.relabel && !label.labelskip) label.relabel = YesNo{true};
    doc.text_child("label", label.label);
    doc.check("label", [&] {
        if (!label.label.empty() && label.relabel && !*label.relabel)
            rpc::fail(From::domain, Code::xml_error, "Cannot specify a label if relabelling is turned off. model={}",
                      label.model.empty() ? "<null>" : label.model);
    });
}

void describe(Doc& doc, Teaming& teaming) {
    doc.attribute("type", teaming.type);
    doc.attribute("persistent", teaming.persistent);
}

// One that says nothing is none.
void describe_teaming(Doc& doc, std::optional<Teaming>& teaming) {
    doc.child("teaming", teaming);
    if (doc.reading() && teaming && teaming->type.empty() && teaming->persistent.empty()) teaming.reset();
}

void describe(Doc& doc, Reconnect& reconnect) {
    doc.required("enabled", reconnect.enabled);
    if (doc.when(reconnect.enabled)) doc.required("timeout", reconnect.timeout);
}

} // namespace lodge::xml
