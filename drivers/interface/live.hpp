// Host interfaces as they run: documents of them, and the steps that make the kernel follow a document. These block.
#pragma once
#include "drivers/interface/host_state.hpp"
#include "drivers/process/command.hpp"
#include "xml/interface.hpp"

namespace lodge::drivers {

// What `virsh iface-dumpxml` shows of a running interface.
xml::Interface live_document(const HostState& state, const LinkInfo& link);
// Not a port, no tap: what `virsh iface-list` shows.
bool is_listed(const LinkInfo& link);

// Makes it run as its document says. A bridge or bond takes over addresses and routes of its ports, and their DHCP clients.
// On failure the kernel is as before. Returns helpers to run afterwards (DHCP clients).
std::vector<Command> bring_up(const xml::Interface& document);
// Stops it. A bridge with one port gives addresses and routes to that port. On failure the kernel is as before.
std::vector<Command> take_down(const std::string& name, const std::vector<std::string>& configured_ports);

} // namespace lodge::drivers
