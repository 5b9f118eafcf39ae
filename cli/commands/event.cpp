#include "cli/commands.hpp"
#include "cli/event_watch.hpp"
#include "cli/event_words.hpp"
#include "cli/lookup.hpp"

#include <bit>

namespace lodge::cli {

namespace {

void event(Session& session, const Arguments& arguments) {
    auto kinds = event_kinds();
    if (arguments.has("list")) {
        if (session.json()) {
            auto names = Json::array();
            for (const auto& kind : kinds) names.push_back(kind.name);
            return session.show(names);
        }
        for (const auto& kind : kinds) session.print("{}\n", kind.name);
        return;
    }
    auto wanted = arguments.text("event");
    if (wanted && std::ranges::find(kinds, *wanted, &EventKind::name) == kinds.end()) fail("unknown event type {}", *wanted);
    if (!wanted && !arguments.has("all")) fail("{}", "one of --list, --all, or --event <type> is required");
    Domain domain = arguments.has("domain") ? find_domain(session, arguments) : nullptr;

    Watch watch(session, arguments);
    std::vector<EventSink> sinks;
    sinks.reserve(kinds.size());
    Registrations registered(session.connection());
    for (const auto& kind : kinds) {
        if (!arguments.has("all") && kind.name != *wanted) continue;
        sinks.push_back(
            {kind.name, [&](const EventText& text) { watch.tell("domain", text.name, text.domain, text.detail, true); }});
        int id =
            virConnectDomainEventRegisterAny(session.connection(), domain.get(), kind.id, kind.callback, &sinks.back(), nullptr);
        if (id >= 0)
            registered.add(id, virConnectDomainEventDeregisterAny);
        else if (!arguments.has("all"))
            fail_with_cause(); // with --all, a daemon that lacks one kind still tells the others
    }
    if (!watch.wait()) throw NothingReceived();
}

void network_lifecycle(virConnectPtr, virNetworkPtr network, int event_number, int, void* opaque) {
    constexpr std::string_view words[] = {"Defined", "Undefined", "Started", "Stopped"};
    auto word = event_number >= 0 && event_number < 4 ? words[event_number] : "unknown";
    static_cast<Watch*>(opaque)->tell("network", "lifecycle", virNetworkGetName(network), fmt::format(": {}", word), false);
}

void net_event(Session& session, const Arguments& arguments) {
    if (!wanted_event(session, arguments, {"lifecycle"})) return;
    Network network = arguments.has("network") ? find_network(session, arguments) : nullptr;
    Watch watch(session, arguments);
    Registrations registered(session.connection());
    registered.add(check(virConnectNetworkEventRegisterAny(
                       session.connection(), network.get(), VIR_NETWORK_EVENT_ID_LIFECYCLE,
                       std::bit_cast<virConnectNetworkEventGenericCallback>(&network_lifecycle), &watch, nullptr)),
                   virConnectNetworkEventDeregisterAny);
    if (!watch.wait()) throw NothingReceived();
}

} // namespace

const std::vector<Command>& event_commands() {
    static const std::vector<Command> rows = {
        {.name = "event",
         .group = Group::events,
         .help = "Domain Events",
         .description = "List event types, or wait for domain events to occur",
         .options = {text("domain", "filter by domain name, id or uuid").completed(Complete::domain),
                     text("event", "which event type to wait for"), flag("all", "wait for all events instead of just one type"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("list", "list valid event types"), flag("timestamp", "show timestamp for each printed event")},
         .run = event,
         .needs = Need::events},
        {.name = "net-event",
         .group = Group::network,
         .help = "Network Events",
         .description = "List event types, or wait for network events to occur",
         .options = {text("network", "filter by network name or uuid").completed(Complete::network),
                     text("event", "which event type to wait for"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("list", "list valid event types"), flag("timestamp", "show timestamp for each printed event")},
         .run = net_event,
         .needs = Need::events},
    };
    return rows;
}

} // namespace lodge::cli
