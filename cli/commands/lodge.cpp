#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/session.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace lodge::cli {

namespace {

void connect(Session& session, const Arguments& arguments) {
    try {
        session.connect(arguments.text("name", ""), arguments.has("readonly"));
    } catch (const NoConnection& failure) {
        throw Failure(failure.what());
    }
}

void help(Session& session, const Arguments& arguments) {
    auto name = arguments.text("command");
    if (!name) return session.write(all_help());
    if (const auto* command = find_command(*name)) return session.write(help_of(*command));
    if (const auto* group = find_group(*name)) return session.write(help_of(*group));
    fail("command or command group '{}' doesn't exist", *name);
}

void cd(Session& session, const Arguments& arguments) {
    if (!session.settings.interactive) fail("{}", "cd: command valid only in interactive mode");
    const char* home = std::getenv("HOME");
    auto folder = arguments.text("dir", home ? home : "/");
    if (::chdir(folder.c_str()) < 0) fail("cd: {}: {}", std::strerror(errno), folder);
}

void pwd(Session& session, const Arguments&) {
    std::error_code error;
    auto folder = std::filesystem::current_path(error);
    if (error) fail("pwd: cannot get current directory: {}", error.message());
    session.show_value(folder.string());
}

// Quoted for a shell, only where it must be.
std::string shell_word(const std::string& word) {
    if (!word.empty() && word.find_first_of("\r\t\n !\"#$&'()*;<>?[\\]^`{|}~") == word.npos) return word;
    std::string out = "'";
    for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string xml_word(const std::string& word) {
    std::string out;
    for (char c : word) switch (c) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&apos;"; break;
        default: out += c;
        }
    return out;
}

void echo(Session& session, const Arguments& arguments) {
    std::string out;
    for (auto word : arguments.rest("string")) {
        if (arguments.has("xml")) word = xml_word(word);
        if (arguments.has("shell")) word = shell_word(word);
        out += (out.empty() ? "" : arguments.has("split") ? "\n" : " ") + word;
    }
    if (arguments.has("err")) return session.error(out);
    session.print("{}", out);
}

void quit(Session& session, const Arguments&) { session.leaving = true; }

} // namespace

const std::vector<Command>& lodge_commands() {
    static const std::vector<Command> rows = {
        {.name = "cd",
         .group = Group::lodge,
         .help = "change the current directory",
         .description = "Change the current directory.",
         .options = {text("dir", "directory to switch to (default: home or else root)").completed(Complete::file)},
         .run = cd,
         .needs = Need::nothing},
        {.name = "connect",
         .group = Group::lodge,
         .help = "(re)connect to hypervisor",
         .description = "Connect to local hypervisor. This is built-in command after shell start up.",
         .options = {text("name", "hypervisor connection URI"), flag("readonly", "read-only connection")},
         .run = connect,
         .needs = Need::nothing},
        {.name = "echo",
         .group = Group::lodge,
         .help = "echo arguments. Used for internal testing.",
         .description = "Echo back arguments, possibly with quoting. Used for internal testing.",
         .options = {flag("shell", "escape for shell use"), flag("xml", "escape for XML use"),
                     flag("split", "split each argument on ','; ',,' is an escape sequence"), rest("string", "arguments to echo"),
                     flag("err", "output to stderr")},
         .run = echo,
         .needs = Need::nothing},
        {.name = "exit",
         .group = Group::lodge,
         .help = "quit this interactive terminal",
         .description = "",
         .options = {},
         .run = quit,
         .needs = Need::nothing},
        {.name = "help",
         .group = Group::lodge,
         .help = "print help",
         .description = "Prints global help, command specific help, or help for a\ngroup of related commands",
         .options = {text("command", "Prints global help, command specific help, or help for a group of related commands")
                         .completed(Complete::command)},
         .run = help,
         .needs = Need::nothing},
        {.name = "pwd",
         .group = Group::lodge,
         .help = "print the current directory",
         .description = "Print the current directory.",
         .options = {},
         .run = pwd,
         .needs = Need::nothing},
        {.name = "quit",
         .group = Group::lodge,
         .help = "quit this interactive terminal",
         .description = "",
         .options = {},
         .run = quit,
         .needs = Need::nothing},
    };
    return rows;
}

} // namespace lodge::cli
