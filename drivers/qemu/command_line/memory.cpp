// -m and the objects that guest memory lives in: anonymous by default; a file or memfd when it is shared with helper processes,
// huge, or bound to host nodes.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

constexpr std::uint64_t mib = 1024; // in KiB

std::uint64_t rounded(std::uint64_t kib, std::uint64_t step) { return (kib + step - 1) / step * step; }

bool contains(const std::string& set, unsigned number) {
    for (const auto& [first, last] : ranges(set))
        if (number >= first && number <= last) return true;
    return false;
}

// Size of the huge pages that this memory is made of; 0: ordinary ones, or the host's default huge size as `any`.
constexpr std::uint64_t any = ~std::uint64_t{0};
std::uint64_t page_size(const Domain& domain, const MemoryBackend& backend) {
    if (backend.page_kib) return *backend.page_kib;
    if (!memory_backing(domain).huge_pages) return 0;
    const auto& pages = memory_backing(domain).huge_pages->pages;
    std::uint64_t general = pages.empty() ? any : 0;
    for (const auto& page : pages) {
        if (page.nodeset.empty())
            general = page.size_kib;
        else if (contains(page.nodeset, backend.cell.value_or(0)))
            return page.size_kib;
    }
    return general;
}

const Hugepages* mount_of(const BuildContext& ctx, std::uint64_t page_kib) {
    if (page_kib == any) return ctx.hugepages.empty() ? nullptr : &ctx.hugepages.front();
    for (const auto& mount : ctx.hugepages)
        if (mount.kib == page_kib) return &mount;
    return nullptr;
}

constexpr std::uint64_t small_page_kib = 4;

bool is_huge(std::uint64_t page_kib) { return page_kib != 0 && page_kib != small_page_kib; }

std::optional<MemoryAccess> access_of(const Domain& domain, const MemoryBackend& backend) {
    if (backend.access && *backend.access != MemoryAccess::default_) return backend.access;
    const auto access = memory_backing(domain).access;
    if (access && *access != MemoryAccess::default_) return access;
    return std::nullopt;
}

bool by_memfd(const Domain& domain) { return memory_backing(domain).source == BackingSource::memfd; }
bool by_file(const Domain& domain) { return memory_backing(domain).source == BackingSource::file; }

bool on_demand(const Domain& domain) {
    const auto& allocation = memory_backing(domain).allocation;
    return allocation && allocation->mode == BackingAllocation::ondemand;
}

void put_kind(Json& json, const Domain& domain, const MemoryBackend& backend, const BuildContext& ctx) {
    const std::uint64_t page = page_size(domain, backend);
    const char* kind = "memory-backend-ram";
    std::string path;
    if (!backend.path.empty()) {
        kind = "memory-backend-file";
        path = backend.path;
    } else if (by_memfd(domain)) {
        kind = "memory-backend-memfd";
    } else if (is_huge(page)) {
        const Hugepages* mount = mount_of(ctx, page);
        if (!mount && page == any)
            rpc::fail(Code::internal_error, "hugetlbfs filesystem is not mounted or disabled by administrator config");
        if (!mount) rpc::fail(Code::internal_error, "Unable to find any usable hugetlbfs mount for {} KiB", page);
        kind = "memory-backend-file";
        path = huge_pages_dir(*mount, domain, ctx);
    } else if (by_file(domain) || access_of(domain, backend)) {
        kind = "memory-backend-file";
        path = fmt::format("{}/{}", memory_files_dir(domain, ctx), backend.file.empty() ? backend.id : backend.file);
    }
    json["qom-type"] = kind;
    json["id"] = backend.id;
    put(json, "mem-path", path);
    if (by_memfd(domain) && is_huge(page) && backend.path.empty()) {
        json["hugetlb"] = true;
        if (page != any) json["hugetlbsize"] = page * 1024;
    }
    const bool file_like = std::string_view(kind) != "memory-backend-ram";
    const bool discard = backend.discard.value_or(memory_backing(domain).discard);
    if (discard && kind == std::string_view("memory-backend-file")) json["discard-data"] = true;
    if (const auto access = access_of(domain, backend); access && file_like) json["share"] = *access == MemoryAccess::shared;
    // The block's name goes into migration streams; machine types expect the old one.
    if (backend.system && file_like) json["x-use-canonical-path-for-ramblock-id"] = false;
}

void put_prealloc(Json& json, const Domain& domain, const MemoryBackend& backend) {
    if (backend.never_prealloc) return;
    const bool huge = is_huge(page_size(domain, backend)) && !on_demand(domain);
    if (!huge && !backend.prealloc && !allocates_at_once(domain)) return;
    json["prealloc"] = true;
    if (memory_backing(domain).allocation) put(json, "prealloc-threads", memory_backing(domain).allocation->threads);
}

struct HostNodes {
    std::string nodes;
    NumaMode mode = NumaMode::strict;
};

// A cell's own binding goes before the guest's.
HostNodes host_nodes(const Domain& domain, const MemoryBackend& backend) {
    HostNodes out{backend.nodes, NumaMode::strict};
    if (!domain.numatune) return out;
    const auto& general = domain.numatune->memory;
    if (general) out.mode = general->mode.value_or(NumaMode::strict);
    if (!out.nodes.empty()) return out;
    if (general) out.nodes = general->nodeset;
    for (const auto& node : domain.numatune->nodes) {
        if (!backend.cell || node.cell != *backend.cell) continue;
        out.nodes = node.nodeset;
        out.mode = node.mode.value_or(out.mode);
    }
    return out;
}

bool is_bound(const HostNodes& host) { return !host.nodes.empty() && host.mode != NumaMode::restrictive; }

void put_host_nodes(Json& json, const HostNodes& host) {
    if (!is_bound(host)) return;
    json["host-nodes"] = Json::array();
    for (const auto& [first, last] : ranges(host.nodes))
        for (unsigned node = first; node <= last; ++node) json["host-nodes"].push_back(node);
    json["policy"] = host.mode == NumaMode::preferred ? "preferred" : host.mode == NumaMode::interleave ? "interleave" : "bind";
}

} // namespace

void require_host_nodes(const BuildContext& ctx, const std::string& nodes) {
    if (!ctx.host_nodes) return;
    for (const auto& [first, last] : ranges(nodes))
        for (unsigned node = first; node <= last; ++node)
            if (!contains(*ctx.host_nodes, node))
                rpc::fail(rpc::from_nobody, Code::config_unsupported, "NUMA node {} is unavailable", node);
}

std::string memory_files_dir(const Domain& domain, const BuildContext& ctx) {
    const std::string root = ctx.memory_dir.empty() ? ctx.lib + "/qemu/ram" : ctx.memory_dir;
    return fmt::format("{}/{}", root, short_name(domain, ctx.id));
}

std::string huge_pages_dir(const Hugepages& mount, const Domain& domain, const BuildContext& ctx) {
    return fmt::format("{}/libvirt/qemu/{}", mount.mount, short_name(domain, ctx.id));
}

bool memory_is_special(const Domain& domain, const MemoryBackend& backend) {
    return is_huge(page_size(domain, backend)) || by_memfd(domain) || by_file(domain) || access_of(domain, backend) ||
           is_bound(host_nodes(domain, backend));
}

Json memory_backend_json(const Domain& domain, const MemoryBackend& backend, const BuildContext& ctx) {
    Json json;
    put_kind(json, domain, backend, ctx);
    if (backend.reserve_nothing) json["reserve"] = false;
    put_prealloc(json, domain, backend);
    json["size"] = backend.kib * 1024;
    const HostNodes host = host_nodes(domain, backend);
    require_host_nodes(ctx, host.nodes);
    put_host_nodes(json, host);
    if (backend.pmem) json["pmem"] = true;
    return json;
}

const MemoryBacking& memory_backing(const Domain& domain) {
    static const MemoryBacking none;
    return domain.memory_backing ? *domain.memory_backing : none;
}

bool allocates_at_once(const Domain& domain) {
    const auto& allocation = memory_backing(domain).allocation;
    return allocation && allocation->mode == BackingAllocation::immediate;
}

const std::vector<NumaCell>& numa_cells(const Domain& domain) {
    static const std::vector<NumaCell> none;
    return domain.cpu ? domain.cpu->cells : none;
}

namespace {

// What the guest has at power-on: all but memory devices.
std::uint64_t initial_memory_kib(const Domain& domain) {
    std::uint64_t cells = 0, devices = 0;
    for (const auto& cell : numa_cells(domain)) cells += rounded(cell.memory_kib, mib);
    if (cells) return cells;
    for (const auto& memory : domain.devices.memories) devices += memory.target.size;
    const std::uint64_t total = domain.total_memory_kib();
    return rounded(total - std::min(total, devices), mib);
}

} // namespace

std::optional<MemoryBackend> system_memory(const Domain& domain, const BuildContext& ctx) {
    if (!numa_cells(domain).empty() || ctx.emulator.default_ram_id.empty()) return std::nullopt;
    MemoryBackend backend;
    backend.id = ctx.emulator.default_ram_id;
    backend.kib = initial_memory_kib(domain);
    backend.system = true;
    return backend;
}

std::uint64_t rounded_to_mib(std::uint64_t kib) { return rounded(kib, mib); }

void add_memory(Builder& builder) {
    const Domain& domain = builder.domain;
    const std::uint64_t kib = initial_memory_kib(domain);
    if (domain.max_memory)
        builder.option("-m", fmt::format("size={}k,slots={},maxmem={}k", kib, domain.max_memory->slots.value_or(0),
                                         rounded(domain.max_memory->size, mib)));
    else
        builder.option("-m", std::to_string(kib / mib));
    if (const auto system = system_memory(domain, builder.ctx)) builder.object(memory_backend_json(domain, *system, builder.ctx));
}

} // namespace lodge::drivers::qemu
