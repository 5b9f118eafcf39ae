// <cachetune> and <memorytune>: groups of vCPUs that share an allocation of the host's caches and memory bandwidth.
#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

enum class Watched { cache, bandwidth };

struct Monitored {
    Watched what;
    NumberSet vcpus;
};
struct Group {
    NumberSet vcpus;
    bool allocates = false;
    std::set<std::string> caches; // "3/0/code"
    std::set<unsigned> nodes;
    std::vector<Monitored> monitors;
};

bool overlap(const NumberSet& a, const NumberSet& b) {
    return std::ranges::any_of(a, [&](unsigned number) { return b.contains(number); });
}

NumberSet vcpus_of(const Domain& d, const char* element, const std::string& text) {
    auto numbers = parse_number_set(text);
    if (!numbers) broken("Invalid {} attribute 'vcpus' value '{}'", element, text);
    std::erase_if(*numbers, [&](unsigned number) { return number >= d.max_vcpus(); });
    return std::move(*numbers);
}

// Null: there is no group of these vCPUs yet.
Group* find_group(std::vector<Group>& groups, const NumberSet& vcpus) {
    for (auto& group : groups) {
        if (group.vcpus == vcpus) return &group;
        if (overlap(group.vcpus, vcpus)) broken("Overlapping vcpus in resctrls");
    }
    return nullptr;
}

// "both" stands for code and data.
void add_cache(Group& group, const CacheAllocation& cache) {
    check_enumerated("type", "cache", cache.type, {"both", "code", "data"});
    unit_bytes(cache.unit, 1024);
    const auto place = fmt::format("{}/{}/", cache.level, cache.id);
    const bool both = cache.type == "both";
    if (group.caches.contains(place + cache.type) || group.caches.contains(place + "both") ||
        (both && (group.caches.contains(place + "code") || group.caches.contains(place + "data"))))
        rpc::fail(From::resctrl, Code::xml_error, "Colliding cache allocations for cache level '{}' id '{}', type '{}'",
                  cache.level, cache.id, cache.type);
    group.caches.insert(place + cache.type);
    group.allocates = true;
}

void add_bandwidth(Group& group, const MemoryBandwidth& memory) {
    if (!group.nodes.insert(memory.id).second)
        rpc::fail(From::resctrl, Code::xml_error, "Memory Bandwidth already defined for node {}", memory.id);
    group.allocates = true;
}

// A monitor watches all of its group's vCPUs or a part of them that no other one watches.
void add_monitor(Group& group, Watched what, NumberSet vcpus) {
    const auto refuse = [](std::string_view text) { rpc::fail(From::domain, Code::invalid_arg, "{}", text); };
    if (vcpus.empty()) refuse("vcpus is empty");
    if (!std::ranges::includes(group.vcpus, vcpus)) refuse("Monitor vcpus conflicts with allocation");
    const bool all = vcpus == group.vcpus;
    for (const auto& other : group.monitors) {
        if (vcpus == other.vcpus && what == other.what) refuse("Identical vcpus found in same type monitors");
        if (vcpus == other.vcpus) continue;
        const bool parts = !all && other.vcpus != group.vcpus;
        if ((parts || !group.allocates) && overlap(vcpus, other.vcpus)) refuse("vcpus overlaps in resctrl groups");
    }
    group.monitors.push_back({what, std::move(vcpus)});
}

} // namespace

void check_resource_groups(const Domain& d) {
    if (!d.cputune) return;
    std::vector<Group> groups;
    for (const auto& tune : d.cputune->cache_tunes) {
        auto vcpus = vcpus_of(d, "cachetune", tune.vcpus);
        if (vcpus.empty()) continue;
        if (find_group(groups, vcpus)) broken("Identical vcpus in cachetunes found");
        Group group;
        group.vcpus = std::move(vcpus);
        for (const auto& cache : tune.caches) add_cache(group, cache);
        for (const auto& monitor : tune.monitors) add_monitor(group, Watched::cache, vcpus_of(d, "monitor", monitor.vcpus));
        if (group.allocates || !group.monitors.empty()) groups.push_back(std::move(group));
    }
    for (const auto& tune : d.cputune->memory_tunes) {
        auto vcpus = vcpus_of(d, "memorytune", tune.vcpus);
        if (vcpus.empty()) continue;
        auto* known = find_group(groups, vcpus);
        if (!known) {
            known = &groups.emplace_back();
            known->vcpus = std::move(vcpus);
        }
        for (const auto& node : tune.nodes) add_bandwidth(*known, node);
        for (const auto& monitor : tune.monitors) add_monitor(*known, Watched::bandwidth, vcpus_of(d, "monitor", monitor.vcpus));
    }
}

} // namespace lodge::xml
