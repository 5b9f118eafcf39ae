// Figures of guests: domstats and what asks for one kind of them.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/typed_params.hpp"

namespace lodge::cli {

namespace {

struct Choice {
    std::string_view option;
    unsigned flag;
    std::string_view help;
};
constexpr Choice groups[] = {
    {"state", VIR_DOMAIN_STATS_STATE, "report domain state"},
    {"cpu-total", VIR_DOMAIN_STATS_CPU_TOTAL, "report domain physical cpu usage"},
    {"balloon", VIR_DOMAIN_STATS_BALLOON, "report domain balloon statistics"},
    {"vcpu", VIR_DOMAIN_STATS_VCPU, "report domain virtual cpu information"},
    {"interface", VIR_DOMAIN_STATS_INTERFACE, "report domain network interface information"},
    {"block", VIR_DOMAIN_STATS_BLOCK, "report domain block device statistics"},
    {"perf", VIR_DOMAIN_STATS_PERF, "report domain perf event statistics"},
    {"iothread", VIR_DOMAIN_STATS_IOTHREAD, "report domain IOThread information"},
    {"memory", VIR_DOMAIN_STATS_MEMORY, "report domain memory usage"},
    {"dirtyrate", VIR_DOMAIN_STATS_DIRTYRATE, "report domain dirty rate information"},
    {"vm", VIR_DOMAIN_STATS_VM, "report hypervisor-specific statistics"},
};
constexpr Choice filters[] = {
    {"list-active", VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE, "list only active domains"},
    {"list-inactive", VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE, "list only inactive domains"},
    {"list-persistent", VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT, "list only persistent domains"},
    {"list-transient", VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT, "list only transient domains"},
    {"list-running", VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING, "list only running domains"},
    {"list-paused", VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED, "list only paused domains"},
    {"list-shutoff", VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF, "list only shutoff domains"},
    {"list-other", VIR_CONNECT_GET_ALL_DOMAINS_STATS_OTHER, "list only domains in other states"},
    {"enforce", VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS, "enforce requested stats parameters"},
    {"backing", VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING, "add backing chain information to block stats"},
    {"nowait", VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT, "report only stats that are accessible instantly"},
};

template<std::size_t n> unsigned chosen(const Arguments& arguments, const Choice (&choices)[n]) {
    unsigned flags = 0;
    for (const auto& choice : choices)
        if (arguments.has(choice.option)) flags |= choice.flag;
    return flags;
}

struct Records {
    virDomainStatsRecordPtr* list = nullptr;
    ~Records() { virDomainStatsRecordListFree(list); }
};

void domstats(Session& session, const Arguments& arguments) {
    const unsigned stats = chosen(arguments, groups), flags = chosen(arguments, filters);
    std::vector<Domain> domains;
    for (const auto& word : arguments.rest("domain")) domains.push_back(find_domain(session.connection(), word));
    Records records;
    if (domains.empty()) {
        check(virConnectGetAllDomainStats(session.connection(), stats, &records.list, flags));
    } else {
        std::vector<virDomainPtr> list;
        for (const auto& domain : domains) list.push_back(domain.get());
        list.push_back(nullptr);
        check(virDomainListGetStats(list.data(), stats, &records.list, flags));
    }
    auto json = Json::array();
    bool first = true;
    for (auto** record = records.list; *record; ++record) {
        const std::span params((*record)->params, static_cast<std::size_t>((*record)->nparams));
        const char* name = virDomainGetName((*record)->dom);
        if (session.json()) {
            json.push_back({{"name", name}, {"stats", params_json(params)}});
            continue;
        }
        session.print("{}Domain: '{}'\n", std::exchange(first, false) ? "" : "\n", name);
        for (const auto& param : params) session.print("  {}={}\n", param.field, param_text(param));
    }
    if (session.json()) session.show(json);
}

struct BlockField {
    std::string_view field, plain, human;
};
constexpr BlockField block_fields[] = {
    {VIR_DOMAIN_BLOCK_STATS_READ_REQ, "rd_req", "number of read operations:"},
    {VIR_DOMAIN_BLOCK_STATS_READ_BYTES, "rd_bytes", "number of bytes read:"},
    {VIR_DOMAIN_BLOCK_STATS_WRITE_REQ, "wr_req", "number of write operations:"},
    {VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES, "wr_bytes", "number of bytes written:"},
    {VIR_DOMAIN_BLOCK_STATS_ERRS, "errs", "error count:"},
    {VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ, VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ, "number of flush operations:"},
    {VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES, VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES, "total duration of reads (ns):"},
    {VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES, VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES, "total duration of writes (ns):"},
    {VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES, VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES, "total duration of flushes (ns):"},
};

void domblkstat(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const std::string device = arguments.text("device", "");
    Params params;
    check(virDomainBlockStatsFlags(domain.get(), device.c_str(), nullptr, &params.count, 0));
    params.data = static_cast<virTypedParameterPtr>(::calloc(static_cast<std::size_t>(params.count), sizeof(virTypedParameter)));
    check(virDomainBlockStatsFlags(domain.get(), device.c_str(), params.data, &params.count, 0),
          "Failed to get block stats for domain '{}' device '{}'", arguments.required("domain"), device);
    if (session.json()) return session.show(params_json(params.all()));
    const bool human = arguments.has("human");
    if (human) session.print("Device: {}\n", device);
    for (const auto& known : block_fields)
        for (const auto& param : params.all())
            if (param.field == known.field) {
                if (human)
                    session.print(" {:<31} {}\n", known.human, param_text(param));
                else
                    session.print("{} {} {}\n", device, known.plain, param_text(param));
            }
}

void domifstat(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto& device = arguments.required("interface");
    virDomainInterfaceStatsStruct stats{};
    check(virDomainInterfaceStats(domain.get(), device.c_str(), &stats, sizeof stats), "Failed to get interface stats {} {}",
          arguments.required("domain"), device);
    const std::pair<const char*, long long> fields[] = {
        {"rx_bytes", stats.rx_bytes}, {"rx_packets", stats.rx_packets}, {"rx_errs", stats.rx_errs}, {"rx_drop", stats.rx_drop},
        {"tx_bytes", stats.tx_bytes}, {"tx_packets", stats.tx_packets}, {"tx_errs", stats.tx_errs}, {"tx_drop", stats.tx_drop}};
    Json json = Json::object();
    for (const auto& [name, value] : fields) {
        if (value < 0) continue;
        json[name] = value;
        if (!session.json()) session.print("{} {} {}\n", device, name, value);
    }
    if (session.json()) session.show(json);
}

void domblkerror(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const int disks = check(virDomainGetDiskErrors(domain.get(), nullptr, 0, 0));
    std::vector<virDomainDiskError> errors(static_cast<std::size_t>(disks));
    const int count = disks ? check(virDomainGetDiskErrors(domain.get(), errors.data(), static_cast<unsigned>(disks), 0)) : 0;
    constexpr std::string_view words[] = {"no error", "unspecified error", "no space"};
    Json json = Json::object();
    for (int i = 0; i < count; ++i) {
        const Text disk(errors[static_cast<std::size_t>(i)].disk);
        const auto code = static_cast<std::size_t>(errors[static_cast<std::size_t>(i)].error);
        const std::string_view word = code < std::size(words) ? words[code] : "unknown error";
        json[disk.get()] = word;
        if (!session.json()) session.print("{}: {}\n", disk.get(), word);
    }
    if (session.json()) return session.show(json);
    if (count == 0) session.print("No errors found\n");
}

void domdirtyrate_calc(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto mode = arguments.text("mode", "page-sampling");
    unsigned flags = VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING;
    if (mode == "dirty-bitmap")
        flags = VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP;
    else if (mode == "dirty-ring")
        flags = VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING;
    else if (mode != "page-sampling")
        fail("Unknown calculation mode '{}'", mode);
    check(virDomainStartDirtyRateCalc(domain.get(), arguments.number<int>("seconds").value_or(1), flags));
    session.extra("Start to calculate domain's memory dirty rate successfully.\n");
}

std::vector<Option> domstats_options() {
    std::vector<Option> options;
    for (const auto& group : groups) options.push_back(flag(group.option, group.help));
    for (const auto& filter : filters) options.push_back(flag(filter.option, filter.help));
    options.push_back(flag("raw", "do not pretty-print the fields"));
    options.push_back(rest("domain", "list of domains to get stats for").completed(Complete::domain));
    return options;
}

} // namespace

const std::vector<Command>& domain_figures_commands() {
    static const std::vector<Command> rows = {
        {.name = "domstats",
         .group = Group::monitor,
         .help = "get statistics about one or multiple domains",
         .description = "Gets statistics about one or more (or all) domains",
         .options = domstats_options(),
         .run = domstats},
        {.name = "domblkstat",
         .group = Group::monitor,
         .help = "get device block stats for a domain",
         .description = "Get device block stats for a running domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     {.name = "device", .kind = Kind::text, .help = "block device", .positional = true},
                     flag("human", "print a more human readable output")},
         .run = domblkstat},
        {.name = "domifstat",
         .group = Group::monitor,
         .help = "get network interface stats for a domain",
         .description = "Get network interface stats for a running domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     need("interface", "interface device specified by name or MAC Address")},
         .run = domifstat},
        {.name = "domblkerror",
         .group = Group::monitor,
         .help = "Show errors on block devices",
         .description = "Show block device errors",
         .options = {need("domain", "domain name, id, or uuid", Complete::active_domain)},
         .run = domblkerror},
        {.name = "domdirtyrate-calc",
         .group = Group::domain,
         .help = "Calculate a vm's memory dirty rate",
         .description =
             "Calculate memory dirty rate of a domain in order to decide whether it's proper to be migrated out or not.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     number("seconds",
                            "calculate memory dirty rate within specified seconds, the supported value range from 1 to "
                            "60, default to 1."),
                     text("mode", "dirty page rate calculation mode, either of these 3 options 'page-sampling, dirty-bitmap, "
                                  "dirty-ring' can be specified.")
                         .choices("page-sampling dirty-bitmap dirty-ring")},
         .run = domdirtyrate_calc},
    };
    return rows;
}

} // namespace lodge::cli
