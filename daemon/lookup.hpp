// From what a client names to the live object.
#pragma once
#include "daemon/domain.hpp"
#include "daemon/method.hpp"

namespace lodge::daemon {

inline DomainPtr find_domain(Client& client, const remote::NonnullDomain& named) {
    return client.hypervisor().find(named.uuid, named.name);
}

} // namespace lodge::daemon
