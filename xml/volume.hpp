// A storage volume: <volume>. What stands in <target> describes an image or a device; <backingStore> describes the one below it
// in the same way.
#pragma once
#include "xml/pool.hpp"

namespace lodge::xml {

enum class VolumeType { file, block, dir, network, netdir, ploop }; // numbered as VIR_STORAGE_VOL_*
inline std::span<const std::string_view> enum_words(VolumeType) {
    static constexpr std::string_view w[] = {"file", "block", "dir", "network", "netdir", "ploop"};
    return w;
}

struct VolumeDevice { // the part of a pool's device that a volume takes
    std::string path;
    std::vector<PoolExtent> extents;
};
struct Timestamp { // seconds.nanoseconds
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};
struct Timestamps {
    Timestamp access, modification, change, birth;
};
struct ClusterSize {
    std::uint64_t bytes = 0;
};
struct ImageFeatures {
    bool lazy_refcounts = false, extended_l2 = false;
};
struct VolumeTarget {
    std::string path;
    std::string format;
    Permissions permissions;
    std::optional<Timestamps> timestamps; // live
    std::optional<Encryption> encryption;
    std::string compat;
    bool nocow = false; // read only: a wish for the making of a volume
    std::optional<ClusterSize> cluster_size;
    std::optional<ImageFeatures> features;
};
struct Volume {
    std::optional<VolumeType> type;
    std::string name;
    std::string key;
    std::vector<VolumeDevice> devices; // live
    std::optional<Bytes> capacity, allocation;
    std::optional<Bytes> physical; // live
    VolumeTarget target;
    std::optional<VolumeTarget> backing;

    std::uint64_t capacity_bytes() const { return capacity ? capacity->value : 0; }
    std::uint64_t allocation_bytes() const { return allocation ? allocation->value : 0; }
};
void describe(Doc& doc, Volume& volume);

// Must a document say how large the volume is?
enum class CapacityRule { required, optional_with_backing, optional };
// Reads and checks a document for a pool of `type`. Format and permissions are complete afterwards, capacity and allocation are
// as given.
Volume parse_volume(const std::string& text, PoolType type, CapacityRule rule, const ReadOptions& options = {});
std::string format_volume(const Volume& volume);

template<> struct Traits<Timestamp> {
    static bool present(Timestamp) { return true; }
    static bool parse(Timestamp& time, std::string_view text);
    static void format(Timestamp time, std::string& out);
    static void random(Timestamp& time, Random& random);
};

} // namespace lodge::xml
