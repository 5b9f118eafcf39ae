#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

namespace lodge::cli {

namespace {

std::string uuid_text(const NetworkPort& port) {
    char text[VIR_UUID_STRING_BUFLEN] = {};
    check(virNetworkPortGetUUIDString(port.get(), text), "{}", "Failed to get network's UUID");
    return text;
}

NetworkPort named(const Network& network, const Arguments& arguments) {
    const auto& word = arguments.required("port");
    NetworkPort port(virNetworkPortLookupByUUIDString(network.get(), word.c_str()));
    if (!port) fail_with_cause("failed to get network port '{}'", word);
    return port;
}

void show_list(Session& session, const Arguments& arguments) {
    if (arguments.has("table") && arguments.has("uuid"))
        fail("{}", "Only one argument from --table and --uuid may be specified.");
    auto network = find_network(session, arguments);
    auto ports = collect<NetworkPort>(virNetworkListAllPorts, network.get(), 0, "Failed to list network ports");
    std::vector<std::string> uuids;
    for (const auto& port : ports) uuids.push_back(uuid_text(port));
    std::ranges::sort(uuids);
    Table table({{"uuid", "UUID"}});
    for (const auto& uuid : uuids) {
        if (!session.json() && arguments.has("uuid")) session.print("{}\n", uuid);
        table.add({uuid});
    }
    if (session.json() || !arguments.has("uuid")) session.show(table);
}

void create(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto network = find_network(session, arguments);
    auto xml = read_document(file);
    NetworkPort port(
        virNetworkPortCreateXML(network.get(), xml.c_str(), arguments.has("validate") ? VIR_NETWORK_PORT_CREATE_VALIDATE : 0));
    if (!port) fail_with_cause("Failed to create network from {}", file);
    session.extra("Network port {} created from {}\n", uuid_text(port), file);
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    auto port = named(network, arguments);
    Text xml(virNetworkPortGetXMLDesc(port.get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void remove(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    auto port = named(network, arguments);
    const auto uuid = uuid_text(port);
    check(virNetworkPortDelete(port.get(), 0), "Failed to delete network port {}", uuid);
    session.extra("Network port {} deleted\n", uuid);
}

} // namespace

const std::vector<Command>& network_port_commands() {
    static const std::vector<Command> rows = {
        {.name = "net-port-list",
         .group = Group::network,
         .help = "list network ports",
         .description = "Returns list of network ports.",
         .options = {need("network", "network name or uuid", Complete::active_network), flag("uuid", "list uuid's only"),
                     flag("table", "list table (default)")},
         .run = show_list},
        {.name = "net-port-create",
         .group = Group::network,
         .help = "create a network port from an XML file",
         .description = "Create a network port.",
         .options = {need("network", "network name or uuid", Complete::active_network),
                     need("file", "file containing an XML network port description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = create},
        {.name = "net-port-dumpxml",
         .group = Group::network,
         .help = "network port information in XML",
         .description = "Output the network port information as an XML dump to stdout.",
         .options = {need("network", "network name or uuid", Complete::active_network), need("port", "port UUID"),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "net-port-delete",
         .group = Group::network,
         .help = "delete the specified network port",
         .description = "Delete the specified network port.",
         .options = {need("network", "network name or uuid", Complete::active_network), need("port", "port UUID")},
         .run = remove},
    };
    return rows;
}

} // namespace lodge::cli
