#include "cli/backup/qemu_img.hpp"

#include "cli/event_loop.hpp"
#include "cli/failure.hpp"
#include "cli/table.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace lodge::cli {

namespace {

struct Pipe {
    Pipe() {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC) < 0) fail("cannot make a pipe: {}", std::strerror(errno));
        out = Fd(fds[0]);
        in = Fd(fds[1]);
    }
    Fd out, in;
};

// Runs qemu-img; on_output gets its stdout piece by piece. Its stderr becomes the error.
std::string run_qemu_img(std::vector<std::string> words, const std::function<void(std::string_view)>& on_output) {
    words.insert(words.begin(), "qemu-img");
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    Pipe output, errors;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output.in.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors.in.get(), STDERR_FILENO);
    posix_spawnattr_t attributes; // a group of its own: ^C on the terminal reaches us, and we stop it in good order
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t child = 0;
    int error = ::posix_spawnp(&child, "qemu-img", &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error) fail("cannot run qemu-img: {}", std::strerror(error));
    output.in = Fd();
    errors.in = Fd();

    std::string all, complaint;
    bool stopped = false;
    pollfd watched[] = {{output.out.get(), POLLIN, 0}, {errors.out.get(), POLLIN, 0}};
    while (watched[0].fd >= 0 || watched[1].fd >= 0) {
        if (InterruptGuard::interrupted() && !std::exchange(stopped, true)) ::kill(child, SIGTERM);
        if (::poll(watched, 2, 200) < 0 && errno != EINTR) break;
        for (auto& one : watched) {
            if (one.fd < 0 || !one.revents) continue;
            char bytes[4096];
            auto got = ::read(one.fd, bytes, sizeof bytes);
            if (got <= 0) {
                one.fd = -1;
                continue;
            }
            std::string_view piece(bytes, static_cast<size_t>(got));
            (&one == watched ? all : complaint) += piece;
            if (&one == watched && on_output) on_output(piece);
        }
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    stop_if_interrupted();
    if (status != 0) fail("{}", complaint.empty() ? "qemu-img failed" : complaint);
    return all;
}

} // namespace

ImageInfo image_info(const fs::path& path, const std::string& format) {
    // -U: a look does no harm to an image in use
    auto text = run_qemu_img({"info", "-U", "--output=json", "-f", format, path.string()}, {});
    try {
        auto json = Json::parse(text);
        return {json.at("format"), json.at("virtual-size"), json.contains("backing-filename")};
    } catch (const Json::exception& error) {
        fail("qemu-img info said something strange of '{}': {}", path.string(), error.what());
    }
}

void convert_image(const fs::path& from, const std::string& from_format, const fs::path& to, const std::string& to_format,
                   bool in_place, const Progress& progress) {
    std::vector<std::string> words = {"convert", "-p", "-f", from_format, "-O", to_format};
    if (in_place) words.emplace_back("-n");
    words.push_back(from.string());
    words.push_back(to.string());
    // made here, so that nobody else may read it; qemu-img keeps the mode of what is there
    if (!in_place) open_file(to, O_WRONLY | O_CREAT | O_EXCL);
    auto total = image_info(from, from_format).virtual_size;
    // it writes "    (12.34/100%)" and a carriage return
    run_qemu_img(words, [&](std::string_view piece) {
        auto at = piece.rfind('(');
        if (at == piece.npos || !progress) return;
        double percent = 0;
        std::from_chars(piece.data() + at + 1, piece.data() + piece.size(), percent);
        progress(static_cast<unsigned long long>(percent / 100 * static_cast<double>(total)), total);
    });
}

} // namespace lodge::cli
