// One running child, or a process found again after a restart of the daemon. Owns its pidfd and awaits it on the event loop;
// nobody else calls wait. Control thread only, like everything that awaits.
#pragma once
#include "drivers/process/command.hpp"
#include "rpc/task.hpp"

namespace lodge::drivers {

using rpc::Executor;
using rpc::Task;
using namespace std::chrono_literals;

// How a process ended.
struct Exit {
    bool known = false; // false: it was not our child (adopted), so nobody told us
    int code = 0;       // exit status, when signal is 0
    int signal = 0;
    bool success() const { return known && code == 0 && signal == 0; }
    std::string text() const; // "exit status 1", "fatal signal 9"
};

// What stop() tries in turn. `ask` is the polite word of the trade (a QMP command); empty: begin with SIGTERM.
struct StopLadder {
    std::function<void()> ask;
    std::chrono::milliseconds after_ask = 5s;
    std::chrono::milliseconds after_terminate = 5s;
};

class Process : public std::enable_shared_from_this<Process> {
    struct Private {};

  public:
    // Starts it; throws Code::system_error when it cannot be executed. Whether it becomes useful is the caller's to find out.
    static std::shared_ptr<Process> start(Executor executor, const Command& command);
    // Finds a process that is not our child; null when the pid is gone or was given to another since.
    static std::shared_ptr<Process> adopt(Executor executor, pid_t pid, std::uint64_t start_time);

    Process(Private, Executor executor, std::string name, pid_t pid, rpc::Fd pidfd);
    ~Process();

    pid_t pid() const { return pid_; }
    std::uint64_t start_time() const { return start_time_; }
    bool running() const { return !ended_.is_set(); }
    // Only once it has ended.
    const Exit& exit() const { return exit_; }

    // Returns true when it has ended, false when `limit` passed first.
    Task<bool> wait(std::chrono::nanoseconds limit = std::chrono::hours(24 * 365)) { return wait_on(shared_from_this(), limit); }
    // Sends a signal; to a process that has ended: nothing. Never hits another process that got its pid.
    void signal(int number);
    Task<Exit> stop(StopLadder ladder) { return stop_on(shared_from_this(), std::move(ladder)); }
    Task<Exit> stop() { return stop(StopLadder{}); }

  private:
    friend struct Runner;
    static Task<bool> wait_on(std::shared_ptr<Process> self, std::chrono::nanoseconds limit);
    static Task<Exit> stop_on(std::shared_ptr<Process> self, StopLadder ladder);
    static std::shared_ptr<Process> watch(Executor executor, std::string name, pid_t pid, rpc::Fd pidfd);
    void await_end();
    void reap();

    struct Watch;
    std::string name_;
    pid_t pid_;
    std::uint64_t start_time_;
    std::unique_ptr<Watch> watch_;
    rpc::Signal ended_;
    Exit exit_;
};

struct RunLimits {
    std::chrono::milliseconds time = 30s;
    std::size_t output = 16 * 1024 * 1024; // bytes of standard output; of standard error the first 64 KiB are kept
};
struct RunResult {
    Exit exit;
    std::string out, err;
    // Standard error without its line end; without any: how it ended.
    std::string reason() const;
};

// Runs a helper to its end and gives back what it said. A helper that takes too long or says too much is killed and throws
// (Code::operation_timeout, Code::internal_error); a status other than 0 is the caller's business. log_file is not used.
Task<RunResult> run(Command command, RunLimits limits = {});
// The same, but a status other than 0 throws Code::internal_error with the helper's own words.
Task<RunResult> run_checked(Command command, RunLimits limits = {});

} // namespace lodge::drivers
