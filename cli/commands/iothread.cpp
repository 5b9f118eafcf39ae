// The I/O threads of a guest, and what its CPUs did.
#include "cli/commands.hpp"
#include "cli/cpu_list.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/typed_params.hpp"
#include "cli/words.hpp"
#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

unsigned thread_id(const Arguments& arguments) {
    const int id = arguments.number<int>("id").value_or(0);
    if (id <= 0) fail("Invalid IOThread id value: '{}'", id);
    return static_cast<unsigned>(id);
}

void info(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    virDomainIOThreadInfoPtr* found = nullptr;
    const int count =
        check(virDomainGetIOThreadInfo(domain.get(), &found, affect.flags()), "Unable to get domain IOThreads information");
    Table table({{"id", "IOThread ID"}, {"affinity", "CPU Affinity"}});
    for (int i = 0; i < count; ++i) {
        const auto length = static_cast<std::size_t>(found[i]->cpumaplen);
        table.add({found[i]->iothread_id, write_cpus(found[i]->cpumap, length)});
        virDomainIOThreadInfoFree(found[i]);
    }
    ::free(found);
    if (count == 0 && !session.json()) return session.extra("No IOThreads found for the domain");
    session.show(table);
}

void pin(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    const auto id = arguments.number<unsigned>("iothread").value_or(0);
    auto map = read_cpus(arguments.required("cpulist"), host_cpus(session));
    check(virDomainPinIOThread(domain.get(), id, map.data(), static_cast<int>(map.size()), affect.flags()));
}

void add(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    check(virDomainAddIOThread(domain.get(), thread_id(arguments), affect.flags()));
}

void remove(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    check(virDomainDelIOThread(domain.get(), thread_id(arguments), affect.flags()));
}

void set(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    const unsigned id = thread_id(arguments);
    Parameters wanted;
    if (const auto value = arguments.number<unsigned long long>("poll-max-ns"))
        wanted.add(VIR_DOMAIN_IOTHREAD_POLL_MAX_NS, *value);
    if (const auto value = arguments.number<unsigned>("poll-grow")) wanted.add(VIR_DOMAIN_IOTHREAD_POLL_GROW, *value);
    if (const auto value = arguments.number<unsigned>("poll-shrink")) wanted.add(VIR_DOMAIN_IOTHREAD_POLL_SHRINK, *value);
    if (const auto value = arguments.number<int>("thread-pool-min")) wanted.add(VIR_DOMAIN_IOTHREAD_THREAD_POOL_MIN, *value);
    if (const auto value = arguments.number<int>("thread-pool-max")) wanted.add(VIR_DOMAIN_IOTHREAD_THREAD_POOL_MAX, *value);
    if (!wanted.count()) fail("Not enough arguments passed, nothing to set");
    check(virDomainSetIOThreadParams(domain.get(), id, wanted.list(), wanted.count(), affect.flags()));
}

// ---- CPUs ----

void print_times(Session& session, std::span<const virTypedParameter> times) {
    for (const auto& one : times)
        if (std::string_view(one.field).ends_with("_time") && one.type == VIR_TYPED_PARAM_ULLONG)
            session.print("\t{:<12} {:>9}.{:09} seconds\n", one.field, one.value.ul / 1000000000, one.value.ul % 1000000000);
        else
            session.print("\t{:<12} {}\n", one.field, param_text(one));
}

// libvirt asks for at most this many CPUs in one call.
constexpr int cpus_at_once = 128;

Json per_cpu_times(Session& session, virDomainPtr domain, int start, std::optional<int> wanted, const std::string& failure) {
    const int known = check(virDomainGetCPUStats(domain, nullptr, 0, 0, 0, 0), "{}", failure);
    if (start >= known) fail("Start CPU {} is out of range (min: 0, max: {})", start, known - 1);
    if (wanted && *wanted > known && !session.json()) session.print("Only {} CPUs available to show\n", known);
    int left = wanted && *wanted <= known ? *wanted : known - start;
    const int fields = check(virDomainGetCPUStats(domain, nullptr, 0, 0, 1, 0), "{}", failure);
    Json json = Json::array();
    if (fields == 0 && !session.json()) session.print("{}", "No per-CPU stats available");
    for (int cpu = start; fields && left > 0;) {
        const int now = std::min(left, cpus_at_once);
        Params params;
        params.data =
            static_cast<virTypedParameterPtr>(::calloc(static_cast<std::size_t>(fields * now), sizeof(virTypedParameter)));
        params.count = fields * now;
        check(virDomainGetCPUStats(domain, params.data, static_cast<unsigned>(fields), cpu, static_cast<unsigned>(now), 0), "{}",
              failure);
        for (int i = 0; i < now; ++i) {
            const auto times = params.all().subspan(static_cast<std::size_t>(i * fields), static_cast<std::size_t>(fields));
            if (times[0].type == 0) continue; // not in the map
            if (!session.json()) session.print("CPU{}:\n", cpu + i), print_times(session, times);
            json.push_back(params_json(times));
        }
        cpu += now;
        left -= now;
    }
    return json;
}

void cpu_stats(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto start = arguments.number<int>("start"), count = arguments.number<int>("count");
    if (start && *start < 0) fail("Invalid value for start CPU");
    if (count && *count < 0) fail("Invalid value for number of CPUs to show");
    const bool each = start || count || !arguments.has("total");
    const std::string failure = fmt::format("Failed to retrieve CPU statistics for domain '{}'", virDomainGetName(domain.get()));
    Json json = Json::object();
    if (each) json["cpus"] = per_cpu_times(session, domain.get(), start.value_or(0), count, failure);
    if (arguments.has("total") || (!start && !count)) {
        const int fields = check(virDomainGetCPUStats(domain.get(), nullptr, 0, -1, 1, 0), "{}", failure);
        Params params;
        params.data = static_cast<virTypedParameterPtr>(::calloc(static_cast<std::size_t>(fields), sizeof(virTypedParameter)));
        params.count =
            check(virDomainGetCPUStats(domain.get(), params.data, static_cast<unsigned>(fields), -1, 1, 0), "{}", failure);
        if (!session.json()) session.print("Total:\n"), print_times(session, params.all());
        json["total"] = params_json(params.all());
    }
    if (session.json()) session.show(json);
}

void show_affinity(Session& session, const unsigned char* map, int cpus, bool pretty) {
    std::string text;
    if (pretty)
        text = fmt::format("{} (out of {})", write_cpus(map, cpu_map_length(cpus)), cpus);
    else
        for (int cpu = 0; cpu < cpus; ++cpu)
            text += in_cpu_map(map, cpu_map_length(cpus), static_cast<std::size_t>(cpu)) ? 'y' : '-';
    session.print("{:<15} {}\n", "CPU Affinity:", text);
}

// What a stopped domain's CPUs may run on.
void show_stored_vcpus(Session& session, virDomainPtr domain, int cpus, bool pretty) {
    const auto document = document_of(domain, VIR_DOMAIN_XML_INACTIVE);
    const auto maximum = document.child("domain").child("vcpu").text().as_uint();
    const auto current = document.child("domain").child("vcpu").attribute("current").as_uint(maximum);
    std::vector<unsigned> enabled;
    for (const auto vcpu : document.child("domain").child("vcpus").children("vcpu"))
        if (std::string_view(vcpu.attribute("enabled").value()) == "yes") enabled.push_back(vcpu.attribute("id").as_uint());
    if (!document.child("domain").child("vcpus"))
        for (unsigned id = 0; id < current; ++id) enabled.push_back(id);
    const auto length = cpu_map_length(cpus);
    std::vector<unsigned char> maps(maximum * length);
    check(virDomainGetVcpuPinInfo(domain, static_cast<int>(maximum), maps.data(), static_cast<int>(length),
                                  VIR_DOMAIN_AFFECT_CONFIG));
    Json json = Json::array();
    for (const auto id : enabled) {
        const auto* map = maps.data() + id * length;
        json.push_back({{"vcpu", id}, {"affinity", write_cpus(map, length)}});
        if (session.json()) continue;
        session.print("{}{:<15} {}\n{:<15} N/A\n{:<15} N/A\n{:<15} N/A\n", id == enabled.front() ? "" : "\n", "VCPU:", id,
                      "CPU:", "State:", "CPU time");
        show_affinity(session, map, cpus, pretty);
    }
    if (session.json()) session.show(json);
}

void vcpuinfo(Session& session, const Arguments& arguments) {
    static constexpr std::string_view states[] = {"offline", "running", "blocked"};
    auto domain = find_domain(session, arguments);
    const bool pretty = arguments.has("pretty");
    const int cpus = host_cpus(session);
    virDomainInfo domain_info{};
    check(virDomainGetInfo(domain.get(), &domain_info));
    const auto length = cpu_map_length(cpus);
    std::vector<virVcpuInfo> vcpus(domain_info.nrVirtCpu);
    std::vector<unsigned char> maps(vcpus.size() * length);
    const int count =
        virDomainGetVcpus(domain.get(), vcpus.data(), static_cast<int>(vcpus.size()), maps.data(), static_cast<int>(length));
    if (count < 0 && domain_info.state == VIR_DOMAIN_SHUTOFF) {
        forget_cause();
        return show_stored_vcpus(session, domain.get(), cpus, pretty);
    }
    check(count);
    Json json = Json::array();
    for (int i = 0; i < count; ++i) {
        const auto& one = vcpus[static_cast<std::size_t>(i)];
        const auto* map = maps.data() + static_cast<std::size_t>(i) * length;
        json.push_back({{"vcpu", one.number},
                        {"cpu", one.cpu},
                        {"state", word_at(states, one.state, "no state")},
                        {"cpu_time", one.cpuTime},
                        {"affinity", write_cpus(map, length)}});
        if (session.json()) continue;
        session.print("{}{:<15} {}\n{:<15} {}\n{:<15} {}\n", i ? "\n" : "", "VCPU:", one.number, "CPU:", one.cpu,
                      "State:", word_at(states, one.state, "no state"));
        if (one.cpuTime) session.print("{:<15} {:.1f}s\n", "CPU time:", static_cast<double>(one.cpuTime) / 1e9);
        show_affinity(session, map, cpus, pretty);
    }
    if (session.json()) session.show(json);
}

} // namespace

const std::vector<Command>& iothread_commands() {
    static const std::vector<Command> rows = {
        {.name = "iothreadinfo",
         .group = Group::domain,
         .help = "view domain IOThreads",
         .description = "Returns basic information about the domain IOThreads.",
         .options = with_affect({the_domain()}),
         .run = info},
        {.name = "iothreadpin",
         .group = Group::domain,
         .help = "control domain IOThread affinity",
         .description = "Pin domain IOThreads to host physical CPUs.",
         .options = with_affect(
             {the_domain(), need_number("iothread", "IOThread ID number"), need("cpulist", "host cpu number(s) to set")}),
         .run = pin},
        {.name = "iothreadadd",
         .group = Group::domain,
         .help = "add an IOThread to the guest domain",
         .description = "Add an IOThread to the guest domain.",
         .options = with_affect({the_domain(), need_number("id", "iothread for the new IOThread")}),
         .run = add},
        {.name = "iothreaddel",
         .group = Group::domain,
         .help = "delete an IOThread from the guest domain",
         .description = "Delete an IOThread from the guest domain.",
         .options = with_affect({the_domain(), need_number("id", "iothread_id for the IOThread to delete")}),
         .run = remove},
        {.name = "iothreadset",
         .group = Group::domain,
         .help = "modifies an existing IOThread of the guest domain",
         .description = "Modifies an existing IOThread of the guest domain.",
         .options = with_affect({the_domain(), need_number("id", "iothread id of existing IOThread"),
                                 number("poll-max-ns", "set the maximum IOThread polling time in ns"),
                                 number("poll-grow", "set the value to increase the IOThread polling time"),
                                 number("poll-shrink", "set the value for reduction of the IOThread polling time"),
                                 number("thread-pool-min", "lower boundary for worker thread pool"),
                                 number("thread-pool-max", "upper boundary for worker thread pool")}),
         .run = set},
        {.name = "cpu-stats",
         .group = Group::domain,
         .help = "show domain cpu statistics",
         .description = "Display per-CPU and total statistics about the domain's CPUs",
         .options = {the_domain(), flag("total", "Show total statistics only"), number("start", "Show statistics from this CPU"),
                     number("count", "Number of shown CPUs at most")},
         .run = cpu_stats},
        {.name = "vcpuinfo",
         .group = Group::domain,
         .help = "detailed domain vcpu information",
         .description = "Returns basic information about the domain virtual CPUs.",
         .options = {the_domain(), flag("pretty", "return human readable output")},
         .run = vcpuinfo},
    };
    return rows;
}

} // namespace lodge::cli
