#include "daemon/job_queue.hpp"
#include "rpc/error.hpp"
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace asio = boost::asio;

namespace lodge::daemon {

using Clock = std::chrono::steady_clock;

struct JobQueue::Waiter {
    Waiter(JobQueue& q, asio::steady_timer t, std::string n)
        : queue(q)
        , timer(std::move(t))
        , name(std::move(n)) {
        queue.waiters_.push_back(this);
    }
    // Off the list however the waiting task ends: granted, out of time, or destroyed where it stands.
    ~Waiter() {
        if (!granted) queue.waiters_.remove(this);
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    JobQueue& queue;
    asio::steady_timer timer;
    std::string name;
    bool granted = false;
};

void JobQueue::take(std::string name) {
    holder_ = std::move(name);
    since_ = Clock::now();
}

std::chrono::milliseconds JobQueue::age() const {
    return holder_.empty() ? std::chrono::milliseconds(0)
                           : std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since_);
}

// libvirt names the server's function for the call: virDomainSuspend is served by remoteDispatchDomainSuspend.
std::string JobQueue::blocker() const {
    if (kind_.empty()) return holder_;
    return kind_ + "=" + (holder_.starts_with("vir") ? "remoteDispatch" + holder_.substr(3) : holder_);
}

rpc::Task<JobQueue::Job> JobQueue::acquire(std::shared_ptr<void> owner, std::string name, std::chrono::seconds limit) {
    if (holder_.empty() && waiters_.empty()) {
        take(std::move(name));
        co_return Job(this, std::move(owner));
    }
    const auto executor = co_await asio::this_coro::executor;
    Waiter waiter(*this, asio::steady_timer(executor, limit), std::move(name));
    boost::system::error_code error;
    co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (waiter.granted) co_return Job(this, std::move(owner)); // release() made us the holder and took us off the list
    rpc::fail(rpc::Code::operation_timeout, "cannot acquire state change lock (held by {} for {} s)", blocker(),
              age().count() / 1000);
}

void JobQueue::release() {
    holder_.clear();
    if (waiters_.empty()) return;
    Waiter* next = waiters_.front();
    waiters_.pop_front();
    next->granted = true;
    take(next->name);
    next->timer.cancel();
}

} // namespace lodge::daemon
