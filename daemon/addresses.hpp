// Which addresses a guest has, as far as the host knows: from the leases of its networks or from the neighbours that the kernel
// has seen.
#pragma once
#include "daemon/domain.hpp"

namespace lodge::daemon {

Task<std::vector<remote::DomainInterface>> leased_addresses(Host& host, std::shared_ptr<const xml::Domain> document);
// By the addresses that the host's kernel has seen behind the guest's network cards.
Task<std::vector<remote::DomainInterface>> seen_addresses(std::shared_ptr<const xml::Domain> document);
// The name under which the guest got a lease; empty: none.
Task<std::string> leased_hostname(Host& host, std::shared_ptr<const xml::Domain> document);

} // namespace lodge::daemon
