#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"

namespace lodge::cli {

namespace {

std::string name_of(const Network& network) { return virNetworkGetName(network.get()); }

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    unsigned flags = arguments.has("validate") ? VIR_NETWORK_DEFINE_VALIDATE : 0;
    Network network(flags ? virNetworkDefineXMLFlags(session.connection(), xml.c_str(), flags)
                          : virNetworkDefineXML(session.connection(), xml.c_str()));
    if (!network) fail_with_cause("Failed to define network from {}", file);
    session.extra("Network {} defined from {}\n", name_of(network), file);
}

void create(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    unsigned flags = arguments.has("validate") ? VIR_NETWORK_CREATE_VALIDATE : 0;
    Network network(flags ? virNetworkCreateXMLFlags(session.connection(), xml.c_str(), flags)
                          : virNetworkCreateXML(session.connection(), xml.c_str()));
    if (!network) fail_with_cause("Failed to create network from {}", file);
    session.extra("Network {} created from {}\n", name_of(network), file);
}

void undefine(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    check(virNetworkUndefine(network.get()), "Failed to undefine network {}", name_of(network));
    session.extra("Network {} has been undefined\n", name_of(network));
}

void start(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    check(virNetworkCreate(network.get()), "Failed to start network {}", name_of(network));
    session.extra("Network {} started\n", name_of(network));
}

void destroy(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    check(virNetworkDestroy(network.get()), "Failed to destroy network {}", name_of(network));
    session.extra("Network {} destroyed\n", name_of(network));
}

void autostart(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    bool on = !arguments.has("disable");
    check(virNetworkSetAutostart(network.get(), on), "failed to {} network {} as autostarted", on ? "mark" : "unmark",
          name_of(network));
    session.extra("Network {} {} as autostarted\n", name_of(network), on ? "marked" : "unmarked");
}

void edit(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    auto name = name_of(network);
    edit_object(session, {
                             .fetch =
                                 [&] {
                                     Text xml(virNetworkGetXMLDesc(network.get(), VIR_NETWORK_XML_INACTIVE));
                                     if (!xml) xml.reset(virNetworkGetXMLDesc(network.get(), 0));
                                     if (!xml) fail_with_cause();
                                     return std::string(xml.get());
                                 },
                             .store =
                                 [&](const std::string& xml) {
                                     if (!Network(virNetworkDefineXML(session.connection(), xml.c_str()))) fail_with_cause();
                                 },
                             .unchanged = fmt::format("Network {} XML configuration not changed.", name),
                             .edited = fmt::format("Network {} XML configuration edited.", name),
                         });
}

int index_of(std::span<const std::string_view> words, std::string_view word) {
    auto it = std::ranges::find(words, word);
    return it == words.end() ? -1 : static_cast<int>(it - words.begin());
}

void update(Session& session, const Arguments& arguments) {
    // in the order of libvirt's numbers
    constexpr std::string_view verbs[] = {"none", "modify", "delete", "add-last", "add-first"};
    constexpr std::string_view sections[] = {
        "none",       "bridge",    "domain",   "ip",      "ip-dhcp-host", "ip-dhcp-range", "forward", "forward-interface",
        "forward-pf", "portgroup", "dns-host", "dns-txt", "dns-srv"};
    auto network = find_network(session, arguments);
    auto verb_word = arguments.required("command");
    int verb = verb_word == "add" ? VIR_NETWORK_UPDATE_COMMAND_ADD_LAST : index_of(verbs, verb_word);
    if (verb <= 0) fail("unrecognized command name '{}'", verb_word);
    int section = index_of(sections, arguments.required("section"));
    if (section <= 0) fail("unrecognized section name '{}'", arguments.required("section"));
    int parent = arguments.number<int>("parent-index").value_or(-1);
    auto xml = read_document(arguments.required("xml"), true);
    auto affect = affect_of(arguments);
    unsigned flags =
        (affect.config ? VIR_NETWORK_UPDATE_AFFECT_CONFIG : 0u) | (affect.live ? VIR_NETWORK_UPDATE_AFFECT_LIVE : 0u);
    check(
        virNetworkUpdate(network.get(), static_cast<unsigned>(verb), static_cast<unsigned>(section), parent, xml.c_str(), flags),
        "Failed to update network {}", name_of(network));
    const char* where = "live state";
    if (affect.config)
        where = affect.live ? "persistent config and live state" : "persistent config";
    else if (!affect.live && check(virNetworkIsActive(network.get())) == 0)
        where = "persistent config";
    session.extra("Updated network {} {}", name_of(network), where);
}

} // namespace

const std::vector<Command>& network_change_commands() {
    static const std::vector<Command> rows = {
        {.name = "net-define",
         .group = Group::network,
         .help = "define an inactive persistent virtual network or modify an existing persistent one from an XML file",
         .description = "Define or modify a persistent virtual network.",
         .options = {need("file", "file containing an XML network description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "net-create",
         .group = Group::network,
         .help = "create a network from an XML file",
         .description = "Create a network.",
         .options = {need("file", "file containing an XML network description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = create},
        {.name = "net-undefine",
         .group = Group::network,
         .help = "undefine a persistent network",
         .description = "Undefine the configuration for a persistent network.",
         .options = {need("network", "network name or uuid", Complete::network)},
         .run = undefine},
        {.name = "net-start",
         .group = Group::network,
         .help = "start a (previously defined) inactive network",
         .description = "Start a network.",
         .options = {need("network", "network name or uuid", Complete::inactive_network)},
         .run = start},
        {.name = "net-destroy",
         .group = Group::network,
         .help = "destroy (stop) a network",
         .description = "Forcefully stop a given network.",
         .options = {need("network", "network name or uuid", Complete::active_network)},
         .run = destroy},
        {.name = "net-autostart",
         .group = Group::network,
         .help = "autostart a network",
         .description = "Configure a network to be automatically started at boot.",
         .options = {need("network", "network name or uuid", Complete::network), flag("disable", "disable autostarting")},
         .run = autostart},
        {.name = "net-edit",
         .group = Group::network,
         .help = "edit XML configuration for a network",
         .description = "Edit the XML configuration for a network.",
         .options = {need("network", "network name or uuid", Complete::network)},
         .run = edit},
        {.name = "net-update",
         .group = Group::network,
         .help = "update parts of an existing network's configuration",
         .description = "",
         .options = {need("network", "network name or uuid", Complete::network),
                     need("command", "type of update (add-first, add-last (add), delete, or modify)")
                         .choices("add-first add-last add delete modify"),
                     need("section", "which section of network configuration to update")
                         .choices("bridge domain ip ip-dhcp-host ip-dhcp-range forward forward-interface forward-pf portgroup "
                                  "dns-host dns-txt dns-srv"),
                     need("xml",
                          "name of file containing xml (or, if it starts with '<', the complete xml element itself) to "
                          "add/modify, or to be matched for search",
                          Complete::file),
                     number("parent-index", "which parent object to search through"),
                     flag("config", "affect next network startup"), flag("live", "affect running network"),
                     flag("current", "affect current state of network")},
         .run = update},
    };
    return rows;
}

} // namespace lodge::cli
