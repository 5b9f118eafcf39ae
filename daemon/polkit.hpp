// The one question to polkit: may this process do that? Asked over D-Bus on the worker pool, since an agent may ask a person.
#pragma once
#include "daemon/client.hpp"

namespace lodge::daemon::polkit {

// Throws Code::auth_failed when the answer is no or nobody answers.
Task<> authorize(Credentials who, std::string action);

} // namespace lodge::daemon::polkit
