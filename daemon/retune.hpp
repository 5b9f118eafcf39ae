// A change of what a guest gets of its host: the documents say it, and Machine::tune() makes it so. What all calls that tune
// share.
#pragma once
#include "daemon/change.hpp"
#include "daemon/params.hpp"

namespace lodge::daemon {

// Changes the documents, and the running machine with them; what the host refuses leaves all as it was.
Task<> retune(DomainPtr domain, unsigned affect, std::function<void(xml::Domain&)> change);
// Tells subscribers what a running guest gets now.
void tell_tunable(Domain& domain, unsigned affect, Params params);
// What the running guest gets.
Task<drivers::Tuning> current_tuning(DomainPtr domain);

} // namespace lodge::daemon
