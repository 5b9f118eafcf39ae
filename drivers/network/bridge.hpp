// A network's bridge with its addresses and routes. These block: call them on the worker pool.
#pragma once
#include "xml/network.hpp"

namespace lodge::drivers {

// Creates it, or nothing at all when a step fails.
void bring_up_bridge(const xml::Network& network);
// No error when it is gone already.
void take_down_bridge(const std::string& name);
bool bridge_is_up(const std::string& name);

} // namespace lodge::drivers
