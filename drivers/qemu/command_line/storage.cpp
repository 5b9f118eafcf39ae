// The node that fetches bytes, by kind of source and network protocol; and secrets that such a node needs.
#include "drivers/qemu/command_line/builder.hpp"
#include "drivers/qemu/image.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

constexpr const char* shown_secret = "ENCRYPTED"; // in command lines that only people read

Json inet_server(const SourceHost& host, bool with_type) {
    Json json;
    if (with_type) json["type"] = "inet";
    json["host"] = host.name;
    json["port"] = host.port;
    return json;
}

// nbd and sheepdog know one server, over TCP or on a socket.
Json one_server(const StorageSource& source, std::string_view protocol) {
    if (source.hosts.size() != 1) rpc::fail(Code::internal_error, "protocol '{}' accepts only one host", protocol);
    const SourceHost& host = source.hosts.front();
    if (host.transport == HostTransport::unix_) return {{"type", "unix"}, {"path", host.socket}};
    if (host.transport == HostTransport::rdma) rpc::fail(Code::config_unsupported, "transport 'rdma' is not yet supported");
    return inet_server(host, true);
}

// "volume/path/to/it" -> volume, path/to/it
std::pair<std::string, std::string> split_first(const std::string& name) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) return {name, ""};
    return {name.substr(0, slash), name.substr(slash + 1)};
}

Json nbd(const StorageSource& source, const std::string& node, const BuildContext& ctx) {
    Json json{{"driver", "nbd"}, {"server", one_server(source, "nbd")}};
    put(json, "export", source.name);
    if (uses_tls(source, ctx)) {
        json["tls-creds"] = fmt::format("obj{}-storage_tls0", node);
        put(json, "tls-hostname", source.tls_hostname);
    }
    return json;
}

Json rbd(const StorageSource& source, const std::string& node) {
    const auto [pool, image] = split_first(source.name);
    Json json{{"driver", "rbd"}, {"pool", pool}, {"image", image}};
    put(json, "snapshot", source.snapshot);
    put(json, "conf", source.config);
    if (!source.hosts.empty()) {
        json["server"] = Json::array();
        for (const auto& host : source.hosts) json["server"].push_back(inet_server(host, false));
    }
    if (source.encryption && source.encryption->engine == EncryptionEngine::librbd)
        json["encrypt"] = {{"format", source.encryption->format == EncryptionFormat::luks2      ? "luks2"
                                      : source.encryption->format == EncryptionFormat::luks_any ? "luks-any"
                                                                                                : "luks"},
                           {"key-secret", node + "-format-encryption-secret0"}};
    if (source.auth) {
        json["user"] = source.auth->username;
        json["auth-client-required"] = {"cephx", "none"};
        json["key-secret"] = node + "-storage-auth-secret0";
    }
    return json;
}

Json gluster(const StorageSource& source) {
    const auto [volume, path] = split_first(source.name);
    Json servers = Json::array();
    for (const auto& host : source.hosts)
        servers.push_back(host.transport == HostTransport::unix_ ? Json{{"type", "unix"}, {"path", host.socket}}
                                                                 : inet_server(host, true));
    return {{"driver", "gluster"}, {"volume", volume}, {"path", path}, {"server", servers}, {"debug", 4}};
}

Json iscsi(const StorageSource& source, const std::string& node) {
    const auto [target, lun] = split_first(source.name);
    const SourceHost host = source.hosts.empty() ? SourceHost{} : source.hosts.front();
    const bool v6 = host.name.contains(':');
    Json json{{"driver", "iscsi"},
              {"portal", fmt::format("{}{}{}:{}", v6 ? "[" : "", host.name, v6 ? "]" : "", host.port.empty() ? "0" : host.port)},
              {"target", target},
              {"lun", lun.empty() ? 0 : std::stoi(lun)},
              {"transport", "tcp"}};
    if (source.auth) {
        json["user"] = source.auth->username;
        json["password-secret"] = node + "-storage-auth-secret0";
    }
    put(json, "initiator-name", source.initiator_iqn);
    return json;
}

Json curl(const StorageSource& source, const std::string& node) {
    const SourceHost host = source.hosts.empty() ? SourceHost{} : source.hosts.front();
    const bool v6 = host.name.contains(':');
    std::string url = fmt::format("{}://{}{}{}:{}/{}", word(source.protocol.value_or(StorageProtocol::http)), v6 ? "[" : "",
                                  host.name, v6 ? "]" : "", host.port, source.name);
    if (!source.query.empty()) url += "?" + source.query;
    Json json{{"driver", word(source.protocol.value_or(StorageProtocol::http))}, {"url", url}};
    if (source.auth) {
        json["username"] = source.auth->username;
        json["password-secret"] = node + "-storage-auth-secret0";
    }
    put(json, "sslverify", source.ssl_verify);
    if (!source.cookies.empty()) json["cookie-secret"] = node + "-storage-httpcookie-secret0";
    put(json, "timeout", source.timeout);
    put(json, "readahead", source.readahead);
    return json;
}

Json ssh(const StorageSource& source) {
    const SourceHost host = source.hosts.empty() ? SourceHost{} : source.hosts.front();
    Json json{{"driver", "ssh"},
              {"path", source.name},
              {"server", {{"host", host.name}, {"port", host.port.empty() ? "22" : host.port}}}};
    if (source.auth) json["user"] = source.auth->username;
    return json;
}

// "+1234" is a number whatever users of that name there are.
Json nfs_id(const std::string& id) {
    std::uint64_t number = 0;
    if (parse_unsigned(std::string_view(id).substr(id.starts_with('+') ? 1 : 0), number)) return number;
    return id;
}

Json nfs(const StorageSource& source) {
    const SourceHost host = source.hosts.empty() ? SourceHost{} : source.hosts.front();
    Json json{{"driver", "nfs"}, {"server", {{"host", host.name}, {"type", "inet"}}}, {"path", source.name}};
    if (!source.nfs_user.empty()) json["user"] = nfs_id(source.nfs_user);
    if (!source.nfs_group.empty()) json["group"] = nfs_id(source.nfs_group);
    return json;
}

Json network(const StorageSource& source, const std::string& node, const BuildContext& ctx) {
    switch (source.protocol.value_or(StorageProtocol::nbd)) {
    case StorageProtocol::nbd: return nbd(source, node, ctx);
    case StorageProtocol::rbd: return rbd(source, node);
    case StorageProtocol::sheepdog:
        return {{"driver", "sheepdog"}, {"server", one_server(source, "sheepdog")}, {"vdi", source.name}};
    case StorageProtocol::gluster: return gluster(source);
    case StorageProtocol::iscsi: return iscsi(source, node);
    case StorageProtocol::http:
    case StorageProtocol::https:
    case StorageProtocol::ftp:
    case StorageProtocol::ftps:
    case StorageProtocol::tftp: return curl(source, node);
    case StorageProtocol::ssh: return ssh(source);
    case StorageProtocol::nfs: return nfs(source);
    case StorageProtocol::vxhs: rpc::fail(Code::config_unsupported, "VxHS protocol is not supported with this QEMU binary");
    }
    return {};
}

void put_reservations(Json& json, const StorageSource& source, const std::string& node) {
    if (!source.reservations) return;
    json["pr-manager"] = source.reservations->managed ? "pr-helper0" : "pr-helper-" + node + "-storage";
}

} // namespace

Json storage_json(const StorageSource& source, const std::string& node, const BuildContext& ctx) {
    const auto type = reached_as(source);
    switch (type) {
    case SourceType::file:
    case SourceType::block: {
        Json json{{"driver", type == SourceType::file ? "file" : "host_device"}, {"filename", source.path}};
        put_reservations(json, source, node);
        return json;
    }
    case SourceType::dir: return {{"driver", "vvfat"}, {"dir", source.path}};
    case SourceType::network: return network(source, node, ctx);
    case SourceType::nvme:
        return {{"driver", "nvme"}, {"device", source.nvme_address.text()}, {"namespace", source.nvme_namespace.value_or(1)}};
    case SourceType::volume:
        rpc::fail(Code::internal_error, "storage source pool '{}' volume '{}' is not translated", source.pool, source.volume);
    case SourceType::vhostuser: break;
    }
    rpc::fail(Code::internal_error, "unable to generate blockdev props for storage type '{}'", word(source.type));
}

bool uses_tls(const StorageSource& source, const BuildContext& ctx) {
    if (source.type != SourceType::network || source.protocol != StorageProtocol::nbd) return false;
    return source.tls ? bool(*source.tls) : ctx.nbd_tls.on;
}

std::vector<Json> tls_objects(const BuildContext& ctx, const Tls& tls, const std::string& id, const std::string& secret_id,
                              bool server) {
    std::vector<Json> objects;
    Json json{{"qom-type", "tls-creds-x509"},
              {"id", id},
              {"dir", tls.dir},
              {"endpoint", server ? "server" : "client"},
              {"verify-peer", server ? tls.verify_peer : true}};
    if (!tls.secret.empty()) {
        SecretReference secret;
        secret.type = "tls";
        secret.uuid = rpc::Uuid::parse(tls.secret).value_or(rpc::Uuid{});
        objects.push_back(secret_json(ctx, secret, secret_id));
        json["passwordid"] = secret_id;
    }
    objects.push_back(std::move(json));
    return objects;
}

void add_tls(Builder& builder, const Tls& tls, const std::string& id, const std::string& secret_id, bool server) {
    for (const auto& object : tls_objects(builder.ctx, tls, id, secret_id, server)) builder.object(object);
}

Json sealed_json(const BuildContext& ctx, const std::string& plain, const std::string& id) {
    const SealedSecret sealed = ctx.seal ? ctx.seal(plain) : SealedSecret{shown_secret, shown_secret};
    return {{"qom-type", "secret"},  {"id", id},        {"data", sealed.data},
            {"keyid", "masterKey0"}, {"iv", sealed.iv}, {"format", "base64"}};
}

Json secret_json(const BuildContext& ctx, const SecretReference& secret, const std::string& id) {
    if (!ctx.display && !ctx.secret_value) rpc::fail(Code::no_secret, "no secret with matching uuid '{}'", secret.uuid.text());
    return sealed_json(ctx, ctx.secret_value ? ctx.secret_value(secret) : std::string(), id);
}

} // namespace lodge::drivers::qemu
