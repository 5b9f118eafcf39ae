#include "drivers/qemu/complete/steps.hpp"
#include <set>

namespace lodge::drivers::qemu {

using xml::MemoryDevice;
using xml::MemoryModel;

namespace {

// What the guest has while it boots: the cells of its NUMA topology, else <memory>.
std::uint64_t cell_memory(const xml::Domain& domain) {
    std::uint64_t kib = 0;
    if (domain.cpu)
        for (const auto& cell : domain.cpu->cells) kib += cell.memory_kib;
    return kib;
}

bool counts_as_memory(const MemoryDevice& memory) {
    return memory.model == MemoryModel::dimm || memory.model == MemoryModel::nvdimm || memory.model == MemoryModel::virtio_mem ||
           memory.model == MemoryModel::virtio_pmem;
}

} // namespace

// Cells say how much memory a new guest gets; of one that is only kept, its total stands.
void complete_memory(xml::Domain& domain, bool by_cells) {
    std::uint64_t devices = 0;
    for (const auto& memory : domain.devices.memories)
        if (counts_as_memory(memory)) devices += memory.target.size;
    if (const auto cells = cell_memory(domain); cells && (by_cells || !domain.total_memory_kib()))
        domain.set_total_memory_kib(cells + devices);
    const auto total = domain.total_memory_kib();
    if (!domain.current_memory || *domain.current_memory > total || !*domain.current_memory)
        domain.current_memory.emplace().value = total;
}

void assign_dimms(xml::Domain& domain) {
    std::set<unsigned> used;
    for (const auto& memory : domain.devices.memories)
        if (memory.info.is(xml::AddressType::dimm)) used.insert(memory.info.address->dimm.slot);
    for (auto& memory : domain.devices.memories) {
        const bool dimm = memory.model == MemoryModel::dimm || memory.model == MemoryModel::nvdimm;
        if (!dimm || memory.info.address) continue;
        auto& address = memory.info.address.emplace();
        address.type = xml::AddressType::dimm;
        while (!used.insert(address.dimm.slot).second) ++address.dimm.slot;
    }
}

} // namespace lodge::drivers::qemu
