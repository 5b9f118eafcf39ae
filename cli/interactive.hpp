// The shell that opens when lodge is started without a command: history, editing, completion.
#pragma once
#include "cli/session.hpp"

namespace lodge::cli {

int run_interactive(Session& session);

} // namespace lodge::cli
