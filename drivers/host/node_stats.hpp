// What the machine we run on is doing right now: CPU times, free memory and pages, and the kernel's merging of equal pages.
// Plain reads below `root`, as in node.hpp.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lodge::drivers {

struct CpuTimes { // nanoseconds since boot
    std::uint64_t user = 0, kernel = 0, idle = 0, iowait = 0;
};
// Of one CPU, or of all with cpu = -1; none: there is no such CPU.
std::optional<CpuTimes> host_cpu_times(int cpu, const std::string& root = "");

struct CpuMap {
    std::vector<bool> online; // of every CPU that is present
    unsigned count() const;
};
CpuMap host_cpu_map(const std::string& root = "");

struct MemoryFigures { // KiB
    std::uint64_t total = 0, free = 0, buffers = 0, cached = 0;
};
MemoryFigures host_memory(const std::string& root = "");
// Of a NUMA cell only total and free are known. A kernel without NUMA has one cell.
unsigned host_cells(const std::string& root = "");
std::optional<MemoryFigures> host_cell_memory(unsigned cell, const std::string& root = "");
std::uint64_t host_free_bytes();

// Free pages of a size, of a cell or (-1) of all; none: the kernel has no such pages.
std::optional<std::uint64_t> host_free_pages(unsigned size_kib, int cell, const std::string& root = "");
// Sets how many pages of a size there are (or adds to it). Throws Code::operation_failed or system_error.
void host_allocate_pages(unsigned size_kib, int cell, std::uint64_t count, bool add, const std::string& root = "");

// /sys/kernel/mm/ksm/NAME.
std::optional<std::uint64_t> host_ksm(const std::string& name, const std::string& root = "");
void host_set_ksm(const std::string& name, std::uint64_t value, const std::string& root = "");

// What the firmware says of the board: bios, system, baseBoard, chassis -> name -> value. Empty: nothing.
std::map<std::string, std::vector<std::pair<std::string, std::string>>> host_smbios(const std::string& root = "");

// Models that libvirt's CPU map knows for an architecture, in the map's order.
std::vector<std::string> host_cpu_models(const std::string& arch, const std::string& root = "");
// Is this an architecture that libvirt has a name for?
bool is_architecture(const std::string& arch);

} // namespace lodge::drivers
