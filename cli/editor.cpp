#include "cli/editor.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace lodge::cli {

namespace {

namespace fs = std::filesystem;

struct TemporaryFile {
    explicit TemporaryFile(std::string_view suffix) {
        const char* folder = std::getenv("TMPDIR");
        path = fmt::format("{}/lodgeXXXXXX{}", folder && *folder ? folder : "/tmp", suffix);
        int fd = ::mkstemps(path.data(), static_cast<int>(suffix.size()));
        if (fd < 0) fail("mkstemps: failed to create temporary file: {}", std::strerror(errno));
        ::close(fd);
    }
    ~TemporaryFile() { ::unlink(path.c_str()); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    std::string path;
};

// The editor may be a command with options, so a shell takes it apart; the file's name goes in as its parameter.
void run_editor(const std::string& path) {
    const char* editor = std::getenv("VISUAL");
    if (!editor || !*editor) editor = std::getenv("EDITOR");
    if (!editor || !*editor) editor = "sensible-editor";
    auto script = fmt::format("{} \"$1\"", editor);
    const char* words[] = {"sh", "-c", script.c_str(), "sh", path.c_str(), nullptr};
    pid_t child = 0;
    int error = ::posix_spawnp(&child, "sh", nullptr, nullptr, const_cast<char**>(words), environ);
    if (error) fail("cannot run editor '{}': {}", editor, std::strerror(error));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) fail("editor '{}' was killed by signal {}", editor, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) fail("editor '{}' ended with exit status {}", editor, WEXITSTATUS(status));
}

std::string read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file && text.str().empty()) return {};
    return text.str();
}

// Nobody to ask: not again.
bool again(Session& session) {
    if (!::isatty(STDIN_FILENO)) return false;
    session.print("{}", "Try again? [y,n]: ");
    session.flush();
    std::string answer;
    return std::getline(std::cin, answer) && (answer == "y" || answer == "Y" || answer == "yes");
}

} // namespace

std::string edit_text(const std::string& text, std::string_view suffix) {
    TemporaryFile file(suffix);
    std::ofstream(file.path, std::ios::binary) << text;
    run_editor(file.path);
    return read_all(file.path);
}

void edit_object(Session& session, const Edit& edit) {
    auto before = edit.fetch();
    auto text = before;
    for (;;) {
        text = edit_text(text, ".xml");
        if (text == before) {
            session.extra("{}\n", edit.unchanged);
            return;
        }
        if (edit.fetch() != before) fail("{}", "ERROR: the XML configuration was changed by another user");
        try {
            edit.store(text);
            if (!edit.edited.empty()) session.extra("{}\n", edit.edited);
            return;
        } catch (const Failure& failure) {
            if (!::isatty(STDIN_FILENO)) throw;
            session.error(failure.what());
            if (!again(session)) fail("{}", "Failed.");
        }
    }
}

} // namespace lodge::cli
