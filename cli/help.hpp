// The words of `lodge help`, made from the rows.
#pragma once
#include "cli/command.hpp"

#include <string>

namespace lodge::cli {

std::string usage();                         // lodge --help
std::string all_help();                      // help
std::string help_of(const Command& command); // help COMMAND
std::string help_of(const GroupName& group); // help GROUP
const GroupName* find_group(std::string_view keyword);

} // namespace lodge::cli
