#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

#include <strings.h>

namespace lodge::cli {

namespace {

Interface named(Session& session, const Arguments& arguments, By by = By::any) {
    return find_interface(session, arguments.required("interface"), by);
}

void show_list(Session& session, const Arguments& arguments) {
    unsigned flags = VIR_CONNECT_LIST_INTERFACES_ACTIVE;
    if (arguments.has("inactive")) flags = VIR_CONNECT_LIST_INTERFACES_INACTIVE;
    if (arguments.has("all")) flags = VIR_CONNECT_LIST_INTERFACES_ACTIVE | VIR_CONNECT_LIST_INTERFACES_INACTIVE;
    auto found = collect<Interface>(virConnectListAllInterfaces, session.connection(), flags, "Failed to list interfaces");
    std::ranges::sort(found, [](const Interface& a, const Interface& b) {
        return strcasecmp(virInterfaceGetName(a.get()), virInterfaceGetName(b.get())) < 0;
    });
    Table table({{"name", "Name"}, {"state", "State"}, {"mac", "MAC Address"}});
    for (const auto& one : found) {
        const char* mac = virInterfaceGetMACString(one.get());
        table.add({virInterfaceGetName(one.get()), virInterfaceIsActive(one.get()) > 0 ? "active" : "inactive",
                   Cell(mac ? mac : "", mac && *mac ? Json(mac) : Json())});
    }
    session.show(table);
}

void show_name(Session& session, const Arguments& arguments) {
    session.show_value(virInterfaceGetName(named(session, arguments, By::id_or_uuid).get()));
}

void show_mac(Session& session, const Arguments& arguments) {
    session.show_value(virInterfaceGetMACString(named(session, arguments, By::id_or_name).get()));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto interface = named(session, arguments);
    Text xml(virInterfaceGetXMLDesc(interface.get(), arguments.has("inactive") ? VIR_INTERFACE_XML_INACTIVE : 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    Interface interface(
        virInterfaceDefineXML(session.connection(), xml.c_str(), arguments.has("validate") ? VIR_INTERFACE_DEFINE_VALIDATE : 0));
    if (!interface) fail_with_cause("Failed to define interface from {}", file);
    session.extra("Interface {} defined from {}\n", virInterfaceGetName(interface.get()), file);
}

void undefine(Session& session, const Arguments& arguments) {
    auto interface = named(session, arguments);
    const auto* name = virInterfaceGetName(interface.get());
    check(virInterfaceUndefine(interface.get()), "Failed to undefine interface {}", name);
    session.extra("Interface {} undefined\n", name);
}

void start(Session& session, const Arguments& arguments) {
    auto interface = named(session, arguments);
    const auto* name = virInterfaceGetName(interface.get());
    check(virInterfaceCreate(interface.get(), 0), "Failed to start interface {}", name);
    session.extra("Interface {} started\n", name);
}

void destroy(Session& session, const Arguments& arguments) {
    auto interface = named(session, arguments);
    const auto* name = virInterfaceGetName(interface.get());
    check(virInterfaceDestroy(interface.get(), 0), "Failed to destroy interface {}", name);
    session.extra("Interface {} destroyed\n", name);
}

void edit(Session& session, const Arguments& arguments) {
    auto interface = named(session, arguments);
    std::string name = virInterfaceGetName(interface.get());
    edit_object(session, {
                             .fetch =
                                 [&] {
                                     Text xml(virInterfaceGetXMLDesc(interface.get(), VIR_INTERFACE_XML_INACTIVE));
                                     if (!xml) fail_with_cause();
                                     return std::string(xml.get());
                                 },
                             .store =
                                 [&](const std::string& xml) {
                                     if (!Interface(virInterfaceDefineXML(session.connection(), xml.c_str(), 0)))
                                         fail_with_cause();
                                 },
                             .unchanged = fmt::format("Interface {} XML configuration not changed.", name),
                             .edited = fmt::format("Interface {} XML configuration edited.", name),
                         });
}

void begin(Session& session, const Arguments&) {
    check(virInterfaceChangeBegin(session.connection(), 0), "{}", "Failed to begin network config change transaction");
    session.extra("{}", "Network config change transaction started\n");
}

void commit(Session& session, const Arguments&) {
    check(virInterfaceChangeCommit(session.connection(), 0), "{}", "Failed to commit network config change transaction");
    session.extra("{}", "Network config change transaction committed\n");
}

void rollback(Session& session, const Arguments&) {
    check(virInterfaceChangeRollback(session.connection(), 0), "{}", "Failed to rollback network config change transaction");
    session.extra("{}", "Network config change transaction rolled back\n");
}

} // namespace

const std::vector<Command>& interface_commands() {
    static const std::vector<Command> rows = {
        {.name = "iface-list",
         .group = Group::interface,
         .help = "list physical host interfaces",
         .description = "Returns list of physical host interfaces.",
         .options = {flag("inactive", "list inactive interfaces"), flag("all", "list inactive & active interfaces")},
         .run = show_list},
        {.name = "iface-dumpxml",
         .group = Group::interface,
         .help = "interface information in XML",
         .description = "Output the physical host interface information as an XML dump to stdout.",
         .options = {need("interface", "interface name or MAC address", Complete::interface),
                     flag("inactive", "show inactive defined XML"),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "iface-define",
         .group = Group::interface,
         .help = "define an inactive persistent physical host interface or modify an existing persistent one from an XML file",
         .description = "Define or modify a persistent physical host interface.",
         .options = {need("file", "file containing an XML interface description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "iface-undefine",
         .group = Group::interface,
         .help = "undefine a physical host interface (remove it from configuration)",
         .description = "undefine an interface.",
         .options = {need("interface", "interface name or MAC address", Complete::interface)},
         .run = undefine},
        {.name = "iface-start",
         .group = Group::interface,
         .help = "start a physical host interface (enable it / \"if-up\")",
         .description = "start a physical host interface.",
         .options = {need("interface", "interface name or MAC address", Complete::inactive_interface)},
         .run = start},
        {.name = "iface-destroy",
         .group = Group::interface,
         .help = "destroy a physical host interface (disable it / \"if-down\")",
         .description = "forcefully stop a physical host interface.",
         .options = {need("interface", "interface name or MAC address", Complete::active_interface)},
         .run = destroy},
        {.name = "iface-name",
         .group = Group::interface,
         .help = "convert an interface MAC address to interface name",
         .description = "",
         .options = {need("interface", "interface mac", Complete::interface)},
         .run = show_name},
        {.name = "iface-mac",
         .group = Group::interface,
         .help = "convert an interface name to interface MAC address",
         .description = "",
         .options = {need("interface", "interface name", Complete::interface)},
         .run = show_mac},
        {.name = "iface-edit",
         .group = Group::interface,
         .help = "edit XML configuration for a physical host interface",
         .description = "Edit the XML configuration for a physical host interface.",
         .options = {need("interface", "interface name or MAC address", Complete::interface)},
         .run = edit},
        {.name = "iface-begin",
         .group = Group::interface,
         .help = "create a snapshot of current interfaces settings, which can be later committed (iface-commit) or restored "
                 "(iface-rollback)",
         .description = "Create a restore point for interfaces settings",
         .options = {},
         .run = begin},
        {.name = "iface-commit",
         .group = Group::interface,
         .help = "commit changes made since iface-begin and free restore point",
         .description = "commit changes and free restore point",
         .options = {},
         .run = commit},
        {.name = "iface-rollback",
         .group = Group::interface,
         .help = "rollback to previous saved configuration created via iface-begin",
         .description = "rollback to previous restore point",
         .options = {},
         .run = rollback},
    };
    return rows;
}

} // namespace lodge::cli
