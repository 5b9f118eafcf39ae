// Where bytes of a disk come from: files, block devices, volumes, the network. Used by disks, their backing chains and mirrors,
// and by NVRAM.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class SourceType { file, block, dir, network, volume, nvme, vhostuser };
inline std::span<const std::string_view> enum_words(SourceType) {
    static constexpr std::string_view w[] = {"file", "block", "dir", "network", "volume", "nvme", "vhostuser"};
    return w;
}
enum class StorageProtocol { nbd, rbd, sheepdog, gluster, iscsi, http, https, ftp, ftps, tftp, ssh, vxhs, nfs };
inline std::span<const std::string_view> enum_words(StorageProtocol) {
    static constexpr std::string_view w[] = {"nbd", "rbd",  "sheepdog", "gluster", "iscsi", "http", "https",
                                             "ftp", "ftps", "tftp",     "ssh",     "vxhs",  "nfs"};
    return w;
}
enum class HostTransport { tcp, unix_, rdma };
inline std::span<const std::string_view> enum_words(HostTransport) {
    static constexpr std::string_view w[] = {"tcp", "unix", "rdma"};
    return w;
}
enum class StorageFormat { none, raw, dir, bochs, cloop, dmg, iso, vpc, vdi, fat, vhd, ploop, luks, cow, qcow, qcow2, qed, vmdk };
inline std::span<const std::string_view> enum_words(StorageFormat) {
    static constexpr std::string_view w[] = {"none", "raw", "dir",   "bochs", "cloop", "dmg",  "iso",   "vpc", "vdi",
                                             "fat",  "vhd", "ploop", "luks",  "cow",   "qcow", "qcow2", "qed", "vmdk"};
    return w;
}
enum class StartupPolicy { mandatory, requisite, optional };
inline std::span<const std::string_view> enum_words(StartupPolicy) {
    static constexpr std::string_view w[] = {"mandatory", "requisite", "optional"};
    return w;
}
enum class VolumeMode { host, direct };
inline std::span<const std::string_view> enum_words(VolumeMode) {
    static constexpr std::string_view w[] = {"host", "direct"};
    return w;
}

enum class Sgio { default_, filtered, unfiltered };
inline std::span<const std::string_view> enum_words(Sgio) {
    static constexpr std::string_view w[] = {"default", "filtered", "unfiltered"};
    return w;
}
struct SourceHost { // <host name port> or <host transport='unix' socket>
    std::string name;
    std::string port;
    std::optional<HostTransport> transport;
    std::string socket;
};
struct SecretReference { // <secret type='ceph' uuid='…'/>
    std::string type;
    rpc::Uuid uuid;
    std::string usage;
};
struct StorageAuth {
    std::string username;
    SecretReference secret;
};
struct Cipher {
    std::uint32_t size = 0;
    std::string name, mode, hash;
};
struct IvGen {
    std::string name, hash;
};
enum class EncryptionFormat { default_, qcow, luks, luks2, luks_any };
inline std::span<const std::string_view> enum_words(EncryptionFormat) {
    static constexpr std::string_view w[] = {"default", "qcow", "luks", "luks2", "luks-any"};
    return w;
}
enum class EncryptionEngine { qemu, librbd };
inline std::span<const std::string_view> enum_words(EncryptionEngine) {
    static constexpr std::string_view w[] = {"qemu", "librbd"};
    return w;
}
struct Encryption {
    EncryptionFormat format = EncryptionFormat::default_;
    std::optional<EncryptionEngine> engine;
    std::vector<SecretReference> secrets;
    std::optional<Cipher> cipher;
    std::optional<IvGen> ivgen;
};
struct Slice {
    std::string type; // "storage"
    std::uint64_t offset = 0, size = 0;
};
struct Reservations { // SCSI persistent reservations
    YesNo managed;
    std::string type, path, mode; // of <source> when not managed
};
struct Cookie {
    std::string name, value;
};

struct StorageSource {
    SourceType type = SourceType::file;
    std::string path;     // file=, dev=, dir=; path= of vhostuser
    std::string fd_group; // fdgroup= of a file
    // network
    std::optional<StorageProtocol> protocol;
    std::string name; // name=
    std::string query;
    std::optional<YesNo> tls;
    std::string tls_hostname;
    std::vector<SourceHost> hosts;
    std::string snapshot, config;
    std::string initiator_iqn;
    std::optional<YesNo> ssl_verify;
    std::vector<Cookie> cookies;
    std::optional<std::uint64_t> readahead, timeout;
    std::string nfs_user, nfs_group;
    // volume
    std::string pool, volume;
    std::optional<VolumeMode> volume_mode;
    // nvme
    std::optional<std::uint64_t> nvme_namespace;
    std::optional<YesNo> managed;
    PciAddress nvme_address;
    // vhostuser
    std::optional<Reconnect> reconnect;

    std::vector<Slice> slices;
    std::optional<StorageAuth> auth;
    std::optional<Encryption> encryption;
    std::optional<Reservations> reservations;
    std::vector<SourceLabel> labels;
    std::optional<StartupPolicy> startup_policy;
    std::optional<std::uint32_t> index; // of the running guest's block graph

    // Nothing to read from: an empty drive.
    bool empty() const;
};
void describe(Doc&, SourceHost&);
void describe(Doc&, SecretReference&);
void describe(Doc&, StorageAuth&);
void describe(Doc&, Cipher&);
void describe(Doc&, IvGen&);
void describe(Doc&, Encryption&);
void describe(Doc&, Slice&);
void describe(Doc&, Reservations&);
void describe(Doc&, Cookie&);
// The <source> element, or what stands for it; `source.type` is an attribute of its parent, which describes it first.
// A parent that shows the number of the node itself says so.
void describe_source(Doc&, StorageSource&, const char* element = "source", Mark marks = Mark::none, bool numbered = true);

struct MetadataCache {
    std::optional<Bytes> max_size;
};
void describe(Doc&, MetadataCache&);

} // namespace lodge::xml
