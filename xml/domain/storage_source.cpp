#include "xml/domain/storage_source.hpp"

namespace lodge::xml {

bool StorageSource::empty() const {
    switch (type) {
    case SourceType::file:
    case SourceType::block:
    case SourceType::dir:
    case SourceType::vhostuser: return path.empty();
    case SourceType::volume: return pool.empty() && volume.empty();
    case SourceType::network: return !protocol;
    case SourceType::nvme: return !nvme_namespace;
    }
    return true;
}

void describe(Doc& doc, SourceHost& host) {
    doc.attribute("name", host.name);
    doc.attribute("port", host.port);
    doc.attribute("transport", host.transport);
    doc.attribute("socket", host.socket);
}

void describe(Doc& doc, SecretReference& secret) {
    doc.attribute("type", secret.type);
    doc.attribute("uuid", secret.uuid);
    doc.attribute("usage", secret.usage);
}

void describe(Doc& doc, StorageAuth& auth) {
    doc.required("username", auth.username, Mark::blank);
    doc.child("secret", auth.secret);
}

void describe(Doc& doc, Cipher& cipher) {
    doc.attribute("name", cipher.name);
    doc.attribute("size", cipher.size);
    doc.attribute("mode", cipher.mode);
    doc.attribute("hash", cipher.hash);
}

void describe(Doc& doc, IvGen& ivgen) {
    doc.attribute("name", ivgen.name);
    doc.attribute("hash", ivgen.hash);
}

void describe(Doc& doc, Encryption& encryption) {
    doc.required("format", encryption.format);
    doc.attribute("engine", encryption.engine);
    doc.has_end_tag();
    doc.list("secret", encryption.secrets);
    doc.child("cipher", encryption.cipher);
    doc.child("ivgen", encryption.ivgen);
}

void describe(Doc& doc, Slice& slice) {
    doc.attribute("type", slice.type);
    if (!doc.when(slice.type == "storage")) return;
    doc.required("offset", slice.offset);
    doc.required("size", slice.size);
}

void describe(Doc& doc, Reservations& reservations) {
    doc.required("managed", reservations.managed);
    doc.group("source", [&] {
        doc.attribute("type", reservations.type);
        doc.attribute("path", reservations.path);
        doc.attribute("mode", reservations.mode);
    });
}

void describe(Doc& doc, Cookie& cookie) {
    doc.required("name", cookie.name, Mark::blank);
    doc.text(cookie.value);
}

void describe(Doc& doc, MetadataCache& cache) { doc.child("max_size", cache.max_size); }

namespace {

void describe_network_attributes(Doc& doc, StorageSource& source) {
    doc.required("protocol", source.protocol);
    doc.attribute("name", source.name);
    using enum StorageProtocol;
    if (doc.when(source.protocol == http || source.protocol == https)) doc.attribute("query", source.query);
    doc.attribute("tls", source.tls);
    doc.attribute("tlsHostname", source.tls_hostname);
}

void describe_network_children(Doc& doc, StorageSource& source) {
    doc.list("host", source.hosts);
    doc.group("snapshot", [&] { doc.attribute("name", source.snapshot); });
    doc.group("config", [&] { doc.attribute("file", source.config); });
    doc.group("initiator", [&] { doc.group("iqn", [&] { doc.attribute("name", source.initiator_iqn); }); });
    using enum StorageProtocol;
    const auto is = [&](auto... protocols) { return doc.when(((source.protocol == protocols) || ...)); };
    if (is(https, ftps)) doc.group("ssl", [&] { doc.attribute("verify", source.ssl_verify); });
    if (is(http, https)) doc.group("cookies", [&] { doc.list("cookie", source.cookies); });
    if (is(http, https, ftp, ftps)) {
        doc.group("readahead", [&] { doc.attribute("size", source.readahead, Mark::unless_zero); });
        doc.group("timeout", [&] { doc.attribute("seconds", source.timeout, Mark::unless_zero); });
    }
    if (!is(nfs)) return;
    doc.group("identity", [&] {
        doc.attribute("user", source.nfs_user);
        doc.attribute("group", source.nfs_group);
    });
}

void describe_nvme_attributes(Doc& doc, StorageSource& source) {
    std::string type = "pci";
    doc.required("type", type);
    doc.attribute("managed", source.managed);
    doc.required("namespace", source.nvme_namespace, Mark::wraps);
    if (doc.reading() && type != "pci") doc.refuse(Code::xml_error, fmt::format("unsupported source type '{}'", type));
}

void describe_vhostuser_attributes(Doc& doc, StorageSource& source) {
    std::string type = "unix";
    doc.required("type", type);
    doc.required("path", source.path);
    if (doc.reading() && type != "unix") doc.refuse(Code::xml_error, "invalid 'type' attribute for vhostuser disk source");
}

void describe_volume(Doc& doc, StorageSource& source) {
    doc.attribute("pool", source.pool);
    doc.attribute("volume", source.volume);
    doc.attribute("mode", source.volume_mode);
    doc.attribute("path", source.path, Mark::private_); // where it is while its guest runs
}

void describe_source_content(Doc& doc, StorageSource& source, bool numbered) {
    const auto is = [&](SourceType type) { return doc.when(source.type == type); };
    if (is(SourceType::file)) {
        doc.attribute("file", source.path);
        doc.attribute("fdgroup", source.fd_group);
    }
    if (is(SourceType::block)) doc.attribute("dev", source.path);
    if (is(SourceType::dir)) doc.attribute("dir", source.path);
    if (is(SourceType::network)) describe_network_attributes(doc, source);
    if (is(SourceType::volume)) describe_volume(doc, source);
    if (is(SourceType::nvme)) describe_nvme_attributes(doc, source);
    if (is(SourceType::vhostuser)) describe_vhostuser_attributes(doc, source);
    doc.attribute("startupPolicy", source.startup_policy);
    if (numbered) doc.attribute("index", source.index, Mark::live);

    if (is(SourceType::network)) describe_network_children(doc, source);
    if (is(SourceType::nvme)) doc.child("address", source.nvme_address, Mark::required);
    if (is(SourceType::vhostuser)) doc.child("reconnect", source.reconnect);
    doc.group("slices", [&] { doc.list("slice", source.slices); });
    if (doc.reading()) {
        std::erase_if(source.slices, [](const Slice& slice) { return slice.type != "storage"; });
        if (source.slices.size() > 1) source.slices.resize(1);
    }
    if (doc.when(source.type != SourceType::network)) doc.list("seclabel", source.labels);
    doc.child("auth", source.auth);
    doc.child("encryption", source.encryption);
    doc.child("reservations", source.reservations);
}

} // namespace

void describe_source(Doc& doc, StorageSource& source, const char* element, Mark marks, bool numbered) {
    doc.group(element, [&] { describe_source_content(doc, source, numbered); }, Mark::host | marks);
}

} // namespace lodge::xml
