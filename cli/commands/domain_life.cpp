#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/lookup.hpp"
#include "cli/storage_removal.hpp"

#include <charconv>

namespace lodge::cli {

namespace {

std::string name_of(const Domain& domain) { return virDomainGetName(domain.get()); }

// --pass-fds 3,4: these of our own descriptors go to the guest's first process.
std::vector<int> passed_fds(const Arguments& arguments) {
    std::vector<int> out;
    std::string list = arguments.text("pass-fds", "");
    for (size_t at = 0; at < list.size();) {
        auto comma = std::min(list.find(',', at), list.size());
        int fd = -1;
        auto [end, error] = std::from_chars(list.data() + at, list.data() + comma, fd);
        if (error != std::errc() || end != list.data() + comma)
            fail("Unable to parse FD number '{}'", list.substr(at, comma - at));
        out.push_back(fd);
        at = comma + 1;
    }
    return out;
}

unsigned start_flags(const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("paused")) flags |= VIR_DOMAIN_START_PAUSED;
    if (arguments.has("autodestroy")) flags |= VIR_DOMAIN_START_AUTODESTROY;
    if (arguments.has("bypass-cache")) flags |= VIR_DOMAIN_START_BYPASS_CACHE;
    if (arguments.has("force-boot")) flags |= VIR_DOMAIN_START_FORCE_BOOT;
    if (arguments.has("validate")) flags |= VIR_DOMAIN_START_VALIDATE;
    if (arguments.has("reset-nvram")) flags |= VIR_DOMAIN_START_RESET_NVRAM;
    return flags;
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    unsigned flags = arguments.has("validate") ? VIR_DOMAIN_DEFINE_VALIDATE : 0;
    Domain domain(flags ? virDomainDefineXMLFlags(session.connection(), xml.c_str(), flags)
                        : virDomainDefineXML(session.connection(), xml.c_str()));
    if (!domain) fail_with_cause("Failed to define domain from {}", file);
    session.extra("Domain '{}' defined from {}\n", name_of(domain), file);
}

void create(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    auto fds = passed_fds(arguments);
    auto flags = start_flags(arguments);
    Domain domain(fds.empty() ? virDomainCreateXML(session.connection(), xml.c_str(), flags)
                              : virDomainCreateXMLWithFiles(session.connection(), xml.c_str(), static_cast<unsigned>(fds.size()),
                                                            fds.data(), flags));
    if (!domain) fail_with_cause("Failed to create domain from {}", file);
    session.extra("Domain '{}' created from {}\n", name_of(domain), file);
    if (arguments.has("console")) run_console(session, domain.get(), {}, 0);
}

void start(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments, By::name_or_uuid);
    if (virDomainGetID(domain.get()) != static_cast<unsigned>(-1)) fail("{}", "Domain is already active");
    auto fds = passed_fds(arguments);
    auto flags = start_flags(arguments);
    int answer = 0;
    if (!fds.empty())
        answer = virDomainCreateWithFiles(domain.get(), static_cast<unsigned>(fds.size()), fds.data(), flags);
    else
        answer = flags ? virDomainCreateWithFlags(domain.get(), flags) : virDomainCreate(domain.get());
    check(answer, "Failed to start domain '{}'", name_of(domain));
    session.extra("Domain '{}' started\n", name_of(domain));
    if (arguments.has("console")) run_console(session, domain.get(), {}, 0);
}

// --mode takes several words, separated by commas.
unsigned mode_flags(const Arguments& arguments) {
    static_assert(int(VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == int(VIR_DOMAIN_REBOOT_GUEST_AGENT));
    constexpr std::pair<std::string_view, unsigned> modes[] = {{"acpi", VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN},
                                                               {"agent", VIR_DOMAIN_SHUTDOWN_GUEST_AGENT},
                                                               {"initctl", VIR_DOMAIN_SHUTDOWN_INITCTL},
                                                               {"signal", VIR_DOMAIN_SHUTDOWN_SIGNAL},
                                                               {"paravirt", VIR_DOMAIN_SHUTDOWN_PARAVIRT}};
    unsigned flags = 0;
    auto list = arguments.text("mode", "");
    for (size_t at = 0; arguments.has("mode") && at <= list.size();) {
        auto comma = std::min(list.find(',', at), list.size());
        auto word = std::string_view(list).substr(at, comma - at);
        const auto* mode = std::ranges::find(modes, word, &std::pair<std::string_view, unsigned>::first);
        if (mode == std::end(modes))
            fail("Unknown mode {} value, expecting 'acpi', 'agent', 'initctl', 'signal', or 'paravirt'", word);
        flags |= mode->second;
        at = comma + 1;
    }
    return flags;
}

void shutdown(Session& session, const Arguments& arguments) {
    auto flags = mode_flags(arguments);
    auto domain = find_domain(session, arguments);
    check(flags ? virDomainShutdownFlags(domain.get(), flags) : virDomainShutdown(domain.get()), "Failed to shutdown domain '{}'",
          name_of(domain));
    session.extra("Domain '{}' is being shutdown\n", name_of(domain));
}

void reboot(Session& session, const Arguments& arguments) {
    auto flags = mode_flags(arguments);
    auto domain = find_domain(session, arguments);
    check(virDomainReboot(domain.get(), flags), "Failed to reboot domain '{}'", name_of(domain));
    session.extra("Domain '{}' is being rebooted\n", name_of(domain));
}

void reset(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    check(virDomainReset(domain.get(), 0), "Failed to reset domain '{}'", name_of(domain));
    session.extra("Domain '{}' was reset\n", name_of(domain));
}

void destroy(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = 0;
    if (arguments.has("graceful")) flags |= VIR_DOMAIN_DESTROY_GRACEFUL;
    if (arguments.has("remove-logs")) flags |= VIR_DOMAIN_DESTROY_REMOVE_LOGS;
    check(flags ? virDomainDestroyFlags(domain.get(), flags) : virDomainDestroy(domain.get()), "Failed to destroy domain '{}'",
          name_of(domain));
    session.extra("Domain '{}' destroyed\n", name_of(domain));
}

void suspend(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    check(virDomainSuspend(domain.get()), "Failed to suspend domain '{}'", name_of(domain));
    session.extra("Domain '{}' suspended\n", name_of(domain));
}

void resume(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    check(virDomainResume(domain.get()), "Failed to resume domain '{}'", name_of(domain));
    session.extra("Domain '{}' resumed\n", name_of(domain));
}

void autostart(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    bool on = !arguments.has("disable");
    check(virDomainSetAutostart(domain.get(), on), "Failed to {} domain '{}' as autostarted", on ? "mark" : "unmark",
          name_of(domain));
    session.extra("Domain '{}' {} as autostarted\n", name_of(domain), on ? "marked" : "unmarked");
}

void undefine(Session& session, const Arguments& arguments) {
    arguments.exclusive("nvram", "keep-nvram");
    arguments.exclusive("tpm", "keep-tpm");
    arguments.exclusive("storage", "remove-all-storage");
    for (const char* option : {"delete-storage-volume-snapshots", "wipe-storage"})
        if (!arguments.has("storage")) arguments.requires_option(option, "remove-all-storage");
    constexpr std::pair<std::string_view, unsigned> choices[] = {
        {"managed-save", VIR_DOMAIN_UNDEFINE_MANAGED_SAVE},
        {"snapshots-metadata", VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA},
        {"checkpoints-metadata", VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA},
        {"nvram", VIR_DOMAIN_UNDEFINE_NVRAM},
        {"keep-nvram", VIR_DOMAIN_UNDEFINE_KEEP_NVRAM},
        {"tpm", VIR_DOMAIN_UNDEFINE_TPM},
        {"keep-tpm", VIR_DOMAIN_UNDEFINE_KEEP_TPM},
    };
    auto domain = find_domain(session, arguments);
    unsigned flags = 0;
    for (const auto& [name, bit] : choices)
        if (arguments.has(name)) flags |= bit;
    if (!(flags & VIR_DOMAIN_UNDEFINE_MANAGED_SAVE) && virDomainHasManagedSaveImage(domain.get(), 0) > 0)
        fail("{}", "Refusing to undefine while domain managed save image exists");
    forget_cause();

    auto volumes = volumes_to_remove(session, domain.get(), arguments);
    auto name = name_of(domain);
    check(flags ? virDomainUndefineFlags(domain.get(), flags) : virDomainUndefine(domain.get()), "Failed to undefine domain '{}'",
          name);
    session.extra("Domain '{}' has been undefined\n", name);
    remove_volumes(session, volumes, arguments);
}

} // namespace

const std::vector<Command>& domain_life_commands() {
    static const std::vector<Command> rows = {
        {.name = "define",
         .group = Group::domain,
         .help = "define (but don't start) a domain from an XML file",
         .description = "Define a domain.",
         .options = {need("file", "file containing an XML domain description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "undefine",
         .group = Group::domain,
         .help = "undefine a domain",
         .description = "Undefine an inactive domain, or convert persistent to transient.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     flag("managed-save", "remove domain managed state file"),
                     text("storage",
                          "remove associated storage volumes (comma separated list of targets or source paths) (see domblklist)"),
                     flag("remove-all-storage", "remove all associated storage volumes (use with caution)"),
                     flag("delete-storage-volume-snapshots", "delete snapshots associated with volume(s), requires "
                                                             "--remove-all-storage (must be supported by storage driver)"),
                     flag("wipe-storage", "wipe data on the removed volumes"),
                     flag("snapshots-metadata", "remove all domain snapshot metadata (vm must be inactive)"),
                     flag("checkpoints-metadata", "remove all domain checkpoint metadata (vm must be inactive)"),
                     flag("nvram", "remove nvram file"), flag("keep-nvram", "keep nvram file"), flag("tpm", "remove TPM state"),
                     flag("keep-tpm", "keep TPM state")},
         .run = undefine},
        {.name = "create",
         .group = Group::domain,
         .help = "create a domain from an XML file",
         .description = "Create a domain.",
         .options = {need("file", "file containing an XML domain description", Complete::file),
                     flag("console", "attach to console after creation"), flag("paused", "leave the guest paused after creation"),
                     flag("autodestroy", "automatically destroy the guest when lodge disconnects"),
                     text("pass-fds", "pass file descriptors N,M,... to the guest"),
                     flag("validate", "validate the XML against the schema"),
                     flag("reset-nvram", "re-initialize NVRAM from its pristine template")},
         .run = create},
        {.name = "start",
         .group = Group::domain,
         .help = "start a (previously defined) inactive domain",
         .description =
             "Start a domain, either from the last managedsave\nstate, or via a fresh boot if no managedsave state\nis present.",
         .options = {need("domain", "name of the inactive domain", Complete::inactive_domain),
                     flag("console", "attach to console after creation"), flag("paused", "leave the guest paused after creation"),
                     flag("autodestroy", "automatically destroy the guest when lodge disconnects"),
                     flag("bypass-cache", "avoid file system cache when loading"),
                     flag("force-boot", "force fresh boot by discarding any managed save"),
                     text("pass-fds", "pass file descriptors N,M,... to the guest"),
                     flag("reset-nvram", "re-initialize NVRAM from its pristine template")},
         .run = start},
        {.name = "shutdown",
         .group = Group::domain,
         .help = "gracefully shutdown a domain",
         .description = "Run shutdown in the target domain.",
         .options =
             {need("domain", "domain name, id or uuid", Complete::active_domain),
              text("mode", "shutdown mode: acpi|agent|initctl|signal|paravirt").choices("acpi agent initctl signal paravirt")},
         .run = shutdown},
        {.name = "reboot",
         .group = Group::domain,
         .help = "reboot a domain",
         .description = "Run a reboot command in the target domain.",
         .options =
             {need("domain", "domain name, id or uuid", Complete::active_domain),
              text("mode", "shutdown mode: acpi|agent|initctl|signal|paravirt").choices("acpi agent initctl signal paravirt")},
         .run = reboot},
        {.name = "reset",
         .group = Group::domain,
         .help = "reset a domain",
         .description = "Reset the target domain as if by power button",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = reset},
        {.name = "destroy",
         .group = Group::domain,
         .help = "destroy (stop) a domain",
         .description = "Forcefully stop a given domain, but leave its resources intact.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain), flag("graceful", "terminate gracefully"),
                     flag("remove-logs", "remove domain logs")},
         .run = destroy},
        {.name = "suspend",
         .group = Group::domain,
         .help = "suspend a domain",
         .description = "Suspend a running domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = suspend},
        {.name = "resume",
         .group = Group::domain,
         .help = "resume a domain",
         .description = "Resume a previously suspended domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain)},
         .run = resume},
        {.name = "autostart",
         .group = Group::domain,
         .help = "autostart a domain",
         .description = "Configure a domain to be automatically started at boot.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), flag("disable", "disable autostarting")},
         .run = autostart},
    };
    return rows;
}

} // namespace lodge::cli
