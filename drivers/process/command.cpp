#include "drivers/process/command.hpp"
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers {

static std::string search_path() {
    const char* path = ::getenv("PATH");
    return path && *path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

std::vector<std::pair<std::string, std::string>> Command::default_environment() {
    std::vector<std::pair<std::string, std::string>> env{{"LC_ALL", "C"}, {"PATH", search_path()}};
    for (const char* name : {"LD_PRELOAD", "LD_LIBRARY_PATH", "TMPDIR"})
        if (const char* value = ::getenv(name)) env.emplace_back(name, value);
    return env;
}

std::string shell_quoted(const std::string& word) {
    static constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./:,@%^";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
    std::string text = "'";
    for (const char c : word) {
        if (c == '\'')
            text += "'\\''";
        else
            text += c;
    }
    return text + "'";
}

std::string quoted(const Command& command) {
    std::string text = shell_quoted(command.program);
    for (const auto& arg : command.args) text += ' ' + shell_quoted(arg);
    return text;
}

std::string quoted_lines(const Command& command) {
    static constexpr std::string_view next = " \\\n";
    std::string text;
    for (const auto& [name, value] : command.env) text += fmt::format("{}={}{}", name, shell_quoted(value), next);
    text += shell_quoted(command.program);
    for (const auto& arg : command.args) {
        // An option starts a line; its value stays beside it.
        text += arg.starts_with('-') ? next : std::string_view(" ");
        text += shell_quoted(arg);
    }
    return text;
}

static bool may_execute(const std::string& path) {
    struct stat info{};
    return ::access(path.c_str(), X_OK) == 0 && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string find_program(const std::string& program) {
    if (program.empty()) return {};
    if (program.find('/') != std::string::npos) return may_execute(program) ? program : std::string();
    const std::string path = search_path();
    for (std::size_t from = 0; from <= path.size();) {
        const std::size_t to = std::min(path.find(':', from), path.size());
        const std::string candidate = path.substr(from, to - from) + "/" + program;
        if (candidate.front() == '/' && may_execute(candidate)) return candidate;
        from = to + 1;
    }
    return {};
}

} // namespace lodge::drivers
