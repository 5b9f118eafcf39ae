// libvirt's event loop in a thread of its own, started only by commands that need events or streams: a one-shot command
// that merely asks saves the handshakes and the thread. Must be started before the connection is opened.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace lodge::cli {

class EventLoop {
  public:
    static void start();
    static bool running();
};

// ^C and a termination request while a command waits: noted, not deadly, for the lifetime of this object.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    static bool interrupted();
};

// Where the thread of a command waits for callbacks in the thread of the loop.
class Waiter {
  public:
    void wake();
    // True when 'done' became true; false after the time is over or an interrupt came.
    bool wait(std::optional<std::chrono::steady_clock::time_point> until, const std::function<bool()>& done);
    std::mutex mutex; // held by callbacks while they change what 'done' reads

  private:
    std::condition_variable changed_;
};

} // namespace lodge::cli
