// Taps: the plugs of guests on a bridge, on a switch or alone.
#pragma once
#include "rpc/task.hpp"
#include "xml/domain/nic.hpp"

namespace lodge::drivers {

// A guest's plug on a bridge.
struct TapRequest {
    std::string bridge;                  // empty: none
    bool on_switch = false;              // it is Open vSwitch's: the tap becomes a port by add_switch_port()
    std::string device = "/dev/net/tun"; // what the kernel gives taps by
    std::string name;                    // empty or a pattern with %d ("vnet%d"): the first free number
    bool as_it_is = false;               // somebody else has made it, and looks after it
    xml::MacAddress guest_mac; // the tap itself gets the same with 0xfe in front, so that the bridge never takes its address
    unsigned queues = 1;
    bool vnet_header = true;
    bool vhost = false;    // also open /dev/vhost-net, once per queue; absent device: no descriptors, no error
    bool isolated = false; // may talk to the bridge, not to other isolated ports
    bool link_up = true;
    bool forward_at_once = false;      // with STP: do not let the guest wait for 4 s of listening and learning
    bool learn = true;                 // false (macTableManager='libvirt'): the kernel neither learns nor floods on this port
    std::optional<unsigned> mtu;       // empty: the bridge's
    std::optional<unsigned> rx_frames; // what the kernel gathers before it tells the guest
};
struct Tap {
    std::string name;
    std::vector<rpc::Fd> queues;
    std::vector<rpc::Fd> vhosts;
};
// Blocks for well below a millisecond; fails with libvirt's words when the bridge is missing.
Tap create_tap(const TapRequest& request);
// Pulls the plug of a tap that still exists (QEMU's death removes it otherwise). No error when it is gone.
void remove_tap(const std::string& name);
void set_tap_link(const std::string& name, bool up);
// Plugs a tap that is in use into the request's bridge instead, with its rules there. Failing, it stays where it was.
void move_tap(const std::string& name, const TapRequest& request);
void isolate_tap(const std::string& name, bool isolated);

// The host's side of a tap that stands alone: its addresses and routes.
void set_tap_addresses(const std::string& name, const std::vector<xml::NicIp>& addresses,
                       const std::vector<xml::NicRoute>& routes);

} // namespace lodge::drivers
