// The host's CPUs, memory and pages, and its sleep.
#include "cli/commands.hpp"
#include "cli/cpu_list.hpp"
#include "cli/handles.hpp"
#include "cli/parameters.hpp"
#include "cli/typed_params.hpp"
#include "cli/xml_query.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <thread>

namespace lodge::cli {

namespace {

// ---- CPUs ----

void cpu_map(Session& session, const Arguments& arguments) {
    unsigned char* raw = nullptr;
    unsigned online = 0;
    const int count = check(virNodeGetCPUMap(session.connection(), &raw, &online, 0), "Unable to get cpu map");
    const std::unique_ptr<unsigned char, Releaser<::free>> map(raw);
    const auto length = cpu_map_length(count);
    std::string text;
    for (std::size_t cpu = 0; cpu < static_cast<std::size_t>(count); ++cpu) text += in_cpu_map(raw, length, cpu) ? 'y' : '-';
    Pairs out;
    out.add("present", "CPUs present:", count);
    out.add("online", "CPUs online:", online);
    out.add("map", "CPU map:", arguments.has("pretty") || session.json() ? write_cpus(raw, length) : text);
    session.show(out);
}

struct CpuField {
    std::string_view field, label, key;
};
constexpr CpuField cpu_fields[] = {
    {VIR_NODE_CPU_STATS_USER, "user:", "user"}, {VIR_NODE_CPU_STATS_KERNEL, "system:", "system"},
    {VIR_NODE_CPU_STATS_IDLE, "idle:", "idle"}, {VIR_NODE_CPU_STATS_IOWAIT, "iowait:", "iowait"},
    {VIR_NODE_CPU_STATS_INTR, "intr:", "intr"},
};
using CpuTimes = std::array<std::optional<unsigned long long>, std::size(cpu_fields)>;

CpuTimes ask_cpu_times(Session& session, int cpu) {
    int count = 0;
    check(virNodeGetCPUStats(session.connection(), cpu, nullptr, &count, 0), "Unable to get number of cpu stats");
    std::vector<virNodeCPUStats> stats(static_cast<std::size_t>(count));
    if (count) check(virNodeGetCPUStats(session.connection(), cpu, stats.data(), &count, 0), "Unable to get node cpu stats");
    CpuTimes times;
    for (const auto& one : stats)
        for (std::size_t i = 0; i < std::size(cpu_fields); ++i)
            if (cpu_fields[i].field == one.field) times[i] = one.value;
    return times;
}

void cpu_stats(Session& session, const Arguments& arguments) {
    const int cpu = arguments.number<int>("cpu").value_or(VIR_NODE_CPU_STATS_ALL_CPUS);
    auto times = ask_cpu_times(session, cpu);
    Json json = Json::object();
    if (!arguments.has("percent")) {
        for (std::size_t i = 0; i < times.size(); ++i) {
            if (!times[i]) continue;
            json[cpu_fields[i].key] = *times[i];
            if (!session.json()) session.print("{:<15} {:>20}\n", cpu_fields[i].label, *times[i]);
        }
        if (session.json()) session.show(json);
        return;
    }
    std::this_thread::sleep_for(std::chrono::seconds(1)); // what --percent measures
    const auto later = ask_cpu_times(session, cpu);
    double total = 0;
    for (std::size_t i = 0; i < times.size(); ++i)
        if (times[i] && later[i]) total += static_cast<double>(*later[i] - *times[i]);
    const auto share = [&](std::size_t i) {
        return times[i] && later[i] && total > 0 ? static_cast<double>(*later[i] - *times[i]) / total * 100 : 0.0;
    };
    json["usage"] = share(0) + share(1);
    if (!session.json()) session.print("{:<15} {:>5.1f}%\n", "usage:", share(0) + share(1));
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (!times[i]) continue;
        json[cpu_fields[i].key] = share(i);
        if (!session.json()) session.print("{:<15} {:>5.1f}%\n", cpu_fields[i].label, share(i));
    }
    if (session.json()) session.show(json);
}

// ---- memory by NUMA cell ----

pugi::xml_document host_document(Session& session) {
    Text xml(virConnectGetCapabilities(session.connection()));
    if (!xml) fail_with_cause("unable to get node capabilities");
    return parse_document(xml.get(), "the capabilities");
}

std::vector<int> cells_of(const pugi::xml_document& host) {
    std::vector<int> cells;
    for (const auto& cell : host.select_nodes("/capabilities/host/topology/cells/cell"))
        cells.push_back(cell.node().attribute("id").as_int());
    return cells;
}

void free_memory(Session& session, const Arguments& arguments) {
    arguments.exclusive("all", "cellno");
    if (const auto cell = arguments.number<int>("cellno")) {
        unsigned long long bytes = 0;
        if (virNodeGetCellsFreeMemory(session.connection(), &bytes, *cell, 1) != 1) fail_with_cause();
        if (session.json()) return session.show_value(bytes / 1024);
        return session.print("{}: {} KiB\n", *cell, bytes / 1024);
    }
    if (!arguments.has("all")) {
        const auto bytes = virNodeGetFreeMemory(session.connection());
        if (bytes == 0) fail_with_cause();
        if (session.json()) return session.show_value(bytes / 1024);
        return session.print("Total: {} KiB\n", bytes / 1024);
    }
    unsigned long long total = 0;
    Json json = Json::object();
    for (const int cell : cells_of(host_document(session))) {
        unsigned long long bytes = 0;
        if (virNodeGetCellsFreeMemory(session.connection(), &bytes, cell, 1) != 1)
            fail_with_cause("failed to get free memory for NUMA node number: {}", cell);
        json[std::to_string(cell)] = bytes / 1024;
        if (!session.json()) session.print("{:>5}: {:>10} KiB\n", cell, bytes / 1024);
        total += bytes;
    }
    if (session.json()) return session.show(json);
    session.extra("--------------------\n{:>5}: {:>10} KiB\n", "Total", total / 1024);
}

// Page sizes in KiB.
std::vector<unsigned> page_sizes(const pugi::xml_document& host) {
    std::set<unsigned> sizes;
    for (const char* place : {"/capabilities/host/cpu/pages", "/capabilities/host/topology/cells/cell/pages"}) {
        for (const auto& pages : host.select_nodes(place)) sizes.insert(pages.node().attribute("size").as_uint());
        if (!sizes.empty()) break;
    }
    if (sizes.empty()) fail("could not get information about supported page sizes");
    return {sizes.begin(), sizes.end()};
}

unsigned page_size(const Arguments& arguments) {
    const auto bytes = arguments.scaled("pagesize", 1024).value_or(0);
    return static_cast<unsigned>(bytes / 1024 + (bytes % 1024 != 0));
}

void free_pages(Session& session, const Arguments& arguments) {
    arguments.exclusive("all", "cellno");
    const auto count_of = [&](int cell, std::vector<unsigned> sizes) {
        std::vector<unsigned long long> counts(sizes.size());
        check(virNodeGetFreePages(session.connection(), static_cast<unsigned>(sizes.size()), sizes.data(), cell, 1, counts.data(),
                                  0));
        Json pages = Json::object();
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            pages[fmt::format("{}KiB", sizes[i])] = counts[i];
            if (!session.json()) session.print("{}KiB: {}\n", sizes[i], counts[i]);
        }
        return pages;
    };
    if (arguments.has("all")) {
        const auto host = host_document(session);
        const auto sizes = arguments.has("pagesize") ? std::vector{page_size(arguments)} : page_sizes(host);
        Json json = Json::object();
        for (const int cell : cells_of(host)) {
            if (!session.json()) session.print("Node {}:\n", cell);
            json[std::to_string(cell)] = count_of(cell, sizes);
            if (!session.json()) session.print("\n");
        }
        if (session.json()) session.show(json);
        return;
    }
    const unsigned size = page_size(arguments);
    const auto cell = arguments.number<int>("cellno");
    if (!cell) fail("missing cellno argument");
    if (*cell < -1) fail("cell number must be non-negative integer or -1");
    if (!arguments.has("pagesize")) fail("missing pagesize argument");
    const Json json = count_of(*cell, {size});
    if (session.json()) session.show(json);
}

void allocate_pages(Session& session, const Arguments& arguments) {
    arguments.exclusive("all", "cellno");
    const auto cell = arguments.number<int>("cellno");
    unsigned size = page_size(arguments);
    unsigned long long count = arguments.number<unsigned long long>("pagecount").value_or(0);
    const unsigned flags = arguments.has("add") ? VIR_NODE_ALLOC_PAGES_ADD : VIR_NODE_ALLOC_PAGES_SET;
    const auto allocate = [&](int first, unsigned cells) {
        check(virNodeAllocPages(session.connection(), 1, &size, &count, first, cells, flags));
    };
    if (!arguments.has("all")) return allocate(cell.value_or(-1), 1);
    for (const int one : cells_of(host_document(session))) allocate(one, 1);
}

void memory_tune(Session& session, const Arguments& arguments) {
    Parameters wanted;
    for (const auto& [option, field] : std::initializer_list<std::pair<const char*, const char*>>{
             {"shm-pages-to-scan", VIR_NODE_MEMORY_SHARED_PAGES_TO_SCAN},
             {"shm-sleep-millisecs", VIR_NODE_MEMORY_SHARED_SLEEP_MILLISECS},
             {"shm-merge-across-nodes", VIR_NODE_MEMORY_SHARED_MERGE_ACROSS_NODES}})
        if (const auto value = arguments.number<unsigned>(option)) wanted.add(field, *value);
    if (wanted.count()) {
        check(virNodeSetMemoryParameters(session.connection(), wanted.list(), wanted.count(), 0),
              "Unable to change memory parameters");
        return;
    }
    int count = 0;
    check(virNodeGetMemoryParameters(session.connection(), nullptr, &count, 0), "Unable to get number of memory parameters");
    if (count == 0) return;
    Params now;
    now.data = static_cast<virTypedParameterPtr>(::calloc(static_cast<std::size_t>(count), sizeof(virTypedParameter)));
    now.count = count;
    check(virNodeGetMemoryParameters(session.connection(), now.data, &now.count, 0), "Unable to get memory parameters");
    if (session.json()) return session.show(params_json(now.all()));
    session.print("Shared memory:\n");
    for (const auto& one : now.all()) session.print("\t{:<15} {}\n", one.field, param_text(one));
}

// ---- the rest ----

void sev_info(Session& session, const Arguments&) {
    Parameters info;
    check(virNodeGetSEVInfo(session.connection(), info.list_out(), info.count_out(), 0), "Unable to get host SEV information");
    show_parameters(session, info, false, 18);
}

void suspend(Session& session, const Arguments& arguments) {
    static constexpr std::string_view targets[] = {"mem", "disk", "hybrid"};
    const auto duration = arguments.number<long long>("duration").value_or(0);
    const auto* target = std::ranges::find(targets, arguments.required("target"));
    if (target == std::end(targets)) fail("Invalid target");
    if (duration < 0) fail("Invalid duration");
    check(virNodeSuspendForDuration(session.connection(), static_cast<unsigned>(target - targets),
                                    static_cast<unsigned long long>(duration), 0),
          "The host was not suspended");
}

} // namespace

const std::vector<Command>& node_commands() {
    static const std::vector<Command> rows = {
        {.name = "nodecpumap",
         .group = Group::host,
         .help = "node cpu map",
         .description = "Displays the node's total number of CPUs, the number of online CPUs and the list of online CPUs.",
         .options = {flag("pretty", "return human readable output")},
         .run = cpu_map},
        {.name = "nodecpustats",
         .group = Group::host,
         .help = "Prints cpu stats of the node.",
         .description = "Returns cpu stats of the node, in nanoseconds.",
         .options = {number("cpu", "prints specified cpu statistics only."),
                     flag("percent", "prints by percentage during 1 second.")},
         .run = cpu_stats},
        {.name = "freecell",
         .group = Group::host,
         .help = "NUMA free memory",
         .description = "display available free memory for the NUMA cell.",
         .options = {number("cellno", "NUMA cell number"), flag("all", "show free memory for all NUMA cells")},
         .run = free_memory},
        {.name = "freepages",
         .group = Group::host,
         .help = "NUMA free pages",
         .description = "display available free pages for the NUMA cell.",
         .options = {number("cellno", "NUMA cell number"), number("pagesize", "page size (in kibibytes)"),
                     flag("all", "show free pages for all NUMA cells")},
         .run = free_pages},
        {.name = "allocpages",
         .group = Group::host,
         .help = "Manipulate pages pool size",
         .description = "Allocate or free some pages in the pool for NUMA cell.",
         .options = {need_number("pagesize", "page size (in kibibytes)"), need_number("pagecount", "page count"),
                     number("cellno", "NUMA cell number"), flag("add", "instead of setting new pool size add pages to it"),
                     flag("all", "set on all NUMA cells")},
         .run = allocate_pages},
        {.name = "node-memory-tune",
         .group = Group::host,
         .help = "Get or set node memory parameters",
         .description = "Get or set node memory parameters\n"
                        "To get the memory parameters, use following command: \n\nvirsh # node-memory-tune",
         .options = {number("shm-pages-to-scan", "number of pages to scan before the shared memory service goes to sleep"),
                     number("shm-sleep-millisecs", "number of millisecs the shared memory service should sleep before next scan"),
                     number("shm-merge-across-nodes", "Specifies if pages from different numa nodes can be merged")},
         .run = memory_tune},
        {.name = "nodesevinfo",
         .group = Group::host,
         .help = "node SEV information",
         .description = "Returns basic SEV information about the node.",
         .options = {},
         .run = sev_info},
        {.name = "nodesuspend",
         .group = Group::host,
         .help = "suspend the host node for a given time duration",
         .description = "Suspend the host node for a given time duration and attempt to resume thereafter.",
         .options = {need("target", "mem(Suspend-to-RAM), disk(Suspend-to-Disk), hybrid(Hybrid-Suspend)"),
                     need_number("duration", "Suspend duration in seconds, at least 60")},
         .run = suspend},
    };
    return rows;
}

} // namespace lodge::cli
