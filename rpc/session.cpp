#include "rpc/session.hpp"
#include "rpc/generated/keepalive.hpp"
#include <sys/socket.h>

namespace asio = boost::asio;

namespace lodge::rpc {

// Shared by all sessions of the one control thread: an idle client costs no buffer.
static char read_buffer[256 * 1024];

Session::Session(Executor executor, Fd socket, SessionLimits limits)
    : socket_(executor, socket.get())
    , descriptor_native_(socket.release())
    , timer_(executor)
    , limits_(limits)
    , born_(Clock::now())
    , last_heard_(born_)
    , last_progress_(born_) {
    socket_.native_non_blocking(true);
}

Session::~Session() = default;

void Session::start(std::weak_ptr<SessionOwner> owner) {
    owner_ = std::move(owner);
    reading_ = true;
    arm_timer();
    wait_readable();
}

void Session::close(const std::string& why) {
    if (!open_) return;
    open_ = false;
    timer_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
    out_.clear();
    out_fds_.clear();
    if (auto owner = owner_.lock()) owner->on_closed(why);
}

void Session::close_when_written() {
    closing_ = true;
    if (open_ && out_.size() == out_done_) close("closed");
}

void Session::attach(std::vector<Fd> fds) { out_fds_.push_back({out_.size(), std::move(fds)}); }

// Called after each appended message. Inside a batch of incoming messages the replies leave together at its end.
void Session::written() {
    if (out_.size() - out_done_ > limits_.output_max) return close("client does not read: output limit reached");
    if (in_batch_ || waiting_write_) return;
    if (flush() && open_ && out_.size() > out_done_) wait_writable();
}

bool Session::flush() {
    while (open_ && out_done_ < out_.size()) {
        const std::size_t end = out_fds_.empty() ? out_.size() : out_fds_.front().at;
        const ssize_t sent =
            end > out_done_ ? ::send(descriptor_native_, out_.data() + out_done_, end - out_done_, MSG_NOSIGNAL | MSG_DONTWAIT)
                            : 0;
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (sent < 0) return close(errno_text(errno)), false;
        if (sent > 0) last_progress_ = Clock::now();
        out_done_ += static_cast<std::size_t>(sent);
        if (!out_fds_.empty() && out_done_ == out_fds_.front().at && !flush_descriptors()) break;
    }
    if (out_done_ == out_.size() && out_fds_.empty()) {
        out_.clear();
        out_done_ = 0;
        if (out_.capacity() > limits_.output_high) out_.shrink_to_fit();
        if (closing_) close("closed");
    } else if (out_done_ > limits_.output_high) {
        out_.erase(0, out_done_);
        for (auto& pending : out_fds_) pending.at -= out_done_;
        out_done_ = 0;
    }
    return open_;
}

// One descriptor per sendmsg, each with a zero byte of data, as libvirt's peers read them.
bool Session::flush_descriptors() {
    auto& fds = out_fds_.front().fds;
    while (!fds.empty()) {
        char zero = 0;
        iovec data{&zero, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = fds.front().get();
        std::copy_n(reinterpret_cast<const char*>(&fd), sizeof fd, reinterpret_cast<char*>(CMSG_DATA(rights)));
        if (sendmsg(descriptor_native_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) close(errno_text(errno));
            return false;
        }
        fds.erase(fds.begin());
    }
    out_fds_.erase(out_fds_.begin());
    return true;
}

void Session::wait_writable() {
    waiting_write_ = true;
    last_progress_ = Clock::now();
    arm_timer();
    socket_.async_wait(asio::posix::stream_descriptor::wait_write, [self = shared_from_this()](boost::system::error_code error) {
        self->waiting_write_ = false;
        if (error || !self->open_ || !self->flush()) return;
        if (self->out_.size() > self->out_done_ || !self->out_fds_.empty()) self->wait_writable();
        if (self->is_congested()) return;
        if (auto owner = self->owner_.lock()) owner->on_drained();
        if (self->paused_) self->resume_reading();
    });
}

void Session::wait_readable() {
    if (waiting_read_ || !open_ || !reading_) return;
    waiting_read_ = true;
    socket_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
        self->waiting_read_ = false;
        if (!error && self->open_) self->on_readable();
    });
}

static std::vector<Fd> descriptors_of(msghdr& message) {
    std::vector<Fd> fds;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd;
            std::copy_n(reinterpret_cast<const char*>(CMSG_DATA(part)) + i * sizeof fd, sizeof fd, reinterpret_cast<char*>(&fd));
            fds.emplace_back(fd);
        }
    }
    return fds;
}

// One read per wake-up: a client that sends without end gets its turn after everybody else's.
void Session::on_readable() {
    if (paused_) return;
    iovec data{read_buffer, sizeof read_buffer};
    alignas(cmsghdr) char control[CMSG_SPACE(descriptors_max * sizeof(int))];
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(descriptor_native_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return wait_readable();
    if (got < 0) return close(errno_text(errno));
    if (got == 0) return close("client closed the connection");
    if (take({read_buffer, static_cast<std::size_t>(got)}, descriptors_of(message))) wait_readable();
}

// Returns true when reading goes on.
bool Session::take(std::string_view bytes, std::vector<Fd> fds) {
    auto self = shared_from_this();
    last_heard_ = Clock::now();
    pings_ = 0;
    in_batch_ = true;
    const bool sound =
        frames_.feed(bytes, std::move(fds), [this](const Header& header, std::string_view payload, std::vector<Fd> passed) {
            return on_frame(header, payload, std::move(passed));
        });
    in_batch_ = false;
    if (!open_) return false;
    if (!sound) {
        close("client broke the message framing");
        return false;
    }
    if (!waiting_write_ && flush() && (out_.size() > out_done_ || !out_fds_.empty())) wait_writable();
    if (open_ && is_congested()) paused_ = true;
    return open_ && !paused_;
}

bool Session::on_frame(const Header& header, std::string_view payload, std::vector<Fd> fds) {
    if (header.program == keepalive::program) {
        if (static_cast<std::uint32_t>(header.procedure) == keepalive::PingCall::number) {
            Header pong = header;
            pong.procedure = static_cast<std::int32_t>(keepalive::PongCall::number);
            pong.serial = 0;
            send(pong, [](Encoder&) {});
        }
        return open_;
    }
    auto owner = owner_.lock();
    if (!owner || !owner->on_message(header, payload, std::move(fds))) paused_ = true;
    return open_ && !paused_;
}

void Session::resume_reading() {
    if (!paused_ || !open_ || in_batch_) {
        if (in_batch_) paused_ = false;
        return;
    }
    if (is_congested()) return;
    paused_ = false;
    if (frames_.has_pending() && !take({}, {})) return;
    wait_readable();
}

void Session::set_authenticated() { authenticated_ = true; }

void Session::start_keepalive() {
    if (keepalive_ || limits_.keepalive_interval <= 0) return;
    keepalive_ = true;
    arm_timer();
}

// Whoever was late, we or the peer: pings never come in a burst, so that each can be answered.
Session::Clock::time_point Session::next_ping() const {
    return std::max(last_heard_, last_ping_) + std::chrono::seconds(limits_.keepalive_interval);
}

// The one timer of a session stands at its nearest deadline or before; an authenticated idle client without keepalive has none.
void Session::arm_timer() {
    if (!open_) return;
    auto deadline = Clock::time_point::max();
    if (!authenticated_) deadline = std::min(deadline, born_ + limits_.authentication);
    if (waiting_write_) deadline = std::min(deadline, last_progress_ + limits_.write_stall);
    if (keepalive_) deadline = std::min(deadline, next_ping());
    if (deadline >= timer_at_) return;
    timer_at_ = deadline;
    timer_.expires_at(deadline);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        auto self = weak.lock();
        if (!self || error) return;
        self->timer_at_ = Clock::time_point::max();
        if (self->open_) self->on_timer();
    });
}

void Session::on_timer() {
    const auto now = Clock::now();
    if (!authenticated_ && now >= born_ + limits_.authentication) return close("client did not authenticate in time");
    if (waiting_write_ && now >= last_progress_ + limits_.write_stall) return close("client does not read: no progress in time");
    if (keepalive_ && now >= next_ping()) {
        if (pings_ >= limits_.keepalive_count) return close("keepalive: client did not answer");
        ++pings_;
        last_ping_ = now;
        Header ping;
        ping.program = keepalive::program;
        ping.procedure = static_cast<std::int32_t>(keepalive::PingCall::number);
        ping.type = MessageType::message;
        send(ping, [](Encoder&) {});
    }
    arm_timer();
}

} // namespace lodge::rpc
