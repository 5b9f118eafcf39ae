#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xpath.hpp"

#include <cmath>

namespace lodge::cli {

namespace {

void dominfo(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    Pairs out;
    auto id = virDomainGetID(domain.get());
    out.add("id", "Id:", id == static_cast<unsigned>(-1) ? Cell("-") : Cell(id));
    out.add("name", "Name:", virDomainGetName(domain.get()));
    out.add("uuid", "UUID:", uuid_of(domain.get()));
    if (Text type{virDomainGetOSType(domain.get())}) out.add("os_type", "OS Type:", type.get());

    virDomainInfo info{};
    check(virDomainGetInfo(domain.get(), &info));
    out.add("state", "State:", domain_state(info.state));
    out.add("cpus", "CPU(s):", static_cast<unsigned>(info.nrVirtCpu));
    if (info.cpuTime != 0) {
        double seconds = static_cast<double>(info.cpuTime) / 1e9;
        out.add("cpu_time_seconds", "CPU time:", {fmt::format("{:.1f}s", seconds), seconds});
    }
    if (info.maxMem != UINT32_MAX)
        out.add("max_memory_kib", "Max memory:", {fmt::format("{} KiB", info.maxMem), info.maxMem});
    else
        out.add("max_memory_kib", "Max memory:", {"no limit", Json()});
    out.add("used_memory_kib", "Used memory:", {fmt::format("{} KiB", info.memory), info.memory});

    int persistent = virDomainIsPersistent(domain.get());
    out.add("persistent",
            "Persistent:", persistent < 0 ? Cell("unknown", Json()) : Cell(std::string(yes_no(persistent)), persistent != 0));
    int autostart = 0;
    if (virDomainGetAutostart(domain.get(), &autostart) == 0)
        out.add("autostart", "Autostart:", {autostart ? "enable" : "disable", autostart != 0});
    int saved = virDomainHasManagedSaveImage(domain.get(), 0);
    out.add("managed_save", "Managed save:", saved < 0 ? Cell("unknown", Json()) : Cell(std::string(yes_no(saved)), saved != 0));

    virSecurityModel model{};
    if (virNodeGetSecurityModel(session.connection(), &model) == 0 && model.model[0]) {
        out.add("security_model", "Security model:", std::string(model.model));
        out.add("security_doi", "Security DOI:", std::string(model.doi));
        virSecurityLabel label{};
        if (virDomainGetSecurityLabel(domain.get(), &label) == 0 && label.label[0])
            out.add(
                "security_label", "Security label:",
                {fmt::format("{} ({})", label.label, label.enforcing ? "enforcing" : "permissive"), std::string(label.label)});
    }
    char** messages = nullptr;
    int count = virDomainGetMessages(domain.get(), &messages, 0);
    auto list = Json::array();
    for (int i = 0; i < count; i++) {
        Text message(messages[i]);
        out.add("messages", i == 0 ? "Messages:" : " ", message.get());
        list.push_back(message.get());
    }
    ::free(messages);
    if (count > 0) out.add_hidden("messages", list);
    forget_cause();
    session.show(out);
}

void domstate(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    int state = 0, reason = 0;
    check(virDomainGetState(domain.get(), &state, &reason, 0));
    auto word = domain_state(state);
    if (session.json()) {
        Pairs out;
        out.add("state", "", word);
        out.add("reason", "", domain_state_reason(state, reason));
        session.show(out);
    } else if (arguments.has("reason")) {
        session.print("{} ({})\n", word, domain_state_reason(state, reason));
    } else {
        session.print("{}\n", word);
    }
}

void domid(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments, By::name_or_uuid);
    auto id = virDomainGetID(domain.get());
    session.show_value(id == static_cast<unsigned>(-1) ? Cell("-") : Cell(id));
}

void domname(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments, By::id_or_uuid);
    session.show_value(virDomainGetName(domain.get()));
}

void domuuid(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments, By::id_or_name);
    session.show_value(uuid_of(domain.get()));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = 0;
    if (arguments.has("inactive")) flags |= VIR_DOMAIN_XML_INACTIVE;
    if (arguments.has("security-info")) flags |= VIR_DOMAIN_XML_SECURE;
    if (arguments.has("update-cpu")) flags |= VIR_DOMAIN_XML_UPDATE_CPU;
    if (arguments.has("migratable")) flags |= VIR_DOMAIN_XML_MIGRATABLE;
    Text xml(virDomainGetXMLDesc(domain.get(), flags));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void domcontrol(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    virDomainControlInfo info{};
    check(virDomainGetControlInfo(domain.get(), &info, 0));
    auto word = control_state(info.state);
    if (info.state != VIR_DOMAIN_CONTROL_OK && info.state != VIR_DOMAIN_CONTROL_ERROR)
        session.print("{} ({:.3f}s)\n", word, static_cast<double>(info.stateTime) / 1000.0);
    else
        session.show_value(word);
}

void domhostname(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = 0;
    auto source = arguments.text("source", "");
    if (source == "lease")
        flags = VIR_DOMAIN_GET_HOSTNAME_LEASE;
    else if (source == "agent")
        flags = VIR_DOMAIN_GET_HOSTNAME_AGENT;
    else if (arguments.has("source"))
        fail("Unknown data source '{}'", source);
    Text name(virDomainGetHostname(domain.get(), flags));
    if (!name) fail_with_cause("{}", "failed to get hostname");
    session.show_value(name.get());
}

void domjobinfo(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    constexpr std::string_view types[] = {"None", "Bounded", "Unbounded", "Completed", "Failed", "Cancelled"};
    virDomainJobInfo info{};
    check(virDomainGetJobInfo(domain.get(), &info));
    Pairs out(17);
    out.add("type", "Job type:", {fmt::format("{:<12}", word_at(types, info.type)), std::string(word_at(types, info.type))});
    if (info.type != VIR_DOMAIN_JOB_NONE) {
        auto size = [](unsigned long long bytes) {
            constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
            double value = static_cast<double>(bytes);
            size_t unit = 0;
            for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
            return Cell(fmt::format("{:.3f} {}", value, units[unit]), bytes);
        };
        out.add("time_elapsed_ms", "Time elapsed:", {fmt::format("{:<12} ms", info.timeElapsed), info.timeElapsed});
        if (info.type == VIR_DOMAIN_JOB_BOUNDED)
            out.add("time_remaining_ms", "Time remaining:", {fmt::format("{:<12} ms", info.timeRemaining), info.timeRemaining});
        if (info.dataTotal || info.dataProcessed || info.dataRemaining) {
            out.add("data_processed", "Data processed:", size(info.dataProcessed));
            out.add("data_remaining", "Data remaining:", size(info.dataRemaining));
            out.add("data_total", "Data total:", size(info.dataTotal));
        }
        if (info.memTotal || info.memProcessed || info.memRemaining) {
            out.add("memory_processed", "Memory processed:", size(info.memProcessed));
            out.add("memory_remaining", "Memory remaining:", size(info.memRemaining));
            out.add("memory_total", "Memory total:", size(info.memTotal));
        }
        if (info.fileTotal || info.fileProcessed || info.fileRemaining) {
            out.add("file_processed", "File processed:", size(info.fileProcessed));
            out.add("file_remaining", "File remaining:", size(info.fileRemaining));
            out.add("file_total", "File total:", size(info.fileTotal));
        }
    }
    session.show(out);
}

void domjobabort(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = arguments.has("postcopy") ? VIR_DOMAIN_ABORT_JOB_POSTCOPY : 0;
    check(flags ? virDomainAbortJobFlags(domain.get(), flags) : virDomainAbortJob(domain.get()));
}

void vcpucount(Session& session, const Arguments& arguments) {
    arguments.exclusive("maximum", "active");
    arguments.exclusive("guest", "config");
    arguments.exclusive("live", "config");
    auto domain = find_domain(session, arguments);
    bool which = arguments.has("maximum") || arguments.has("active");
    bool where = arguments.has("live") || arguments.has("config") || arguments.has("current") || arguments.has("guest");

    auto ask = [&](unsigned flags) { return virDomainGetVcpusFlags(domain.get(), flags); };
    if (which || where) {
        unsigned flags =
            (arguments.has("live") ? VIR_DOMAIN_AFFECT_LIVE : 0u) | (arguments.has("config") ? VIR_DOMAIN_AFFECT_CONFIG : 0u);
        if (arguments.has("maximum")) flags |= VIR_DOMAIN_VCPU_MAXIMUM;
        if (arguments.has("guest")) flags |= VIR_DOMAIN_VCPU_GUEST;
        session.show_value(check(ask(flags)));
        return;
    }
    Json json = Json::object();
    for (unsigned maximum : {unsigned(VIR_DOMAIN_VCPU_MAXIMUM), 0u})
        for (unsigned scope : {VIR_DOMAIN_AFFECT_CONFIG, VIR_DOMAIN_AFFECT_LIVE}) {
            int count = ask(maximum | scope);
            if (count < 0) continue; // an inactive guest has no live numbers, a transient one no stored ones
            const char* kind = maximum ? "maximum" : "current";
            const char* place = scope == VIR_DOMAIN_AFFECT_CONFIG ? "config" : "live";
            if (session.json())
                json[kind][place] = count;
            else
                session.print("{:<12} {:<12} {:>3}\n", kind, place, count);
        }
    forget_cause();
    if (session.json()) session.show(json);
}

} // namespace

const std::vector<Command>& domain_info_commands() {
    static const std::vector<Command> rows = {
        {.name = "dominfo",
         .group = Group::monitor,
         .help = "domain information",
         .description = "Returns basic information about the domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain)},
         .run = dominfo},
        {.name = "domstate",
         .group = Group::monitor,
         .help = "domain state",
         .description = "Returns state about a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     flag("reason", "also print reason for the state")},
         .run = domstate},
        {.name = "domid",
         .group = Group::domain,
         .help = "convert a domain name or UUID to domain id",
         .description = "",
         .options = {need("domain", "domain name or uuid", Complete::domain)},
         .run = domid},
        {.name = "domname",
         .group = Group::domain,
         .help = "convert a domain id or UUID to domain name",
         .description = "",
         .options = {need("domain", "domain id or uuid", Complete::domain)},
         .run = domname},
        {.name = "domuuid",
         .group = Group::domain,
         .help = "convert a domain name or id to domain UUID",
         .description = "",
         .options = {need("domain", "domain id or name", Complete::domain)},
         .run = domuuid},
        {.name = "dumpxml",
         .group = Group::domain,
         .help = "domain information in XML",
         .description = "Output the domain information as an XML dump to stdout.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), flag("inactive", "show inactive defined XML"),
                     flag("security-info", "include security sensitive information in XML dump"),
                     flag("update-cpu", "update guest CPU according to host CPU"),
                     flag("migratable", "provide XML suitable for migrations"),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "domcontrol",
         .group = Group::monitor,
         .help = "domain control interface state",
         .description = "Returns state of a control interface to the domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = domcontrol},
        {.name = "domhostname",
         .group = Group::domain,
         .help = "print the domain's hostname",
         .description = "",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     text("source", "address source: 'lease' or 'agent'").choices("lease agent")},
         .run = domhostname},
        {.name = "domjobinfo",
         .group = Group::domain,
         .help = "domain job information",
         .description = "Returns information about jobs running on a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     flag("completed", "return statistics of a recently completed job"),
                     flag("keep-completed", "don't destroy statistics of a recently completed job when reading"),
                     flag("anystats", "print statistics for any kind of job (even failed ones)"),
                     flag("rawstats", "print the raw data returned by libvirt")},
         .run = domjobinfo},
        {.name = "domjobabort",
         .group = Group::domain,
         .help = "abort active domain job",
         .description = "Aborts the currently running domain job",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     flag("postcopy", "interrupt post-copy migration")},
         .run = domjobabort},
        {.name = "vcpucount",
         .group = Group::domain,
         .help = "domain vcpu counts",
         .description = "Returns the number of virtual CPUs used by the domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), flag("maximum", "get maximum count of vcpus"),
                     flag("active", "get number of currently active vcpus"), flag("live", "get value from running domain"),
                     flag("config", "get value to be used on next boot"),
                     flag("current", "get value according to current domain state"),
                     flag("guest", "retrieve vcpu count from the guest instead of the hypervisor")},
         .run = vcpucount},
    };
    return rows;
}

} // namespace lodge::cli
