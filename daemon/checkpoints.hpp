// Checkpoints: from each on, changes of disks are recorded in bitmaps, so that a backup can copy what changed since. The callers
// hold the domain's job.
#pragma once
#include "daemon/domain.hpp"
#include "drivers/saved_state.hpp"
#include "xml/checkpoint.hpp"

namespace lodge::daemon {

// Each takes VIR_DOMAIN_CHECKPOINT_*'s flags of its own call. Returns the checkpoint's name.
Task<std::string> create_checkpoint(DomainPtr domain, std::string text, unsigned flags);
Task<> delete_checkpoint(DomainPtr domain, std::string name, unsigned flags);
Task<std::string> checkpoint_document(DomainPtr domain, std::string name, unsigned flags);

// For a backup, which makes a checkpoint along with it: what is to be recorded, settled and checked; and its bitmaps.
Task<xml::Checkpoint> plan_checkpoint(DomainPtr domain, xml::Checkpoint checkpoint);
std::vector<drivers::Bitmap> bitmaps_of(const xml::Checkpoint& checkpoint);

} // namespace lodge::daemon
