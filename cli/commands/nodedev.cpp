// Devices of the host: what they are.
#include "cli/commands.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xpath.hpp"

#include <bit>
#include <sstream>
#include <strings.h>

namespace lodge::cli {

namespace {

// ---- lists ----

struct CapabilityFlag {
    std::string_view word;
    unsigned flag;
};
constexpr CapabilityFlag capability_flags[] = {{"system", VIR_CONNECT_LIST_NODE_DEVICES_CAP_SYSTEM},
                                               {"pci", VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV},
                                               {"usb_device", VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV},
                                               {"usb", VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_INTERFACE},
                                               {"net", VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET},
                                               {"scsi_host", VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI_HOST},
                                               {"scsi_target", VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI_TARGET},
                                               {"scsi", VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI},
                                               {"storage", VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE},
                                               {"fc_host", VIR_CONNECT_LIST_NODE_DEVICES_CAP_FC_HOST},
                                               {"vports", VIR_CONNECT_LIST_NODE_DEVICES_CAP_VPORTS},
                                               {"scsi_generic", VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI_GENERIC},
                                               {"drm", VIR_CONNECT_LIST_NODE_DEVICES_CAP_DRM},
                                               {"mdev_types", VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV_TYPES},
                                               {"mdev", VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV},
                                               {"ccw", VIR_CONNECT_LIST_NODE_DEVICES_CAP_CCW_DEV},
                                               {"css", VIR_CONNECT_LIST_NODE_DEVICES_CAP_CSS_DEV},
                                               {"vdpa", VIR_CONNECT_LIST_NODE_DEVICES_CAP_VDPA},
                                               {"ap_card", VIR_CONNECT_LIST_NODE_DEVICES_CAP_AP_CARD},
                                               {"ap_queue", VIR_CONNECT_LIST_NODE_DEVICES_CAP_AP_QUEUE},
                                               {"ap_matrix", VIR_CONNECT_LIST_NODE_DEVICES_CAP_AP_MATRIX},
                                               {"vpd", VIR_CONNECT_LIST_NODE_DEVICES_CAP_VPD}};

// "pci,net" as flags
unsigned filter_of(const std::string& words) {
    unsigned flags = 0;
    std::istringstream list(words);
    for (std::string word; std::getline(list, word, ',');) {
        const auto at = std::ranges::find(capability_flags, word, &CapabilityFlag::word);
        if (at == std::end(capability_flags)) fail("{}", "Invalid capability type");
        flags |= at->flag;
    }
    return flags;
}

std::string parent_of(virNodeDevicePtr device) {
    const char* parent = virNodeDeviceGetParent(device);
    forget_cause();
    return parent ? parent : "";
}

// A family tree as text: what hangs below a device is indented below it.
class Tree {
  public:
    explicit Tree(const std::vector<NodeDevice>& devices) {
        for (const auto& device : devices) {
            const std::string name = virNodeDeviceGetName(device.get());
            children_[name == "computer" ? "" : parent_of(device.get())].push_back(name);
        }
    }
    std::string text() {
        for (const auto& root : children_[""]) print(root, "", true, true);
        return std::move(out_);
    }

  private:
    void print(const std::string& name, std::string indent, bool last, bool root) {
        out_ += indent + (root ? "" : "+- ") + name + "\n";
        if (!root) indent += last ? "  " : "| ";
        const auto below = children_.find(name);
        if (below == children_.end()) {
            if (last) out_ += indent + "\n";
            return;
        }
        out_ += indent + "  |\n";
        for (const auto& child : below->second) print(child, indent + "  ", &child == &below->second.back(), false);
    }

    std::map<std::string, std::vector<std::string>> children_; // by parent; of nobody: ""
    std::string out_;
};

void show_list(Session& session, const Arguments& arguments) {
    const bool inactive = arguments.has("inactive"), tree = arguments.has("tree");
    auto words = arguments.text("cap");
    if (arguments.has("all") && inactive) fail("{}", "Option --all is incompatible with --inactive");
    if (tree && (words || inactive)) fail("{}", "Option --tree is incompatible with --cap and --inactive");
    unsigned flags = words ? filter_of(*words) : 0;
    if (inactive || arguments.has("all")) flags |= VIR_CONNECT_LIST_NODE_DEVICES_INACTIVE;
    if (!inactive) flags |= VIR_CONNECT_LIST_NODE_DEVICES_ACTIVE;
    auto found = collect<NodeDevice>(virConnectListAllNodeDevices, session.connection(), flags, "Failed to list node devices");
    std::ranges::sort(found, [](const NodeDevice& a, const NodeDevice& b) {
        return strcasecmp(virNodeDeviceGetName(a.get()), virNodeDeviceGetName(b.get())) < 0;
    });
    if (session.json()) {
        auto list = Json::array();
        for (const auto& device : found) {
            const auto parent = parent_of(device.get());
            list.push_back({{"name", virNodeDeviceGetName(device.get())}, {"parent", parent.empty() ? Json() : Json(parent)}});
        }
        return session.show(list);
    }
    if (tree) return session.write(Tree(found).text());
    for (const auto& device : found) session.print("{}\n", virNodeDeviceGetName(device.get()));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto device = find_node_device(session, arguments);
    Text xml(virNodeDeviceGetXMLDesc(device.get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void show_info(Session& session, const Arguments& arguments) {
    auto device = find_node_device(session, arguments);
    Pairs out;
    const auto parent = parent_of(device.get());
    out.add("name", "Name:", virNodeDeviceGetName(device.get()));
    out.add("parent", "Parent:", Cell(parent, parent.empty() ? Json() : Json(parent)));
    const auto yes = [](int answer) { return Cell(std::string(yes_no(answer)), answer != 0); };
    out.add("active", "Active:", yes(virNodeDeviceIsActive(device.get())));
    out.add("persistent", "Persistent:", yes(virNodeDeviceIsPersistent(device.get())));
    int autostart = 0;
    const bool known = virNodeDeviceGetAutostart(device.get(), &autostart) >= 0;
    out.add("autostart", "Autostart:", known ? yes(autostart) : Cell("no autostart", Json()));
    forget_cause();
    session.show(out);
}

// ---- events ----

void lifecycle(virConnectPtr, virNodeDevicePtr device, int event, int, void* opaque) {
    constexpr std::string_view words[] = {"Created", "Deleted", "Defined", "Undefined"};
    const auto word = event >= 0 && event < 4 ? words[event] : "unknown";
    static_cast<Watch*>(opaque)->tell("node device", "lifecycle", virNodeDeviceGetName(device), fmt::format(": {}", word), false);
}
void updated(virConnectPtr, virNodeDevicePtr device, void* opaque) {
    static_cast<Watch*>(opaque)->tell("node device", "update", virNodeDeviceGetName(device), "", false);
}

void event(Session& session, const Arguments& arguments) {
    const auto wanted = wanted_event(session, arguments, {"lifecycle", "update"});
    if (!wanted) return;
    const bool updates = *wanted == "update";
    NodeDevice device = arguments.has("device") ? find_node_device(session, arguments) : nullptr;
    Watch watch(session, arguments);
    Registrations registered(session.connection());
    registered.add(
        check(virConnectNodeDeviceEventRegisterAny(session.connection(), device.get(),
                                                   updates ? VIR_NODE_DEVICE_EVENT_ID_UPDATE : VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE,
                                                   updates ? std::bit_cast<virConnectNodeDeviceEventGenericCallback>(&updated)
                                                           : std::bit_cast<virConnectNodeDeviceEventGenericCallback>(&lifecycle),
                                                   &watch, nullptr)),
        virConnectNodeDeviceEventDeregisterAny);
    if (!watch.wait()) throw NothingReceived();
}

} // namespace

const std::vector<Command>& nodedev_commands() {
    static const std::vector<Command> rows = {
        {.name = "nodedev-dumpxml",
         .group = Group::nodedev,
         .help = "node device details in XML",
         .description = "Output the node device details as an XML dump to stdout.",
         .options = {need("device", "device name or wwn pair in 'wwnn,wwpn' format", Complete::nodedev),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "nodedev-event",
         .group = Group::nodedev,
         .help = "Node Device Events",
         .description = "List event types, or wait for node device events to occur",
         .options = {text("device", "filter by node device name").completed(Complete::nodedev),
                     text("event", "which event type to wait for").choices("lifecycle update"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("list", "list valid event types"), flag("timestamp", "show timestamp for each printed event")},
         .run = event,
         .needs = Need::events},
        {.name = "nodedev-info",
         .group = Group::nodedev,
         .help = "node device information",
         .description = "Returns basic information about the node device",
         .options = {need("device", "device name or wwn pair in 'wwnn,wwpn' format", Complete::nodedev)},
         .run = show_info},
        {.name = "nodedev-list",
         .group = Group::nodedev,
         .help = "enumerate devices on this host",
         .description = "",
         .options = {flag("tree", "list devices in a tree"),
                     text("cap", "capability names, separated by comma")
                         .choices(
                             "system pci usb_device usb net scsi_host scsi_target scsi storage scsi_generic drm mdev_types mdev"),
                     flag("inactive", "list inactive devices"), flag("all", "list inactive & active devices")},
         .run = show_list},
    };
    return rows;
}

} // namespace lodge::cli
