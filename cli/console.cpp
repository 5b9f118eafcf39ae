#include "cli/console.hpp"

#include "cli/event_loop.hpp"

#include <atomic>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <termios.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

constexpr size_t buffer_limit = 1024 * 1024; // a guest or a terminal that does not read stops the other side

class RawTerminal {
  public:
    RawTerminal() {
        if (tcgetattr(STDIN_FILENO, &before_) < 0) fail("unable to get tty attributes: {}", std::strerror(errno));
        auto raw = before_;
        cfmakeraw(&raw);
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0) fail("unable to set tty attributes: {}", std::strerror(errno));
    }
    ~RawTerminal() { tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

  private:
    termios before_{};
};

// All callbacks run in the thread of the event loop; only 'ended_' is read by the waiting thread.
class ConsoleRun {
  public:
    ConsoleRun(virStreamPtr stream, char escape)
        : stream_(stream)
        , escape_(escape) {}

    void run() {
        check(virStreamEventAddCallback(stream_, VIR_STREAM_EVENT_READABLE, on_stream, this, nullptr), "{}",
              "cannot watch the console");
        watch_ = virEventAddHandle(STDIN_FILENO, VIR_EVENT_HANDLE_READABLE, on_terminal, this, nullptr);
        check(watch_, "{}", "cannot watch the terminal");
        waiter_.wait({}, [&] { return ended_.load(); });
        virEventRemoveHandle(watch_);
        virStreamEventRemoveCallback(stream_);
        if (failed_.empty() && user_left_)
            virStreamFinish(stream_);
        else
            virStreamAbort(stream_);
        if (!failed_.empty()) fail("{}", failed_);
    }

  private:
    void end(std::string why = {}) {
        std::lock_guard lock(waiter_.mutex);
        ended_ = true;
        if (failed_.empty()) failed_ = std::move(why);
        waiter_.wake();
    }

    static void on_stream(virStreamPtr, int events, void* self) { static_cast<ConsoleRun*>(self)->stream_ready(events); }
    static void on_terminal(int, int, int events, void* self) { static_cast<ConsoleRun*>(self)->terminal_ready(events); }

    void stream_ready(int events) {
        if (ended_) return;
        if (events & VIR_STREAM_EVENT_READABLE) {
            char bytes[4096];
            int got = virStreamRecv(stream_, bytes, sizeof bytes);
            if (got == -2) return;
            if (got <= 0) return end(got < 0 ? cause() : "");
            for (ssize_t at = 0; at < got;) {
                auto put = ::write(STDOUT_FILENO, bytes + at, static_cast<size_t>(got - at));
                if (put < 0 && errno != EINTR && errno != EAGAIN) return end("cannot write to stdout");
                at += std::max<ssize_t>(put, 0);
            }
        }
        if (events & VIR_STREAM_EVENT_WRITABLE) send_pending();
        if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) end();
    }

    void terminal_ready(int events) {
        if (ended_) return;
        char bytes[1024];
        auto got = events & VIR_EVENT_HANDLE_READABLE ? ::read(STDIN_FILENO, bytes, sizeof bytes) : 0;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return end(got < 0 ? "cannot read from stdin" : "");
        auto typed = std::string_view(bytes, static_cast<size_t>(got));
        auto stop = typed.find(escape_);
        pending_ += typed.substr(0, stop);
        send_pending();
        if (stop != typed.npos) {
            user_left_ = true;
            end();
        }
    }

    void send_pending() {
        while (!pending_.empty()) {
            int sent = virStreamSend(stream_, pending_.data(), pending_.size());
            if (sent == -2) break;
            if (sent < 0) return end(cause());
            pending_.erase(0, static_cast<size_t>(sent));
        }
        virStreamEventUpdateCallback(stream_, VIR_STREAM_EVENT_READABLE | (pending_.empty() ? 0 : VIR_STREAM_EVENT_WRITABLE));
        virEventUpdateHandle(watch_, pending_.size() < buffer_limit ? VIR_EVENT_HANDLE_READABLE : 0);
    }

    virStreamPtr stream_;
    char escape_;
    int watch_ = -1;
    std::string pending_;
    std::string failed_;
    std::atomic<bool> ended_ = false;
    bool user_left_ = false;
    Waiter waiter_;
};

} // namespace

char escape_character(const std::string& sequence) {
    if (sequence.size() == 1) return sequence[0];
    if (sequence.size() == 2 && sequence[0] == '^') {
        auto c = std::toupper(static_cast<unsigned char>(sequence[1]));
        if (c >= '@' && c <= '_') return static_cast<char>(c & 0x1f);
    }
    fail("Invalid string '{}' for escape sequence", sequence);
}

void run_console(Session& session, virDomainPtr domain, const std::string& device, unsigned flags) {
    if (!::isatty(STDIN_FILENO)) fail("{}", "Cannot run interactive console without a controlling TTY");
    if (check(virDomainIsActive(domain), "{}", "Unable to get domain status") == 0) fail("{}", "The domain is not running");
    char escape = escape_character(session.settings.escape);
    Stream stream(virStreamNew(session.connection(), VIR_STREAM_NONBLOCK));
    if (!stream) fail_with_cause();
    check(virDomainOpenConsole(domain, device.empty() ? nullptr : device.c_str(), stream.get(), flags));

    session.extra("Connected to domain '{}'\n", virDomainGetName(domain));
    const auto& sequence = session.settings.escape;
    session.extra("Escape character is {}{}\n", sequence,
                  sequence[0] == '^' ? fmt::format(" (Ctrl + {})", sequence.substr(1)) : std::string());
    session.flush();
    InterruptGuard guard;
    RawTerminal raw;
    ConsoleRun(stream.get(), escape).run();
}

} // namespace lodge::cli
