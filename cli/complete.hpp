// What may stand at the cursor: commands, options, their words, names of objects and files. Serves the shell and bash.
#pragma once
#include "cli/session.hpp"

namespace lodge::cli {

struct Completion {
    std::vector<std::string> candidates; // whole words that begin with what was typed
    bool files = false;                  // file names as well: the shell knows how
};

// 'words' is the command so far without the one being typed, which is 'partial'.
Completion complete(Session& session, std::span<const std::string> words, const std::string& partial);

} // namespace lodge::cli
