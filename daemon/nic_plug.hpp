// One card's plug on the host: a tap on a bridge or a switch, a macvtap on a link, or a tap that stands alone.
#pragma once
#include "daemon/host.hpp"
#include "xml/domain/nic.hpp"

namespace lodge::daemon {

// What was decided (the bridge or link of a network, the tap's name, limits of a port group) is written into the card. Failing,
// it has undone what it made.
Task<drivers::NicBackend> make_plug(Host& host, const xml::Domain& guest, xml::Nic& nic);
// What can be pulled at once is; the rest goes on behind.
void pull_plug(Host& host, const xml::Domain& guest, const xml::Nic& nic);

// The card's network promises to it what its limits say now.
Task<> settle_promise(Host& host, const xml::Domain& guest, const xml::Nic& nic);

} // namespace lodge::daemon
