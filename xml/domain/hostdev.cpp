#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

void describe_pci(Doc& doc, HostdevSource& source) {
    doc.attribute("writeFiltering", source.write_filtering);
    doc.child("address", source.pci);
}

void describe_usb(Doc& doc, HostdevSource& source) {
    doc.attribute("guestReset", source.guest_reset);
    doc.attribute("missing", source.missing, Mark::live);
    doc.group("vendor", [&] { doc.required("id", source.vendor, Mark::positive); });
    doc.group("product", [&] { doc.required("id", source.product); });
    if (!doc.when(doc.reading() || source.usb_bus || source.usb_device)) return;
    doc.group("address", [&] {
        doc.required("bus", source.usb_bus, Mark::any_base);
        doc.required("device", source.usb_device, Mark::any_base);
    });
}

void describe_scsi(Doc& doc, HostdevSource& source) {
    doc.attribute("protocol", source.protocol);
    doc.attribute("node", source.node, Mark::private_);
    if (doc.when(source.protocol == "iscsi")) {
        doc.attribute("name", source.name);
        doc.list("host", source.hosts);
        doc.child("auth", source.auth);
        doc.group("initiator", [&] { doc.group("iqn", [&] { doc.attribute("name", source.initiator_iqn); }); });
    }
    if (doc.when(source.protocol != "iscsi")) {
        doc.group("adapter", [&] { doc.attribute("name", source.adapter); });
        doc.group("address", [&] {
            source.scsi_address |= doc.reading();
            doc.required("bus", source.scsi.bus, Mark::any_base);
            doc.required("target", source.scsi.target, Mark::any_base);
            doc.required("unit", source.scsi.unit, Mark::any_base);
        });
    }
}

void describe_scsi_host(Doc& doc, HostdevSource& source) {
    doc.attribute("protocol", source.protocol);
    doc.attribute("wwpn", source.wwpn);
}

void describe_mdev(Doc& doc, HostdevSource& source) {
    doc.group("address", [&] { doc.required("uuid", source.mdev); }, Mark::required);
}

} // namespace

void describe_hostdev_source(Doc& doc, HostdevSource& source, HostdevType type) {
    const auto is = [&](HostdevType t) { return doc.when(type == t); };
    doc.group(
        "source",
        [&] {
            doc.attribute("startupPolicy", source.startup_policy);
            if (is(HostdevType::pci)) describe_pci(doc, source);
            if (is(HostdevType::usb)) describe_usb(doc, source);
            if (is(HostdevType::scsi)) describe_scsi(doc, source);
            if (is(HostdevType::scsi_host)) describe_scsi_host(doc, source);
            if (is(HostdevType::mdev)) describe_mdev(doc, source);
            if (is(HostdevType::storage)) doc.text_child("block", source.block);
            if (is(HostdevType::misc)) doc.text_child("char", source.character);
            if (is(HostdevType::net)) doc.text_child("interface", source.interface);
        },
        Mark::host | Mark::required);
}

// libvirt's order of reading.
static constexpr std::string_view hostdev_order[] = {"@mode",    "@type",  "source/@startupPolicy",
                                                     "@sgio",    "@rawio", "@model",
                                                     "@display", "@ramfb", "source",
                                                     "ip",       "route",  "driver",
                                                     "boot",     "rom",    "acpi",
                                                     "address",  "teaming"};

void describe(Doc& doc, Hostdev& hostdev) {
    doc.read_in_order(hostdev_order);
    doc.attribute("mode", hostdev.mode, Mark::guest);
    doc.required("type", hostdev.type, Mark::guest);
    doc.attribute("managed", hostdev.managed);
    doc.attribute("sgio", hostdev.sgio, Mark::positive);
    doc.attribute("rawio", hostdev.rawio);
    doc.attribute("model", hostdev.model);
    if (doc.when(hostdev.type == HostdevType::mdev)) {
        doc.attribute("display", hostdev.display);
        doc.attribute("ramfb", hostdev.ramfb);
    }
    if (doc.when(hostdev.type == HostdevType::pci))
        doc.group("driver", [&] { doc.attribute("name", hostdev.driver, Mark::positive); });
    describe_hostdev_source(doc, hostdev.source, hostdev.type);
    describe_teaming(doc, hostdev.teaming);
    if (doc.when(hostdev.type == HostdevType::scsi)) {
        doc.flag("readonly", hostdev.readonly);
        doc.flag("shareable", hostdev.shareable);
    }
    describe_info(doc, hostdev.info, InfoParts::boot_and_rom);
    check_hostdev(doc, hostdev);
}

} // namespace lodge::xml
