#include "daemon/client.hpp"
#include "daemon/host.hpp"
#include "daemon/method.hpp"
#include "daemon/stream.hpp"
#include "rpc/generated/remote.hpp"
#include "rpc/log.hpp"
#include <ctime>

namespace lodge::daemon {

Client::Client(Host& host, std::shared_ptr<rpc::Session> session, Door door, Credentials credentials, std::uint64_t id)
    : host_(host)
    , session_(std::move(session))
    , door_(door)
    , credentials_(credentials)
    , id_(id)
    , connected_at_(std::time(nullptr))
    , readonly_(door == Door::read_only) {}

Client::~Client() = default;

rpc::Executor Client::executor() { return host_.executor(); }

void Client::authenticate() {
    authenticated_ = true;
    session_->set_authenticated();
}

Hypervisor& Client::hypervisor() {
    if (!open_) rpc::fail(From::rpc, Code::internal_error, "hypervisor connection not open");
    if (!hypervisor_) rpc::fail(From::rpc, Code::no_support, "this connection has no hypervisor");
    return *hypervisor_;
}

void Client::open(Hypervisor* hypervisor, bool readonly, std::string uri) {
    if (open_) rpc::fail(From::rpc, Code::internal_error, "connection already open");
    open_ = true;
    readonly_ = readonly_ || readonly;
    hypervisor_ = hypervisor;
    uri_ = std::move(uri);
}

void Client::close_connection() {
    depart();
    open_ = false;
    hypervisor_ = nullptr;
}

rpc::Header Client::reply_header(const rpc::Header& call, bool without_fds) {
    rpc::Header header = call;
    header.type = without_fds ? rpc::MessageType::reply : rpc::MessageType::reply_with_fds;
    header.status = rpc::Status::ok;
    return header;
}

void Client::reply_error(const rpc::Header& call, const rpc::Error& error) {
    rpc::Header header = call;
    if (header.type != rpc::MessageType::stream) header.type = rpc::MessageType::reply;
    header.status = rpc::Status::error;
    session_->send(header, [&](rpc::Encoder& io) { rpc::encode_error(io, error); });
}

void Client::reply_exception(const rpc::Header& call, std::exception_ptr failure) {
    try {
        std::rethrow_exception(failure);
    } catch (rpc::Error error) {
        if (error.from() == From::none) error.set_from(default_domain(call));
        reply_error(call, error);
    } catch (const rpc::DecodeError& error) {
        reply_error(call, rpc::Error(Code::rpc, error.what(), From::rpc));
    } catch (const std::exception& error) {
        log::error("call {} of program {:#x}: {}", call.procedure, call.program, error.what());
        reply_error(call, rpc::Error(Code::internal_error, error.what(), From::rpc));
    }
}

Task<> Client::serve_replying(ClientPtr self, rpc::Header call, Task<> task) {
    try {
        co_await std::move(task);
    } catch (...) {
        self->reply_exception(call, std::current_exception());
    }
    self->end_call();
}

void Client::run_replying(rpc::Header call, const char* name, Task<> task) {
    begin_call();
    rpc::spawn(executor(), name, serve_replying(shared_from_this(), call, std::move(task)));
}

void Client::end_call() {
    --outstanding_;
    session_->resume_reading();
}

void Client::add_stream(std::shared_ptr<ClientStream> stream) { streams_[stream->header().serial] = std::move(stream); }
void Client::drop_stream(std::uint32_t serial) { streams_.erase(serial); }

bool Client::on_message(const rpc::Header& header, std::string_view payload, std::vector<Fd> fds) {
    switch (header.type) {
    case rpc::MessageType::call:
    case rpc::MessageType::call_with_fds: try { dispatch(*this, header, payload, std::move(fds));
        } catch (...) {
            reply_exception(header, std::current_exception());
        }
        break;
    case rpc::MessageType::stream:
    case rpc::MessageType::stream_hole:
        if (auto it = streams_.find(header.serial); it != streams_.end()) {
            auto stream = it->second; // may drop itself
            stream->on_packet(header, payload);
            if (stream->is_full()) return false;
        }
        break;
    default: break; // replies and events from a client mean nothing here
    }
    return outstanding_ < host_.config().max_client_requests;
}

void Client::on_drained() {
    for (auto streams = streams_; auto& [serial, stream] : streams) stream->on_drained();
}

void Client::depart() {
    for (auto streams = std::exchange(streams_, {}); auto& [serial, stream] : streams) stream->abandon();
    for (auto actions = std::exchange(departures_, {}); auto& action : actions) action();
    host_.events().drop_client(*this);
}

void Client::on_closed(const std::string& why) {
    log::debug("client {}: {}", id_, why);
    auto self = shared_from_this();
    depart();
    host_.forget_client(self);
}

} // namespace lodge::daemon
