// Where disks and NVRAM read from: what QEMU's block layer can do with it.
#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using xml::SourceType;
using xml::StorageFormat;
using xml::StorageProtocol;

namespace {

void check_format(const xml::StorageSource& source, StorageFormat format, bool readonly) {
    const bool folder = source.type == SourceType::dir;
    apply({{format == StorageFormat::cow, "'cow' storage format is not supported"},
           {format == StorageFormat::dir,
            "'directory' storage format is not directly supported by QEMU, use 'dir' disk type instead"},
           {format == StorageFormat::iso, "storage format 'iso' is not directly supported by QEMU, use 'raw' instead"},
           {format == StorageFormat::fat && source.type != SourceType::volume && !folder,
            "storage format 'fat' is supported only with 'dir' storage type"},
           {folder && format != StorageFormat::none && format != StorageFormat::fat,
            "storage type 'dir' requires use of storage format 'fat'"},
           {folder && !readonly, "virtual FAT storage can't be accessed in read-write mode"}});
}

void check_cookie(const xml::Cookie& cookie) {
    constexpr std::string_view separators = "()<>@,;:\\\"/[]?={} \t";
    constexpr std::string_view unsafe = " \",;\\";
    const auto is_plain = [](std::string_view text, std::string_view excluded) {
        return std::ranges::all_of(text, [&](unsigned char c) {
            return c > 0x20 && c < 0x7f && excluded.find(static_cast<char>(c)) == std::string_view::npos;
        });
    };
    const auto refuse = [&](const char* what) {
        rpc::fail(rpc::From::storage, rpc::Code::xml_error, "cookie '{}' {}", cookie.name, what);
    };
    if (cookie.name.empty()) rpc::fail(rpc::From::storage, rpc::Code::xml_error, "cookie name must not be empty");
    if (!is_plain(cookie.name, separators)) refuse("contains invalid characters");
    std::string_view value = cookie.value;
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"')) value = value.substr(1, value.size() - 2);
    if (!is_plain(value, unsafe)) refuse("value contains invalid characters");
}

void check_network(const xml::StorageSource& source) {
    using enum StorageProtocol;
    const bool network = source.type == SourceType::network;
    const auto over = [&](auto... protocols) { return network && ((source.protocol == protocols) || ...); };
    apply({{source.ssl_verify && !over(https, ftps), "ssl verification is supported only with HTTPS/FTPS protocol"},
           {!source.cookies.empty() && !over(https, http), "http cookies are supported only with HTTP(S) protocol"}});
    for (const auto& cookie : source.cookies) check_cookie(cookie);
    apply(
        {{source.readahead.value_or(0) && !over(https, http, ftp, ftps),
          "readahead is supported only with HTTP(S)/FTP(s) protocols"},
         {source.timeout.value_or(0) && !over(https, http, ftp, ftps), "timeout is supported only with HTTP(S)/FTP(s) protocols"},
         {!source.query.empty() && !over(https, http), "query is supported only with HTTP(S) protocols"},
         {over(tftp), "'tftp' protocol is not supported with this QEMU binary"}});
    if (!over(nfs)) return;
    apply({{source.hosts.size() != 1, "'nfs' protocol requires the usage of exactly one host"}});
    const auto& host = source.hosts.front();
    apply({{host.transport.value_or(xml::HostTransport::tcp) != xml::HostTransport::tcp, "'nfs' host must use TCP protocol"},
           {!host.port.empty() && host.port != "0", "port cannot be specified in 'nfs' protocol host"}});
}

} // namespace

void validate_encryption(const xml::Encryption& encryption, const xml::StorageSource& source, StorageFormat format) {
    using enum xml::EncryptionFormat;
    apply({{encryption.format == default_ || encryption.format == qcow, "old qcow/qcow2 encryption is not supported"}});
    const bool by_qemu = encryption.engine.value_or(xml::EncryptionEngine::qemu) == xml::EncryptionEngine::qemu;
    apply({{by_qemu && encryption.format == luks && format != StorageFormat::raw && format != StorageFormat::qcow2,
            "encryption is supported only with 'raw' and 'qcow2' image format"},
           {by_qemu && encryption.format == luks2, "luks2 is currently not supported by the qemu encryption engine"},
           {!by_qemu && source.type != SourceType::network && source.protocol != StorageProtocol::rbd,
            "librbd encryption is supported only with RBD backed disks"}});
    if (by_qemu && encryption.format == luks_any)
        rpc::fail(rpc::From::none, rpc::Code::internal_error, "Unexpected enum value 4 for virStorageEncryptionFormatType");
}

void validate_source(const xml::StorageSource& source, StorageFormat format, bool readonly) {
    check_format(source, format, readonly);
    check_network(source);
    if (source.encryption) validate_encryption(*source.encryption, source, format);
    apply({{!source.tls_hostname.empty() && (source.type != SourceType::network || source.protocol != StorageProtocol::nbd),
            "'tlsHostname' field is supported only with NBD disks"}});
}

} // namespace lodge::drivers::qemu
