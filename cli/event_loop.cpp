#include "cli/event_loop.hpp"

#include "cli/failure.hpp"

#include <atomic>
#include <csignal>
#include <libvirt/libvirt.h>
#include <thread>

namespace lodge::cli {

namespace {

std::atomic<bool> loop_runs = false;
volatile std::sig_atomic_t interrupt_seen = 0;
struct sigaction previous_interrupt, previous_terminate;

void note_interrupt(int) { interrupt_seen = 1; }

} // namespace

bool EventLoop::running() { return loop_runs; }

void EventLoop::start() {
    if (loop_runs.exchange(true)) return;
    check(virEventRegisterDefaultImpl(), "{}", "cannot start the event loop");
    // Detached: it touches nothing of ours and ends with the process. A signal must interrupt the command, not the loop.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([] {
        while (virEventRunDefaultImpl() == 0) {
        }
    }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

InterruptGuard::InterruptGuard() {
    interrupt_seen = 0;
    struct sigaction action{};
    action.sa_handler = note_interrupt;
    sigaction(SIGINT, &action, &previous_interrupt);
    sigaction(SIGTERM, &action, &previous_terminate);
}

InterruptGuard::~InterruptGuard() {
    sigaction(SIGINT, &previous_interrupt, nullptr);
    sigaction(SIGTERM, &previous_terminate, nullptr);
}

bool InterruptGuard::interrupted() { return interrupt_seen != 0; }

void Waiter::wake() { changed_.notify_all(); }

bool Waiter::wait(std::optional<std::chrono::steady_clock::time_point> until, const std::function<bool()>& done) {
    using namespace std::chrono_literals;
    std::unique_lock lock(mutex);
    for (;;) {
        if (done()) return true;
        auto now = std::chrono::steady_clock::now();
        if (InterruptGuard::interrupted() || (until && now >= *until)) return false;
        // a signal handler cannot notify a condition, so look at its note now and then
        auto next = now + 100ms;
        changed_.wait_until(lock, until ? std::min(next, *until) : next);
    }
}

} // namespace lodge::cli
