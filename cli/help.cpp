#include "cli/help.hpp"

#include "cli/commands.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace lodge::cli {

namespace {

std::string_view type_of(const Option& option) { return option.kind == Kind::number ? "number" : "string"; }

std::string synopsis_of(const Option& option) {
    auto rest_value = option.positional && option.required
                          ? fmt::format("{{[--{}] <string>}}...", option.name)
                          : fmt::format("[<{}>]...", option.by_name_only ? "string" : option.name);
    switch (option.kind) {
    case Kind::flag: return fmt::format("[--{}]", option.name);
    case Kind::rest: return option.required ? rest_value : fmt::format("[[--{}] <string>]...", option.name);
    default: break;
    }
    if (option.required) return fmt::format("<{}>", option.name);
    return fmt::format("[--{} <{}>]", option.name, type_of(option));
}

std::string left_of(const Option& option) {
    if (option.kind == Kind::flag) return fmt::format("--{}", option.name);
    if (option.positional) return fmt::format("[--{}] <{}>", option.name, type_of(option));
    return fmt::format("--{} <{}>", option.name, type_of(option));
}

std::string rows_of(Group group) {
    std::string out;
    for (const auto* command : all_commands())
        if (command->group == group) out += fmt::format("    {:<30} {}\n", command->name, command->help);
    return out;
}

} // namespace

const GroupName* find_group(std::string_view keyword) {
    const auto* it =
        std::ranges::find_if(group_names, [&](const GroupName& g) { return g.keyword == keyword || g.title == keyword; });
    return it == std::end(group_names) ? nullptr : it;
}

std::string help_of(const Command& command) {
    auto out = fmt::format("  NAME\n    {} - {}\n\n  SYNOPSIS\n    {}", command.name, command.help, command.name);
    for (const auto& option : command.options) out += ' ' + synopsis_of(option);
    out += '\n';
    if (!command.description.empty()) {
        out += "\n  DESCRIPTION\n    ";
        for (std::size_t i = 0; i < command.description.size(); ++i) {
            const auto rest = command.description.substr(i);
            out += rest[0];
            if (rest[0] == '\n' && !rest.substr(1).starts_with('\n')) out += "    ";
        }
        out += '\n';
    }
    if (!command.options.empty()) {
        out += "\n  OPTIONS\n";
        for (const auto& option : command.options) out += fmt::format("    {:<15}  {}\n", left_of(option), option.help);
    }
    return out + '\n';
}

std::string help_of(const GroupName& group) {
    return fmt::format(" {} (help keyword '{}'):\n{}", group.title, group.keyword, rows_of(group.group));
}

std::string all_help() {
    std::string out = "Grouped commands:\n\n";
    for (const auto& group : group_names) out += help_of(group) + '\n';
    return out;
}

std::string usage() {
    std::string out = R"(
lodge [options]... [<command_string>]
lodge [options]... <command> [args...]

  options:
    -c | --connect=URI      hypervisor connection URI
    -d | --debug=NUM        debug level [0-4]
    -e | --escape <char>    set escape sequence for console
    -h | --help             this help
    -k | --keepalive-interval=NUM
                            keepalive interval in seconds, 0 for disable
    -K | --keepalive-count=NUM
                            number of possible missed keepalive messages
    -l | --log=FILE         output logging to file
    -o | --output=FORMAT    text, or json for programs
    -q | --quiet            quiet mode
    -r | --readonly         connect readonly
    -t | --timing           print timing information
    -v                      short version
    -V                      long version
         --version[=TYPE]   version, TYPE is short or long (default short)
  commands (non interactive mode):

)";
    for (const auto& group : group_names)
        out += fmt::format(" {} (help keyword '{}')\n{}\n", group.title, group.keyword, rows_of(group.group));
    out += "\n  (specify help <group> for details about the commands in the group)\n"
           "\n  (specify help <command> for details about the command)\n\n";
    return out;
}

} // namespace lodge::cli
