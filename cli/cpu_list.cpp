#include "cli/cpu_list.hpp"
#include "cli/handles.hpp"

namespace lodge::cli {

int host_cpus(Session& session) { return check(virNodeGetCPUMap(session.connection(), nullptr, nullptr, 0)); }

[[noreturn]] static void refuse(const std::string& text) {
    fail("Invalid cpulist '{0}': invalid argument: Failed to parse bitmap '{0}'", text);
}

std::vector<unsigned char> read_cpus(const std::string& text, int cpus) {
    std::vector<unsigned char> map(cpu_map_length(cpus));
    const auto set = [&](unsigned first, unsigned last, bool on) {
        for (unsigned cpu = first; cpu <= last && cpu < static_cast<unsigned>(cpus); ++cpu)
            map[cpu / 8] = static_cast<unsigned char>(on ? map[cpu / 8] | (1u << cpu % 8) : map[cpu / 8] & ~(1u << cpu % 8));
    };
    if (text == "r") return set(0, static_cast<unsigned>(cpus) - 1, true), map;
    for (const char* at = text.c_str(); *at;) {
        const bool off = *at == '^';
        if (off) ++at;
        char* end = nullptr;
        const auto first = std::strtoul(at, &end, 10);
        if (end == at) refuse(text);
        auto last = first;
        if (*end == '-') {
            at = end + 1;
            last = std::strtoul(at, &end, 10);
            if (end == at || last < first) refuse(text);
        }
        if (*end && *end != ',') refuse(text);
        set(static_cast<unsigned>(first), static_cast<unsigned>(last), !off);
        at = *end ? end + 1 : end;
    }
    return map;
}

std::string write_cpus(const unsigned char* map, std::size_t length) {
    std::string text;
    const auto is_set = [&](std::size_t cpu) { return in_cpu_map(map, length, cpu); };
    for (std::size_t cpu = 0; cpu < length * 8; ++cpu) {
        if (!is_set(cpu)) continue;
        const std::size_t first = cpu;
        while (is_set(cpu + 1)) ++cpu;
        text += fmt::format("{}{}", text.empty() ? "" : ",", first);
        if (cpu != first) text += fmt::format("-{}", cpu);
    }
    return text;
}

} // namespace lodge::cli
