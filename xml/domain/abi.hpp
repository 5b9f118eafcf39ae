// Whether a guest may go on with another document: for restore, migration and what a snapshot keeps. Which facts the guest sees
// stands beside each of them in the descriptions (Mark::guest).
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::xml {

// Throws Code::config_unsupported in libvirt's words for the first fact that differs. Both documents are complete.
void check_abi(const Domain& before, const Domain& now);

} // namespace lodge::xml
