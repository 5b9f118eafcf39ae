// For who destroys an event loop and lives on, as a test does. The daemon's loop ends with its process.
#pragma once

namespace lodge::rpc {

// Waits until nothing is left on the worker pool (see blocking): work under way would report to a loop that is gone.
void finish_blocking();

} // namespace lodge::rpc
