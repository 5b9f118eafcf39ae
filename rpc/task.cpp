#include "rpc/task.hpp"
#include "rpc/finish_blocking.hpp"
#include "rpc/log.hpp"
#include "rpc/start_blocking.hpp"
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::rpc {

void spawn(Executor executor, std::string what, Task<> task) {
    asio::co_spawn(executor, std::move(task), [what = std::move(what)](std::exception_ptr failure) {
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            log::error("{}: {}", what, error.what());
        }
    });
}

// Threads start with the first work, so an idle daemon has none. Never destroyed: work under way at exit must not touch a dead
// pool.
static asio::thread_pool& pool() {
    static auto* threads = new asio::thread_pool(4);
    return *threads;
}

// Work that still may touch its event loop.
static std::atomic<int> under_way = 0;

void finish_blocking() {
    while (const int left = under_way.load()) under_way.wait(left);
}

// Runs `work` on the pool, then `done` on the event loop with how it ended.
template<class Work, class Done> static void run_on_pool(const Executor& executor, Work work, Done done) {
    under_way.fetch_add(1);
    asio::post(pool(),
               [work = std::move(work), done = std::move(done), executor, guard = asio::make_work_guard(executor)]() mutable {
                   std::exception_ptr failure;
                   try {
                       work();
                   } catch (...) {
                       failure = std::current_exception();
                   }
                   // The guard goes along: from here on the loop may end, and this thread must not touch it.
                   asio::post(executor, [done = std::move(done), failure, guard = std::move(guard)]() mutable { done(failure); });
                   under_way.fetch_sub(1);
                   under_way.notify_all();
               });
}

Task<> blocking(std::function<void()> work) {
    auto executor = co_await asio::this_coro::executor;
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr)>(
        [&](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            run_on_pool(executor, std::ref(work), [shared](std::exception_ptr failure) { std::move (*shared)(failure); });
        },
        asio::use_awaitable);
}

struct StartedWork::State {
    bool ended = false;
    std::exception_ptr failure;
    std::function<void()> resume; // who waits
};

StartedWork::StartedWork(Executor executor, std::function<void()> work)
    : state_(std::make_shared<State>()) {
    run_on_pool(executor, std::move(work), [state = state_](std::exception_ptr failure) {
        state->failure = failure;
        state->ended = true;
        if (state->resume) state->resume();
    });
}

Task<> StartedWork::end() {
    const auto state = state_;
    if (!state->ended)
        co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
            [&](auto handler) {
                auto shared = std::make_shared<decltype(handler)>(std::move(handler));
                state->resume = [shared] { std::move (*shared)(); };
            },
            asio::use_awaitable);
    if (state->failure) std::rethrow_exception(state->failure);
}

Task<> sleep_for(std::chrono::nanoseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor,
                             std::chrono::duration_cast<std::chrono::steady_clock::duration>(time));
    co_await timer.async_wait(asio::use_awaitable);
}

struct Signal::Waiters {
    explicit Waiters(Executor e)
        : executor(std::move(e)) {}
    Executor executor;
    std::list<asio::steady_timer*> timers;

    // Off the list however the waiting task ends: resumed, or destroyed where it stands.
    struct Entry {
        Entry(Waiters& w, asio::steady_timer& timer)
            : waiters(w)
            , at(w.timers.insert(w.timers.end(), &timer)) {}
        ~Entry() { waiters.timers.erase(at); }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        Waiters& waiters;
        std::list<asio::steady_timer*>::iterator at;
    };
};

Signal::Signal(Executor executor)
    : waiters_(std::make_shared<Waiters>(std::move(executor))) {}
Signal::~Signal() {
    for (auto* timer : waiters_->timers) timer->cancel();
}

void Signal::set() {
    set_ = true;
    for (auto* timer : waiters_->timers) timer->cancel();
}

Task<bool> Signal::wait(std::chrono::nanoseconds limit) {
    if (set_) co_return true;
    auto waiters = waiters_; // outlives this Signal, should it go while we wait
    asio::steady_timer timer(waiters->executor, std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit));
    const Waiters::Entry entry(*waiters, timer);
    boost::system::error_code error;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    co_return error == asio::error::operation_aborted; // cancelled by set(): a passed limit ends without an error
}

void Fd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

} // namespace lodge::rpc
