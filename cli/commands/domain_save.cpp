#include "cli/commands.hpp"
#include "cli/lookup.hpp"

namespace lodge::cli {

namespace {

std::string name_of(const Domain& domain) { return virDomainGetName(domain.get()); }

unsigned save_flags(const Arguments& arguments) {
    arguments.exclusive("running", "paused");
    unsigned flags = 0;
    if (arguments.has("bypass-cache")) flags |= VIR_DOMAIN_SAVE_BYPASS_CACHE;
    if (arguments.has("running")) flags |= VIR_DOMAIN_SAVE_RUNNING;
    if (arguments.has("paused")) flags |= VIR_DOMAIN_SAVE_PAUSED;
    return flags;
}

void managedsave(Session& session, const Arguments& arguments) {
    auto flags = save_flags(arguments);
    auto domain = find_domain(session, arguments);
    check(virDomainManagedSave(domain.get(), flags), "Failed to save domain '{}' state", name_of(domain));
    session.extra("\nDomain '{}' state saved by libvirt\n", name_of(domain));
}

void managedsave_remove(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    int has = check(virDomainHasManagedSaveImage(domain.get(), 0), "{}", "Failed to check for domain managed save image");
    if (!has) {
        session.extra("Domain '{}' has no manage save image; removal skipped", name_of(domain));
        return;
    }
    check(virDomainManagedSaveRemove(domain.get(), 0), "Failed to remove managed save image for domain '{}'", name_of(domain));
    session.extra("Removed managedsave image for domain '{}'", name_of(domain));
}

void save(Session& session, const Arguments& arguments) {
    auto flags = save_flags(arguments);
    auto domain = find_domain(session, arguments);
    const auto& file = arguments.required("file");
    std::string xml;
    if (auto path = arguments.text("xml")) xml = read_document(*path);
    bool plain = flags == 0 && xml.empty();
    check(plain ? virDomainSave(domain.get(), file.c_str())
                : virDomainSaveFlags(domain.get(), file.c_str(), xml.empty() ? nullptr : xml.c_str(), flags),
          "Failed to save domain '{}' to {}", name_of(domain), file);
    session.extra("\nDomain '{}' saved to {}\n", name_of(domain), file);
}

} // namespace

const std::vector<Command>& domain_save_commands() {
    static const std::vector<Command> rows = {
        {.name = "managedsave",
         .group = Group::domain,
         .help = "managed save of a domain state",
         .description =
             "Save and destroy a running domain, so it can be restarted from\nthe same state at a later time.  When the lodge "
             "'start'\ncommand is next run for the domain, it will automatically\nbe started from this saved state.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     flag("bypass-cache", "avoid file system cache when saving"),
                     flag("running", "set domain to be running on next start"),
                     flag("paused", "set domain to be paused on next start"), flag("verbose", "display the progress of save")},
         .run = managedsave},
        {.name = "managedsave-remove",
         .group = Group::domain,
         .help = "Remove managed save of a domain",
         .description = "Remove an existing managed save state file from a domain",
         .options = {need("domain", "domain name, id or uuid", Complete::domain)},
         .run = managedsave_remove},
        {.name = "save",
         .group = Group::domain,
         .help = "save a domain state to a file",
         .description = "Save the RAM state of a running domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     need("file", "where to save the data", Complete::file),
                     flag("bypass-cache", "avoid file system cache when saving"),
                     text("xml", "filename containing updated XML for the target").completed(Complete::file),
                     flag("running", "set domain to be running on restore"), flag("paused", "set domain to be paused on restore"),
                     flag("verbose", "display the progress of save")},
         .run = save},
    };
    return rows;
}

} // namespace lodge::cli
