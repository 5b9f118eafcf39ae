// Small files of /proc and /sys: they answer at once and are read where they are needed, on the control thread too.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lodge::drivers {

// The whole file, without a trailing line end; empty when it cannot be read.
std::string read_small_file(const std::string& path);
std::optional<std::uint64_t> read_number(const std::string& path); // decimal or 0x…
// "0-3,8" -> 0 1 2 3 8
std::vector<unsigned> parse_cpu_list(const std::string& text);
std::string format_cpu_list(const std::vector<unsigned>& cpus); // sorted input
// "MemTotal:  5335244 kB" of a meminfo file; 0 when there is no such line.
std::uint64_t meminfo_kib(const std::string& text, const std::string& key);

} // namespace lodge::drivers
