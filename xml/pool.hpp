// A storage pool: <pool type='dir'>. One document for all fourteen types; what each of them needs and allows is a row of one
// table in pool.cpp.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"
#include "xml/domain/storage_source.hpp"
#include "xml/storage_parts.hpp"

namespace lodge::xml {

enum class PoolType { // numbered as libvirt's messages number them
    dir,
    fs,
    netfs,
    logical,
    disk,
    iscsi,
    iscsi_direct,
    scsi,
    mpath,
    rbd,
    sheepdog,
    gluster,
    zfs,
    vstorage,
};
std::span<const std::string_view> enum_words(PoolType);
// How values of <format type=''> are spelled for the volumes of a pool: as images, as partitions, or not at all.
enum class VolumeFormats { none, image, partition };

// What a type of pools asks of its <source>, in which formats it comes, and what its volumes are.
struct PoolTypeFacts {
    PoolType type;
    bool host = false, device = false, dir = false, adapter = false, name = false, iqn = false;
    bool network = false; // reached without a path on this host
    std::span<const std::string_view> formats{};
    std::string_view default_format{};
    VolumeFormats volumes = VolumeFormats::none;
};
const PoolTypeFacts& facts_of(PoolType type);
std::span<const std::string_view> volume_format_words(VolumeFormats formats);
std::string_view default_volume_format(VolumeFormats formats);

struct PoolHost {
    std::string name;
    std::optional<int> port;
};
struct PoolExtent {
    std::uint64_t start = 0, end = 0;
};
void describe(Doc& doc, PoolExtent& extent);
struct PoolDevice {
    std::string path;
    std::optional<YesNo> part_separator;
    std::vector<PoolExtent> free; // live
};
enum class PoolAdapterType { scsi_host, fc_host };
inline std::span<const std::string_view> enum_words(PoolAdapterType) {
    static constexpr std::string_view w[] = {"scsi_host", "fc_host"};
    return w;
}
struct ParentAddress { // the PCI device that a SCSI host belongs to
    std::optional<int> unique_id;
    std::optional<PciAddress> address;
};
struct PoolAdapter {
    std::optional<PoolAdapterType> type;
    std::string name;
    std::string parent, parent_wwnn, parent_wwpn, parent_fabric_wwn;
    std::optional<YesNo> managed;
    std::string wwnn, wwpn;
    std::optional<ParentAddress> parent_address;
};
enum class PoolAuthType { chap, ceph };
inline std::span<const std::string_view> enum_words(PoolAuthType) {
    static constexpr std::string_view w[] = {"chap", "ceph"};
    return w;
}
struct PoolAuth {
    std::optional<PoolAuthType> type;
    std::string username;
    std::optional<SecretReference> secret;
};
struct PoolSource {
    std::vector<PoolHost> hosts;
    std::vector<PoolDevice> devices;
    std::string dir;
    std::optional<PoolAdapter> adapter;
    std::string name;
    std::string initiator_iqn;
    std::string format;
    std::optional<PoolAuth> auth;
    std::string protocol_version;
    std::string vendor, product;
};
struct PoolTarget {
    std::string path;
    Permissions permissions;
};
enum class RefreshAllocation { default_, capacity };
inline std::span<const std::string_view> enum_words(RefreshAllocation) {
    static constexpr std::string_view w[] = {"default", "capacity"};
    return w;
}
struct MountOption {
    std::string name;
};
struct RbdOption {
    std::string name, value;
};

struct Pool {
    PoolType type = PoolType::dir;
    std::string name;
    rpc::Uuid uuid;
    Bytes capacity, allocation, available; // live
    std::optional<YesNo> cow;
    PoolSource source;
    PoolTarget target;
    std::optional<RefreshAllocation> refresh_allocation;
    std::vector<MountOption> mount_options; // fs, netfs
    std::vector<RbdOption> rbd_options;

    bool has_target() const;
};
void describe(Doc& doc, PoolSource& source);
void describe(Doc& doc, Pool& pool);

// Both elements are written even when nothing stands in them.
template<class T> struct AlwaysWritten {
    using Item = T;
    static constexpr bool always = false;
    static bool present(const T&) { return true; }
    static T* get(T& v) { return &v; }
    static T* emplace(T& v) { return v = T{}, &v; }
    static void clear(T& v) { v = T{}; }
};
template<> struct SlotTraits<PoolSource> : AlwaysWritten<PoolSource> {};
template<> struct SlotTraits<PoolTarget> : AlwaysWritten<PoolTarget> {};

// Reads, completes and checks a document as libvirt does.
Pool parse_pool(const std::string& text, const ReadOptions& options = {});
std::string format_pool(const Pool& pool);
// Brings what was read into libvirt's normal form and refuses what reading alone cannot see.
void normalize_pool(Pool& pool);

// <source> alone, as virConnectFindStoragePoolSources takes it; and what it answers.
PoolSource parse_pool_source(const std::string& text, PoolType type);
std::string format_pool_sources(PoolType type, std::vector<PoolSource> sources);
// What virConnectGetStoragePoolCapabilities answers.
std::string format_pool_capabilities(const std::vector<PoolType>& supported);

} // namespace lodge::xml
