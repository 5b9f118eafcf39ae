#include "cli/commands.hpp"
#include "cli/local_version.hpp"
#include "cli/lookup.hpp"
#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

std::string version_words(unsigned long version) {
    return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

void uri(Session& session, const Arguments&) {
    Text uri_text(virConnectGetURI(session.connection()));
    if (!uri_text) fail_with_cause("{}", "failed to get URI");
    session.show_value(uri_text.get());
}

void hostname(Session& session, const Arguments&) {
    Text name(virConnectGetHostname(session.connection()));
    if (!name) fail_with_cause("{}", "failed to get hypervisor hostname");
    session.show_value(name.get());
}

VersionFacts ask_version(Session& session, bool with_daemon) {
    if (!session.connected())
        if (auto facts = ask_local_version(session.uri(), session.settings.readonly)) return *facts;
    VersionFacts facts;
    auto* connection = session.connection();
    const char* type = virConnectGetType(connection);
    if (!type) fail_with_cause("{}", "failed to get hypervisor type");
    facts.type = type;
    check(virGetVersion(&facts.library, type, &facts.api), "{}", "failed to get the library version");
    check(virConnectGetVersion(connection, &facts.hypervisor), "{}", "failed to get the hypervisor version");
    if (with_daemon) check(virConnectGetLibVersion(connection, &facts.daemon), "{}", "failed to get the daemon version");
    return facts;
}

void version(Session& session, const Arguments& arguments) {
    auto facts = ask_version(session, arguments.has("daemon"));
    Json json = {{"hypervisor", facts.type}};
    auto line = [&](const char* key, const std::string& lead, unsigned long number) {
        json[key] = version_words(number);
        if (!session.json()) session.print("{} {}\n", lead, version_words(number));
    };
    line("compiled_against", "Compiled against library: libvirt", LIBVIR_VERSION_NUMBER);
    line("library", "Using library: libvirt", facts.library);
    line("api", fmt::format("Using API: {}", facts.type), facts.api);
    if (facts.hypervisor == 0 && !session.json())
        session.print("Cannot extract running {} hypervisor version\n", facts.type);
    else
        line("running", fmt::format("Running hypervisor: {}", facts.type), facts.hypervisor);
    if (arguments.has("daemon")) line("daemon", "Running against daemon:", facts.daemon);
    if (session.json()) session.show(json);
}

void nodeinfo(Session& session, const Arguments&) {
    virNodeInfo info{};
    check(virNodeGetInfo(session.connection(), &info), "{}", "failed to get node information");
    Pairs out(20);
    out.add("cpu_model", "CPU model:", info.model);
    out.add("cpus", "CPU(s):", info.cpus);
    out.add("cpu_mhz", "CPU frequency:", {fmt::format("{} MHz", info.mhz), info.mhz});
    out.add("sockets", "CPU socket(s):", info.sockets);
    out.add("cores_per_socket", "Core(s) per socket:", info.cores);
    out.add("threads_per_core", "Thread(s) per core:", info.threads);
    out.add("numa_cells", "NUMA cell(s):", info.nodes);
    out.add("memory_kib", "Memory size:", {fmt::format("{} KiB", info.memory), info.memory});
    session.show(out);
}

void capabilities(Session& session, const Arguments&) {
    Text xml(virConnectGetCapabilities(session.connection()));
    if (!xml) fail_with_cause("{}", "failed to get capabilities");
    session.print("{}\n", xml.get());
}

void domcapabilities(Session& session, const Arguments& arguments) {
    auto emulator = arguments.text("emulatorbin"), arch = arguments.text("arch"), machine = arguments.text("machine"),
         type = arguments.text("virttype");
    auto or_null = [](const std::optional<std::string>& word) { return word ? word->c_str() : nullptr; };
    Text xml(virConnectGetDomainCapabilities(session.connection(), or_null(emulator), or_null(arch), or_null(machine),
                                             or_null(type), 0));
    if (!xml) fail_with_cause("{}", "failed to get emulator capabilities");
    session.print("{}\n", xml.get());
}

void maxvcpus(Session& session, const Arguments& arguments) {
    auto type = arguments.text("type");
    // the emulator's own limit, where the daemon tells it
    if (Text xml{virConnectGetDomainCapabilities(session.connection(), nullptr, nullptr, nullptr, type ? type->c_str() : nullptr,
                                                 0)}) {
        auto most = parse_document(xml.get(), "the capabilities").select_node("/domainCapabilities/vcpu/@max").attribute();
        if (most) return session.show_value(most.as_int());
    }
    session.show_value(check(virConnectGetMaxVcpus(session.connection(), type ? type->c_str() : nullptr)));
}

void nodememstats(Session& session, const Arguments& arguments) {
    int cell = arguments.number<int>("cell").value_or(VIR_NODE_MEMORY_STATS_ALL_CELLS);
    int count = 0;
    check(virNodeGetMemoryStats(session.connection(), cell, nullptr, &count, 0), "{}", "Unable to get number of memory stats");
    std::vector<virNodeMemoryStats> stats(static_cast<size_t>(count));
    check(virNodeGetMemoryStats(session.connection(), cell, stats.data(), &count, 0), "{}", "Unable to get memory stats");
    Json json = Json::object();
    for (const auto& stat : stats) {
        if (session.json())
            json[stat.field] = stat.value;
        else
            session.print("{:<7}: {:>20} KiB\n", stat.field, stat.value);
    }
    if (session.json()) session.show(json);
}

void sysinfo(Session& session, const Arguments&) {
    Text xml(virConnectGetSysinfo(session.connection(), 0));
    if (!xml) fail_with_cause("{}", "failed to get sysinfo");
    session.write(xml.get());
}

} // namespace

const std::vector<Command>& host_commands() {
    static const std::vector<Command> rows = {
        {.name = "capabilities",
         .group = Group::host,
         .help = "capabilities",
         .description = "Returns capabilities of hypervisor/driver.",
         .options = {},
         .run = capabilities},
        {.name = "domcapabilities",
         .group = Group::host,
         .help = "domain capabilities",
         .description = "Returns capabilities of emulator with respect to host and libvirt.",
         .options = {text("virttype", "virtualization type (/domain/@type)"),
                     text("emulatorbin", "path to emulator binary (/domain/devices/emulator)"),
                     text("arch", "domain architecture (/domain/os/type/@arch)"),
                     text("machine", "machine type (/domain/os/type/@machine)")},
         .run = domcapabilities},
        {.name = "hostname",
         .group = Group::host,
         .help = "print the hypervisor hostname",
         .description = "",
         .options = {},
         .run = hostname},
        {.name = "maxvcpus",
         .group = Group::host,
         .help = "connection vcpu maximum",
         .description = "Show maximum number of virtual CPUs for guests on this connection.",
         .options = {text("type", "domain type")},
         .run = maxvcpus},
        {.name = "nodeinfo",
         .group = Group::host,
         .help = "node information",
         .description = "Returns basic information about the node.",
         .options = {},
         .run = nodeinfo},
        {.name = "nodememstats",
         .group = Group::host,
         .help = "Prints memory stats of the node.",
         .description = "Returns memory stats of the node, in kilobytes.",
         .options = {number("cell", "prints specified cell statistics only.")},
         .run = nodememstats},
        {.name = "sysinfo",
         .group = Group::host,
         .help = "print the hypervisor sysinfo",
         .description = "output an XML string for the hypervisor sysinfo, if available",
         .options = {},
         .run = sysinfo},
        {.name = "uri",
         .group = Group::host,
         .help = "print the hypervisor canonical URI",
         .description = "",
         .options = {},
         .run = uri},
        {.name = "version",
         .group = Group::host,
         .help = "show version",
         .description = "Display the system version information.",
         .options = {flag("daemon", "report daemon version too")},
         .run = version,
         .needs = Need::nothing},
    };
    return rows;
}

} // namespace lodge::cli
