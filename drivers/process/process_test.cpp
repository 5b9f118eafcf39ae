#include "drivers/process/process.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
namespace asio = boost::asio;

namespace {

// Runs a task to its end on a loop of its own; what escapes it is thrown here.
template<class T> T finish(asio::io_context& io, Task<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T value) {
        failure = error;
        result = std::move(value);
        io.stop();
    });
    io.restart();
    io.run_for(20s);
    if (failure) std::rethrow_exception(failure);
    REQUIRE(result);
    return std::move(*result);
}

RunResult run_here(Command command, RunLimits limits = {}) {
    asio::io_context io;
    return finish(io, run(std::move(command), limits));
}

Command shell(const std::string& script) {
    Command command;
    command.program = "sh";
    command.args = {"-c", script};
    return command;
}

std::string temporary(const std::string& name) {
    return (std::filesystem::temp_directory_path() / fmt::format("lodge-{}-{}", name, ::getpid())).string();
}

template<class F> rpc::Error error_of(F body) {
    try {
        body();
    } catch (const rpc::Error& error) {
        return error;
    }
    FAIL("no error");
    std::unreachable();
}

} // namespace

TEST_CASE("a helper's output, errors and status come back") {
    const auto result = run_here(shell("echo out; echo err >&2; exit 3"));
    CHECK(result.out == "out\n");
    CHECK(result.err == "err\n");
    CHECK(result.exit.text() == "exit status 3");
    CHECK(result.reason() == "err");
    CHECK(run_here(shell("kill -9 $$")).reason() == "fatal signal 9");
}

TEST_CASE("a helper reads its input, however long") {
    auto command = shell("wc -c");
    command.input.assign(3'000'000, 'x');
    CHECK(run_here(command).out == "3000000\n");
}

TEST_CASE("a helper that says too much or takes too long is killed") {
    auto error = error_of([] { run_here(shell("yes"), {.time = 10s, .output = 100'000}); });
    CHECK(error.detail() == "sh: more than 100000 bytes of output");
    error = error_of([] { run_here(shell("sleep 100"), {.time = 50ms}); });
    CHECK(error.code() == rpc::Code::operation_timeout);
}

TEST_CASE("a daemonised grandchild does not hold up its parent's end") {
    const auto began = std::chrono::steady_clock::now();
    CHECK(run_here(shell("sleep 3 & echo done")).out == "done\n");
    CHECK(std::chrono::steady_clock::now() - began < 2s);
}

TEST_CASE("what cannot be executed is an error that says why") {
    Command command;
    command.program = "/nowhere/lodge";
    auto error = error_of([&] { run_here(command); });
    CHECK(error.detail() == "Cannot find '/nowhere/lodge' in path: No such file or directory");
    const std::string script = temporary("noexec");
    std::ofstream(script) << "#!/nowhere/interpreter\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    command.program = script;
    error = error_of([&] { run_here(command); });
    CHECK(error.detail() == "Cannot execute " + script + ": No such file or directory");
    std::filesystem::remove(script);
    auto lost = shell("true");
    lost.cwd = "/nowhere";
    error = error_of([&] { run_here(lost); });
    CHECK(error.detail().ends_with("cannot enter the working directory: No such file or directory"));
}

TEST_CASE("descriptors arrive under their numbers, nothing else leaks") {
    int first[2], second[2];
    REQUIRE(::pipe2(first, O_CLOEXEC) == 0);
    REQUIRE(::pipe(second) == 0); // not close-on-exec: a careless library's
    // Crossed numbers: each target is the other's source.
    auto command = shell(fmt::format("echo one >&{}; echo two >&{}; ls /proc/self/fd | tr '\\n' ' '", second[1], first[1]));
    command.fds = {{first[1], second[1]}, {second[1], first[1]}};
    const auto result = run_here(command);
    char text[8] = {};
    CHECK(::read(first[0], text, 4) == 4);
    CHECK(std::string(text) == "one\n");
    CHECK(::read(second[0], text, 4) == 4);
    CHECK(std::string(text) == "two\n");
    CHECK(std::count(result.out.begin(), result.out.end(), ' ') == 6); // 0 1 2, the two, and that of ls itself
    for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST_CASE("environment, umask, limits and identity are as asked") {
    auto command = shell("echo $LC_ALL $WHAT; umask; ulimit -n; pwd; [ $(id -u) = $WANT ] && echo me");
    command.env.emplace_back("WHAT", "a b");
    command.umask = 0027;
    command.limits = {{RLIMIT_NOFILE, 77}};
    command.cwd = "/usr";
    if (::getuid() == 0) command.identity = Identity{12345, 12346, {12347}};
    command.env.emplace_back("WANT", std::to_string(command.identity ? 12345 : ::getuid()));
    CHECK(run_here(command).out == "C a b\n0027\n77\n/usr\nme\n");
}

TEST_CASE("a child gets the daemon's folder for temporary files") {
    ::setenv("TMPDIR", "/var/tmp", 1);
    const auto command = shell("echo $TMPDIR");
    ::unsetenv("TMPDIR");
    CHECK(run_here(command).out == "/var/tmp\n");
}

TEST_CASE("a process is awaited, stopped by the ladder, and its end is told") {
    asio::io_context io;
    const auto polite = Process::start(io.get_executor(), shell("sleep 100"));
    CHECK(polite->running());
    CHECK(polite->start_time() != 0);
    CHECK(finish(io, polite->stop()).signal == SIGTERM);
    CHECK_FALSE(polite->running());

    const auto deaf = Process::start(io.get_executor(), shell("trap '' TERM; echo; while :; do sleep 0.1; done"));
    CHECK_FALSE(finish(io, deaf->wait(100ms)));
    bool asked = false;
    const auto exit = finish(io, deaf->stop({.ask = [&] { asked = true; }, .after_ask = 20ms, .after_terminate = 20ms}));
    CHECK(asked);
    CHECK(exit.signal == SIGKILL);
}

TEST_CASE("a process is found again by pid and start time only") {
    asio::io_context io, other;
    const auto child = Process::start(io.get_executor(), shell("sleep 100"));
    CHECK_FALSE(Process::adopt(other.get_executor(), child->pid(), child->start_time() + 1));
    const auto found = Process::adopt(other.get_executor(), child->pid(), child->start_time());
    REQUIRE(found);
    found->signal(SIGKILL);
    CHECK(finish(other, found->wait()));
    CHECK(finish(io, child->wait()));
    CHECK_FALSE(Process::adopt(other.get_executor(), child->pid(), child->start_time()));
}

TEST_CASE("the log file takes both outputs, appended") {
    const std::string log = temporary("log");
    std::ofstream(log) << "before\n";
    asio::io_context io;
    auto command = shell("echo out; echo err >&2");
    command.log_file = log;
    finish(io, Process::start(io.get_executor(), command)->wait());
    std::ifstream file(log);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "before\nout\nerr\n");
    std::filesystem::remove(log);
}

TEST_CASE("commands are quoted for people") {
    Command command;
    command.program = "/usr/bin/qemu";
    command.args = {"-name", "it's me", "-S", "-m", "size=1k,x=y"};
    command.env = {{"HOME", "/a b"}};
    CHECK(quoted(command) == R"(/usr/bin/qemu -name 'it'\''s me' -S -m size=1k,x=y)");
    CHECK(quoted_lines(command) == "HOME='/a b' \\\n/usr/bin/qemu \\\n-name 'it'\\''s me' \\\n-S \\\n-m size=1k,x=y");
}
