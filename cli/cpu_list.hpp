// Sets of host CPUs between libvirt's bit maps and what people write: "0-3,^2".
#pragma once
#include "cli/session.hpp"

#include <vector>

namespace lodge::cli {

int host_cpus(Session& session);
inline std::size_t cpu_map_length(int cpus) { return static_cast<std::size_t>(cpus + 7) / 8; }
inline bool in_cpu_map(const unsigned char* map, std::size_t length, std::size_t cpu) {
    return cpu / 8 < length && (map[cpu / 8] & (1u << cpu % 8)) != 0;
}

// "0-3,^2", or "r": all.
std::vector<unsigned char> read_cpus(const std::string& text, int cpus);
std::string write_cpus(const unsigned char* map, std::size_t length);

} // namespace lodge::cli
