// Ports on switches of Open vSwitch. The orders to a switch go through NetworkDriver, one after the other.
#pragma once
#include "xml/network_parts.hpp"

namespace lodge::drivers {

// A guest's plug on a switch of Open vSwitch.
struct SwitchPort {
    std::string bridge, tap, mac, interface_id, profile, vm_id;
    std::optional<xml::Vlan> vlan;
};
std::vector<std::string> switch_port_words(const SwitchPort& port); // as ovs-vsctl wants them

} // namespace lodge::drivers
