#include "daemon/host_shutdown.hpp"
#include "daemon/domain.hpp"
#include "daemon/saved_state.hpp"
#include "drivers/process/process.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/log.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <fcntl.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::daemon {

namespace {

// ---- the guests ----

// What is left to do, shared by those who do it.
struct Round {
    std::deque<DomainPtr> waiting;
    bool save = false;
    std::chrono::steady_clock::time_point deadline;
    std::size_t workers = 0;
    std::shared_ptr<rpc::Signal> over;
};

Task<> shut_down(DomainPtr domain, std::chrono::steady_clock::time_point deadline) {
    std::shared_ptr<drivers::Process> process;
    {
        auto job = co_await domain->acquire("host shutdown"); // whose start is under way has its machine when this is over
        if (!domain->is_active() || !domain->has_machine()) co_return;
        const auto pid = static_cast<pid_t>(domain->shared_machine()->pid());
        process = drivers::Process::adopt(domain->hypervisor().host().executor(), pid, drivers::start_time_of(pid));
        if (domain->state() == static_cast<int>(api::domain_paused)) co_await domain->resume();
        co_await domain->shutdown(drivers::PowerButton::preferred);
    }
    if (process && !co_await process->wait(deadline - std::chrono::steady_clock::now()))
        log::warn("{}: has not shut down in time", domain->name());
}

Task<> end_one(DomainPtr domain, bool save, std::chrono::steady_clock::time_point deadline) {
    try {
        if (!domain->is_active()) co_return;
        if (!save || !domain->is_persistent()) co_return co_await shut_down(domain, deadline);
        auto job = co_await domain->acquire("host shutdown");
        if (domain->is_active()) co_await managed_save(domain, "", 0);
    } catch (const std::exception& error) {
        log::error("{}: while the host goes down: {}", domain->name(), error.what());
    }
}

Task<> work(std::shared_ptr<Round> round) {
    while (!round->waiting.empty() && std::chrono::steady_clock::now() < round->deadline) {
        const DomainPtr domain = std::move(round->waiting.front());
        round->waiting.pop_front();
        co_await end_one(domain, round->save, round->deadline);
    }
    if (--round->workers == 0) round->over->set();
}

// ---- logind ----

struct BusCloser {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
constexpr const char *logind = "org.freedesktop.login1", *manager = "org.freedesktop.login1.Manager",
                     *manager_path = "/org/freedesktop/login1";

// What connects us with logind: while `lock` is open it waits for us.
struct Watch {
    std::unique_ptr<sd_bus, BusCloser> bus;
    Fd lock;
    bool goes_down = false;
};

void require(int status, const char* what) {
    if (status < 0) rpc::fail(Code::system_error, "{}: {}", what, rpc::errno_text(-status));
}

void take_lock(Watch& watch) {
    sd_bus_message* raw = nullptr;
    require(sd_bus_call_method(watch.bus.get(), logind, manager_path, manager, "Inhibit", nullptr, &raw, "ssss", "shutdown",
                               "lodged", "Virtual machines are being saved or shut down", "delay"),
            "cannot take a lock of logind");
    const std::unique_ptr<sd_bus_message, BusCloser> reply(raw);
    int fd = -1;
    require(sd_bus_message_read(raw, "h", &fd), "cannot read logind's answer");
    watch.lock.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); // the message closes its own
}

int on_prepare(sd_bus_message* message, void* watch, sd_bus_error*) {
    int begins = 0;
    if (sd_bus_message_read(message, "b", &begins) >= 0 && begins) static_cast<Watch*>(watch)->goes_down = true;
    return 0;
}

void connect(Watch& watch) {
    sd_bus* raw = nullptr;
    require(sd_bus_open_system(&raw), "no system bus");
    watch.bus.reset(raw);
    require(sd_bus_match_signal(raw, nullptr, logind, manager_path, manager, "PrepareForShutdown", on_prepare, &watch),
            "cannot listen to logind");
    take_lock(watch);
}

Task<> wait_for_shutdown(Host& host, std::shared_ptr<Watch> watch) {
    asio::posix::stream_descriptor socket(host.executor(), ::fcntl(sd_bus_get_fd(watch->bus.get()), F_DUPFD_CLOEXEC, 3));
    while (!watch->goes_down) {
        int worked;
        while ((worked = sd_bus_process(watch->bus.get(), nullptr)) > 0) {
        }
        require(worked, "the system bus");
        if (!watch->goes_down) co_await socket.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    }
}

} // namespace

Task<> end_all_guests(Host& host) {
    auto round = std::make_shared<Round>();
    round->save = host.config().on_host_shutdown == "save";
    round->deadline = std::chrono::steady_clock::now() + std::chrono::seconds(host.config().host_shutdown_timeout);
    round->over = std::make_shared<rpc::Signal>(host.executor());
    for (const auto& hypervisor : host.hypervisors())
        if (hypervisor->is_persistent())
            for (const auto& domain : hypervisor->visible())
                if (domain->is_active()) round->waiting.push_back(domain);
    if (round->waiting.empty()) co_return;
    log::info("the host goes down: {} of {} guests", round->save ? "saving" : "shutting down", round->waiting.size());
    round->workers =
        std::min<std::size_t>(static_cast<std::size_t>(std::max(1, host.config().host_shutdown_parallel)), round->waiting.size());
    for (std::size_t left = round->workers; left > 0; --left) rpc::spawn(host.executor(), "host shutdown", work(round));
    co_await round->over->wait(round->deadline - std::chrono::steady_clock::now());
}

Task<> watch_for_host_shutdown(Host& host) {
    if (host.config().on_host_shutdown == "none") co_return;
    auto watch = std::make_shared<Watch>();
    try {
        co_await rpc::blocking([watch] { connect(*watch); });
        co_await wait_for_shutdown(host, watch);
    } catch (const std::exception& error) {
        log::warn("guests will not be looked after when the host goes down: {}", error.what());
        co_return;
    }
    co_await end_all_guests(host);
    watch->lock.reset();
}

} // namespace lodge::daemon
