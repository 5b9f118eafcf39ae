// Changes to one object, one after another: first come, first served, with a time limit that names the holder. Reads never queue.
// While a task waits for its turn anything may have changed: look again afterwards.
#pragma once
#include "rpc/task.hpp"
#include <list>
#include <string>

namespace lodge::daemon {

class JobQueue {
  public:
    // `kind`: what libvirt calls the part of the domain that a job takes, "monitor" or "agent"; empty: for other objects.
    explicit JobQueue(std::string kind = "")
        : kind_(std::move(kind)) {}

    class Job {
      public:
        Job(Job&& other) noexcept
            : queue_(std::exchange(other.queue_, nullptr))
            , keep_(std::move(other.keep_)) {}
        Job& operator=(Job&&) = delete;
        ~Job() {
            if (queue_) queue_->release();
        }

      private:
        friend class JobQueue;
        Job(JobQueue* queue, std::shared_ptr<void> keep)
            : queue_(queue)
            , keep_(std::move(keep)) {}
        JobQueue* queue_;
        std::shared_ptr<void> keep_; // the object whose queue this is
    };

    // `name` is the API call as users know it (virDomainCreate). `owner` is kept alive by the job. Throws
    // Code::operation_timeout.
    rpc::Task<Job> acquire(std::shared_ptr<void> owner, std::string name, std::chrono::seconds limit = std::chrono::seconds(30));
    // The holder right now and for how long; empty: nobody.
    std::string holder() const { return holder_; }
    std::chrono::milliseconds age() const;

  private:
    struct Waiter;
    void release();
    void take(std::string name);
    std::string blocker() const;

    std::string kind_, holder_;
    std::chrono::steady_clock::time_point since_;
    std::list<Waiter*> waiters_;
};

} // namespace lodge::daemon
