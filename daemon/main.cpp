// lodged: the daemon that keeps virtual machines.
#include "daemon/footprint.hpp"
#include "daemon/hooks.hpp"
#include "daemon/host.hpp"
#include "daemon/host_shutdown.hpp"
#include "daemon/listener.hpp"
#include "daemon/logging.hpp"
#include "daemon/method.hpp"
#include "daemon/networks.hpp"
#include "daemon/pools.hpp"
#include "daemon/secrets.hpp"
#include "daemon/store.hpp"
#include "drivers/qemu/driver.hpp"
#include "drivers/test/driver.hpp"
#include "rpc/log.hpp"
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <getopt.h>
#include <iostream>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace asio = boost::asio;
using namespace lodge;
using namespace lodge::daemon;

namespace {

struct Options {
    bool daemonize = false, verbose = false, listen = false, procedures = false;
    std::string config, pid_file, root;
    int timeout = 0; // seconds without clients and guests until it ends by itself; 0: never
};

constexpr const char* usage_text = R"(Usage:
  lodged [options]

Options:
  -h | --help            Show this help
  -v | --verbose         Say more (log level 'info')
  -d | --daemon          Go into the background
  -l | --listen          Open the TCP and TLS sockets that the configuration file names
  -t | --timeout SECS    End after so many seconds without clients and guests
  -f | --config FILE     Configuration file (default: ETC/lodged.conf, else ETC/libvirtd.conf)
  -p | --pid-file FILE   Where the process id goes (default: RUN/lodged.pid)
  -V | --version         Show the version
       --root DIR        Keep everything below DIR: DIR/etc/libvirt, DIR/run/libvirt, DIR/var/...
       --procedures      List every procedure of the protocol and whether it is served

The daemon serves libvirt's own protocol on RUN/libvirt-sock, so virsh and every other libvirt client works with it.
)";

Options read_options(int argc, char** argv) {
    static const option longs[] = {{"help", no_argument, nullptr, 'h'},
                                   {"verbose", no_argument, nullptr, 'v'},
                                   {"daemon", no_argument, nullptr, 'd'},
                                   {"listen", no_argument, nullptr, 'l'},
                                   {"timeout", required_argument, nullptr, 't'},
                                   {"config", required_argument, nullptr, 'f'},
                                   {"pid-file", required_argument, nullptr, 'p'},
                                   {"version", no_argument, nullptr, 'V'},
                                   {"root", required_argument, nullptr, 'R'},
                                   {"procedures", no_argument, nullptr, 'P'},
                                   {nullptr, 0, nullptr, 0}};
    Options options;
    for (int letter; (letter = getopt_long(argc, argv, "hvdlt:f:p:V", longs, nullptr)) != -1;) {
        switch (letter) {
        case 'h': std::cout << usage_text; std::exit(0);
        case 'V': std::cout << "lodged " LODGE_VERSION "\n"; std::exit(0);
        case 'v': options.verbose = true; break;
        case 'd': options.daemonize = true; break;
        case 'l': options.listen = true; break;
        case 't':
            options.timeout = std::atoi(optarg);
            if (options.timeout <= 0)
                throw std::runtime_error(fmt::format("Invalid value for timeout: '{}' is not a number of seconds", optarg));
            break;
        case 'f': options.config = optarg; break;
        case 'p': options.pid_file = optarg; break;
        case 'R': options.root = optarg; break;
        case 'P': options.procedures = true; break;
        default: std::cerr << usage_text; std::exit(1);
        }
    }
    if (optind < argc) throw std::runtime_error(fmt::format("unexpected argument '{}'; see --help", argv[optind]));
    return options;
}

// libvirt's places; for an unprivileged user those of the XDG base directories, as libvirt's session daemon has them.
drivers::Paths make_paths(const std::string& root) {
    drivers::Paths paths;
    if (!root.empty()) {
        for (std::string* path : {&paths.etc, &paths.run, &paths.lib, &paths.log, &paths.cache}) *path = root + *path;
    } else if (geteuid() != 0) {
        auto from = [](const char* variable, const std::string& fallback) {
            const char* value = std::getenv(variable);
            return value && *value ? std::string(value) : fallback;
        };
        const std::string home = from("HOME", "/");
        paths.etc = from("XDG_CONFIG_HOME", home + "/.config") + "/libvirt";
        paths.cache = from("XDG_CACHE_HOME", home + "/.cache") + "/libvirt";
        paths.run = from("XDG_RUNTIME_DIR", paths.cache + "/run") + "/libvirt";
        paths.lib = paths.etc;
        paths.log = paths.cache + "/log";
    }
    return paths;
}

// Holds the lock on the pid file for as long as the daemon lives; two daemons on one set of files would ruin them.
Fd lock_pid_file(const std::string& path) {
    store::make_folders(path.substr(0, path.find_last_of('/')), 0755);
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!fd) rpc::fail_errno(errno, fmt::format("cannot open pid file '{}'", path));
    // Of this process alone: a child that was just forked must not hold it when the daemon is killed.
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (::fcntl(fd.get(), F_SETLK, &whole) != 0)
        rpc::fail(Code::system_error, "pid file '{}' is held by another daemon; stop that one first", path);
    const std::string text = fmt::format("{}\n", getpid());
    if (ftruncate(fd.get(), 0) != 0 || ::write(fd.get(), text.data(), text.size()) < 0)
        rpc::fail_errno(errno, fmt::format("cannot write pid file '{}'", path));
    return fd;
}

// The parent returns when the daemon is ready, so that `lodged -d && virsh list` works; what went wrong is on standard error by
// then.
int go_to_background() {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) rpc::fail_errno(errno, "cannot make a pipe");
    const pid_t child = fork();
    if (child < 0) rpc::fail_errno(errno, "cannot fork");
    if (child > 0) {
        ::close(ready[1]);
        char status = 1;
        const ssize_t got = ::read(ready[0], &status, 1);
        _exit(got == 1 ? status : 1);
    }
    ::close(ready[0]);
    setsid();
    return ready[1];
}

void tell_parent(Fd& parent) {
    if (!parent) return;
    const char success = 0;
    [[maybe_unused]] const auto wrote = ::write(parent.get(), &success, 1);
    parent.reset();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd : {0, 1, 2}) dup2(null, fd);
    ::close(null);
}

Task<> shut_down(Host& host, asio::io_context& io) {
    co_await host.hooks().tell(HookKind::daemon, {.operation = "shutdown", .extra = "shutdown", .input = {}});
    io.stop();
}

// Definitions are read at start only; programs of the administrator may have something of their own to read.
Task<> reload(Host& host) {
    log::info("SIGHUP: definitions are read at start only; telling hooks");
    co_await host.hooks().tell(HookKind::daemon, {.operation = "reload", .phase = "begin", .extra = "SIGHUP", .input = {}});
}

Task<> autostart(Host& host) {
    for (const auto& hypervisor : host.hypervisors()) co_await hypervisor->autostart();
}

int run(const Options& options) {
    const drivers::Paths paths = make_paths(options.root);
    std::string config_file = options.config.empty() ? paths.etc + "/lodged.conf" : options.config;
    if (options.config.empty() && ::access(config_file.c_str(), F_OK) != 0) config_file = paths.etc + "/libvirtd.conf";
    if (!options.config.empty() && ::access(config_file.c_str(), R_OK) != 0)
        rpc::fail_errno(errno, fmt::format("cannot read configuration file '{}'", config_file));
    Fd parent(options.daemonize ? go_to_background() : -1);

    Config config = Config::load(config_file);
    set_up_logging(options.verbose ? std::min(config.log_level, 2) : config.log_level, config.log_outputs);
    const Fd lock = lock_pid_file(options.pid_file.empty() ? paths.run + "/lodged.pid" : options.pid_file);

    // Never destroyed: work of guests still refers to both when the process ends, which takes them along.
    auto& io = *new asio::io_context(1);
    auto& host = *new Host(io, config, paths);
    host.add_hypervisor(drivers::qemu::make_driver(io.get_executor(), paths, paths.etc + "/qemu.conf", host.secrets()), true);
    host.add_hypervisor(drivers::test::make_driver(io.get_executor()), false);

    std::vector<std::unique_ptr<Listener>> listeners;
    std::exception_ptr failure;
    asio::co_spawn(
        io,
        [&]() -> Task<> {
            co_await host.hooks().tell(HookKind::daemon, {.operation = "start", .extra = "start", .input = {}});
            co_await host.load();
            co_await host.networks().autostart();
            co_await host.pools().autostart();
            // Sockets open when the state behind them is whole: a client never sees half of it.
            listeners = open_listeners(host, NetworkConfig::load(config_file), options.listen);
            sd_notify(0, "READY=1");
            tell_parent(parent);
            log::info("lodged {} is ready", LODGE_VERSION);
            rpc::spawn(io.get_executor(), "autostart", autostart(host));
            rpc::spawn(io.get_executor(), "host shutdown", watch_for_host_shutdown(host));
            shrink_footprint();
            host.idle().set_limit(std::chrono::seconds(options.timeout));
        },
        [&](std::exception_ptr error) {
            failure = error;
            if (error) io.stop();
        });

    asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code error, int number) {
        if (error) return;
        log::info("signal {}: ending; guests and networks go on", number);
        sd_notify(0, "STOPPING=1");
        rpc::spawn(io.get_executor(), "shutdown", shut_down(host, io));
    });
    asio::signal_set hangup(io, SIGHUP);
    std::function<void()> wait_hangup = [&] {
        hangup.async_wait([&](boost::system::error_code error, int) {
            if (error) return;
            rpc::spawn(io.get_executor(), "reload", reload(host));
            wait_hangup();
        });
    };
    wait_hangup();
    io.run();
    listeners.clear();
    if (failure) std::rethrow_exception(failure);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    int status = 1;
    try {
        const Options options = read_options(argc, argv);
        if (options.procedures) {
            std::cout << list_procedures();
            return 0;
        }
        status = run(options);
    } catch (const std::exception& error) {
        std::cerr << "lodged: " << error.what() << '\n';
        log::error("{}", error.what());
    }
    // Guests outlive the daemon: what still waits for them is dropped with the process, not unwound.
    spdlog::shutdown();
    std::cout.flush();
    _exit(status);
}
