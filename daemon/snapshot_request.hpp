// From a client's snapshot document to one that says of everything where it is kept, or to a refusal. Nothing here changes a
// domain.
#pragma once
#include "daemon/domain.hpp"
#include "xml/snapshot.hpp"

namespace lodge::daemon {

struct SnapshotPlan {
    xml::Snapshot snapshot;
    bool external_disks = false;
    bool manual_disks = false; // the user copies some disks himself, while the guest stands still
};

// Reads and checks the document of a call with VIR_DOMAIN_SNAPSHOT_CREATE_*.
Task<xml::Snapshot> read_snapshot(DomainPtr domain, std::string text, unsigned flags);
// A snapshot that exists already: checks it against the tree.
void plan_redefinition(Domain& domain, xml::Snapshot& snapshot, unsigned flags);
// One to be taken: fills in the domain as it is now and what the document left open.
Task<SnapshotPlan> plan_snapshot(DomainPtr domain, xml::Snapshot snapshot, unsigned flags);

} // namespace lodge::daemon
