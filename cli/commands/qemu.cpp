// Straight to QEMU: its monitor, its events, and a guest's agent. Whoever uses these knows what they do.
#include "cli/commands.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"

#include <charconv>
#include <libvirt/libvirt-qemu.h>

namespace lodge::cli {

namespace {

std::string joined(std::span<const std::string> words) { return fmt::format("{}", fmt::join(words, " ")); }

Json parsed(const std::string& text) { return Json::parse(text, nullptr, false); }

// A whole QMP command, or a command's name with its arguments as one object or as members of one.
std::string qmp_command(std::span<const std::string> words) {
    std::string whole = joined(words);
    if (parsed(whole).is_object()) return whole;
    Json command = {{"execute", words[0]}};
    const auto rest = words.subspan(1);
    if (rest.empty()) return command.dump();
    Json arguments = parsed(joined(rest));
    if (!arguments.is_object()) arguments = parsed(fmt::format("{{{}}}", fmt::join(rest, ",")));
    if (arguments.is_discarded()) fail("failed to wrap arguments '{}' into a QMP command wrapper", joined(rest));
    command["arguments"] = std::move(arguments);
    return command.dump();
}

// "3,4": descriptors that this process was started with.
std::vector<unsigned> passed_fds(const Arguments& arguments) {
    std::vector<unsigned> fds;
    const auto list = arguments.text("pass-fds");
    for (std::size_t at = 0; list && at <= list->size();) {
        const auto comma = std::min(list->find(',', at), list->size());
        const auto word = std::string_view(*list).substr(at, comma - at);
        unsigned fd = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), fd);
        if (error != std::errc() || end != word.data() + word.size()) fail("Unable to parse FD number '{}'", word);
        fds.push_back(fd);
        at = comma + 1;
    }
    return fds;
}

void monitor_command(Session& session, const Arguments& arguments) {
    arguments.exclusive("hmp", "pretty");
    arguments.exclusive("hmp", "return-value");
    auto domain = find_domain(session, arguments);
    const bool human = arguments.has("hmp"), pretty = arguments.has("pretty"), value = arguments.has("return-value");
    const auto words = arguments.rest("cmd");
    const std::string command = human ? joined(words) : qmp_command(words);
    const unsigned flags = human ? VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP : 0u;
    auto fds = passed_fds(arguments);
    char* raw = nullptr;
    check(fds.empty() ? virDomainQemuMonitorCommand(domain.get(), command.c_str(), &raw, flags)
                      : virDomainQemuMonitorCommandWithFiles(domain.get(), command.c_str(), static_cast<unsigned>(fds.size()),
                                                             std::bit_cast<int*>(fds.data()), nullptr, nullptr, &raw, flags));
    const Text answer(raw);
    Json json = pretty || value ? parsed(raw) : Json(Json::value_t::discarded);
    if (value && json.is_discarded()) fail("failed to parse JSON returned by qemu");
    if (json.is_discarded()) return session.print("{}\n", raw);
    if (value && !json.contains("return")) fail("'return' member missing");
    session.write((value ? json["return"] : json).dump(pretty ? 2 : -1));
}

void agent_command(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    int timeout = VIR_DOMAIN_QEMU_AGENT_COMMAND_DEFAULT;
    if (const auto seconds = arguments.number<int>("timeout")) {
        if (*seconds < 1) fail("timeout must be positive");
        timeout = *seconds;
    }
    if (arguments.has("timeout") + arguments.has("async") + arguments.has("block") > 1)
        fail("timeout, async and block options are exclusive");
    if (arguments.has("async")) timeout = VIR_DOMAIN_QEMU_AGENT_COMMAND_NOWAIT;
    if (arguments.has("block")) timeout = VIR_DOMAIN_QEMU_AGENT_COMMAND_BLOCK;
    const Text answer(virDomainQemuAgentCommand(domain.get(), joined(arguments.rest("cmd")).c_str(), timeout, 0));
    if (!answer) fail_with_cause();
    const Json json = arguments.has("pretty") ? parsed(answer.get()) : Json(Json::value_t::discarded);
    session.print("{}\n", json.is_discarded() ? answer.get() : json.dump(2) + "\n");
}

void attach(Session& session, const Arguments& arguments) {
    const auto pid = arguments.number<unsigned>("pid").value_or(0);
    Domain domain(virDomainQemuAttach(session.connection(), pid, 0));
    if (!domain) fail_with_cause("Failed to attach to pid {}", pid);
    session.extra("Domain '{}' attached to pid {}\n", virDomainGetName(domain.get()), pid);
}

// ---- events ----

struct Told {
    Watch& watch;
    bool pretty, stamped;
};

void tell(virConnectPtr, virDomainPtr domain, const char* event, long long seconds, unsigned micros, const char* details,
          void* opaque) {
    auto& told = *static_cast<Told*>(opaque);
    std::string text = details ? details : "<null>";
    if (told.pretty)
        if (const Json json = parsed(text); !json.is_discarded()) text = json.dump(2) + "\n";
    const std::string when = told.stamped ? "" : fmt::format(" at {}.{:06}", seconds, micros);
    told.watch.tell_raw(fmt::format("event {}{} for domain '{}': {}\n", event, when, virDomainGetName(domain), text),
                        Json{{"event", event},
                             {"seconds", seconds},
                             {"micros", micros},
                             {"domain", virDomainGetName(domain)},
                             {"details", parsed(details ? details : "null")}});
}

void monitor_event(Session& session, const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("regex")) flags |= VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX;
    if (arguments.has("no-case")) flags |= VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_NOCASE;
    const auto event = arguments.text("event");
    Domain domain = arguments.has("domain") ? find_domain(session, arguments) : nullptr;
    Watch watch(session, arguments);
    Told told{watch, arguments.has("pretty"), arguments.has("timestamp")};
    Registrations registered(session.connection());
    registered.add(check(virConnectDomainQemuMonitorEventRegister(session.connection(), domain.get(),
                                                                  event ? event->c_str() : nullptr, tell, &told, nullptr, flags)),
                   virConnectDomainQemuMonitorEventDeregister);
    if (!watch.wait()) throw NothingReceived();
}

void associate(Session& session, const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("seclabel-writable")) flags |= VIR_DOMAIN_FD_ASSOCIATE_SECLABEL_WRITABLE;
    if (arguments.has("seclabel-restore")) flags |= VIR_DOMAIN_FD_ASSOCIATE_SECLABEL_RESTORE;
    auto domain = find_domain(session, arguments);
    auto fds = passed_fds(arguments);
    check(virDomainFDAssociate(domain.get(), arguments.required("name").c_str(), static_cast<unsigned>(fds.size()),
                               std::bit_cast<int*>(fds.data()), flags));
}

} // namespace

const std::vector<Command>& qemu_commands() {
    static const std::vector<Command> rows = {
        {.name = "qemu-monitor-command",
         .group = Group::domain,
         .help = "QEMU Monitor Command",
         .description = "QEMU Monitor Command",
         .options = {the_domain(), flag("hmp", "command is in human monitor protocol"),
                     flag("pretty", "pretty-print any qemu monitor protocol output"),
                     flag("return-value", "extract the value of the 'return' key from the returned string"),
                     text("pass-fds", "pass file descriptors N,M,... along with the command").named(),
                     rest("cmd", "command", true)},
         .run = monitor_command},
        {.name = "qemu-agent-command",
         .group = Group::domain,
         .help = "QEMU Guest Agent Command",
         .description = "Run an arbitrary qemu guest agent command; use at your own risk",
         .options = {the_domain(), number("timeout", "timeout seconds. must be positive.").named(),
                     flag("async", "execute command without waiting for timeout"),
                     flag("block", "execute command without timeout"), flag("pretty", "pretty-print the output"),
                     rest("cmd", "command", true)},
         .run = agent_command},
        {.name = "qemu-attach",
         .group = Group::domain,
         .help = "QEMU Attach",
         .description = "QEMU Attach",
         .options = {need("pid", "pid")},
         .run = attach},
        {.name = "qemu-monitor-event",
         .group = Group::domain,
         .help = "QEMU Monitor Events",
         .description = "Listen for QEMU Monitor Events",
         .options = {text("domain", "filter by domain name, id or uuid").completed(Complete::domain),
                     text("event", "filter by event name"), flag("pretty", "pretty-print any JSON output"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("regex", "treat event as a regex rather than literal filter"),
                     flag("no-case", "treat event case-insensitively"),
                     flag("timestamp", "show timestamp for each printed event")},
         .run = monitor_event,
         .needs = Need::events},
        {.name = "dom-fd-associate",
         .group = Group::domain,
         .help = "associate a FD with a domain",
         .description = "associate a FD with a domain",
         .options = {the_domain(), need("name", "name of the FD group"),
                     need("pass-fds", "file descriptors N,M,... to associate"),
                     flag("seclabel-writable", "use seclabels allowing writes"),
                     flag("seclabel-restore", "try to restore security label after use if possible")},
         .run = associate},
    };
    return rows;
}

} // namespace lodge::cli
