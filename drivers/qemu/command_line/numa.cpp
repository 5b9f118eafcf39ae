// NUMA cells of the guest, their distances and memory attributes.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

std::string cpu_words(const std::string& cpus) {
    std::string words;
    for (const auto& [first, last] : ranges(cpus))
        words += first == last ? fmt::format(",cpus={}", first) : fmt::format(",cpus={}-{}", first, last);
    return words;
}

MemoryBackend cell_backend(const NumaCell& cell, unsigned number) {
    MemoryBackend backend;
    backend.id = fmt::format("ram-node{}", number);
    backend.kib = rounded_to_mib(cell.memory_kib);
    backend.cell = number;
    backend.access = cell.access;
    if (cell.discard) backend.discard = *cell.discard;
    return backend;
}

// Old machine types take the size alone, and guests that were started so cannot migrate to the new form.
bool by_size_alone(const Builder& builder, const std::vector<NumaCell>& cells) {
    if (!builder.ctx.emulator.numa_mem) return false;
    for (unsigned i = 0; i < cells.size(); ++i)
        if (memory_is_special(builder.domain, cell_backend(cells[i], i))) return false;
    return true;
}

void add_distances(Builder& builder, const std::vector<NumaCell>& cells) {
    const auto distance = [&](unsigned from, unsigned to) -> unsigned {
        for (const auto& sibling : cells[from].distances)
            if (sibling.id == to && sibling.value) return sibling.value;
        for (const auto& sibling : cells[to].distances)
            if (sibling.id == from && sibling.value) return sibling.value;
        return from == to ? 10 : 20;
    };
    bool any = false;
    for (const auto& cell : cells) any = any || !cell.distances.empty();
    if (!any) return;
    for (unsigned from = 0; from < cells.size(); ++from)
        for (unsigned to = 0; to < cells.size(); ++to)
            builder.option("-numa", fmt::format("dist,src={},dst={},val={}", from, to, distance(from, to)));
}

} // namespace

void add_numa(Builder& builder) {
    const auto& cells = numa_cells(builder.domain);
    if (cells.empty()) return;
    if (const auto& tune = builder.domain.numatune) {
        if (tune->memory) require_host_nodes(builder.ctx, tune->memory->nodeset);
        for (const auto& node : tune->nodes) require_host_nodes(builder.ctx, node.nodeset);
    }
    const bool plain = by_size_alone(builder, cells);
    if (plain && allocates_at_once(builder.domain)) builder.option("-mem-prealloc");
    for (unsigned number = 0; number < cells.size(); ++number) {
        const MemoryBackend backend = cell_backend(cells[number], number);
        if (!plain) builder.object(memory_backend_json(builder.domain, backend, builder.ctx));
        std::string words = fmt::format("node,nodeid={}{}", number, cpu_words(cells[number].cpus));
        if (has_hmat(builder.domain)) words += fmt::format(",initiator={}", hmat_initiator(builder.domain, number));
        words += plain ? fmt::format(",mem={}", backend.kib / 1024) : fmt::format(",memdev={}", backend.id);
        builder.option("-numa", words);
    }
    add_distances(builder, cells);
    add_hmat(builder);
}

} // namespace lodge::drivers::qemu
