#include "daemon/cpu_maps.hpp"
#include "rpc/error.hpp"

namespace lodge::daemon {

using rpc::Code;
using rpc::fail;

xml::NumberSet read_cpu_map(const rpc::Opaque& map, const char* what) {
    xml::NumberSet cpus;
    for (unsigned bit = 0; bit < map.size() * 8; ++bit)
        if (map[bit / 8] & (1u << bit % 8)) cpus.insert(bit);
    if (cpus.empty()) fail(Code::invalid_arg, "Empty {} list for pinning", what);
    return cpus;
}

void write_cpu_map(rpc::Opaque& out, std::size_t at, std::size_t length, const xml::NumberSet& cpus) {
    for (const unsigned cpu : cpus)
        if (cpu / 8 < length) out[at + cpu / 8] = static_cast<std::uint8_t>(out[at + cpu / 8] | (1u << cpu % 8));
}

rpc::Opaque cpu_map_of(const xml::NumberSet& cpus) {
    rpc::Opaque map(cpus.empty() ? 0 : *cpus.rbegin() / 8 + 1);
    write_cpu_map(map, 0, map.size(), cpus);
    return map;
}

} // namespace lodge::daemon
