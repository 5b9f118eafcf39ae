// What a <hostdev> must say of the host's device that it takes.
#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

void check_model(const Hostdev& hostdev) {
    const auto is = [&](HostdevType type) { return hostdev.type == type; };
    const bool vfio = hostdev.model && *hostdev.model >= HostdevModel::vfio_pci;
    if (hostdev.model && !is(HostdevType::mdev) && !is(HostdevType::scsi_host))
        broken("'model' attribute in <hostdev> is only supported when type='{}'", word(hostdev.type));
    if (hostdev.model && vfio != is(HostdevType::mdev))
        rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute 'model' in element 'hostdev': '{}'.",
                  word(*hostdev.model));
    if (is(HostdevType::mdev) && !hostdev.model)
        rpc::fail(From::xml, Code::xml_error, "Missing required attribute 'model' in element 'hostdev'");
}

void check_usb(const HostdevSource& source) {
    if (source.vendor && !source.product) malformed("missing product");
    if (source.product && !source.vendor) malformed("missing vendor");
    if (source.guest_reset && *source.guest_reset != "off" && *source.guest_reset != "uninitialized" &&
        *source.guest_reset != "on")
        rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute 'guestReset' in element 'source': '{}'.",
                  *source.guest_reset);
}

void check_iscsi(const HostdevSource& source) {
    if (source.name.empty()) broken("missing iSCSI hostdev source path name");
    check_hosts(source.hosts);
    if (source.hosts.empty()) broken("missing the host address for the iSCSI hostdev");
    if (source.hosts.size() > 1) broken("only one source host address may be specified for the iSCSI hostdev");
    if (!source.auth) return;
    check_auth(*source.auth);
    const auto& type = source.auth->secret.type;
    if (!is_secret_usage(type)) unsupported("invalid secret type {}", type);
    if (type != "iscsi") malformed("hostdev invalid secret type '{}'", type);
}

void check_scsi(const HostdevSource& source) {
    if (!source.protocol.empty() && source.protocol != "adapter" && source.protocol != "iscsi")
        unsupported("Unknown SCSI subsystem protocol '{}'", source.protocol);
    if (source.protocol == "iscsi") return check_iscsi(source);
    if (!source.scsi_address) broken("'address' must be specified for scsi hostdev source");
    if (source.adapter.empty()) broken("'adapter' name must be specified for scsi hostdev source");
}

void check_scsi_host(const HostdevSource& source) {
    if (source.protocol.empty()) broken("Missing scsi_host subsystem protocol");
    if (source.protocol != "vhost") unsupported("Unknown scsi_host subsystem protocol '{}'", source.protocol);
    if (source.wwpn.empty()) broken("missing vhost-scsi hostdev source wwpn");
    constexpr std::string_view prefix = "naa.";
    const std::string number(source.wwpn, std::min(source.wwpn.size(), prefix.size()));
    const bool hex = std::ranges::all_of(number, [](unsigned char c) { return std::isxdigit(c); });
    if (!source.wwpn.starts_with(prefix) || number.size() != 16 || !hex) broken("malformed 'wwpn' value");
}

void check_capability(const Hostdev& hostdev) {
    const auto& source = hostdev.source;
    switch (hostdev.type) {
    case HostdevType::storage:
        if (source.block.empty()) broken("Missing <block> element in hostdev storage device");
        break;
    case HostdevType::misc:
        if (source.character.empty()) broken("Missing <char> element in hostdev character device");
        break;
    case HostdevType::net:
        if (source.interface.empty()) broken("Missing <interface> element in hostdev net device");
        break;
    default: unsupported("unknown host device source address type '{}'", word(hostdev.type));
    }
}

void check_subsystem(const Hostdev& hostdev) {
    switch (hostdev.type) {
    case HostdevType::usb: return check_usb(hostdev.source);
    case HostdevType::scsi: return check_scsi(hostdev.source);
    case HostdevType::scsi_host: return check_scsi_host(hostdev.source);
    case HostdevType::pci:
    case HostdevType::mdev: return;
    default: unsupported("unknown host device source address type '{}'", word(hostdev.type));
    }
}

} // namespace

void check_hostdev(Doc& doc, const Hostdev& hostdev) {
    if (hostdev.mode == HostdevMode::capabilities) return doc.check("source", [&] { check_capability(hostdev); });
    doc.check("source/@startupPolicy", [&] {
        if (hostdev.source.startup_policy && hostdev.type != HostdevType::usb)
            unsupported("Setting startupPolicy is only allowed for USB devices");
    });
    doc.check("@sgio", [&] {
        if (hostdev.sgio && hostdev.type != HostdevType::scsi) broken("sgio is only supported for scsi host device");
    });
    doc.check("@rawio", [&] {
        if (hostdev.rawio && hostdev.type != HostdevType::scsi) broken("rawio is only supported for scsi host device");
    });
    doc.check("@model", [&] { check_model(hostdev); });
    doc.check("source", [&] { check_subsystem(hostdev); });
}

} // namespace lodge::xml
