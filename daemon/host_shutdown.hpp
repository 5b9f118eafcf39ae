// Guests when the host goes down. logind is asked to wait (a delay lock of its own making), and when it says that the host goes
// down, guests are saved or shut down, some at a time and within a time limit; then it need not wait any longer.
#pragma once
#include "daemon/host.hpp"

namespace lodge::daemon {

// Runs for as long as the daemon does; returns at once when the configuration wants nothing, or there is no logind.
Task<> watch_for_host_shutdown(Host& host);
// Returns when all have ended or the time is over.
Task<> end_all_guests(Host& host);

} // namespace lodge::daemon
