#include "drivers/process/spawn.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <memory>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lodge::drivers {

namespace {

// All that the child needs, made ready before it exists: it shares our memory and may neither allocate nor lock.
struct Plan {
    const Command* command;
    const char* program;
    char* const* argv;
    char* const* envp;
    std::vector<PassedFd> fds; // 0, 1, 2 and the passed ones
    std::vector<int> moved;    // room for their copies out of the way
    int above = 3;             // first number that no target uses
    // Written by the child when it fails.
    const char* failed_step = nullptr;
    int error = 0;
};

int step_failed(Plan& plan, const char* step) {
    plan.error = errno;
    plan.failed_step = step;
    ::_exit(127);
}

void reset_signals() {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal)
        if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &action, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void place_fds(Plan& plan) {
    // First everything out of the way, so that no target number overwrites a source still needed.
    for (std::size_t i = 0; i < plan.fds.size(); ++i) {
        plan.moved[i] = ::fcntl(plan.fds[i].fd, F_DUPFD_CLOEXEC, plan.above);
        if (plan.moved[i] < 0) step_failed(plan, "duplicate a descriptor");
    }
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC); // belt and braces: libraries may have forgotten it
    for (std::size_t i = 0; i < plan.fds.size(); ++i)
        if (::dup2(plan.moved[i], plan.fds[i].as) < 0) step_failed(plan, "place a descriptor");
}

// glibc's wrappers would change the identity of all our threads, whose memory the child shares: system calls only.
void become(Plan& plan, const Identity& who) {
    if (::syscall(SYS_setgroups, who.groups.size(), who.groups.data()) < 0) step_failed(plan, "set groups");
    if (::syscall(SYS_setresgid, who.gid, who.gid, who.gid) < 0) step_failed(plan, "set the group");
    if (::syscall(SYS_setresuid, who.uid, who.uid, who.uid) < 0) step_failed(plan, "set the user");
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
__attribute__((no_sanitize("address")))
#endif
#endif
int child_main(void* argument) {
    auto& plan = *static_cast<Plan*>(argument);
    const Command& command = *plan.command;
    reset_signals();
    if (command.new_session) ::setsid();
    if (command.dies_with_us) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int group : command.cgroups)
        if (::write(group, "0", 1) < 0) step_failed(plan, "enter the cgroup");
    for (const auto& limit : command.limits) {
        const rlimit64 both{limit.value, limit.value};
        if (::syscall(SYS_prlimit64, 0, limit.resource, &both, nullptr) < 0) step_failed(plan, "set a resource limit");
    }
    ::umask(command.umask);
    place_fds(plan);
    if (command.identity) become(plan, *command.identity);
    if (!command.cwd.empty() && ::chdir(command.cwd.c_str()) < 0) step_failed(plan, "enter the working directory");
    ::execve(plan.program, plan.argv, plan.envp);
    return step_failed(plan, "execute");
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (auto& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

class Stack {
  public:
    Stack()
        : base_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {
        if (base_ == MAP_FAILED) rpc::fail_errno(errno, "Cannot allocate a stack for a child process");
    }
    ~Stack() { ::munmap(base_, size); }
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;
    void* top() const { return static_cast<char*>(base_) + size; }

  private:
    static constexpr std::size_t size = 256 * 1024;
    void* base_;
};

} // namespace

Child spawn_child(const Command& command, int in, int out, int err) {
    const std::string program = find_program(command.program);
    if (program.empty()) rpc::fail_errno(ENOENT, fmt::format("Cannot find '{}' in path", command.program));
    std::vector<std::string> words{command.program};
    words.insert(words.end(), command.args.begin(), command.args.end());
    std::vector<std::string> settings;
    for (const auto& [name, value] : command.env) settings.push_back(name + "=" + value);
    const auto argv = pointers(words), envp = pointers(settings);

    Plan plan{};
    plan.command = &command;
    plan.program = program.c_str();
    plan.argv = argv.data();
    plan.envp = envp.data();
    plan.fds = {{in, 0}, {out, 1}, {err, 2}};
    plan.fds.insert(plan.fds.end(), command.fds.begin(), command.fds.end());
    plan.moved.resize(plan.fds.size(), -1);
    for (const auto& passed : plan.fds) plan.above = std::max(plan.above, passed.as + 1);

    const Stack stack;
    // A signal handler of ours must never run in the child, in our memory.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    const int pid = ::clone(child_main, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
    const int clone_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) rpc::fail_errno(clone_error, "cannot fork child process");

    Child child{pid, rpc::Fd(pidfd)};
    if (plan.failed_step) {
        siginfo_t info{};
        while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) < 0 && errno == EINTR) {
        }
        if (std::string_view(plan.failed_step) == "execute")
            rpc::fail_errno(plan.error, fmt::format("Cannot execute {}", program));
        rpc::fail_errno(plan.error, fmt::format("Cannot start {}: cannot {}", program, plan.failed_step));
    }
    return child;
}

std::uint64_t start_time_of(pid_t pid) {
    const rpc::Fd file(::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return 0;
    char text[1024];
    const ssize_t size = ::read(file.get(), text, sizeof text - 1);
    if (size <= 0) return 0;
    text[size] = 0;
    // The name in brackets may contain anything, brackets and blanks too: count fields behind the last one.
    const std::string_view line(text, static_cast<std::size_t>(size));
    std::size_t at = line.rfind(')');
    if (at == std::string_view::npos) return 0;
    for (int field = 2; field < 22 && at != std::string_view::npos; ++field) at = line.find(' ', at + 1);
    return at == std::string_view::npos ? 0 : std::strtoull(text + at + 1, nullptr, 10);
}

} // namespace lodge::drivers
