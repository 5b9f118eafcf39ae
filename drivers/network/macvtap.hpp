// Macvtaps: the plugs of guests on links of the host's (<interface type='direct'>), beside the host itself.
#pragma once
#include "drivers/network/tap.hpp"
#include "xml/network.hpp"
#include <filesystem>

namespace lodge::drivers {

struct MacvtapRequest {
    std::string parent;
    std::string name; // empty: the first free macvtapN
    xml::MacvtapMode mode = xml::MacvtapMode::vepa;
    xml::MacAddress guest_mac;
    unsigned queues = 1;
    bool vnet_header = true;
    bool link_up = true;
};
// How guests of a network stand beside the host; nothing where they are on a bridge or get hardware.
std::optional<xml::MacvtapMode> macvtap_mode(const xml::Network& network);
// Of the links that the network lends, the one with the fewest macvtaps; where a guest has a link for itself, a free one.
// Nothing: there is none.
std::optional<std::string> least_used_link(const xml::Network& network);
// One that somebody else has made.
Tap open_macvtap(const std::string& name, unsigned queues, bool vnet_header);
bool is_macvtap(const std::string& name);
// In passthrough the parent takes the guest's address; its own is kept in `run`. Throws Code::system_error.
Tap create_macvtap(const MacvtapRequest& request, const std::filesystem::path& run);
// Gives the parent its own address back. No error when it is gone.
void remove_macvtap(const std::string& name, const std::string& parent, const std::filesystem::path& run);

} // namespace lodge::drivers
