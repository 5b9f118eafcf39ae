// -chardev for all who have one, and serial and parallel ports, consoles and channels on top.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

struct Words { // what follows "-chardev "
    std::string text;
    void add(std::string_view name, std::string_view value) { text += fmt::format(",{}={}", name, escape(value)); }
};

void add_reconnect(Words& words, const CharEndpoint& end) {
    if (!end.reconnect) return;
    words.add("reconnect", std::to_string(end.reconnect->enabled ? end.reconnect->timeout.value_or(0) : 0));
}

void add_server(Words& words, bool server) {
    if (!server) return;
    words.add("server", "on");
    words.add("wait", "off");
}

// A file that the driver opened already goes by descriptor set, so that QEMU needs no right to the path.
std::string file_or_set(Builder& builder, const std::string& key, const std::string& path) {
    const auto found = builder.ctx.fds.find(key);
    if (found == builder.ctx.fds.end()) return path;
    const std::size_t set = builder.line.fds.size();
    builder.option("-add-fd", fmt::format("set={},fd={},opaque={}", set, builder.pass(found->second), key));
    return fmt::format("/dev/fdset/{}", set);
}

void add_tcp(Builder& builder, Words& words, const CharSource& source, const std::string& id) {
    const CharEndpoint& end = source.first();
    const bool server = end.mode == CharMode::bind;
    words.add("host", end.host);
    words.add("port", end.service);
    if (source.protocol == CharProtocol::telnet) words.add("telnet", "on");
    if (source.protocol == CharProtocol::telnets || source.protocol == CharProtocol::tls)
        rpc::fail(Code::config_unsupported, "character device protocol '{}' is not supported by QEMU", word(*source.protocol));
    add_server(words, server);
    add_reconnect(words, end);
    if (end.tls ? !*end.tls : !builder.ctx.chardev_tls.on) return;
    const std::string creds = fmt::format("obj{}_tls0", id);
    add_tls(builder, builder.ctx.chardev_tls, creds, id + "-secret0", server);
    words.add("tls-creds", creds);
}

void add_unix(Builder& builder, Words& words, const CharSource& source, const std::string& id) {
    const CharEndpoint& end = source.first();
    const auto fd = builder.ctx.fds.find(id);
    if (fd != builder.ctx.fds.end() && end.mode == CharMode::bind)
        words.add("fd", builder.pass(fd->second));
    else
        words.add("path", end.path);
    add_server(words, end.mode == CharMode::bind);
    add_reconnect(words, end);
}

void add_udp(Words& words, const CharSource& source) {
    static const CharEndpoint none;
    const CharEndpoint* connect = source.with_mode(CharMode::connect);
    const CharEndpoint* bind = source.with_mode(CharMode::bind);
    if (!connect) connect = &none;
    if (!bind) bind = &none;
    words.add("host", connect->host);
    words.add("port", connect->service);
    words.add("localaddr", bind->host);
    words.add("localport", bind->service.empty() ? "0" : bind->service);
}

void add_vdagent(Words& words, const CharEndpoint& end) {
    words.add("name", "vdagent");
    if (end.clipboard) words.add("clipboard", on_off(*end.clipboard));
    if (end.mouse && *end.mouse != MouseMode::default_) words.add("mouse", on_off(*end.mouse == MouseMode::client));
}

// What a spicevmc channel carries is told by who owns it.
std::string spicevmc_name(const std::string& alias, const std::string& id) {
    if (id.starts_with("charsmartcard")) return "smartcard";
    if (id.starts_with("charredir") || alias.starts_with("redir")) return "usbredir";
    return "vdagent";
}

} // namespace

void add_chardev(Builder& builder, const CharSource& source, const std::string& alias, const std::string& kind) {
    const std::string id = (kind == "disk" ? "chr-vu-" : "char") + alias;
    const CharEndpoint& end = source.first();
    Words words;
    std::string backend(word(source.type));
    switch (source.type) {
    case CharType::null:
    case CharType::vc:
    case CharType::pty:
    case CharType::stdio: break;
    case CharType::dev:
        backend = kind == "parallel" ? "parallel" : "serial";
        words.add("path", end.path);
        break;
    case CharType::file:
        words.add("path", file_or_set(builder, id, end.path));
        if (builder.ctx.fds.contains(id))
            words.add("append", "on");
        else if (end.append)
            words.add("append", on_off(*end.append));
        break;
    case CharType::pipe: words.add("path", end.path); break;
    case CharType::udp: add_udp(words, source); break;
    case CharType::tcp:
        backend = "socket";
        add_tcp(builder, words, source, id);
        break;
    case CharType::unix_:
        backend = "socket";
        add_unix(builder, words, source, id);
        break;
    case CharType::spicevmc: words.add("name", spicevmc_name(kind, id)); break;
    case CharType::spiceport:
    case CharType::dbus: words.add("name", end.channel); break;
    case CharType::qemu_vdagent: add_vdagent(words, end); break;
    case CharType::nmdm: rpc::fail(Code::config_unsupported, "unsupported chardev '{}'", word(source.type));
    }
    if (source.log && !source.log->file.empty()) {
        words.add("logfile", file_or_set(builder, id + "-log", source.log->file));
        if (builder.ctx.fds.contains(id + "-log"))
            words.add("logappend", "on");
        else if (source.log->append)
            words.add("logappend", on_off(*source.log->append));
    }
    builder.option("-chardev", fmt::format("{},id={}{}", backend, id, words.text));
}

// ---- the guest's side ----

namespace {

void put_serial_bus(Json& json, const Domain& domain, const DeviceInfo& info) {
    if (!info.is(AddressType::virtio_serial)) return;
    const auto& address = info.address->virtio_serial;
    json["bus"] = fmt::format("{}.{}", controller_alias(domain, ControllerType::virtio_serial, address.controller), address.bus);
    json["nr"] = address.port;
}

// The path of a socket that libvirt names by itself, when the document gives none.
CharSource with_default_path(const Builder& builder, const Channel& channel) {
    CharSource source = channel.source;
    if (source.type != CharType::unix_ || !source.first().path.empty()) return source;
    source.edit_first().path = channel_target(builder.domain, builder.ctx, channel);
    if (!source.first().mode) source.edit_first().mode = CharMode::bind;
    return source;
}

} // namespace

std::string channel_target(const Domain& domain, const BuildContext& ctx, const Channel& channel) {
    std::string name = channel.target.name;
    if (name.empty() && channel.info.is(AddressType::virtio_serial)) {
        const auto& address = channel.info.address->virtio_serial;
        name = fmt::format("vioser-{:02}-{:02}-{:02}.sock", address.controller, address.bus, address.port);
    }
    return fmt::format("{}/qemu/channel/target/domain-{}/{}", ctx.lib, short_name(domain, ctx.id), name);
}

Json device_json(const Domain& domain, const Serial& serial, const BuildContext&) {
    const SerialModel model = serial.target.model.value_or(SerialModel::isa_serial);
    Json json{{"driver", word(model)}, {"chardev", "char" + serial.info.alias}, {"id", serial.info.alias}};
    if (model == SerialModel::isa_serial) json["index"] = serial.target.port.value_or(0);
    put_address(json, domain, serial.info);
    return json;
}

Json device_json(const Domain& domain, const Channel& channel, const BuildContext&) {
    Json json{{"driver", "virtserialport"}};
    put_serial_bus(json, domain, channel.info);
    json["chardev"] = "char" + channel.info.alias;
    json["id"] = channel.info.alias;
    // SPICE's agent looks for its port by this name.
    const bool agent = channel.source.type == CharType::spicevmc;
    put(json, "name", channel.target.name.empty() && agent ? "com.redhat.spice.0" : channel.target.name);
    return json;
}

Json device_json(const Domain& domain, const Console& console, const BuildContext&) {
    Json json{{"driver", "virtconsole"}};
    put_serial_bus(json, domain, console.info);
    json["chardev"] = "char" + console.info.alias;
    json["id"] = console.info.alias;
    return json;
}

Json guest_forward_json(const Channel& channel) {
    const std::string& alias = channel.info.alias;
    const std::string forward =
        fmt::format("tcp:{}:{}-chardev:char{}", channel.target.address, channel.target.port.value_or(0), alias);
    return {{"type", "user"}, {"guestfwd", Json::array({Json{{"str", forward}}})}, {"id", alias}};
}

void add_serials(Builder& builder) {
    for (const auto& serial : builder.domain.devices.serials) {
        add_chardev(builder, serial.source, serial.info.alias, "serial");
        builder.device(device_json(builder.domain, serial, builder.ctx));
    }
}

void add_parallels(Builder& builder) {
    for (const auto& parallel : builder.domain.devices.parallels) {
        add_chardev(builder, parallel.source, parallel.info.alias, "parallel");
        builder.device({{"driver", "isa-parallel"}, {"chardev", "char" + parallel.info.alias}, {"id", parallel.info.alias}});
    }
}

void add_channels(Builder& builder) {
    for (const auto& channel : builder.domain.devices.channels) {
        const std::string& alias = channel.info.alias;
        const auto type = channel.target.type.value_or(ChannelTargetType::none);
        if (type != ChannelTargetType::virtio && type != ChannelTargetType::guestfwd) continue;
        add_chardev(builder, with_default_path(builder, channel), alias, "channel");
        if (type == ChannelTargetType::virtio)
            builder.device(device_json(builder.domain, channel, builder.ctx));
        else
            builder.json("-netdev", guest_forward_json(channel));
    }
}

void add_consoles(Builder& builder) {
    for (const auto& console : builder.domain.devices.consoles) {
        // A console of type serial is the first serial port under another name.
        const auto type = console.target.type.value_or(ConsoleTargetType::serial);
        if (type == ConsoleTargetType::serial) continue;
        if (type != ConsoleTargetType::virtio)
            rpc::fail(Code::config_unsupported, "unsupported console target type {}", word(type));
        add_chardev(builder, console.source, console.info.alias, "console");
        builder.device(device_json(builder.domain, console, builder.ctx));
    }
}

} // namespace lodge::drivers::qemu
