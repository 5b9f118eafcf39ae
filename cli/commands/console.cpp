#include "cli/console.hpp"
#include "cli/commands.hpp"
#include "cli/lookup.hpp"

namespace lodge::cli {

namespace {

void console(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = 0;
    if (arguments.has("force")) flags |= VIR_DOMAIN_CONSOLE_FORCE;
    if (arguments.has("safe")) flags |= VIR_DOMAIN_CONSOLE_SAFE;
    run_console(session, domain.get(), arguments.text("devname", ""), flags);
}

} // namespace

const std::vector<Command>& console_commands() {
    static const std::vector<Command> rows = {
        {.name = "console",
         .group = Group::domain,
         .help = "connect to the guest console",
         .description = "Connect the virtual serial console for the guest",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain), text("devname", "character device name"),
                     flag("force", "force console connection (disconnect already connected sessions)"),
                     flag("safe", "only connect if safe console handling is supported")},
         .run = console,
         .needs = Need::events},
    };
    return rows;
}

} // namespace lodge::cli
