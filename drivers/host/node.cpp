#include "drivers/host/node.hpp"
#include "drivers/driver.hpp"
#include "drivers/host/sysfs.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sys/utsname.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers {

std::string host_architecture() {
    utsname name{};
    ::uname(&name);
    return name.machine;
}

std::string host_name() {
    utsname name{};
    ::uname(&name);
    return name.nodename;
}

rpc::Uuid host_uuid(const std::string& root) {
    for (const char* file : {"/sys/class/dmi/id/product_uuid", "/etc/machine-id"}) {
        const auto uuid = rpc::Uuid::parse(read_small_file(root + file));
        // Boards whose maker forgot it say all zero or all one.
        if (uuid && std::adjacent_find(uuid->bytes.begin(), uuid->bytes.end(), std::not_equal_to<>()) != uuid->bytes.end())
            return *uuid;
    }
    static const rpc::Uuid fallback = rpc::Uuid::random();
    return fallback;
}

// Numbers N of the entries "prefixN" of a folder, in order.
static std::vector<unsigned> numbered(const std::string& folder, const std::string& prefix) {
    std::vector<unsigned> numbers;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
        char* end = nullptr;
        const auto number = std::strtoul(name.c_str() + prefix.size(), &end, 10);
        if (*end == 0) numbers.push_back(static_cast<unsigned>(number));
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

static std::vector<unsigned> online_list(const std::string& root) {
    auto cpus = parse_cpu_list(read_small_file(root + "/sys/devices/system/cpu/online"));
    if (cpus.empty())
        for (long cpu = 0; cpu < std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)); ++cpu) cpus.push_back(static_cast<unsigned>(cpu));
    return cpus;
}

unsigned online_cpus(const std::string& root) { return static_cast<unsigned>(online_list(root).size()); }

static HostCpu read_cpu(const std::string& root, unsigned id) {
    const std::string folder = root + fmt::format("/sys/devices/system/cpu/cpu{}/topology/", id);
    const auto number = [&](const char* file) {
        const std::string text = read_small_file(folder + file);
        return text.empty() ? 0 : std::max(0, std::atoi(text.c_str())); // -1: the firmware does not say
    };
    HostCpu cpu{id, number("physical_package_id"), number("die_id"), number("core_id"), {}};
    cpu.siblings = parse_cpu_list(read_small_file(folder + "thread_siblings_list"));
    if (cpu.siblings.empty()) cpu.siblings = {id};
    return cpu;
}

static std::vector<HostPages> read_pages(const std::string& node, std::uint64_t memory_kib) {
    std::vector<HostPages> pages;
    std::uint64_t huge_kib = 0;
    for (const unsigned size : [&] {
             std::vector<unsigned> sizes;
             std::error_code ignored;
             for (const auto& entry : fs::directory_iterator(node + "/hugepages", ignored)) {
                 const std::string name = entry.path().filename(); // hugepages-2048kB
                 if (name.starts_with("hugepages-")) sizes.push_back(static_cast<unsigned>(std::atoi(name.c_str() + 10)));
             }
             std::sort(sizes.begin(), sizes.end());
             return sizes;
         }()) {
        const auto count = read_number(fmt::format("{}/hugepages/hugepages-{}kB/nr_hugepages", node, size)).value_or(0);
        pages.push_back({size, count});
        huge_kib += count * size;
    }
    const auto page_kib = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
    pages.insert(pages.begin(), {page_kib, (memory_kib - std::min(memory_kib, huge_kib)) / page_kib});
    return pages;
}

// What the kernel shows of the firmware's HMAT. The numbers stand for words in the kernel's enumerations cache_indexing and
// cache_write_policy.
static std::vector<HostMemoryCache> read_memory_caches(const std::string& node) {
    const auto word = [](const std::string& file, std::initializer_list<const char*> words) -> std::string {
        const auto number = read_number(file).value_or(words.size());
        return number < words.size() ? words.begin()[number] : "none";
    };
    std::vector<HostMemoryCache> caches;
    for (const unsigned level : numbered(node + "/memory_side_cache", "index")) {
        const std::string folder = fmt::format("{}/memory_side_cache/index{}/", node, level);
        caches.push_back({level, read_number(folder + "size").value_or(0) / 1024,
                          static_cast<unsigned>(read_number(folder + "line_size").value_or(0)),
                          word(folder + "indexing", {"direct", "full"}),
                          word(folder + "write_policy", {"writeback", "writethrough"})});
    }
    return caches;
}

// access1 tells of processors alone, access0 of devices too.
static std::vector<HostAccess> read_accesses(const std::string& nodes) {
    std::vector<HostAccess> accesses;
    for (const unsigned target : numbered(nodes, "node")) {
        const std::string folder = fmt::format("{}/node{}/access1/initiators/", nodes, target);
        const auto number = [&](const char* file) { return read_number(folder + file).value_or(0); };
        for (const unsigned initiator : numbered(folder, "node"))
            accesses.push_back({initiator, target, number("read_bandwidth") * 1024, number("write_bandwidth") * 1024,
                                number("read_latency"), number("write_latency")});
    }
    std::ranges::sort(accesses, {}, [](const HostAccess& access) { return std::pair(access.initiator, access.target); });
    return accesses;
}

static std::vector<HostCell> read_cells(const std::string& root) {
    const auto online = online_list(root);
    const std::set<unsigned> is_online(online.begin(), online.end());
    std::vector<HostCell> cells;
    const std::string nodes = root + "/sys/devices/system/node";
    const auto ids = numbered(nodes, "node");
    for (const unsigned id : ids) {
        const std::string node = fmt::format("{}/node{}", nodes, id);
        HostCell cell;
        cell.id = id;
        cell.memory_kib = meminfo_kib(read_small_file(node + "/meminfo"), "MemTotal");
        cell.pages = read_pages(node, cell.memory_kib);
        const std::string distances = read_small_file(node + "/distance");
        const char* at = distances.c_str();
        for (const unsigned other : ids) {
            char* end = nullptr;
            const auto value = std::strtoul(at, &end, 10);
            if (end == at) break;
            cell.distances.emplace_back(other, static_cast<unsigned>(value));
            at = end;
        }
        cell.caches = read_memory_caches(node);
        for (const unsigned cpu : parse_cpu_list(read_small_file(node + "/cpulist")))
            if (is_online.contains(cpu)) cell.cpus.push_back(read_cpu(root, cpu));
        cells.push_back(std::move(cell));
    }
    if (!cells.empty()) return cells;
    HostCell only; // a kernel without NUMA
    only.memory_kib = meminfo_kib(read_small_file(root + "/proc/meminfo"), "MemTotal");
    only.pages = read_pages(root + "/sys/kernel/mm", only.memory_kib);
    for (const unsigned cpu : online) only.cpus.push_back(read_cpu(root, cpu));
    cells.push_back(std::move(only));
    return cells;
}

static std::vector<HostCache> read_caches(const std::string& root) {
    std::map<std::pair<unsigned, unsigned>, HostCache> found; // by level and id
    unsigned last_level = 0;
    for (const unsigned cpu : online_list(root)) {
        const std::string folder = root + fmt::format("/sys/devices/system/cpu/cpu{}/cache", cpu);
        for (const unsigned index : numbered(folder, "index")) {
            const std::string cache = fmt::format("{}/index{}/", folder, index);
            HostCache bank;
            bank.level = static_cast<unsigned>(read_number(cache + "level").value_or(0));
            bank.id = static_cast<unsigned>(read_number(cache + "id").value_or(0));
            const std::string type = read_small_file(cache + "type");
            bank.type = type == "Unified" ? "both" : type == "Instruction" ? "code" : "data";
            bank.size_kib = read_number(cache + "size").value_or(0);
            bank.cpus = read_small_file(cache + "shared_cpu_list");
            last_level = std::max(last_level, bank.level);
            if (bank.level >= 3) found.try_emplace({bank.level, bank.id}, bank);
        }
    }
    std::vector<HostCache> caches;
    for (auto& [key, bank] : found)
        if (key.first == last_level) caches.push_back(std::move(bank));
    return caches;
}

HostTopology host_topology(const std::string& root) {
    HostTopology topology;
    topology.cells = read_cells(root);
    topology.accesses = read_accesses(root + "/sys/devices/system/node");
    topology.caches = read_caches(root);
    std::set<int> sockets;
    std::map<int, std::set<int>> dies;                  // of a socket
    std::map<std::pair<int, int>, std::set<int>> cores; // of a die
    unsigned threads = 1, count = 0;
    for (const auto& cell : topology.cells) {
        for (const auto& cpu : cell.cpus) {
            sockets.insert(cpu.socket);
            dies[cpu.socket].insert(cpu.die);
            cores[{cpu.socket, cpu.die}].insert(cpu.core);
            threads = std::max(threads, static_cast<unsigned>(cpu.siblings.size()));
            ++count;
        }
    }
    std::size_t die_count = 1, core_count = 1;
    for (const auto& [socket, set] : dies) die_count = std::max(die_count, set.size());
    for (const auto& [die, set] : cores) core_count = std::max(core_count, set.size());
    topology.sockets = static_cast<unsigned>(std::max<std::size_t>(1, sockets.size()));
    topology.dies = static_cast<unsigned>(die_count);
    topology.cores = static_cast<unsigned>(core_count);
    topology.threads = threads;
    // A lopsided machine cannot be told by four numbers: then all CPUs count as cores of one socket.
    if (topology.sockets * topology.dies * topology.cores * topology.threads != count) {
        topology.sockets = topology.dies = topology.threads = 1;
        topology.cores = count;
    }
    return topology;
}

NodeInfo node_info(const std::string& root) {
    const HostTopology topology = host_topology(root);
    NodeInfo info;
    info.model = host_architecture();
    info.cpus = online_cpus(root);
    info.nodes = static_cast<unsigned>(topology.cells.size());
    const std::string cpuinfo = read_small_file(root + "/proc/cpuinfo");
    if (const auto at = cpuinfo.find("cpu MHz"); at != std::string::npos)
        if (const auto colon = cpuinfo.find(':', at); colon != std::string::npos)
            info.mhz = static_cast<unsigned>(std::atof(cpuinfo.c_str() + colon + 1));
    for (const auto& cell : topology.cells) info.memory_kib += cell.memory_kib;
    // Sockets are counted per NUMA cell here; where that does not come out even, all is one cell.
    info.cores = topology.cores * topology.dies;
    info.threads = topology.threads;
    info.sockets = topology.sockets / info.nodes;
    if (info.nodes * info.sockets * info.cores * info.threads != info.cpus) {
        info.nodes = info.sockets = info.threads = 1;
        info.cores = info.cpus;
    }
    return info;
}

} // namespace lodge::drivers
