// How fast the guest's CPUs reach its memory: heterogeneous memory attributes, told to the guest by ACPI.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

const char* hierarchy(unsigned cache) {
    switch (cache) {
    case 1: return "first-level";
    case 2: return "second-level";
    case 3: return "third-level";
    default: return "memory";
    }
}

void add_link(Builder& builder, const Interconnect& link, const char* what, const std::string& value) {
    builder.option("-numa", fmt::format("hmat-lb,initiator={},target={},hierarchy={},data-type={}-{},{}={}", link.initiator,
                                        link.target, hierarchy(link.cache.value_or(0)), link.type, what, what, value));
}

std::string qemu_associativity(const std::string& word) { return word == "full" ? "complex" : word; }
std::string qemu_policy(const std::string& word) {
    if (word == "writeback") return "write-back";
    if (word == "writethrough") return "write-through";
    return word;
}

void add_cache(Builder& builder, unsigned node, const CellCache& cache) {
    builder.option("-numa", fmt::format("hmat-cache,node-id={},size={}K,level={},associativity={},policy={},line={}", node,
                                        cache.size.value, cache.level, qemu_associativity(cache.associativity),
                                        qemu_policy(cache.policy), cache.line_size));
}

} // namespace

bool has_hmat(const Domain& domain) {
    if (!domain.cpu) return false;
    if (!domain.cpu->latencies.empty() || !domain.cpu->bandwidths.empty()) return true;
    for (const auto& cell : domain.cpu->cells)
        if (!cell.caches.empty()) return true;
    return false;
}

unsigned hmat_initiator(const Domain& domain, unsigned node) {
    // A cell without CPUs is reached from the one that a link names.
    if (!domain.cpu->cells[node].cpus.empty()) return node;
    for (const auto* links : {&domain.cpu->latencies, &domain.cpu->bandwidths})
        for (const auto& link : *links)
            if (link.target == node && link.cache.value_or(0) == 0) return link.initiator;
    return 0;
}

void add_hmat(Builder& builder) {
    if (!has_hmat(builder.domain)) return;
    const Cpu& cpu = *builder.domain.cpu;
    for (const auto& link : cpu.latencies) add_link(builder, link, "latency", std::to_string(link.value));
    for (const auto& link : cpu.bandwidths) {
        const std::uint64_t kib = link.value * unit_bytes(link.unit, 1024) / 1024;
        add_link(builder, link, "bandwidth", fmt::format("{}K", kib));
    }
    for (unsigned node = 0; node < cpu.cells.size(); ++node)
        for (const auto& cache : cpu.cells[node].caches) add_cache(builder, node, cache);
}

} // namespace lodge::drivers::qemu
