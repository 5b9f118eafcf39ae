// Clients that came over the network. The daemon serves local sockets only: a client of TCP or TLS is carried by a relay
// (network_door.cpp) to one end of a socket pair, whose other end is served like any local client. Here stands who is behind it.
#pragma once
#include "daemon/client.hpp"
#include <map>
#include <memory>

namespace lodge::daemon {

struct RemotePeer {
    bool tls = false;
    std::string address;   // "192.0.2.7:49152"
    std::string x509_name; // of a verified certificate
};

class RemotePeers {
  public:
    // By the descriptor that the client's session reads from, for as long as what this returns is held. A number may have a
    // new peer before the old one's relay has ended.
    using Entry = std::shared_ptr<const RemotePeer>;
    Entry add(int descriptor, RemotePeer peer);
    Entry of(Client& client) const;

  private:
    std::map<int, std::weak_ptr<const RemotePeer>> peers_;
};

// The control thread's own.
RemotePeers& remote_peers();

} // namespace lodge::daemon
