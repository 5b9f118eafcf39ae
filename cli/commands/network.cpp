#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xpath.hpp"

#include <ctime>
#include <strings.h>

namespace lodge::cli {

namespace {

unsigned filter_of(const Arguments& arguments) {
    unsigned flags = VIR_CONNECT_LIST_NETWORKS_ACTIVE;
    if (arguments.has("inactive")) flags = VIR_CONNECT_LIST_NETWORKS_INACTIVE;
    if (arguments.has("all")) flags = VIR_CONNECT_LIST_NETWORKS_ACTIVE | VIR_CONNECT_LIST_NETWORKS_INACTIVE;
    if (arguments.has("persistent")) flags |= VIR_CONNECT_LIST_NETWORKS_PERSISTENT;
    if (arguments.has("transient")) flags |= VIR_CONNECT_LIST_NETWORKS_TRANSIENT;
    if (arguments.has("autostart")) flags |= VIR_CONNECT_LIST_NETWORKS_AUTOSTART;
    if (arguments.has("no-autostart")) flags |= VIR_CONNECT_LIST_NETWORKS_NO_AUTOSTART;
    return flags;
}

std::string uuid_text(const Network& network) {
    char text[VIR_UUID_STRING_BUFLEN] = {};
    check(virNetworkGetUUIDString(network.get(), text), "{}", "Failed to get network's UUID");
    return text;
}

Cell autostart_of(const Network& network) {
    int autostart = 0;
    if (virNetworkGetAutostart(network.get(), &autostart) < 0) {
        forget_cause();
        return {"no autostart", Json()};
    }
    return {std::string(yes_no(autostart)), autostart != 0};
}

void show_list(Session& session, const Arguments& arguments) {
    if (arguments.has("table") && (arguments.has("name") || arguments.has("uuid")))
        fail("{}", "Only one argument from --table, --name and --uuid may be specified.");
    if (arguments.has("name") && arguments.has("uuid"))
        fail("{}", "Only one argument from --table, --name and --uuid may be specified.");
    auto networks =
        collect<Network>(virConnectListAllNetworks, session.connection(), filter_of(arguments), "Failed to list networks");
    std::ranges::sort(networks, [](const Network& a, const Network& b) {
        return strcasecmp(virNetworkGetName(a.get()), virNetworkGetName(b.get())) < 0;
    });
    Table table({{"name", "Name"}, {"state", "State"}, {"autostart", "Autostart"}, {"persistent", "Persistent"}, {"uuid", ""}});
    for (const auto& network : networks) {
        std::string name = virNetworkGetName(network.get());
        if (!session.json() && arguments.has("name")) session.print("{}\n", name);
        if (!session.json() && arguments.has("uuid")) session.print("{}\n", uuid_text(network));
        bool persistent = virNetworkIsPersistent(network.get()) > 0;
        table.add({Cell(name, name), virNetworkIsActive(network.get()) > 0 ? "active" : "inactive", autostart_of(network),
                   Cell(std::string(yes_no(persistent)), persistent), uuid_text(network)});
    }
    if (session.json() || !(arguments.has("name") || arguments.has("uuid"))) session.show(table);
}

void show_info(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    Pairs out;
    out.add("name", "Name:", virNetworkGetName(network.get()));
    out.add("uuid", "UUID:", uuid_text(network));
    if (int active = virNetworkIsActive(network.get()); active >= 0)
        out.add("active", "Active:", {std::string(yes_no(active)), active != 0});
    int persistent = virNetworkIsPersistent(network.get());
    out.add("persistent",
            "Persistent:", persistent < 0 ? Cell("unknown", Json()) : Cell(std::string(yes_no(persistent)), persistent != 0));
    out.add("autostart", "Autostart:", autostart_of(network));
    if (Text bridge{virNetworkGetBridgeName(network.get())}) out.add("bridge", "Bridge:", bridge.get());
    forget_cause();
    session.show(out);
}

void show_name(Session& session, const Arguments& arguments) {
    session.show_value(virNetworkGetName(find_network(session, arguments, By::id_or_uuid).get()));
}

void show_uuid(Session& session, const Arguments& arguments) {
    session.show_value(uuid_text(find_network(session, arguments, By::id_or_name)));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto network = find_network(session, arguments);
    Text xml(virNetworkGetXMLDesc(network.get(), arguments.has("inactive") ? VIR_NETWORK_XML_INACTIVE : 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

std::string local_time(long long seconds) {
    auto when = static_cast<std::time_t>(seconds);
    std::tm parts{};
    localtime_r(&when, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

void dhcp_leases(Session& session, const Arguments& arguments) {
    auto mac = arguments.text("mac");
    auto network = find_network(session, arguments);
    virNetworkDHCPLeasePtr* found = nullptr;
    int count = virNetworkGetDHCPLeases(network.get(), mac ? mac->c_str() : nullptr, &found, 0);
    check(count, "Failed to get leases info for {}", virNetworkGetName(network.get()));
    std::sort(found, found + count, [](auto* a, auto* b) { return a->expirytime < b->expirytime; });
    Table table({{"expiry_time", "Expiry Time"},
                 {"mac", "MAC address"},
                 {"protocol", "Protocol"},
                 {"ip", "IP address"},
                 {"hostname", "Hostname"},
                 {"client_id", "Client ID or DUID"},
                 {"interface", ""},
                 {"iaid", ""}});
    auto or_dash = [](const char* text) { return text && *text ? text : "-"; };
    for (int i = 0; i < count; i++) {
        const auto& lease = *found[i];
        bool v4 = lease.type == VIR_IP_ADDR_TYPE_IPV4;
        table.add({Cell(local_time(lease.expirytime), lease.expirytime), or_dash(lease.mac), v4 ? "ipv4" : "ipv6",
                   fmt::format("{}/{}", or_dash(lease.ipaddr), lease.prefix), or_dash(lease.hostname), or_dash(lease.clientid),
                   or_dash(lease.iface), or_dash(lease.iaid)});
    }
    for (int i = 0; i < count; i++) virNetworkDHCPLeaseFree(found[i]);
    ::free(found);
    session.show(table);
}

} // namespace

const std::vector<Command>& network_commands() {
    static const std::vector<Command> rows = {
        {.name = "net-list",
         .group = Group::network,
         .help = "list networks",
         .description = "Returns list of networks.",
         .options = {flag("inactive", "list inactive networks"), flag("all", "list inactive & active networks"),
                     flag("persistent", "list persistent networks"), flag("transient", "list transient networks"),
                     flag("autostart", "list networks with autostart enabled"),
                     flag("no-autostart", "list networks with autostart disabled"), flag("uuid", "list uuid's only"),
                     flag("name", "list network names only"), flag("table", "list table (default)")},
         .run = show_list},
        {.name = "net-info",
         .group = Group::network,
         .help = "network information",
         .description = "Returns basic information about the network",
         .options = {need("network", "network name or uuid", Complete::network)},
         .run = show_info},
        {.name = "net-name",
         .group = Group::network,
         .help = "convert a network UUID to network name",
         .description = "",
         .options = {need("network", "network uuid", Complete::network)},
         .run = show_name},
        {.name = "net-uuid",
         .group = Group::network,
         .help = "convert a network name to network UUID",
         .description = "",
         .options = {need("network", "network name", Complete::network)},
         .run = show_uuid},
        {.name = "net-dumpxml",
         .group = Group::network,
         .help = "network information in XML",
         .description = "Output the network information as an XML dump to stdout.",
         .options = {need("network", "network name or uuid", Complete::network), flag("inactive", "show inactive defined XML"),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "net-dhcp-leases",
         .group = Group::network,
         .help = "print lease info for a given network",
         .description = "Print lease info for a given network",
         .options = {need("network", "network name or uuid", Complete::active_network), text("mac", "MAC address")},
         .run = dhcp_leases},
    };
    return rows;
}

} // namespace lodge::cli
