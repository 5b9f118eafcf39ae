// Helpers run to their end: output captured within bounds, killed when too slow.
#include "drivers/process/process.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/error.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::drivers {

rpc::Fd input_of(const Command& command);

struct Runner {
    // Reads one of the child's pipes as it fills. Reads by hand after async_wait, so nothing is ever in flight when it is closed.
    struct Reader : std::enable_shared_from_this<Reader> {
        Reader(Executor executor, int fd, std::size_t bound)
            : pipe(executor, fd)
            , limit(bound) {}
        void next() {
            pipe.async_wait(pipe.wait_read, [self = shared_from_this()](boost::system::error_code error) {
                if (!error && self->drain()) self->next();
            });
        }
        // Takes what is there; false at the end.
        bool drain() {
            char buffer[65536];
            while (pipe.is_open()) {
                const ssize_t n = ::read(pipe.native_handle(), buffer, sizeof buffer);
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) return errno == EAGAIN;
                if (n == 0) return false;
                const std::size_t room = limit - text.size();
                text.append(buffer, std::min(room, static_cast<std::size_t>(n)));
                if (static_cast<std::size_t>(n) <= room) continue;
                overflowed = true;
                if (child) child->signal(SIGKILL);
            }
            return false;
        }
        asio::posix::stream_descriptor pipe;
        std::size_t limit;
        std::string text;
        std::shared_ptr<Process> child; // killed when it says more than that
        bool overflowed = false;
    };

    static std::pair<std::shared_ptr<Reader>, rpc::Fd> pipe_to(Executor executor, std::size_t limit) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0) rpc::fail_errno(errno, "Cannot create a pipe");
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK); // our end only: the child's stays as programs expect it
        return {std::make_shared<Reader>(executor, ends[0], limit), rpc::Fd(ends[1])};
    }

    static std::shared_ptr<Process> start(Executor executor, const Command& command, int out, int err) {
        const rpc::Fd in = input_of(command);
        auto child = spawn_child(command, in.get(), out, err);
        return Process::watch(executor, command.program, child.pid, std::move(child.pidfd));
    }
};

// Kills the helper when the task that waits for it is given up.
struct KillOnLeave {
    std::shared_ptr<Process> process;
    ~KillOnLeave() { process->signal(SIGKILL); }
};

Task<RunResult> run(Command command, RunLimits limits) {
    const auto executor = co_await asio::this_coro::executor;
    auto [out, out_end] = Runner::pipe_to(executor, limits.output);
    auto [err, err_end] = Runner::pipe_to(executor, 64 * 1024);
    const auto process = Runner::start(executor, command, out_end.get(), err_end.get());
    const KillOnLeave guard{process};
    out_end.reset();
    err_end.reset();
    out->child = process;
    out->next();
    err->next();
    const bool ended = co_await process->wait(limits.time);
    if (!ended) {
        process->signal(SIGKILL);
        co_await process->wait();
    }
    // A grandchild may hold the pipes open for ever: what is there now is all we take.
    for (const auto& reader : {out, err}) {
        reader->drain();
        boost::system::error_code ignored;
        reader->pipe.close(ignored);
    }
    if (out->overflowed) rpc::fail(rpc::Code::internal_error, "{}: more than {} bytes of output", command.program, limits.output);
    if (!ended) rpc::fail(rpc::Code::operation_timeout, "{} did not end within {} ms", command.program, limits.time.count());
    co_return RunResult{process->exit(), std::move(out->text), std::move(err->text)};
}

std::string RunResult::reason() const {
    const auto end = err.find_last_not_of(" \t\r\n");
    return end == std::string::npos ? exit.text() : err.substr(0, end + 1);
}

Task<RunResult> run_checked(Command command, RunLimits limits) {
    const std::string line = quoted(command);
    auto result = co_await run(std::move(command), limits);
    if (!result.exit.success())
        rpc::fail(rpc::from_nobody, rpc::Code::internal_error, "Child process ({}) unexpected {}: {}", line, result.exit.text(),
                  result.reason());
    co_return result;
}

} // namespace lodge::drivers
