// The console of a guest on this terminal: raw mode, a stream each way, the escape sequence ends it.
#pragma once
#include "cli/session.hpp"

namespace lodge::cli {

void run_console(Session& session, virDomainPtr domain, const std::string& device, unsigned flags);

// "^]" or one character, as -e takes it; throws on anything else.
char escape_character(const std::string& sequence);

} // namespace lodge::cli
