// What a guest's NUMA cells say of caches and of the ways between them (HMAT).
#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

bool is_one_of(const std::string& text, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, text) != words.end();
}

void check_caches(const NumaCell& cell) {
    std::set<unsigned> levels;
    for (const auto& cache : cell.caches) {
        if (!is_one_of(cache.associativity, {"none", "direct", "full"}))
            broken("Invalid cache associativity '{}'", cache.associativity);
        if (!is_one_of(cache.policy, {"none", "writeback", "writethrough"})) broken("Invalid cache policy '{}'", cache.policy);
        if (cache.level > 3) broken("Ain't nobody heard of that much cache level");
        if (!levels.insert(cache.level).second) broken("Cache level '{}' already defined", cache.level);
    }
}

const NumaCell* cell_of(const Cpu& cpu, unsigned id) {
    for (std::size_t i = 0; i < cpu.cells.size(); ++i)
        if (cpu.cells[i].id.value_or(static_cast<unsigned>(i)) == id) return &cpu.cells[i];
    return nullptr;
}

void check_way(const Cpu& cpu, const Interconnect& way) {
    if (!is_one_of(way.type, {"access", "read", "write"}))
        rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute 'type' in element 'interconnects': '{}'.", way.type);
    const auto* initiator = cell_of(cpu, way.initiator);
    const auto* target = cell_of(cpu, way.target);
    if (!initiator) broken("'initiator' refers to a non-existent NUMA node");
    if (!target) broken("'target' refers to a non-existent NUMA node");
    if (initiator->cpus.empty()) broken("NUMA nodes without CPUs can't be initiator");
    const auto level = way.cache.value_or(0);
    if (level && std::ranges::find(target->caches, level, &CellCache::level) == target->caches.end())
        broken("'cache' refers to a non-existent NUMA node cache");
}

} // namespace

void check_hmat(const Cpu& cpu) {
    for (const auto& cell : cpu.cells) check_caches(cell);
    std::set<std::tuple<bool, unsigned, unsigned, unsigned, std::string>> seen;
    std::set<std::pair<unsigned, unsigned>> links;
    for (const auto* ways : {&cpu.latencies, &cpu.bandwidths})
        for (const auto& way : *ways) {
            check_way(cpu, way);
            if (!seen.emplace(ways == &cpu.latencies, way.initiator, way.target, way.cache.value_or(0), way.type).second)
                broken("Duplicate info for NUMA latencies");
            if (way.initiator != way.target && links.contains({way.target, way.initiator})) broken("Link already defined");
            links.emplace(way.initiator, way.target);
        }
}

} // namespace lodge::xml
