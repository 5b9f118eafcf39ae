// The daemon's sockets: made here, or handed over by systemd (socket activation).
#pragma once
#include "daemon/host.hpp"
#include "daemon/network_door.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>

namespace lodge::daemon {

class Listener {
  public:
    Listener(Host& host, Fd socket, Door door, std::string path);
    // Of the network: what is accepted goes through 'gate' first.
    Listener(Host& host, Fd socket, std::shared_ptr<NetworkDoor> gate, std::string address);
    ~Listener();
    // Stops accepting and removes the socket file if this daemon made it.
    void close();
    bool remove_on_close = false;

  private:
    void wait();
    void accept_all();

    Host& host_;
    boost::asio::posix::stream_descriptor socket_;
    Door door_ = Door::read_write;
    std::shared_ptr<NetworkDoor> gate_;
    std::string path_;
};

// All names by which libvirt's clients look for a daemon: libvirt-sock, its -ro and -admin, and those of the modular daemons.
// With `listen` also those of the network that the configuration wants. Throws when a socket cannot be made, naming it.
std::vector<std::unique_ptr<Listener>> open_listeners(Host& host, const NetworkConfig& network, bool listen);

} // namespace lodge::daemon
