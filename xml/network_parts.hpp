// Parts that networks, port groups, network ports and guests' NICs have in common.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class NativeVlan { tagged, untagged };
std::span<const std::string_view> enum_words(NativeVlan);
struct VlanTag { // <tag id='42' nativeMode='untagged'/>
    unsigned id = 0;
    std::optional<NativeVlan> native_mode;
};
struct Vlan {
    std::optional<YesNo> trunk;
    std::vector<VlanTag> tags;
};
void describe(Doc& doc, VlanTag& tag);
void describe(Doc& doc, Vlan& vlan);
// More than one tag is a trunk; what contradicts that is refused.
void complete_vlan(Vlan& vlan);

struct Rate { // kilobytes per second; of a burst, kilobytes
    std::uint64_t value = 0;
};
template<> struct Traits<Rate> {
    static bool present(Rate) { return true; }
    static bool parse(Rate& v, std::string_view text) {
        if (parse_unsigned(text, v.value)) return true;
        rpc::fail(Code::config_unsupported, "could not convert bandwidth value '{}'", text);
    }
    static void format(Rate v, std::string& out) { Traits<std::uint64_t>::format(v.value, out); }
    static void random(Rate& v, Random& r) { v.value = 1 + r() % 100000; }
};
struct BandwidthRate {
    std::optional<Rate> average, peak, floor, burst;
};
struct Bandwidth {
    std::optional<BandwidthRate> inbound, outbound;
    std::string class_id; // only of a port
};
void describe(Doc& doc, BandwidthRate& rate);
void describe(Doc& doc, Bandwidth& bandwidth);
// Which rules a bandwidth is under: only a port has a class, only a port and a NIC on a network have a floor.
enum class BandwidthOf { port, nic_on_network, other };
// Refuses what libvirt refuses and drops what says nothing: rates of zero, and with them all that is left empty.
void check_bandwidth(std::optional<Bandwidth>& bandwidth, BandwidthOf of);

struct ForwardDriverName { // what drives a device that a pool of them lends to guests
    std::string name;      // kvm or vfio
};
void describe(Doc& doc, ForwardDriverName& driver);

struct VirtualPortParameters {
    std::optional<unsigned> manager_id, type_id, type_id_version;
    std::optional<rpc::Uuid> instance_id, interface_id;
    std::string profile_id;
};
struct VirtualPort { // <virtualport type='openvswitch'><parameters interfaceid='…'/></virtualport>
    std::string type;
    std::optional<VirtualPortParameters> parameters;
};
void describe(Doc& doc, VirtualPortParameters& parameters);
void describe(Doc& doc, VirtualPort& port);
// A network's own port needs its type, a NIC that asks no network all that the type needs besides; what remains can be made up or
// is merged with the network's later.
enum class PortNeeds { nothing, type, everything };
void check_virtual_port(VirtualPort& port, PortNeeds needs);

} // namespace lodge::xml
