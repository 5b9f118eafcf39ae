// An external snapshot goes: what the guest has written since it flows into the image below, and whoever named the image that
// goes names that one. The caller holds the domain's job.
#pragma once
#include "daemon/domain.hpp"

namespace lodge::daemon {

// Throws in libvirt's words, before anything is changed, when the images are not where the snapshot left them.
Task<> merge_snapshot(DomainPtr domain, SnapshotTree::Pointer snapshot);

} // namespace lodge::daemon
