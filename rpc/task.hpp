// The project's coroutine and the few ways to start work. One thread runs the event loop and owns all state; what can block
// goes to a small pool and comes back. Include this, not Boost's headers, where only signatures are needed.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

namespace lodge::rpc {

template<class T = void> using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;
using namespace std::chrono_literals;

// Runs a task on its own; what escapes it is logged as an error of `what`. Nobody waits for it.
void spawn(Executor executor, std::string what, Task<> task);

// Runs `work` on the worker pool and resumes here with its end; an exception of `work` is rethrown here.
// `work` must touch nothing that the control thread may touch meanwhile.
Task<> blocking(std::function<void()> work);
template<class F> Task<std::invoke_result_t<F>> blocking_result(F work) {
    std::optional<std::invoke_result_t<F>> result;
    co_await blocking([&result, &work] { result.emplace(work()); });
    co_return std::move(*result);
}

Task<> sleep_for(std::chrono::nanoseconds time);

// Something that happens once (or again after reset); any number of tasks wait for it. Control thread only.
class Signal {
  public:
    explicit Signal(Executor executor);
    ~Signal();
    void set();
    void reset() { set_ = false; }
    bool is_set() const { return set_; }
    // Returns true when set, false when `limit` passed first.
    Task<bool> wait(std::chrono::nanoseconds limit = std::chrono::hours(24 * 365));

  private:
    struct Waiters;
    bool set_ = false;
    std::shared_ptr<Waiters> waiters_;
};

// Holds a POSIX descriptor and closes it.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd)
        : fd_(fd) {}
    Fd(Fd&& other) noexcept
        : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

} // namespace lodge::rpc
