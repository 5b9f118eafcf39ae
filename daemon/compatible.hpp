// Whether a guest that runs on one document may go on with another: what it sees of its machine must stay the same.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

// Throws Code::config_unsupported that names the first difference.
void require_compatible(const xml::Domain& now, const xml::Domain& wanted);

} // namespace lodge::daemon
