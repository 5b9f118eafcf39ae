// What happens between accept() on a TCP or TLS socket and the daemon: the handshake, who may come in, and the relay that
// carries the bytes. Nothing of it is known to sessions and handlers; who asks finds the peer in remote_peers().
#pragma once
#include "daemon/host.hpp"
#include "daemon/network_config.hpp"

namespace lodge::daemon {

class NetworkDoor {
  public:
    virtual ~NetworkDoor() = default;
    // Takes over a connected socket. Control thread; returns at once.
    virtual void serve(Fd socket) = 0;
};

std::unique_ptr<NetworkDoor> make_tcp_door(Host& host, const NetworkConfig& config);
// Reads certificates; throws with the file that is wrong and why.
std::unique_ptr<NetworkDoor> make_tls_door(Host& host, const NetworkConfig& config);

// Whether a certificate's name is on the list; '*' and '?' stand for what they do in file names.
bool is_allowed_name(const std::string& name, const std::vector<std::string>& patterns);

} // namespace lodge::daemon
