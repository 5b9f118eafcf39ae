#include "drivers/process/process.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::drivers {

struct Process::Watch {
    asio::posix::stream_descriptor pidfd;
};

std::string Exit::text() const {
    if (!known) return "unknown exit status";
    if (signal != 0) return fmt::format("fatal signal {}", signal);
    return fmt::format("exit status {}", code);
}

static rpc::Fd open_null(int flags) {
    rpc::Fd fd(::open("/dev/null", flags | O_CLOEXEC));
    if (!fd) rpc::fail_errno(errno, "Cannot open /dev/null");
    return fd;
}

// A file in memory holds any amount of input without anybody having to feed a pipe.
rpc::Fd input_of(const Command& command) {
    if (command.input.empty()) return open_null(O_RDONLY);
    rpc::Fd fd(static_cast<int>(::syscall(SYS_memfd_create, "input", MFD_CLOEXEC)));
    if (!fd) rpc::fail_errno(errno, "Cannot create input of a child process");
    for (std::size_t done = 0; done < command.input.size();) {
        const ssize_t n = ::write(fd.get(), command.input.data() + done, command.input.size() - done);
        if (n < 0) rpc::fail_errno(errno, "Cannot write input of a child process");
        done += static_cast<std::size_t>(n);
    }
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

std::shared_ptr<Process> Process::start(Executor executor, const Command& command) {
    const rpc::Fd in = input_of(command);
    rpc::Fd out;
    if (command.output >= 0) {
        out.reset(::fcntl(command.output, F_DUPFD_CLOEXEC, 3));
    } else if (command.log_file.empty()) {
        out = open_null(O_WRONLY);
    } else {
        out.reset(::open(command.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!out) rpc::fail_errno(errno, fmt::format("failed to create logfile {}", command.log_file));
    }
    auto child = spawn_child(command, in.get(), out.get(), out.get());
    return watch(std::move(executor), command.program, child.pid, std::move(child.pidfd));
}

std::shared_ptr<Process> Process::adopt(Executor executor, pid_t pid, std::uint64_t start_time) {
    if (pid <= 1 || start_time == 0) return nullptr;
    rpc::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    // The pidfd is taken first: from then on the number cannot come to mean another process unseen.
    if (!pidfd || start_time_of(pid) != start_time) return nullptr;
    return watch(std::move(executor), fmt::format("process {}", pid), pid, std::move(pidfd));
}

std::shared_ptr<Process> Process::watch(Executor executor, std::string name, pid_t pid, rpc::Fd pidfd) {
    auto process = std::make_shared<Process>(Private{}, std::move(executor), std::move(name), pid, std::move(pidfd));
    process->await_end();
    return process;
}

Process::Process(Private, Executor executor, std::string name, pid_t pid, rpc::Fd pidfd)
    : name_(std::move(name))
    , pid_(pid)
    , start_time_(start_time_of(pid))
    , watch_(new Watch{{executor, pidfd.release()}})
    , ended_(executor) {}

Process::~Process() = default;

// The handler keeps the process alive: a child that everybody forgot is still reaped.
void Process::await_end() {
    watch_->pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this()](boost::system::error_code error) {
                                 if (!error) self->reap();
                             });
}

void Process::reap() {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(watch_->pidfd.native_handle()), &info, WEXITED | WNOHANG) == 0 &&
        info.si_pid == pid_) {
        exit_.known = true;
        (info.si_code == CLD_EXITED ? exit_.code : exit_.signal) = info.si_status;
    }
    log::debug("{} (pid {}) ended: {}", name_, pid_, exit_.text());
    watch_->pidfd.close();
    ended_.set();
}

void Process::signal(int number) {
    if (running()) ::syscall(SYS_pidfd_send_signal, watch_->pidfd.native_handle(), number, nullptr, 0);
}

Task<bool> Process::wait_on(std::shared_ptr<Process> self, std::chrono::nanoseconds limit) {
    co_await self->ended_.wait(limit);
    co_return !self->running();
}

Task<Exit> Process::stop_on(std::shared_ptr<Process> self, StopLadder ladder) {
    if (ladder.ask && self->running()) {
        log::debug("{} (pid {}): asking it to end", self->name_, self->pid_);
        ladder.ask();
        if (co_await self->wait(ladder.after_ask)) co_return self->exit_;
    }
    if (self->running()) {
        log::debug("{} (pid {}): SIGTERM", self->name_, self->pid_);
        self->signal(SIGTERM);
        if (co_await self->wait(ladder.after_terminate)) co_return self->exit_;
        log::warn("{} (pid {}) does not end by itself: SIGKILL", self->name_, self->pid_);
        self->signal(SIGKILL);
        co_await self->wait();
    }
    co_return self->exit_;
}

} // namespace lodge::drivers
