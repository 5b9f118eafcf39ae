// Network cards: -netdev (the host's end) and -device (the card).
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool is_tap(NicType type) {
    switch (type) {
    case NicType::ethernet:
    case NicType::network:
    case NicType::bridge:
    case NicType::direct: return true;
    default: return false;
    }
}

std::string joined(const std::vector<int>& fds) {
    std::string text;
    for (const int fd : fds) text += (text.empty() ? "" : ":") + std::to_string(fd);
    return text;
}

void put_tap(Json& json, const Nic& nic, const NicFds& fds) {
    if (fds.taps.empty()) rpc::fail(Code::internal_error, "no tap device for interface '{}'", nic.info.alias);
    const bool one = fds.taps.size() == 1;
    json["type"] = "tap";
    json[one ? "fd" : "fds"] = joined(fds.taps);
    if (!fds.vhosts.empty()) {
        json["vhost"] = true;
        json[one ? "vhostfd" : "vhostfds"] = joined(fds.vhosts);
    }
    put(json, "sndbuf", nic.sndbuf);
}

bool by_passt(const Nic& nic) { return nic.backend.type == NicBackendType::passt; }

void put_passt(Json& json, const Domain& domain, const Nic& nic, const NicFds& fds, const BuildContext& ctx) {
    json["type"] = "stream";
    if (fds.passt >= 0)
        json["addr"] = {{"type", "fd"}, {"str", std::to_string(fds.passt)}};
    else
        json["addr"] = {{"type", "unix"},
                        {"path", fmt::format("{}/qemu/passt/{}-{}.socket", ctx.run, short_name(domain, ctx.id), nic.info.alias)}};
    json["server"] = false;
}

void put_user(Json& json, const Nic& nic) {
    json["type"] = "user";
    for (const auto& ip : nic.ips) {
        if (ip.address.is_v6()) {
            json["ipv6-prefix"] = ip.address.text();
            if (ip.prefix) json["ipv6-prefixlen"] = *ip.prefix;
        } else {
            json["net"] = fmt::format("{}/{}", ip.address.text(), ip.prefix.value_or(24));
        }
    }
}

void put_socket(Json& json, const Nic& nic) {
    const std::string address = fmt::format("{}:{}", nic.source.address, nic.source.port.value_or(0));
    json["type"] = "socket";
    switch (nic.type) {
    case NicType::server: json["listen"] = address; return;
    case NicType::client: json["connect"] = address; return;
    case NicType::mcast: json["mcast"] = address; return;
    default:
        json["udp"] = address;
        json["localaddr"] = fmt::format("{}:{}", nic.source.local_address, nic.source.local_port.value_or(0));
    }
}

// In what people read every NIC is a tap, whatever it is plugged into; its driver's settings are not shown.
Json displayed_netdev(const Nic& nic, const BuildContext& ctx) {
    Json json;
    const auto found = ctx.nics.find(nic.info.alias);
    put_tap(json, Nic{}, found == ctx.nics.end() ? NicFds{{24}, {}} : found->second);
    json["id"] = "host" + nic.info.alias;
    return json;
}

void put_offloads(Json& json, const NicDriver& driver) {
    put(json, "csum", driver.host.csum);
    put(json, "gso", driver.host.gso);
    put(json, "host_tso4", driver.host.tso4);
    put(json, "host_tso6", driver.host.tso6);
    put(json, "host_ecn", driver.host.ecn);
    put(json, "host_ufo", driver.host.ufo);
    put(json, "mrg_rxbuf", driver.host.mrg_rxbuf);
    put(json, "guest_csum", driver.guest.csum);
    put(json, "guest_tso4", driver.guest.tso4);
    put(json, "guest_tso6", driver.guest.tso6);
    put(json, "guest_ecn", driver.guest.ecn);
    put(json, "guest_ufo", driver.guest.ufo);
}

void put_virtio_nic(Json& json, const Nic& nic, std::size_t queues) {
    const NicDriver& driver = nic.driver;
    if (driver.txmode) json["tx"] = *driver.txmode == TxMode::timer ? "timer" : "bh";
    put(json, "ioeventfd", driver.ioeventfd);
    put(json, "event_idx", driver.event_idx);
    put_offloads(json, driver);
    if (queues > 1) {
        json["mq"] = true;
        json["vectors"] = 2 * queues + 2; // one per direction and queue, one for configuration, one for control
    }
    put(json, "rx_queue_size", driver.rx_queue_size);
    put(json, "tx_queue_size", driver.tx_queue_size);
    put(json, "host_mtu", nic.mtu);
    put(json, "rss", driver.rss);
    put(json, "hash", driver.rss_hash_report);
    if (nic.teaming) {
        if (nic.teaming->type == "persistent") json["failover"] = true;
        if (nic.teaming->type == "transient") json["failover_pair_id"] = nic.teaming->persistent;
    }
}

std::string nic_driver(const Nic& nic) {
    if (nic.model == "virtio") return virtio_driver("virtio-net", nic.info);
    if (nic.model == "virtio-transitional") return virtio_driver("virtio-net", nic.info, VirtioModel::transitional);
    if (nic.model == "virtio-non-transitional") return virtio_driver("virtio-net", nic.info, VirtioModel::non_transitional);
    return nic.model.empty() ? "rtl8139" : nic.model;
}

std::size_t queue_count(const Nic& nic, const BuildContext& ctx) {
    const auto found = ctx.nics.find(nic.info.alias);
    if (found != ctx.nics.end() && !found->second.taps.empty()) return found->second.taps.size();
    return nic.driver.queues.value_or(1);
}

void add_vhostuser_chardev(Builder& builder, const Nic& nic) {
    CharSource source;
    source.type = CharType::unix_;
    CharEndpoint& end = source.edit_first();
    end.path = nic.source.path;
    end.mode = nic.source.socket_mode == "server" ? CharMode::bind : CharMode::connect;
    end.reconnect = nic.source.reconnect;
    add_chardev(builder, source, nic.info.alias, "net");
}

void note_fds(Builder& builder, const Nic& nic) {
    const auto found = builder.ctx.nics.find(nic.info.alias);
    if (found == builder.ctx.nics.end()) return;
    for (const int fd : found->second.taps) builder.pass(fd);
    for (const int fd : found->second.vhosts) builder.pass(fd);
    if (found->second.passt >= 0) builder.pass(found->second.passt);
    if (found->second.vdpa < 0) return;
    builder.option("-add-fd", fmt::format("set={},fd={},opaque={}-vdpa", found->second.vdpa, builder.pass(found->second.vdpa),
                                          nic.info.alias));
}

void add_nic(Builder& builder, const Nic& nic) {
    if (nic.type == NicType::hostdev && !builder.ctx.display) return; // stands among the host devices
    if (!builder.ctx.display) {
        note_fds(builder, nic);
        if (nic.type == NicType::vhostuser) add_vhostuser_chardev(builder, nic);
    }
    builder.json("-netdev", netdev_json(builder.domain, nic, builder.ctx));
    builder.device(device_json(builder.domain, nic, builder.ctx));
}

} // namespace

Json netdev_json(const Domain& domain, const Nic& nic, const BuildContext& ctx) {
    if (ctx.display) return displayed_netdev(nic, ctx);
    const auto found = ctx.nics.find(nic.info.alias);
    const NicFds fds = found == ctx.nics.end() ? NicFds{} : found->second;
    Json json;
    switch (nic.type) {
    case NicType::user:
        if (by_passt(nic))
            put_passt(json, domain, nic, fds, ctx);
        else
            put_user(json, nic);
        break;
    case NicType::server:
    case NicType::client:
    case NicType::mcast:
    case NicType::udp: put_socket(json, nic); break;
    case NicType::vhostuser:
        json["type"] = "vhost-user";
        json["chardev"] = "char" + nic.info.alias;
        if (nic.driver.queues.value_or(0) > 1) json["queues"] = *nic.driver.queues;
        break;
    case NicType::vdpa:
        json["type"] = "vhost-vdpa";
        json["vhostdev"] = fds.vdpa < 0 ? nic.source.dev : fmt::format("/dev/fdset/{}", fds.vdpa);
        break;
    case NicType::null: rpc::fail(Code::config_unsupported, "interface type 'null' is not supported by this QEMU");
    default:
        if (!is_tap(nic.type))
            rpc::fail(Code::config_unsupported, "network interface type '{}' is not supported by QEMU", word(nic.type));
        put_tap(json, nic, fds);
    }
    json["id"] = "host" + nic.info.alias;
    return json;
}

Json device_json(const Domain& domain, const Nic& nic, const BuildContext& ctx) {
    Json json{{"driver", nic_driver(nic)}};
    if (nic.is_virtio() && !ctx.display) {
        put_virtio(json, nic.driver.virtio);
        put_virtio_nic(json, nic, queue_count(nic, ctx));
    }
    json["netdev"] = "host" + nic.info.alias;
    json["id"] = nic.info.alias;
    if (nic.mac.address) json["mac"] = nic.mac.address->text();
    // What people are shown leaves out a card's own place at boot and its ROM, too.
    DeviceInfo info = nic.info;
    if (ctx.display) {
        info.boot.reset();
        info.rom.reset();
        info.acpi_index.reset();
    }
    put_boot(json, domain, info);
    put_address(json, domain, info);
    put_rom(json, info);
    return json;
}

void add_nics(Builder& builder) {
    for (const auto& nic : builder.domain.devices.interfaces) add_nic(builder, nic);
}

} // namespace lodge::drivers::qemu
