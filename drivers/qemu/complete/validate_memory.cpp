// Memory that is plugged in, and what the guest's memory is made of.
#include "drivers/qemu/complete/validate.hpp"
#include <set>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::MemoryDevice;
using xml::MemoryModel;

namespace {

bool is_dimm(const MemoryDevice& memory) { return memory.model == MemoryModel::dimm || memory.model == MemoryModel::nvdimm; }

void check_device(const MemoryDevice& memory, unsigned slots, bool cells) {
    const bool pci = !memory.info.address || memory.info.is_pci();
    if (memory.model == MemoryModel::virtio_pmem) {
        apply({{!pci, "only 'pci' addresses are supported for the virtio-pmem device"}});
        return;
    }
    if (memory.model == MemoryModel::virtio_mem && !pci)
        unsupported(From::qemu, "only 'pci' addresses are supported for the {} device", xml::word(memory.model));
    apply({{is_dimm(memory) && memory.info.address && !memory.info.is(AddressType::dimm),
            "only 'dimm' addresses are supported for the pc-dimm device"},
           {cells && !memory.target.node, "target NUMA node needs to be specified for memory device"}});
    if (memory.info.is(AddressType::dimm) && memory.info.address->dimm.slot >= slots)
        unsupported(From::qemu, "memory device slot '{}' exceeds slots count '{}'", memory.info.address->dimm.slot, slots);
}

void check_conflicts(const std::vector<MemoryDevice>& memories) {
    std::set<unsigned> slots;
    std::set<std::uint64_t> bases;
    for (const auto& memory : memories) {
        if (!memory.info.is(AddressType::dimm)) continue;
        const auto& place = memory.info.address->dimm;
        if (!slots.insert(place.slot).second)
            unsupported(From::qemu, "memory device slot '{}' is already being used by another memory device", place.slot);
        if (place.base && place.base->value && !bases.insert(place.base->value).second)
            unsupported(From::qemu, "memory device base '0x{:x}' is already being used by another memory device",
                        place.base->value);
    }
}

} // namespace

void validate_memory_plug(const xml::Domain& domain) {
    const auto& memories = domain.devices.memories;
    const bool room = domain.max_memory && domain.max_memory->size > 0;
    apply({{!room && !memories.empty(), "cannot use/hotplug a memory device when domain 'maxMemory' is not defined"}});
    if (!room) return;
    const bool cells = domain.cpu && !domain.cpu->cells.empty();
    apply({{!cells, "At least one numa node has to be configured when enabling memory hotplug"}});
    const auto slots = domain.max_memory->slots.value_or(0);
    if (memories.size() > slots)
        unsupported(From::qemu, "memory device count '{}' exceeds slots count '{}'", memories.size(), slots);
    std::uint64_t plugged = 0;
    for (const auto& memory : memories) {
        plugged += memory.target.size;
        if (memory.model != MemoryModel::sgx_epc) check_device(memory, slots, cells);
    }
    check_conflicts(memories);
    const auto at_start = domain.total_memory_kib() - std::min<std::uint64_t>(plugged, domain.total_memory_kib());
    apply({{plugged > domain.max_memory->size - std::min<std::uint64_t>(at_start, domain.max_memory->size),
            "memory device total size exceeds hotplug space"}});
}

void validate_memory(const xml::Domain& domain) {
    const auto& backing = domain.memory_backing;
    if (!backing || !backing->huge_pages) return;
    apply({{backing->allocation && backing->allocation->mode == xml::BackingAllocation::ondemand,
            "hugepages are not allowed with memory allocation ondemand"},
           {backing->source == xml::BackingSource::anonymous, "hugepages are not allowed with anonymous memory source"}});
}

} // namespace lodge::drivers::qemu
