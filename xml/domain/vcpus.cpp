#include "xml/domain/vcpus.hpp"
#include <algorithm>

namespace lodge::xml {

std::vector<VcpuEntry> vcpu_entries(const Domain& domain) {
    std::vector<VcpuEntry> entries(domain.max_vcpus());
    for (unsigned id = 0; id < entries.size(); ++id) {
        entries[id].id = id;
        entries[id].enabled = domain.vcpus.empty() && id < domain.online_vcpus();
    }
    for (const auto& given : domain.vcpus)
        if (given.id < entries.size()) entries[given.id] = given;
    return entries;
}

void set_vcpu_entries(Domain& domain, std::vector<VcpuEntry> entries, bool individually) {
    const auto online = std::ranges::count_if(entries, [](const VcpuEntry& entry) { return entry.enabled.value; });
    domain.set_online_vcpus(static_cast<unsigned>(online));
    if (!individually && domain.vcpus.empty()) return;
    // A list says of each whether it may go; those of a plain count may not.
    for (auto& entry : entries)
        if (!entry.hotpluggable) entry.hotpluggable = YesNo(!entry.enabled);
    domain.vcpus = std::move(entries);
}

void set_vcpu_count(Domain& domain, unsigned count, bool hotpluggable) {
    auto entries = vcpu_entries(domain);
    unsigned online = domain.online_vcpus();
    // The order in which they were plugged may no longer hold.
    for (auto& entry : entries) entry.order.reset();
    bool individually = false;
    for (auto entry = entries.begin(); entry != entries.end() && online < count; ++entry) {
        if (entry->enabled) continue;
        entry->enabled = true;
        entry->hotpluggable = YesNo(hotpluggable);
        individually = individually || hotpluggable;
        ++online;
    }
    for (auto entry = entries.rbegin(); entry != entries.rend() && online > count; ++entry) {
        if (!entry->enabled) continue;
        entry->enabled = false;
        entry->hotpluggable = YesNo(true);
        --online;
    }
    set_vcpu_entries(domain, std::move(entries), individually);
}

void set_vcpus_enabled(Domain& domain, const NumberSet& ids, bool enabled) {
    auto entries = vcpu_entries(domain);
    for (auto& entry : entries) {
        entry.order.reset();
        if (!ids.contains(entry.id)) continue;
        entry.enabled = enabled;
        entry.hotpluggable = YesNo(true);
    }
    set_vcpu_entries(domain, std::move(entries), true);
}

} // namespace lodge::xml
