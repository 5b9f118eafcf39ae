// DIMMs, NVDIMMs and virtio's memory devices.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

constexpr std::uint64_t step_kib = 2048; // x86 guests plug memory in pieces of 2 MiB

} // namespace

Json backend_json(const Domain& domain, const MemoryDevice& memory, const BuildContext& ctx) {
    MemoryBackend backend;
    backend.id = "mem" + memory.info.alias;
    backend.file = memory.info.alias;
    backend.kib = (static_cast<std::uint64_t>(memory.target.size) + step_kib - 1) / step_kib * step_kib;
    backend.cell = memory.target.node;
    backend.access = memory.access;
    if (memory.discard) backend.discard = *memory.discard;
    if (memory.pagesize) backend.page_kib = *memory.pagesize;
    backend.nodes = memory.nodemask;
    backend.path = memory.path;
    backend.pmem = memory.pmem;
    switch (memory.model) {
    case MemoryModel::nvdimm:
        backend.prealloc = !memory.pmem;
        backend.never_prealloc = memory.pmem;
        break;
    case MemoryModel::virtio_pmem:
        backend.access = MemoryAccess::shared;
        backend.never_prealloc = true;
        break;
    case MemoryModel::virtio_mem:
        backend.reserve_nothing = true;
        backend.never_prealloc = true;
        break;
    default: break;
    }
    return memory_backend_json(domain, backend, ctx);
}

Json device_json(const Domain& domain, const MemoryDevice& memory, const BuildContext&) {
    Json json;
    const std::string backend = "mem" + memory.info.alias;
    switch (memory.model) {
    case MemoryModel::dimm: json["driver"] = "pc-dimm"; break;
    case MemoryModel::nvdimm: json["driver"] = "nvdimm"; break;
    case MemoryModel::virtio_pmem: json["driver"] = virtio_driver("virtio-pmem", memory.info); break;
    case MemoryModel::virtio_mem: json["driver"] = virtio_driver("virtio-mem", memory.info); break;
    default: rpc::fail(Code::config_unsupported, "memory model '{}' is not supported by this QEMU", word(memory.model));
    }
    if (memory.model != MemoryModel::virtio_pmem) put(json, "node", memory.target.node);
    if (memory.target.label) json["label-size"] = static_cast<std::uint64_t>(*memory.target.label) * 1024;
    if (memory.target.block) json["block-size"] = static_cast<std::uint64_t>(*memory.target.block) * 1024;
    if (memory.target.requested) json["requested-size"] = static_cast<std::uint64_t>(*memory.target.requested) * 1024;
    if (memory.model == MemoryModel::nvdimm && !memory.uuid.is_nil()) json["uuid"] = memory.uuid.text();
    if (memory.target.readonly) json["unarmed"] = true;
    json["memdev"] = backend;
    json["id"] = memory.info.alias;
    put_address(json, domain, memory.info);
    return json;
}

void add_memory_devices(Builder& builder) {
    for (const auto& memory : builder.domain.devices.memories) {
        builder.object(backend_json(builder.domain, memory, builder.ctx));
        builder.device(device_json(builder.domain, memory, builder.ctx));
    }
}

} // namespace lodge::drivers::qemu
