#include "cli/interactive.hpp"

#include "cli/complete.hpp"
#include "cli/event_loop.hpp"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <histedit.h>
#include <iostream>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

namespace fs = std::filesystem;

Session* shell_session = nullptr; // libedit's prompt callback takes no argument of ours

char* prompt(EditLine*) {
    static char text[] = "lodge # ", read_only[] = "lodge > ";
    return shell_session && shell_session->settings.readonly ? read_only : text;
}

fs::path history_file() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache && *cache) return fs::path(cache) / "lodge" / "history";
    if (home && *home) return fs::path(home) / ".cache" / "lodge" / "history";
    return {};
}

// Quoted where the tokenizer would otherwise take it apart.
std::string quoted(const std::string& word) {
    std::string out;
    for (char c : word) {
        if (std::strchr(" \t\\\"';#", c)) out += '\\';
        out += c;
    }
    return out;
}

std::vector<std::string> files_beginning(const std::string& partial) {
    std::vector<std::string> out;
    fs::path typed(partial);
    auto folder = typed.parent_path();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, ignored)) {
        auto name = (folder / entry.path().filename()).string();
        if (name.starts_with(partial)) out.push_back(name + (entry.is_directory(ignored) ? "/" : ""));
    }
    std::ranges::sort(out);
    return out;
}

std::string common_beginning(const std::vector<std::string>& words) {
    auto out = words.front();
    for (const auto& word : words) {
        auto end = std::ranges::mismatch(out, word).in1;
        out.erase(end, out.end());
    }
    return out;
}

// The words of the command at the cursor, and the one being typed.
std::pair<Words, std::string> words_at_cursor(const std::string& before) {
    auto separated = before + "\x01"; // marks the cursor, so that an empty last word exists
    for (const char* closing : {"", "'", "\""}) try {
            auto commands = split_line(separated + closing);
            auto words = commands.empty() ? Words{"\x01"} : commands.back();
            auto partial = words.back();
            words.pop_back();
            if (!partial.empty()) partial.pop_back();
            return {words, partial};
        } catch (const Failure&) {
        }
    return {};
}

unsigned char on_tab(EditLine* line, int) {
    const auto* info = el_line(line);
    std::string before(info->buffer, info->cursor);
    auto [words, partial] = words_at_cursor(before);
    auto found = complete(*shell_session, words, partial);
    if (found.files) {
        auto files = files_beginning(partial);
        found.candidates.insert(found.candidates.end(), files.begin(), files.end());
    }
    if (found.candidates.empty()) return CC_REFRESH_BEEP;
    auto common = common_beginning(found.candidates);
    bool unique = found.candidates.size() == 1;
    auto addition = quoted(common.substr(partial.size())) + (unique && !common.ends_with('/') ? " " : "");
    if (!addition.empty()) return el_insertstr(line, addition.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    std::fputc('\n', stdout);
    for (const auto& word : found.candidates) std::fprintf(stdout, "%s  ", word.c_str());
    std::fputc('\n', stdout);
    std::fflush(stdout);
    return CC_REDISPLAY;
}

struct Editor {
    History* past = history_init();
    EditLine* line = el_init("lodge", stdin, stdout, stderr);
    fs::path file = history_file();

    Editor() {
        HistEvent event;
        history(past, &event, H_SETSIZE, 500);
        history(past, &event, H_SETUNIQUE, 1);
        if (!file.empty()) history(past, &event, H_LOAD, file.c_str());
        el_set(line, EL_PROMPT, prompt);
        el_set(line, EL_EDITOR, "emacs");
        el_set(line, EL_HIST, history, past);
        el_set(line, EL_SIGNAL, 1);
        el_set(line, EL_ADDFN, "lodge-complete", "complete", on_tab);
        el_set(line, EL_BIND, "\t", "lodge-complete", nullptr);
        el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
        el_source(line, nullptr);
    }
    ~Editor() {
        HistEvent event;
        if (!file.empty()) {
            std::error_code ignored;
            fs::create_directories(file.parent_path(), ignored);
            auto before = ::umask(077); // a history may hold passwords
            history(past, &event, H_SAVE, file.c_str());
            ::umask(before);
        }
        el_end(line);
        history_end(past);
    }
    Editor(const Editor&) = delete;
    Editor& operator=(const Editor&) = delete;

    bool read(std::string& out) {
        int count = 0;
        const char* text = el_gets(line, &count);
        if (!text || count <= 0) return false;
        out.assign(text, static_cast<size_t>(count));
        while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
        HistEvent event;
        if (!out.empty()) history(past, &event, H_ENTER, out.c_str());
        return true;
    }
};

void welcome(const Session& session) {
    if (session.settings.quiet) return;
    std::puts("Welcome to lodge, where guests stay.\n\n"
              "Type:  'help' for help with commands\n"
              "       'quit' to quit\n");
}

} // namespace

int run_interactive(Session& session) {
    shell_session = &session;
    session.settings.interactive = true;
    EventLoop::start();
    try {
        session.connection();
    } catch (const Failure& failure) {
        session.error(failure.what()); // the shell opens all the same: 'connect' may help
    }
    if (!::isatty(STDIN_FILENO)) {
        welcome(session);
        for (std::string line; !session.leaving && std::getline(std::cin, line);)
            if (line.find_first_not_of(" \t") != line.npos) session.run_line(line);
        return 0;
    }
    welcome(session);
    Editor editor;
    std::string line;
    while (!session.leaving && editor.read(line))
        if (line.find_first_not_of(" \t") != line.npos) session.run_line(line);
    if (!session.leaving) std::puts("");
    return 0;
}

} // namespace lodge::cli
