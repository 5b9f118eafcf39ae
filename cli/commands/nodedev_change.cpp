// Devices of the host: making, starting, lending and giving them back.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"

namespace lodge::cli {

namespace {

// The calls that lend a PCI device name it differently when it is not there.
NodeDevice key_of(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    NodeDevice device(virNodeDeviceLookupByName(session.connection(), word.c_str()));
    if (!device) fail_with_cause("Could not find matching device '{}'", word);
    return device;
}

void create(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    NodeDevice device(virNodeDeviceCreateXML(session.connection(), xml.c_str(),
                                             arguments.has("validate") ? VIR_NODE_DEVICE_CREATE_XML_VALIDATE : 0));
    if (!device) fail_with_cause("Failed to create node device from {}", file);
    session.extra("Node device {} created from {}\n", virNodeDeviceGetName(device.get()), file);
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    NodeDevice device(virNodeDeviceDefineXML(session.connection(), xml.c_str(),
                                             arguments.has("validate") ? VIR_NODE_DEVICE_DEFINE_XML_VALIDATE : 0));
    if (!device) fail_with_cause("Failed to define node device from '{}'", file);
    session.extra("Node device '{}' defined from '{}'\n", virNodeDeviceGetName(device.get()), file);
}

void undefine(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto device = find_node_device(session, arguments);
    check(virNodeDeviceUndefine(device.get(), 0), "Failed to undefine node device '{}'", word);
    session.extra("Undefined node device '{}'\n", word);
}

void destroy(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto device = find_node_device(session, arguments);
    check(virNodeDeviceDestroy(device.get()), "Failed to destroy node device '{}'", word);
    session.extra("Destroyed node device '{}'\n", word);
}

void start(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto device = key_of(session, arguments);
    check(virNodeDeviceCreate(device.get(), 0), "Failed to start device {}", word);
    session.extra("Device {} started\n", word);
}

void autostart(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    const bool on = !arguments.has("disable");
    auto device = find_node_device(session, arguments);
    if (virNodeDeviceSetAutostart(device.get(), on) < 0)
        fail_with_cause("failed to {} device {} as autostarted", on ? "mark" : "unmark", word);
    session.extra("Device {} {}marked as autostarted\n", word, on ? "" : "un");
}

void detach(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto driver = arguments.text("driver");
    auto device = key_of(session, arguments);
    check(driver ? virNodeDeviceDetachFlags(device.get(), driver->c_str(), 0) : virNodeDeviceDettach(device.get()),
          "Failed to detach device {}", word);
    session.extra("Device {} detached\n", word);
}

void reattach(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto device = key_of(session, arguments);
    check(virNodeDeviceReAttach(device.get()), "Failed to re-attach device {}", word);
    session.extra("Device {} re-attached\n", word);
}

void reset(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    auto device = key_of(session, arguments);
    check(virNodeDeviceReset(device.get()), "Failed to reset device {}", word);
    session.extra("Device {} reset\n", word);
}

} // namespace

const std::vector<Command>& nodedev_change_commands() {
    static constexpr auto by_name = "device name or wwn pair in 'wwnn,wwpn' format";
    static const std::vector<Command> rows = {
        {.name = "nodedev-create",
         .group = Group::nodedev,
         .help = "create a device defined by an XML file on the node",
         .description =
             "Create a device on the node.  Note that this command creates devices on the physical host that can then be "
             "assigned to a virtual machine.",
         .options = {need("file", "file containing an XML description of the device", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = create},
        {.name = "nodedev-define",
         .group = Group::nodedev,
         .help = "Define a device by an xml file on a node",
         .description =
             "Defines a persistent device on the node that can be assigned to a domain. The device must be started before it "
             "can be assigned to a domain.",
         .options = {need("file", "file containing an XML description of the device", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "nodedev-undefine",
         .group = Group::nodedev,
         .help = "Undefine an inactive node device",
         .description = "Undefines the configuration for an inactive node device",
         .options = {need("device", by_name, Complete::nodedev)},
         .run = undefine},
        {.name = "nodedev-destroy",
         .group = Group::nodedev,
         .help = "destroy (stop) a device on the node",
         .description = "Destroy a device on the node.  Note that this command destroys devices on the physical host",
         .options = {need("device", by_name, Complete::nodedev)},
         .run = destroy},
        {.name = "nodedev-start",
         .group = Group::nodedev,
         .help = "Start an inactive node device",
         .description = "Starts an inactive node device that was previously defined",
         .options = {need("device", "device name", Complete::nodedev)},
         .run = start},
        {.name = "nodedev-autostart",
         .group = Group::nodedev,
         .help = "autostart a defined node device",
         .description = "Configure a node device to be automatically started at boot.",
         .options = {need("device", by_name, Complete::nodedev), flag("disable", "disable autostarting")},
         .run = autostart},
        {.name = "nodedev-detach",
         .group = Group::nodedev,
         .help = "detach node device from its device driver",
         .description = "Detach node device from its device driver before assigning to a domain.",
         .options = {need("device", "device key", Complete::nodedev),
                     text("driver", "pci device assignment backend driver (e.g. 'vfio' or 'xen')")},
         .run = detach},
        {.name = "nodedev-reattach",
         .group = Group::nodedev,
         .help = "reattach node device to its device driver",
         .description = "Reattach node device to its device driver once released by the domain.",
         .options = {need("device", "device key", Complete::nodedev)},
         .run = reattach},
        {.name = "nodedev-reset",
         .group = Group::nodedev,
         .help = "reset node device",
         .description = "Reset node device before or after assigning to a domain.",
         .options = {need("device", "device key", Complete::nodedev)},
         .run = reset},
    };
    return rows;
}

} // namespace lodge::cli
