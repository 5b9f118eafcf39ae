// What QEMU's answers say, as the structs of driver.hpp. Pure; members that a QEMU of another age does not have count as absent.
#pragma once
#include "drivers/driver.hpp"
#include "xml/domain/domain.hpp"
#include <nlohmann/json.hpp>
#include <set>

namespace lodge::drivers::qemu {

using nlohmann::json;

std::map<std::string, std::uint64_t> memory_figures(const json& guest_stats);                       // qom-get guest-stats
std::map<std::string, BlockStats> block_figures(const xml::Domain& domain, const json& blockstats); // query-blockstats
std::map<std::string, std::string> disk_errors(const xml::Domain& domain, const json& blocks);      // query-block
// Sizes of images by the number of their node in the block graph; `blockstats` adds how far the guest has written.
std::map<unsigned, ImageFigures> image_figures(const json& named_nodes, const json& blockstats);
std::vector<IoThreadInfo> iothread_figures(const json& iothreads); // query-iothreads
// Where QEMU has put DIMMs, and how much of virtio memory the guest has; query-memory-devices.
void take_memory_devices(xml::Domain& domain, const json& memory_devices);
// A guest has taken or given back virtio memory, by which its own grows or shrinks.
void take_memory_size(xml::Domain& domain, xml::MemoryDevice& memory, std::uint64_t kib);
DirtyRate dirty_rate_figures(const json& dirty_rate); // query-dirty-rate

// Which figures KVM keeps and how each is to be read: "sum", "cur", "max"; from query-stats-schemas.
std::map<std::string, std::string> kvm_schema(const json& schemas);
KvmFigures kvm_figures(const json& stats, const std::map<std::string, std::string>& schema); // an entry of query-stats

} // namespace lodge::drivers::qemu
