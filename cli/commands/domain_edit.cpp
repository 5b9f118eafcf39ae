#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"

#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

void edit(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = arguments.has("skip-validate") ? 0 : VIR_DOMAIN_DEFINE_VALIDATE;
    std::string name = virDomainGetName(domain.get());
    edit_object(session, {
                             .fetch =
                                 [&] {
                                     Text xml(virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
                                     if (!xml) fail_with_cause();
                                     return std::string(xml.get());
                                 },
                             .store =
                                 [&](const std::string& xml) {
                                     Domain stored(virDomainDefineXMLFlags(session.connection(), xml.c_str(), flags));
                                     // a daemon that knows no validation says so: then without it
                                     if (!stored && flags && cause_code() == VIR_ERR_INVALID_ARG)
                                         stored.reset(virDomainDefineXML(session.connection(), xml.c_str()));
                                     if (!stored) fail_with_cause();
                                     name = virDomainGetName(stored.get());
                                 },
                             .unchanged = fmt::format("Domain '{}' XML configuration not changed.", name),
                             .edited = fmt::format("Domain '{}' XML configuration edited.", name),
                         });
}

} // namespace

const std::vector<Command>& domain_edit_commands() {
    static const std::vector<Command> rows = {
        {.name = "edit",
         .group = Group::domain,
         .help = "edit XML configuration for a domain",
         .description = "Edit the XML configuration for a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     flag("skip-validate", "skip validation of the XML against the schema")},
         .run = edit},
    };
    return rows;
}

} // namespace lodge::cli
