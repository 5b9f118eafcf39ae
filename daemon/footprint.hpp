// The daemon's resident memory between two calls.
#pragma once

namespace lodge::daemon {

// Gives back what only the work behind us needed: free heap, and pages of programs and libraries that were mapped along the way
// (the kernel maps sixteen around each one that is touched, so a start maps nearly all of them). They stay in the page cache, are
// found there again when they are needed, and are the first to go when guests need the host's memory.
void shrink_footprint();

} // namespace lodge::daemon
