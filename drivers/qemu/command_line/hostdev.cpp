// Devices of the host given to the guest.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

Json pci_json(const Hostdev& hostdev) {
    if (hostdev.driver && *hostdev.driver == PciDriver::kvm)
        rpc::fail(Code::config_unsupported, "host doesn't support legacy PCI passthrough");
    Json json{{"driver", "vfio-pci"}, {"host", hostdev.source.pci.text()}, {"id", hostdev.info.alias}};
    if (hostdev.teaming && hostdev.teaming->type == "transient") json["failover_pair_id"] = hostdev.teaming->persistent;
    return json;
}

Json usb_json(const Hostdev& hostdev) {
    const auto& source = hostdev.source;
    if (source.missing && *source.missing) return {{"driver", "usb-host"}, {"id", hostdev.info.alias}};
    if (!source.usb_bus && !source.usb_device)
        rpc::fail(Code::internal_error, "USB host device is missing bus/device information");
    Json json{{"driver", "usb-host"},
              {"hostdevice", fmt::format("/dev/bus/usb/{:03}/{:03}", source.usb_bus.value_or(0), source.usb_device.value_or(0))},
              {"id", hostdev.info.alias}};
    if (source.guest_reset) {
        json["guest-reset"] = *source.guest_reset != "off";
        if (*source.guest_reset != "off") json["guest-resets-all"] = *source.guest_reset == "on";
    }
    return json;
}

Json mdev_json(const Hostdev& hostdev) {
    // A display from power-on cannot be unplugged, and QEMU has another device for it.
    const bool early = hostdev.ramfb && *hostdev.ramfb;
    Json json{{"driver", early ? "vfio-pci-nohotplug" : word(hostdev.model.value_or(HostdevModel::vfio_pci))},
              {"id", hostdev.info.alias},
              {"sysfsdev", "/sys/bus/mdev/devices/" + hostdev.source.mdev.text()}};
    if (hostdev.display) json["display"] = on_off(*hostdev.display);
    if (hostdev.ramfb) json["ramfb"] = hostdev.ramfb->value;
    return json;
}

std::string scsi_node(const Hostdev& hostdev) { return fmt::format("libvirt-{}-backend", hostdev.source.node.value_or(0)); }

Json scsi_json(const Domain& domain, const Hostdev& hostdev) {
    if (!hostdev.info.is(AddressType::drive))
        rpc::fail(Code::internal_error, "SCSI host device '{}' has no drive address", hostdev.info.alias);
    const DriveAddress& address = hostdev.info.address->drive;
    Json json{{"driver", "scsi-generic"}};
    json["bus"] = controller_alias(domain, ControllerType::scsi, address.controller) + ".0";
    if (is_parallel_scsi(scsi_model(domain, address.controller))) {
        json["scsi-id"] = address.unit;
    } else {
        json["channel"] = address.bus;
        json["scsi-id"] = address.target;
        json["lun"] = address.unit;
    }
    json["drive"] = scsi_node(hostdev);
    json["id"] = hostdev.info.alias;
    return json;
}

Json scsi_host_json(const Hostdev& hostdev, const BuildContext& ctx) {
    std::optional<VirtioModel> model;
    if (hostdev.model == HostdevModel::virtio_transitional) model = VirtioModel::transitional;
    if (hostdev.model == HostdevModel::virtio_non_transitional) model = VirtioModel::non_transitional;
    const auto fd = ctx.fds.find(hostdev.info.alias);
    return {{"driver", virtio_driver("vhost-scsi", hostdev.info, model)},
            {"wwpn", hostdev.source.wwpn},
            {"vhostfd", std::to_string(fd == ctx.fds.end() ? -1 : fd->second)},
            {"id", hostdev.info.alias}};
}

// How QEMU opens an iSCSI unit that is passed through.
StorageSource iscsi_unit(const HostdevSource& from) {
    StorageSource source;
    source.type = SourceType::network;
    source.protocol = StorageProtocol::iscsi;
    source.name = from.name;
    source.hosts = from.hosts;
    source.auth = from.auth;
    source.initiator_iqn = from.initiator_iqn;
    return source;
}

} // namespace

bool has_block_node(const Hostdev& hostdev) {
    return hostdev.mode == HostdevMode::subsystem && hostdev.type == HostdevType::scsi;
}

BlockNodes block_nodes(const Hostdev& hostdev, const BuildContext& ctx) {
    BlockNodes nodes;
    if (!has_block_node(hostdev)) return nodes;
    nodes.top = scsi_node(hostdev);
    Json json;
    if (hostdev.source.protocol == "iscsi") {
        const StorageSource source = iscsi_unit(hostdev.source);
        json = storage_json(source, nodes.top, ctx);
        if (source.auth) {
            const std::string secret = nodes.top + "-secret0";
            nodes.objects.push_back(secret_json(ctx, source.auth->secret, secret));
            json["password-secret"] = secret;
        }
        json["node-name"] = nodes.top;
        json["read-only"] = hostdev.readonly;
    } else {
        const auto path = ctx.scsi_generics.find(hostdev.info.alias);
        if (path == ctx.scsi_generics.end())
            rpc::fail(Code::config_unsupported, "no generic SCSI device is known for host device '{}'", hostdev.source.adapter);
        json = {{"driver", "host_device"}, {"filename", path->second}, {"node-name", nodes.top}, {"read-only", hostdev.readonly}};
    }
    nodes.nodes.push_back(std::move(json));
    return nodes;
}

Json device_json(const Domain& domain, const Hostdev& hostdev, const BuildContext& ctx) {
    Json json;
    switch (hostdev.type) {
    case HostdevType::pci: json = pci_json(hostdev); break;
    case HostdevType::usb: json = usb_json(hostdev); break;
    case HostdevType::mdev: json = mdev_json(hostdev); break;
    case HostdevType::scsi: json = scsi_json(domain, hostdev); break;
    case HostdevType::scsi_host: json = scsi_host_json(hostdev, ctx); break;
    default: rpc::fail(Code::config_unsupported, "hostdev type '{}' is not supported", word(hostdev.type));
    }
    put_boot(json, domain, hostdev.info);
    put_address(json, domain, hostdev.info);
    put_rom(json, hostdev.info);
    return json;
}

void add_hostdevs(Builder& builder) {
    for (const auto& hostdev : builder.domain.devices.hostdevs) {
        if (hostdev.mode != HostdevMode::subsystem)
            rpc::fail(Code::config_unsupported, "hostdev mode '{}' is not supported", word(hostdev.mode));
        // Nothing to put on a bus: libvirt keeps such a device from others without giving it to the guest.
        if (hostdev.info.is(AddressType::unassigned)) continue;
        const BlockNodes nodes = block_nodes(hostdev, builder.ctx);
        for (const auto& object : nodes.objects) builder.object(object);
        for (const auto& node : nodes.nodes) builder.blockdev(node);
        if (const auto fd = builder.ctx.fds.find(hostdev.info.alias); fd != builder.ctx.fds.end()) builder.pass(fd->second);
        builder.device(device_json(builder.domain, hostdev, builder.ctx));
    }
    if (builder.ctx.display) return; // there they stand among the cards
    for (const auto& nic : builder.domain.devices.interfaces)
        if (nic.type == NicType::hostdev) builder.device(device_json(builder.domain, hostdev_of(nic), builder.ctx));
}

} // namespace lodge::drivers::qemu
