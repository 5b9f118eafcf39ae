// One peer on a socket: reads, cuts frames, answers keepalive, writes through one bounded buffer, passes descriptors. Control
// thread only. A peer that breaks the framing, does not read, or is silent past its deadline is closed, never waited for.
#pragma once
#include "rpc/frame.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace lodge::rpc {

class Session;

class SessionOwner {
  public:
    virtual ~SessionOwner() = default;
    // A message of any program but keepalive. Returning false pauses reading until resume_reading().
    virtual bool on_message(const Header& header, std::string_view payload, std::vector<Fd> fds) = 0;
    // The end, once; the session sends nothing any more. `why` is for the log.
    virtual void on_closed(const std::string& why) = 0;
    // Output fell below the low mark again: streams may go on.
    virtual void on_drained() = 0;
};

struct SessionLimits {
    std::size_t output_high = 1 << 20;   // above: no more calls are read from this peer, streams wait
    std::size_t output_max = 256u << 20; // above: the peer is closed
    std::chrono::seconds write_stall{30};
    std::chrono::seconds authentication{30};
    int keepalive_interval = 5; // seconds; <= 0: never ping
    int keepalive_count = 5;
};

class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(Executor executor, Fd socket, SessionLimits limits);
    ~Session();

    void start(std::weak_ptr<SessionOwner> owner);
    void close(const std::string& why);
    // Lets what is buffered go out first.
    void close_when_written();
    bool is_open() const { return open_; }

    template<class Body> void send(const Header& header, Body&& body, std::vector<Fd> fds = {}) {
        if (!open_) return;
        append_message(out_, header, std::forward<Body>(body));
        if (!fds.empty()) attach(std::move(fds));
        written();
    }
    bool is_congested() const { return out_.size() - out_done_ > limits_.output_high; }

    void resume_reading();
    void set_authenticated();
    void start_keepalive();
    int native() const { return descriptor_native_; }

  private:
    using Clock = std::chrono::steady_clock;
    struct PendingFds {
        std::size_t at; // place in out_ behind which they travel
        std::vector<Fd> fds;
    };

    void attach(std::vector<Fd> fds);
    void written();
    void wait_readable();
    void on_readable();
    void wait_writable();
    bool flush();
    bool flush_descriptors();
    bool take(std::string_view bytes, std::vector<Fd> fds);
    bool on_frame(const Header& header, std::string_view payload, std::vector<Fd> fds);
    Clock::time_point next_ping() const;
    void arm_timer();
    void on_timer();

    boost::asio::posix::stream_descriptor socket_;
    int descriptor_native_;
    boost::asio::steady_timer timer_;
    SessionLimits limits_;
    std::weak_ptr<SessionOwner> owner_;
    FrameReader frames_;
    std::string out_;
    std::size_t out_done_ = 0;
    std::vector<PendingFds> out_fds_;
    bool open_ = true, paused_ = false, reading_ = false, waiting_read_ = false, waiting_write_ = false, closing_ = false,
         in_batch_ = false;
    bool authenticated_ = false, keepalive_ = false;
    int pings_ = 0; // since the peer was last heard
    Clock::time_point born_, last_heard_, last_ping_, last_progress_;
    Clock::time_point timer_at_ = Clock::time_point::max(); // max: it does not run
};

} // namespace lodge::rpc
