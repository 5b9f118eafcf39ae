#include "drivers/qemu/qmp.hpp"
#include "rpc/log.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <deque>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::drivers::qemu {

// One command on its way, or the greeting.
struct Qmp::Slot {
    Slot(const Executor& executor, std::string what)
        : command(std::move(what))
        , done(executor) {}
    std::string command;
    std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();
    rpc::Signal done;
    json reply;
    std::string lost; // why there will be no reply
};

struct Qmp::Io {
    struct Out {
        std::string bytes;
        Fd fd;
    };
    Io(const Executor& e, int fd)
        : executor(e)
        , socket(e, fd) {}
    Executor executor;
    asio::posix::stream_descriptor socket;
    std::deque<Out> out;
    std::size_t sent = 0; // of out.front()
    bool writing = false;
};

Qmp::Qmp(Private, Executor executor, Fd socket, QmpOptions options)
    : options_(std::move(options))
    , io_(std::make_unique<Io>(executor, socket.release()))
    , greeting_(std::make_shared<Slot>(executor, "greeting")) {}

Qmp::~Qmp() = default;

std::shared_ptr<Qmp> Qmp::open(Executor executor, Fd socket, QmpOptions options) {
    auto qmp = std::make_shared<Qmp>(Private{}, std::move(executor), std::move(socket), std::move(options));
    qmp->io_->socket.native_non_blocking(true);
    qmp->await_input();
    qmp->capabilities_ = qmp->send("qmp_capabilities").slot_;
    return qmp;
}

Qmp::Pending Qmp::send(std::string command, json arguments, Fd with_fd) {
    json message = {{"execute", command}};
    if (!arguments.is_null()) message["arguments"] = std::move(arguments);
    return enqueue(std::move(command), std::move(message), std::move(with_fd));
}

std::chrono::milliseconds Qmp::silence() const {
    if (waiting_.empty()) return 0ms;
    const auto age = std::chrono::steady_clock::now() - waiting_.begin()->second->asked;
    return std::chrono::duration_cast<std::chrono::milliseconds>(age);
}

Qmp::Pending Qmp::enqueue(std::string command, json message, Fd with_fd) {
    auto slot = std::make_shared<Slot>(io_->executor, std::move(command));
    if (closed()) {
        slot->lost = reason_;
        slot->done.set();
    } else {
        const std::uint64_t id = next_id_++;
        message["id"] = id;
        waiting_.emplace(id, slot);
        // Names from documents need not be UTF-8; what is not becomes a replacement character rather than an exception.
        std::string bytes = message.dump(-1, ' ', false, json::error_handler_t::replace);
        log::debug("{}: QMP > {}", options_.name, bytes);
        io_->out.push_back({bytes + "\r\n", std::move(with_fd)});
        give_output();
    }
    Pending pending;
    pending.slot_ = std::move(slot);
    return pending;
}

void Qmp::await_output() {
    io_->writing = true;
    io_->socket.async_wait(asio::posix::stream_descriptor::wait_write,
                           [self = shared_from_this()](boost::system::error_code error) {
                               self->io_->writing = false;
                               if (!error && !self->closed()) self->give_output();
                           });
}

static ssize_t send_some(int socket, std::string_view bytes, int fd) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Qmp::give_output() {
    if (io_->writing) return;
    while (!io_->out.empty()) {
        auto& first = io_->out.front();
        const ssize_t n = send_some(io_->socket.native_handle(), std::string_view(first.bytes).substr(io_->sent), first.fd.get());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return await_output();
        // A broken connection is told by the reading side, after whatever QEMU still said.
        if (n < 0) return io_->out.clear();
        first.fd.reset();
        io_->sent += static_cast<std::size_t>(n);
        if (io_->sent < first.bytes.size()) continue;
        io_->out.pop_front();
        io_->sent = 0;
    }
}

void Qmp::await_input() {
    io_->socket.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](boost::system::error_code error) {
                               if (error || self->closed()) return;
                               self->take_input();
                               if (!self->closed()) self->await_input();
                           });
}

// One portion at a time: a QEMU that talks without end must not keep the loop from everybody else.
void Qmp::take_input() {
    char buffer[65536];
    const ssize_t n = ::recv(io_->socket.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return end(fmt::format("Unable to read from monitor: {}", rpc::errno_text(errno)));
    if (n == 0) return end("End of file from qemu monitor");
    input_.append(buffer, static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (;;) {
        const std::size_t line_end = input_.find('\n', std::max(begin, searched_));
        if (line_end == std::string::npos) break;
        if (!take_line(std::string_view(input_).substr(begin, line_end - begin))) return;
        begin = line_end + 1;
    }
    input_.erase(0, begin);
    searched_ = input_.size();
    if (input_.size() > options_.max_line)
        end(fmt::format("QEMU monitor reply exceeds buffer size ({} bytes)", options_.max_line));
}

bool Qmp::take_line(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty()) return true;
    log::debug("{}: QMP < {}", options_.name, line.substr(0, 4096));
    json message = json::parse(line, nullptr, false);
    if (!message.is_object()) return end(fmt::format("cannot parse json {}", line.substr(0, 200))), false;
    if (message.contains("QMP")) {
        greeting_->reply = std::move(message);
        greeting_->done.set();
        return true;
    }
    if (message.contains("event")) return take_event(message);
    const auto id = message.find("id");
    const auto slot = waiting_.find(id != message.end() && id->is_number_unsigned() ? id->get<std::uint64_t>() : 0);
    if (slot == waiting_.end() || (!message.contains("return") && !message.contains("error")))
        return end(fmt::format("Unexpected JSON reply '{}'", line.substr(0, 200))), false;
    const auto done = slot->second;
    waiting_.erase(slot);
    done->reply = std::move(message);
    done->done.set();
    return true;
}

bool Qmp::take_event(json& message) {
    const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch() / 1s;
    if (now != event_second_) events_this_second_ = 0;
    event_second_ = now;
    if (++events_this_second_ > options_.max_events_per_second)
        return end(fmt::format("QEMU sends more than {} events per second", options_.max_events_per_second)), false;
    if (!message["event"].is_string()) return true;
    QmpEvent event;
    event.name = message["event"];
    if (const auto stamp = message.find("timestamp"); stamp != message.end() && stamp->is_object()) {
        event.seconds = stamp->value("seconds", std::int64_t{0});
        event.micros = static_cast<std::uint32_t>(stamp->value("microseconds", std::int64_t{0}));
    }
    if (const auto data = message.find("data"); data != message.end()) event.data = std::move(*data);
    if (options_.on_event) options_.on_event(event);
    return !closed();
}

void Qmp::close(const std::string& reason) {
    options_.on_event = nullptr;
    options_.on_closed = nullptr;
    end(reason);
}

void Qmp::end(const std::string& reason) {
    if (closed()) return;
    reason_ = reason.empty() ? "closed" : reason;
    const auto self = shared_from_this(); // what is told below may drop the last reference
    boost::system::error_code ignored;
    io_->socket.close(ignored);
    io_->out.clear();
    input_.clear();
    if (!greeting_->done.is_set()) waiting_.emplace(0, greeting_);
    for (const auto& [id, slot] : std::exchange(waiting_, {})) {
        slot->lost = reason_;
        slot->done.set();
    }
    if (const auto tell = std::exchange(options_.on_closed, nullptr)) tell(reason_);
    options_.on_event = nullptr;
}

Task<json> Qmp::reply_of(std::shared_ptr<Slot> slot, std::chrono::milliseconds limit) {
    const bool in_time = co_await slot->done.wait(limit);
    if (!in_time)
        rpc::fail(Code::operation_timeout, "QEMU did not answer '{}' within {} s", slot->command, limit.count() / 1000.0);
    if (!slot->lost.empty()) rpc::fail(Code::internal_error, "{}", slot->lost);
    co_return std::move(slot->reply);
}

Task<json> Qmp::result_of(std::shared_ptr<Slot> slot, std::chrono::milliseconds limit) {
    json reply = co_await reply_of(slot, limit);
    if (const auto error = reply.find("error"); error != reply.end()) {
        const std::string text = error->is_object() ? error->value("desc", std::string("unknown error")) : error->dump();
        rpc::fail(Code::internal_error, "unable to execute QEMU command '{}': {}", slot->command, text);
    }
    co_return std::move(reply["return"]);
}

Task<json> Qmp::greeting_of(std::shared_ptr<Qmp> self, std::chrono::milliseconds limit) {
    json greeting = co_await reply_of(self->greeting_, limit);
    co_await result_of(self->capabilities_, limit);
    co_return std::move(greeting["QMP"]);
}

static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) rpc::fail(Code::internal_error, "UNIX socket path '{}' too long", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Fd connect_qmp(const std::string& path) {
    const auto address = address_of(path);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) rpc::fail_errno(errno, "failed to create socket");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        rpc::fail_errno(errno, fmt::format("failed to connect to monitor socket '{}'", path));
    return fd;
}

QmpSocket listen_qmp(const std::string& path) {
    const auto address = address_of(path);
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener) rpc::fail_errno(errno, "failed to create socket");
    ::unlink(path.c_str());
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        rpc::fail_errno(errno, fmt::format("failed to bind to UNIX socket path {}", path));
    if (::listen(listener.get(), 1) < 0) rpc::fail_errno(errno, "failed to listen to UNIX socket");
    return {std::move(listener), connect_qmp(path)};
}

} // namespace lodge::drivers::qemu
