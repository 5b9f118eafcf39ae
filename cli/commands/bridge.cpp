#include "cli/bridge_document.hpp"
#include "cli/commands.hpp"
#include "cli/lookup.hpp"

namespace lodge::cli {

namespace {

std::string document_of(const Interface& interface) {
    Text xml(virInterfaceGetXMLDesc(interface.get(), VIR_INTERFACE_XML_INACTIVE));
    if (!xml) fail_with_cause();
    return xml.get();
}

void bridge(Session& session, const Arguments& arguments) {
    const auto& nic_name = arguments.required("interface");
    const auto& bridge_name = arguments.required("bridge");
    auto nic = find_interface(session, nic_name, By::id_or_name);
    if (Interface exists{virInterfaceLookupByName(session.connection(), bridge_name.c_str())})
        fail("Network device {} already exists", bridge_name);
    forget_cause();
    auto delay = arguments.number<unsigned>("delay").value_or(0);
    auto xml = bridge_document(document_of(nic), nic_name, bridge_name, !arguments.has("no-stp"), delay);
    Interface made(virInterfaceDefineXML(session.connection(), xml.c_str(), 0));
    if (!made) fail_with_cause("Failed to define new bridge interface {}", bridge_name);
    session.extra("Created bridge {} with attached device {}\n", bridge_name, nic_name);
    if (arguments.has("no-start")) return;
    check(virInterfaceCreate(made.get(), 0), "Failed to start bridge interface {}", bridge_name);
    session.extra("Bridge interface {} started\n", bridge_name);
}

void unbridge(Session& session, const Arguments& arguments) {
    const auto& bridge_name = arguments.required("bridge");
    auto bridge_interface = find_interface(session, bridge_name, By::id_or_name);
    auto member = member_document(document_of(bridge_interface), bridge_name);
    if (check(virInterfaceIsActive(bridge_interface.get())) == 1)
        check(virInterfaceDestroy(bridge_interface.get(), 0), "Failed to destroy bridge interface {}", bridge_name);
    check(virInterfaceUndefine(bridge_interface.get()), "Failed to undefine bridge interface {}", bridge_name);
    Interface made(virInterfaceDefineXML(session.connection(), member.xml.c_str(), 0));
    if (!made) fail_with_cause("Failed to define new interface {}", member.name);
    session.extra("Device {} un-attached from bridge {}\n", member.name, bridge_name);
    if (arguments.has("no-start")) return;
    check(virInterfaceCreate(made.get(), 0), "Failed to start interface {}", member.name);
    session.extra("Interface {} started\n", member.name);
}

} // namespace

const std::vector<Command>& bridge_commands() {
    static const std::vector<Command> rows = {
        {.name = "iface-bridge",
         .group = Group::interface,
         .help = "create a bridge device and attach an existing network device to it",
         .description = "bridge an existing network device",
         .options = {need("interface", "existing interface name", Complete::interface), need("bridge", "new bridge device name"),
                     flag("no-stp", "do not enable STP for this bridge"),
                     number("delay", "number of seconds to squelch traffic on newly connected ports"),
                     flag("no-start", "don't start the bridge immediately")},
         .run = bridge},
        {.name = "iface-unbridge",
         .group = Group::interface,
         .help = "undefine a bridge device after detaching its device(s)",
         .description = "unbridge a network device",
         .options = {need("bridge", "current bridge device name", Complete::interface),
                     flag("no-start", "don't start the detached interface immediately (not recommended)")},
         .run = unbridge},
    };
    return rows;
}

} // namespace lodge::cli
