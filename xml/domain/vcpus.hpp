// Which CPUs of a guest are there: <vcpu current=…> says how many, <vcpus> says which and what may come and go.
#pragma once
#include "xml/domain/domain.hpp"
#include "xml/number_set.hpp"

namespace lodge::xml {

// One entry per possible CPU, whether the document has <vcpus> or not.
std::vector<VcpuEntry> vcpu_entries(const Domain& domain);
// Writes them back: the count always, the list when it says more than the count or was there before.
void set_vcpu_entries(Domain& domain, std::vector<VcpuEntry> entries, bool individually);

// The stored document gets `count` CPUs; those that join can be unplugged later when `hotpluggable`.
void set_vcpu_count(Domain& domain, unsigned count, bool hotpluggable);
// The stored document gets, or loses, these.
void set_vcpus_enabled(Domain& domain, const NumberSet& ids, bool enabled);

} // namespace lodge::xml
