// Character devices as QMP's chardev-add wants them; the words of -chardev stand in chardev.cpp.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

Json inet(const CharEndpoint& end) { return {{"type", "inet"}, {"data", {{"host", end.host}, {"port", end.service}}}}; }

void put_socket(Json& data, const CharSource& source) {
    const CharEndpoint& end = source.first();
    const bool server = end.mode == CharMode::bind;
    data["server"] = server;
    if (server) data["wait"] = false;
    if (end.reconnect) data["reconnect"] = end.reconnect->enabled ? end.reconnect->timeout.value_or(0) : 0;
    if (source.protocol == CharProtocol::telnet) data["telnet"] = true;
    if (source.protocol == CharProtocol::telnets || source.protocol == CharProtocol::tls)
        rpc::fail(Code::config_unsupported, "character device protocol '{}' is not supported by QEMU", word(*source.protocol));
}

Json udp_data(const CharSource& source) {
    static const CharEndpoint none;
    const CharEndpoint *connect = source.with_mode(CharMode::connect), *bind = source.with_mode(CharMode::bind);
    CharEndpoint local = bind ? *bind : none;
    if (local.service.empty()) local.service = "0";
    return {{"remote", inet(connect ? *connect : none)}, {"local", inet(local)}};
}

Json vdagent_data(const CharEndpoint& end) {
    Json data = Json::object();
    if (end.clipboard) data["clipboard"] = static_cast<bool>(*end.clipboard);
    if (end.mouse && *end.mouse != MouseMode::default_) data["mouse"] = *end.mouse == MouseMode::client;
    return data;
}

} // namespace

Json chardev_backend(const CharSource& source, const std::string& id, const std::string& kind, const ChardevFds& fds) {
    const CharEndpoint& end = source.first();
    std::string type(word(source.type));
    Json data = Json::object();
    switch (source.type) {
    case CharType::null:
    case CharType::vc:
    case CharType::pty:
    case CharType::stdio: break;
    case CharType::dev:
        type = kind == "parallel" ? "parallel" : "serial";
        data["device"] = end.path;
        break;
    case CharType::file:
        data["out"] = fds.file.empty() ? end.path : fds.file;
        if (!fds.file.empty())
            data["append"] = true;
        else if (end.append)
            data["append"] = static_cast<bool>(*end.append);
        break;
    case CharType::pipe: data["device"] = end.path; break;
    case CharType::udp: data = udp_data(source); break;
    case CharType::tcp:
        type = "socket";
        data["addr"] = inet(end);
        put_socket(data, source);
        break;
    case CharType::unix_:
        type = "socket";
        data["addr"] = fds.socket.empty() ? Json{{"type", "unix"}, {"data", {{"path", end.path}}}}
                                          : Json{{"type", "fd"}, {"data", {{"str", fds.socket}}}};
        put_socket(data, source);
        break;
    case CharType::spicevmc: data["type"] = kind == "smartcard" ? "smartcard" : kind == "redir" ? "usbredir" : "vdagent"; break;
    case CharType::spiceport: data["fqdn"] = end.channel; break;
    case CharType::dbus: data["name"] = end.channel; break;
    case CharType::qemu_vdagent: data = vdagent_data(end); break;
    case CharType::nmdm: rpc::fail(Code::config_unsupported, "unsupported chardev '{}'", word(source.type));
    }
    if (source.log && !source.log->file.empty()) {
        data["logfile"] = fds.log.empty() ? source.log->file : fds.log;
        if (!fds.log.empty())
            data["logappend"] = true;
        else if (source.log->append)
            data["logappend"] = static_cast<bool>(*source.log->append);
    }
    return {{"id", id}, {"backend", {{"type", type}, {"data", data}}}};
}

} // namespace lodge::drivers::qemu
