// The host's side of a guest's network cards: made before the guest starts, given back when it is gone.
#pragma once
#include "daemon/host.hpp"
#include "daemon/network.hpp"
#include "xml/domain/nic.hpp"

namespace lodge::daemon {

// Taps in the order of the document's NICs; what the network decided (bridge, tap name) is filled into the live document.
// Failing, it has undone what it made.
Task<std::vector<drivers::NicBackend>> plug_nics(Host& host, xml::Domain& live);
void unplug_nics(Host& host, const xml::Domain& live);
// Tells network hooks that the guest's cards are unplugged; before they are.
Task<> tell_unplugged(Host& host, xml::Domain live);
// The same for one card, by its place in the document.
Task<drivers::NicBackend> plug_nic(Host& host, std::shared_ptr<xml::Domain> domain, std::size_t place);
void unplug_nic(Host& host, const xml::Domain& domain, std::size_t place);
// Throws Code::config_unsupported for what the card's connection cannot give it.
void check_plug_options(Host& host, const xml::Nic& nic);
// Writes into a card on a network which bridge it is plugged into. Throws when the network is not active.
void place_on_network(Host& host, xml::Nic& nic);
// A tap of a running guest moves to the bridge that `nic` names now.
void move_plug(Host& host, const xml::Nic& nic, const std::string& tap);
void isolate_plug(const std::string& tap, bool isolated);

} // namespace lodge::daemon
