// One text in the user's editor: $VISUAL, $EDITOR or Debian's sensible-editor.
#pragma once
#include "cli/session.hpp"

#include <functional>

namespace lodge::cli {

std::string edit_text(const std::string& text, std::string_view suffix);

struct Edit {
    std::function<std::string()> fetch;
    std::function<void(const std::string&)> store; // throws Failure when the daemon refuses it
    std::string unchanged;                         // what to say when nothing was changed
    std::string edited;                            // empty: the store has said it
};

// Edits until it is stored: a refused text may be edited again, and what others changed meanwhile is never overwritten.
void edit_object(Session& session, const Edit& edit);

} // namespace lodge::cli
