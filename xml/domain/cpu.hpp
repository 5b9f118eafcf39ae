// <cpu>: what processor the guest sees.
#pragma once
#include "xml/domain/memory.hpp"

namespace lodge::xml {

enum class CpuMatch { minimum, exact, strict };
inline std::span<const std::string_view> enum_words(CpuMatch) {
    static constexpr std::string_view w[] = {"minimum", "exact", "strict"};
    return w;
}
enum class CpuMode { custom, host_model, host_passthrough, maximum };
inline std::span<const std::string_view> enum_words(CpuMode) {
    static constexpr std::string_view w[] = {"custom", "host-model", "host-passthrough", "maximum"};
    return w;
}
enum class CpuCheck { none, partial, full };
inline std::span<const std::string_view> enum_words(CpuCheck) {
    static constexpr std::string_view w[] = {"none", "partial", "full"};
    return w;
}
enum class CpuFallback { allow, forbid };
inline std::span<const std::string_view> enum_words(CpuFallback) {
    static constexpr std::string_view w[] = {"allow", "forbid"};
    return w;
}
enum class FeaturePolicy { force, require, optional, disable, forbid };
inline std::span<const std::string_view> enum_words(FeaturePolicy) {
    static constexpr std::string_view w[] = {"force", "require", "optional", "disable", "forbid"};
    return w;
}
enum class CacheMode { emulate, passthrough, disable };
inline std::span<const std::string_view> enum_words(CacheMode) {
    static constexpr std::string_view w[] = {"emulate", "passthrough", "disable"};
    return w;
}
enum class MaxPhysAddrMode { emulate, passthrough };
inline std::span<const std::string_view> enum_words(MaxPhysAddrMode) {
    static constexpr std::string_view w[] = {"emulate", "passthrough"};
    return w;
}
struct CpuModel {
    std::optional<CpuFallback> fallback;
    std::string vendor_id;
    std::string name;
};
struct CpuTopology {
    unsigned sockets = 1;
    std::optional<unsigned> dies;
    unsigned cores = 1, threads = 1;
};
struct CpuCache {
    std::optional<unsigned> level;
    CacheMode mode = CacheMode::emulate;
};
struct MaxPhysAddr {
    MaxPhysAddrMode mode = MaxPhysAddrMode::emulate;
    std::optional<unsigned> bits;
};
struct CpuFeature {
    std::optional<FeaturePolicy> policy;
    std::string name;
};
struct CellSibling {
    unsigned id = 0, value = 0;
};
struct CellCache {
    unsigned level = 0;
    std::string associativity, policy;
    Kibibytes size;
    unsigned line_size = 0; // bytes
};
struct NumaCell {
    std::optional<unsigned> id;
    std::string cpus; // "0-3,5"
    std::uint64_t memory_kib = 0;
    std::optional<MemoryAccess> access;
    std::optional<YesNo> discard;
    std::vector<CellSibling> distances;
    std::vector<CellCache> caches;
};
struct Interconnect { // latency or bandwidth between cells (HMAT)
    unsigned initiator = 0, target = 0;
    std::optional<unsigned> cache;
    std::string type;
    std::uint64_t value = 0;
    std::string unit;
};

struct Cpu {
    std::optional<CpuMode> mode;
    std::optional<CpuMatch> match;
    std::optional<CpuCheck> check;
    std::optional<OnOff> migratable;
    std::string arch; // CPUs of hosts and comparisons only
    std::optional<CpuModel> model;
    std::string vendor;
    std::optional<CpuTopology> topology;
    std::optional<CpuCache> cache;
    std::optional<MaxPhysAddr> max_phys_addr;
    std::vector<CpuFeature> features;
    std::vector<NumaCell> cells;
    std::vector<Interconnect> latencies, bandwidths;
};
void describe(Doc&, MaxPhysAddr&);
void describe(Doc&, CpuFeature&);
void describe(Doc&, CellCache&);
void describe(Doc&, Interconnect&);
void describe(Doc&, Cpu&);

} // namespace lodge::xml
