#include "drivers/host/sysfs.hpp"
#include "rpc/task.hpp"
#include <charconv>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace lodge::drivers {

std::string read_small_file(const std::string& path) {
    const rpc::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char buffer[16384];
    while (file) {
        const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
        if (n <= 0 || text.size() > 4 * 1024 * 1024) break;
        text.append(buffer, static_cast<std::size_t>(n));
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
    const std::string text = read_small_file(path);
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
    return text.empty() || end == text.c_str() ? std::nullopt : std::optional(value);
}

std::vector<unsigned> parse_cpu_list(const std::string& text) {
    std::vector<unsigned> cpus;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        unsigned first = 0;
        auto parsed = std::from_chars(at, end, first);
        if (parsed.ec != std::errc()) break;
        unsigned last = first;
        if (parsed.ptr < end && *parsed.ptr == '-') parsed = std::from_chars(parsed.ptr + 1, end, last);
        for (unsigned cpu = first; cpu <= last && last < 65536; ++cpu) cpus.push_back(cpu);
        at = parsed.ptr < end && *parsed.ptr == ',' ? parsed.ptr + 1 : end;
    }
    return cpus;
}

std::string format_cpu_list(const std::vector<unsigned>& cpus) {
    std::string text;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t j = i;
        while (j + 1 < cpus.size() && cpus[j + 1] == cpus[j] + 1) ++j;
        if (!text.empty()) text += ',';
        text += i == j ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[j]);
        i = j + 1;
    }
    return text;
}

std::uint64_t meminfo_kib(const std::string& text, const std::string& key) {
    for (std::size_t at = 0; (at = text.find(key + ":", at)) != std::string::npos; ++at) {
        // "Active:" is also the end of "NotActive:"; per-node files have "Node 0 " before the key.
        if (at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ')
            return std::strtoull(text.c_str() + at + key.size() + 1, nullptr, 10);
    }
    return 0;
}

} // namespace lodge::drivers
