// Snapshots: made, recorded, gone back to and deleted, with libvirt's rules. The callers hold the domain's job.
#pragma once
#include "daemon/domain.hpp"

namespace lodge::daemon {

// Each takes VIR_DOMAIN_SNAPSHOT_*'s flags of its own call. Returns the snapshot's name.
Task<std::string> create_snapshot(DomainPtr domain, std::string text, unsigned flags);
Task<> revert_to_snapshot(DomainPtr domain, std::string name, unsigned flags);
Task<> delete_snapshot(DomainPtr domain, std::string name, unsigned flags);

} // namespace lodge::daemon
