#include "cli/bridge_document.hpp"

#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

// Belongs to the device, wherever its addresses go.
bool stays_with_device(std::string_view name) { return name == "mac" || name == "bond" || name == "vlan"; }

pugi::xml_node interface_of(const pugi::xml_document& document, const std::string& name) {
    auto node = document.child("interface");
    if (!node) fail("Failed to parse configuration of {}", name);
    if (!node.attribute("type")) fail("Existing device {} has no type", name);
    if (node.attribute("name").value() != name)
        fail("Interface name from config {} doesn't match given supplied name {}", node.attribute("name").value(), name);
    return node;
}

} // namespace

std::string bridge_document(const std::string& device_xml, const std::string& device, const std::string& bridge, bool stp,
                            unsigned delay) {
    auto document = parse_document(device_xml, "the interface");
    auto old = interface_of(document, device);
    if (std::string_view(old.attribute("type").value()) == "bridge") fail("Existing device {} is already a bridge", device);

    pugi::xml_document out;
    auto top = out.append_child("interface");
    top.append_attribute("type") = "bridge";
    top.append_attribute("name") = bridge.c_str();
    for (auto child : old.children()) // start mode, protocols, mtu; link state is not configuration
        if (child.type() == pugi::node_element && !stays_with_device(child.name()) && std::string_view(child.name()) != "link")
            top.append_copy(child);
    auto node = top.append_child("bridge");
    node.append_attribute("stp") = stp ? "on" : "off";
    if (stp) node.append_attribute("delay") = delay;
    auto member = node.append_child("interface");
    member.append_attribute("type") = old.attribute("type").value();
    member.append_attribute("name") = device.c_str();
    for (auto child : old.children())
        if (child.type() == pugi::node_element && stays_with_device(child.name())) member.append_copy(child);
    return format_document(out);
}

Member member_document(const std::string& bridge_xml, const std::string& bridge) {
    auto document = parse_document(bridge_xml, "the interface");
    auto old = interface_of(document, bridge);
    if (std::string_view(old.attribute("type").value()) != "bridge") fail("Device {} is not a bridge", bridge);
    auto node = old.child("bridge");
    if (!node) fail("{}", "No bridge node in xml document");
    auto member = node.child("interface");
    if (!member) fail("{}", "No interface attached to bridge");
    if (member.next_sibling("interface")) fail("{}", "Multiple interfaces attached to bridge");
    std::string name = member.attribute("name").value();
    if (name.empty()) fail("Device attached to bridge {} has no name", bridge);
    if (!member.attribute("type")) fail("Attached device {} has no type", name);

    pugi::xml_document out;
    auto top = out.append_child("interface");
    top.append_attribute("type") = member.attribute("type").value();
    top.append_attribute("name") = name.c_str();
    for (auto child : old.children()) {
        std::string_view word = child.name();
        if (child.type() == pugi::node_element && word != "bridge" && word != "mac" && word != "link") top.append_copy(child);
    }
    for (auto child : member.children())
        if (child.type() == pugi::node_element && std::string_view(child.name()) != "link") top.append_copy(child);
    return {name, format_document(out)};
}

} // namespace lodge::cli
