#include "xml/network_parts.hpp"
#include <algorithm>

// What is refused here says no domain of its own, whatever document it stands in.
namespace lodge::xml {

std::span<const std::string_view> enum_words(NativeVlan) {
    static constexpr std::string_view words[] = {"tagged", "untagged"};
    return words;
}

void describe(Doc& doc, VlanTag& tag) {
    doc.required("id", tag.id);
    doc.attribute("nativeMode", tag.native_mode);
}
void describe(Doc& doc, Vlan& vlan) {
    doc.attribute("trunk", vlan.trunk);
    doc.list("tag", vlan.tags);
}

void describe(Doc& doc, ForwardDriverName& driver) { doc.attribute("name", driver.name); }

void complete_vlan(Vlan& vlan) {
    if (vlan.tags.empty())
        rpc::fail(rpc::from_nobody, Code::xml_error,
                  "missing tag id - each <vlan> must have at least one <tag id='n'/> subelement");
    for (const auto& tag : vlan.tags)
        if (tag.id > 4095) rpc::fail(rpc::from_nobody, Code::xml_error, "vlan tag id {} too large (maximum 4095)", tag.id);
    const auto natives = std::ranges::count_if(vlan.tags, [](const VlanTag& tag) { return tag.native_mode.has_value(); });
    if (natives > 1) rpc::fail(rpc::from_nobody, Code::xml_error, "duplicate native vlan setting");
    const bool refused = vlan.trunk && !*vlan.trunk;
    if (refused && vlan.tags.size() > 1)
        rpc::fail(rpc::from_nobody, Code::xml_error,
                  "invalid \"trunk='no'\" in <vlan> - trunk='yes' is required for more than one vlan tag");
    if (refused && natives)
        rpc::fail(rpc::from_nobody, Code::xml_error,
                  "invalid configuration in <vlan> - \"trunk='no'\" is not allowed with a native vlan id");
    if (vlan.tags.size() > 1 || natives) vlan.trunk = true;
    if (refused) vlan.trunk.reset();
}

void describe(Doc& doc, BandwidthRate& rate) {
    doc.attribute("average", rate.average);
    doc.attribute("peak", rate.peak);
    doc.attribute("floor", rate.floor);
    doc.attribute("burst", rate.burst);
}
void describe(Doc& doc, Bandwidth& bandwidth) {
    doc.attribute("classID", bandwidth.class_id);
    doc.child("inbound", bandwidth.inbound, Mark::single);
    doc.child("outbound", bandwidth.outbound, Mark::single);
}

static void check_rate(std::optional<BandwidthRate>& rate) {
    if (!rate->average && !rate->floor)
        rpc::fail(rpc::from_nobody, Code::xml_detail, "Missing mandatory average or floor attributes");
    if (!rate->average && (rate->peak || rate->burst))
        rpc::fail(rpc::from_nobody, Code::config_unsupported, "'peak' and 'burst' require 'average' attribute");
    for (auto* part : {&rate->average, &rate->peak, &rate->floor, &rate->burst})
        if (*part && (*part)->value == 0) part->reset();
    if (!rate->average) rate->peak.reset(), rate->burst.reset();
    if (!rate->average && !rate->floor) rate.reset();
}

void check_bandwidth(std::optional<Bandwidth>& bandwidth, BandwidthOf of) {
    if (!bandwidth) return;
    if (of != BandwidthOf::port && !bandwidth->class_id.empty())
        rpc::fail(rpc::from_nobody, Code::xml_detail, "classID attribute not supported on <bandwidth> in this usage context");
    if (bandwidth->inbound) check_rate(bandwidth->inbound);
    if (of == BandwidthOf::other && bandwidth->inbound && bandwidth->inbound->floor)
        rpc::fail(rpc::from_nobody, Code::config_unsupported, "floor attribute is not supported for this config");
    if (bandwidth->outbound) check_rate(bandwidth->outbound);
    if (bandwidth->outbound && bandwidth->outbound->floor)
        rpc::fail(rpc::from_nobody, Code::config_unsupported, "'floor' attribute allowed only in <inbound> element");
    if (!bandwidth->inbound && !bandwidth->outbound) bandwidth.reset();
}

void describe(Doc& doc, VirtualPortParameters& parameters) {
    doc.attribute("managerid", parameters.manager_id, Mark::any_base | Mark::wraps);
    doc.attribute("typeid", parameters.type_id, Mark::any_base | Mark::wraps);
    doc.attribute("typeidversion", parameters.type_id_version, Mark::any_base | Mark::wraps);
    doc.attribute("instanceid", parameters.instance_id);
    doc.attribute("interfaceid", parameters.interface_id);
    doc.attribute("profileid", parameters.profile_id);
}
void describe(Doc& doc, VirtualPort& port) {
    doc.attribute("type", port.type);
    doc.child("parameters", port.parameters);
}

// Ids of instances and of interfaces of Open vSwitch are made up.
static const char* missing_parameter(const std::string& type, const VirtualPortParameters& given) {
    if (type == "802.1Qbg" && !given.manager_id) return "managerid";
    if (type == "802.1Qbg" && !given.type_id) return "typeid";
    if (type == "802.1Qbg" && !given.type_id_version) return "typeidversion";
    if (type == "802.1Qbh" && given.profile_id.empty()) return "profileid";
    if (type == "midonet" && !given.interface_id) return "interfaceid";
    return nullptr;
}

void check_virtual_port(VirtualPort& port, PortNeeds needs) {
    static constexpr std::string_view types[] = {"802.1Qbg", "802.1Qbh", "openvswitch", "midonet"};
    if (port.type.empty() && needs != PortNeeds::nothing)
        rpc::fail(rpc::from_nobody, Code::xml_error, "missing required virtualport type");
    if (!port.type.empty() && std::ranges::find(types, port.type) == std::end(types))
        rpc::fail(rpc::from_nobody, Code::config_unsupported, "unknown virtualport type {}", port.type);
    const auto given = port.parameters.value_or(VirtualPortParameters{});
    if (given.manager_id > 0xffU) rpc::fail(rpc::from_nobody, Code::xml_error, "value of managerid out of range");
    if (given.type_id > 0xffffffU) rpc::fail(rpc::from_nobody, Code::xml_error, "value of typeid out of range");
    if (given.type_id_version > 0xffU) rpc::fail(rpc::from_nobody, Code::xml_error, "value of typeidversion out of range");
    if (port.type.empty()) return; // merged with the network's later

    if (const char* name = needs == PortNeeds::everything ? missing_parameter(port.type, given) : nullptr)
        rpc::fail(From::net, Code::xml_error, "missing {} in <virtualport type='{}'>", name, port.type);
    if (port.type == "midonet") { // takes an interface's id and ignores all others
        if (port.parameters) port.parameters.emplace().interface_id = given.interface_id;
        return;
    }
    const bool qbg = port.type == "802.1Qbg", qbh = port.type == "802.1Qbh";
    const auto refuse_extra = [&](bool present, const char* name) {
        if (present) rpc::fail(From::net, Code::xml_error, "extra {} unsupported in <virtualport type='{}'>", name, port.type);
    };
    refuse_extra(given.manager_id && !qbg, "managerid");
    refuse_extra(given.type_id && !qbg, "typeid");
    refuse_extra(given.type_id_version && !qbg, "typeidversion");
    refuse_extra(given.instance_id && !qbg, "instanceid");
    refuse_extra(!given.profile_id.empty() && !qbh && port.type != "openvswitch", "profileid");
    refuse_extra(given.interface_id && (qbg || qbh), "interfaceid");
}

} // namespace lodge::xml
