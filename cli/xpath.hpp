// dumpxml's --xpath and --wrap.
#pragma once
#include "cli/session.hpp"

namespace lodge::cli {

// Prints the document, or only what --xpath selects of it.
void show_document(Session& session, const Arguments& arguments, const std::string& xml);

} // namespace lodge::cli
