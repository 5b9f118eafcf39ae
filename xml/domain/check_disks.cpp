#include "xml/domain/check.hpp"

namespace lodge::xml {

void check_hosts(const std::vector<SourceHost>& hosts) {
    for (const auto& host : hosts) {
        if (host.transport == HostTransport::unix_) {
            if (host.socket.empty()) broken("missing socket for unix transport");
            continue;
        }
        if (host.name.empty()) broken("missing name for host");
        std::uint64_t port = 0;
        if (!host.port.empty() && !parse_unsigned(host.port, port))
            rpc::fail(Code::invalid_arg, "failed to parse port number '{}'", host.port);
    }
}

bool is_secret_usage(std::string_view type) {
    static constexpr std::string_view usages[] = {"none", "volume", "ceph", "iscsi", "tls", "vtpm"};
    return std::ranges::find(usages, type) != std::end(usages);
}

namespace {

void check_cookies(const StorageSource& source) {
    constexpr std::string_view never = "\001\002\003\004\005\006\007\b\t\n\v\f\r\016\017\020\021\022\023\024\025\026\027\030\031"
                                       "\032\033\034\035\036\037 \",;\\";
    constexpr std::string_view not_in_names = "()<>@:/[]?={}";
    std::set<std::string> names;
    for (const auto& [name, value] : source.cookies) {
        if (value.empty()) broken("missing value for cookie '{}'", name);
        if (name.find_first_of(never) != std::string::npos || name.find_first_of(not_in_names) != std::string::npos)
            rpc::fail(From::storage, Code::xml_error, "cookie name '{}' contains invalid characters", name);
        std::string_view bare = value;
        if (bare.starts_with('"')) bare = bare.substr(1, bare.size() - (bare.ends_with('"') ? 2 : 1));
        if (bare.find_first_of(never) != std::string_view::npos || (value.starts_with('"') && !value.ends_with('"')))
            rpc::fail(From::storage, Code::xml_error, "value of cookie '{}' contains invalid characters", name);
        if (!names.insert(name).second) rpc::fail(From::storage, Code::xml_error, "duplicate cookie '{}'", name);
    }
}

void check_network_source(const StorageSource& source) {
    using enum StorageProtocol;
    if (source.protocol && source.protocol != nbd && source.name.empty()) broken("missing name for disk source");
    const bool pooled = source.protocol == gluster || source.protocol == rbd;
    if (pooled && (source.name.starts_with('/') || source.name.find('/') == std::string::npos))
        broken("can't split path '{}' into pool name and image name", source.name);
    check_hosts(source.hosts);
    check_cookies(source);
}

void check_reservations(const Reservations& reservations) {
    const auto& [managed, type, path, mode] = reservations;
    const auto refuse = [](std::string_view text) { rpc::fail(From::storage, Code::xml_error, "{}", text); };
    if (!managed || !type.empty() || !path.empty() || !mode.empty()) {
        if (type.empty()) refuse("missing connection type for <reservations/>");
        if (path.empty()) refuse("missing path for <reservations/>");
        if (mode.empty()) refuse("missing connection mode for <reservations/>");
    }
    if (!type.empty() && type != "unix") refuse("unsupported connection type for <reservations/>: " + type);
    if (!mode.empty() && mode != "client") refuse("unsupported connection mode for <reservations/>: " + mode);
}

} // namespace

void check_auth(const StorageAuth& auth) {
    if (auth.secret.type.empty() && auth.secret.uuid.is_nil() && auth.secret.usage.empty())
        rpc::fail(From::storage, Code::xml_error, "Missing <secret> element in auth");
    if (auth.secret.uuid.is_nil() && auth.secret.usage.empty())
        rpc::fail(rpc::from_nobody, Code::xml_error, "missing secret uuid or usage attribute");
}

namespace {

void check_encryption(const Encryption& encryption) {
    for (const auto& secret : encryption.secrets) {
        if (secret.type.empty()) rpc::fail(From::storage, Code::xml_error, "unknown volume encryption secret type");
        if (secret.type != "passphrase")
            rpc::fail(From::storage, Code::config_unsupported, "unknown volume encryption secret type {}", secret.type);
        if (secret.uuid.is_nil() && secret.usage.empty()) rpc::fail(Code::xml_error, "missing secret uuid or usage attribute");
    }
}

} // namespace

void check_source(const StorageSource& source) {
    std::set<std::string> models;
    for (const auto& label : source.labels)
        if (!label.model.empty() && !models.insert(label.model).second)
            inconsistent("seclabel for model {} is already provided", label.model);
    if (source.type == SourceType::volume && !source.empty() && (source.pool.empty() || source.volume.empty()))
        broken("'pool' and 'volume' must be specified together for 'pool' type source");
    if (source.type == SourceType::network) check_network_source(source);
    if (source.auth) check_auth(*source.auth);
    if (source.encryption) check_encryption(*source.encryption);
    if (source.reservations) check_reservations(*source.reservations);
}

void check_disk(Doc& doc, const Disk& disk) {
    doc.check("source", [&] { check_source(disk.source); });
    doc.check("auth", [&] {
        if (disk.auth && disk.source.auth) unsupported("an <auth> definition already found for disk source");
        if (disk.auth) check_auth(*disk.auth);
    });
    doc.check("encryption", [&] {
        if (disk.encryption && disk.source.encryption) unsupported("an <encryption> definition already found for disk source");
        if (disk.encryption) check_encryption(*disk.encryption);
    });
    doc.check("backingStore", [&] {
        for (const auto* link = &disk.backing; *link && (*link)->type; link = &(*link)->backing) check_source((*link)->source);
    });
    doc.check("driver", [&] {
        if (disk.driver.rerror_policy == DiskErrorPolicy::enospace)
            unsupported("Invalid disk read error policy: '{}'", word(*disk.driver.rerror_policy));
    });
}

} // namespace lodge::xml
