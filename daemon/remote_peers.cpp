#include "daemon/remote_peers.hpp"
#include <unistd.h>

namespace lodge::daemon {

RemotePeers::Entry RemotePeers::add(int descriptor, RemotePeer peer) {
    std::erase_if(peers_, [](const auto& known) { return known.second.expired(); });
    auto entry = std::make_shared<const RemotePeer>(std::move(peer));
    peers_[descriptor] = entry;
    return entry;
}

RemotePeers::Entry RemotePeers::of(Client& client) const {
    if (client.credentials().pid != getpid()) return nullptr; // the far end of a pair is this process itself
    const auto found = peers_.find(client.session().native());
    return found == peers_.end() ? nullptr : found->second.lock();
}

RemotePeers& remote_peers() {
    static RemotePeers peers;
    return peers;
}

} // namespace lodge::daemon
