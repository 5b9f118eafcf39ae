#include "drivers/network/dnsmasq.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers {

namespace {

std::string read_file(const std::filesystem::path& path) {
    std::ostringstream text;
    if (std::ifstream in(path); in) text << in.rdbuf();
    return text.str();
}

// Returns whether the file changed.
bool write_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
    if (std::filesystem::exists(path) && read_file(path) == text) return false;
    const auto aside = path.string() + ".new";
    std::ofstream out(aside, std::ios::trunc);
    ::chmod(aside.c_str(), mode); // before anything stands in it
    out << text;
    out.close();
    if (!out) rpc::fail_errno(errno, fmt::format("couldn't write dnsmasq config file '{}'", path.string()));
    std::filesystem::rename(aside, path);
    return true;
}

struct Changed {
    bool conf = false, hosts = false;
};

// dnsmasq reads the hosts files again after it has given up its rights, the configuration only before.
Changed write_files(const DnsmasqFiles& files, const xml::Network& network) {
    std::filesystem::create_directories(files.conf.parent_path());
    std::filesystem::create_directories(files.pid.parent_path());
    Changed changed;
    changed.conf = write_file(files.conf, dnsmasq_conf(network, files), 0600);
    changed.hosts = write_file(files.hosts, dnsmasq_hosts(network), 0644);
    changed.hosts |= write_file(files.additional_hosts, dnsmasq_additional_hosts(network), 0644);
    return changed;
}

} // namespace

Dnsmasq::Dnsmasq(Executor executor, NetworkPaths paths, xml::Network network)
    : executor_(std::move(executor))
    , paths_(std::move(paths))
    , network_(std::move(network))
    , files_(dnsmasq_files(paths_, network_))
    , idle_(executor_) {
    idle_.set();
}

// A pid alone may be anybody's by now: the command line names our configuration file.
std::shared_ptr<Process> Dnsmasq::find() const {
    const auto pid = static_cast<pid_t>(std::atol(read_file(files_.pid).c_str()));
    if (pid <= 0) return nullptr;
    const auto start = start_time_of(pid);
    const auto words = read_file(fmt::format("/proc/{}/cmdline", pid));
    const auto wanted = "--conf-file=" + files_.conf.string();
    if (words.find(std::string("\0", 1) + wanted + std::string("\0", 1)) == std::string::npos) return nullptr;
    return Process::adopt(executor_, pid, start);
}

Task<> Dnsmasq::launch() {
    Command command;
    command.program = paths_.dnsmasq_program;
    command.args = {"--conf-file=" + files_.conf.string(), "--leasefile-ro"};
    if (std::filesystem::exists(paths_.leases_helper))
        command.args.push_back("--dhcp-script=" + paths_.leases_helper.string());
    else // dnsmasq would refuse to start
        log::warn("network {}: '{}' is missing: leases will not be known", network_.name, paths_.leases_helper.string());
    command.env.emplace_back("VIR_BRIDGE_NAME", network_.bridge_name());
    command.env.emplace_back("LODGE_LEASE_FILE", files_.status.string());
    const auto words = quoted(command);
    const auto result = co_await run(std::move(command));
    if (!result.exit.success())
        rpc::fail(rpc::Code::internal_error, "Child process (VIR_BRIDGE_NAME={} {}) unexpected {}: {}", network_.bridge_name(),
                  words, result.exit.text(), result.err);
    process_ = find();
    if (!process_) rpc::fail(rpc::Code::internal_error, "dnsmasq of network '{}' ended as soon as it was started", network_.name);
    watch_process();
}

void Dnsmasq::watch_process() { rpc::spawn(executor_, "dnsmasq of network " + network_.name, watch(weak_from_this(), process_)); }

Task<> Dnsmasq::start(std::shared_ptr<Dnsmasq> self) {
    struct Busy {
        rpc::Signal& idle;
        ~Busy() { idle.set(); }
    };
    self->idle_.reset();
    const Busy busy{self->idle_};
    const auto& files = self->files_;
    const auto& network = self->network_;
    // One that a killed daemon had just started holds the addresses.
    if (const auto left = self->find(); left && left->running()) co_await left->stop();
    co_await rpc::blocking([&] { write_files(files, network); });
    if (!self->stopped_) co_await self->launch();
}

Task<> Dnsmasq::adopt(std::shared_ptr<Dnsmasq> self) {
    self->process_ = self->find();
    if (self->process_) {
        self->watch_process();
        co_return;
    }
    // One that has just been killed may hold its addresses for a moment longer.
    for (int attempt = 0; attempt < 10; ++attempt) {
        try {
            co_return co_await start(self);
        } catch (const rpc::Error& error) {
            if (attempt == 9 || error.detail().find("in use") == std::string::npos) throw;
        }
        co_await rpc::sleep_for(100ms);
    }
}

Task<> Dnsmasq::stop(std::shared_ptr<Dnsmasq> self) {
    self->abandoned_ = self->stopped_ = true;
    co_await self->idle_.wait(30s); // one that is being revived could not be found yet, and would be left behind
    auto process = self->process_ && self->process_->running() ? self->process_ : self->find();
    if (process && process->running()) co_await process->stop();
    ::unlink(self->files_.pid.c_str());
}

Task<> Dnsmasq::update(std::shared_ptr<Dnsmasq> self, xml::Network network) {
    co_await self->idle_.wait(30s);
    self->network_ = std::move(network);
    const auto& files = self->files_;
    const auto& document = self->network_;
    const auto changed = co_await rpc::blocking_result([&] { return write_files(files, document); });
    if (changed.conf) {
        auto old = std::exchange(self->process_, nullptr); // its watcher sees that it is not the current one
        if (old && old->running()) co_await old->stop();
        co_await self->launch();
    } else if (changed.hosts && self->process_) {
        self->process_->signal(SIGHUP);
    }
}

// Holds no owner while it waits: a forgotten network must not live on for its watcher's sake.
Task<> Dnsmasq::watch(std::weak_ptr<Dnsmasq> weak, std::shared_ptr<Process> process) {
    const auto began = std::chrono::steady_clock::now();
    co_await process->wait();
    auto self = weak.lock();
    if (!self || self->abandoned_ || self->process_ != process) co_return;
    const bool stable = std::chrono::steady_clock::now() - began > std::chrono::minutes(1);
    if (stable) self->backoff_ = {};
    const auto delay = self->backoff_;
    self->backoff_ = std::min<std::chrono::milliseconds>(std::max<std::chrono::milliseconds>(delay * 2, 500ms), 30s);
    log::warn("network {}: dnsmasq {} died, starting it again{}", self->network_.name, process->pid(),
              delay.count() ? fmt::format(" in {} ms", delay.count()) : "");
    rpc::spawn(self->executor_, "dnsmasq of network " + self->network_.name, revive(weak, delay));
}

Task<> Dnsmasq::revive(std::weak_ptr<Dnsmasq> weak, std::chrono::milliseconds delay) {
    for (;;) {
        if (delay.count()) co_await rpc::sleep_for(delay);
        auto self = weak.lock();
        if (!self || self->abandoned_ || (self->process_ && self->process_->running())) co_return;
        try {
            co_await start(self);
            co_return;
        } catch (const std::exception& error) {
            log::error("network {}: {}", self->network_.name, error.what());
        }
        delay = std::min<std::chrono::milliseconds>(std::max<std::chrono::milliseconds>(self->backoff_, 500ms), 30s);
        self->backoff_ = delay * 2;
    }
}

} // namespace lodge::drivers
