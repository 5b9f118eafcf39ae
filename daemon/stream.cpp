#include "daemon/stream.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

namespace lodge::daemon {

// What a client may have sent ahead of a device that takes nothing; more closes the stream.
static constexpr std::size_t to_device_max = 4 << 20;

ClientStream::ClientStream(ClientPtr client, const rpc::Header& call)
    : client_(client)
    , header_(call) {
    header_.type = rpc::MessageType::stream;
    header_.status = rpc::Status::ok;
}

void ClientStream::send(rpc::Status status, std::string_view data) {
    auto peer = client();
    if (!peer) return;
    rpc::Header header = header_;
    header.status = status;
    peer->session().send(header, [&](rpc::Encoder& io) { io.raw(data); });
}

void ClientStream::send_hole(std::int64_t length) {
    auto peer = client();
    if (!peer) return;
    rpc::Header header = header_;
    header.type = rpc::MessageType::stream_hole;
    header.status = rpc::Status::more;
    peer->session().send(header, [&](rpc::Encoder& io) { io(length), io(std::uint32_t{0}); });
}

DescriptorStream::DescriptorStream(ClientPtr client, const rpc::Header& call, drivers::Endpoint endpoint)
    : ClientStream(client, call)
    , in_(client->executor(), endpoint.read.release()) {
    in_.native_non_blocking(true);
    if (endpoint.write) {
        out_.emplace(client->executor(), endpoint.write.release());
        out_->native_non_blocking(true);
    }
}

void DescriptorStream::open(ClientPtr client, const rpc::Header& call, drivers::Endpoint endpoint) {
    std::shared_ptr<DescriptorStream> stream(new DescriptorStream(client, call, std::move(endpoint)));
    client->add_stream(stream);
    stream->pump();
}

void DescriptorStream::pump() {
    if (!open_ || reading_ || end_of_data_) return;
    const auto peer = client();
    if (!peer || peer->session().is_congested()) return; // on_drained() comes back
    reading_ = true;
    in_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
        self->reading_ = false;
        if (!error && self->open_) self->on_readable();
    });
}

void DescriptorStream::on_readable() {
    static char buffer[rpc::stream_chunk];
    const ssize_t got = ::read(in_.native_handle(), buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return pump();
    // A pty whose other side closed gives EIO: the guest is gone, which is the end of its console.
    if (got < 0 && errno != EIO)
        return fail(rpc::Error(Code::system_error, "cannot read from stream: " + rpc::errno_text(errno), From::streams));
    if (got <= 0) {
        end_of_data_ = true;
        return send(rpc::Status::more, {});
    }
    send(rpc::Status::more, {buffer, static_cast<std::size_t>(got)});
    pump();
}

void DescriptorStream::on_drained() { pump(); }

void DescriptorStream::on_packet(const rpc::Header& packet, std::string_view payload) {
    if (!open_) return;
    if (packet.type == rpc::MessageType::stream_hole) {
        if (const auto peer = client()) peer->session().close("unexpected stream hole");
        return;
    }
    if (packet.status != rpc::Status::more) return finish(true);
    to_device_.append(payload);
    if (to_device_.size() > to_device_max)
        return fail(rpc::Error(Code::operation_failed, "the device does not take the data sent to it", From::streams));
    if (!writing_) write_out();
}

void DescriptorStream::write_out() {
    Descriptor& device = out_ ? *out_ : in_;
    while (!to_device_.empty()) {
        const ssize_t wrote = ::write(device.native_handle(), to_device_.data(), to_device_.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) break;
        if (wrote < 0)
            return fail(rpc::Error(Code::system_error, "cannot write to stream: " + rpc::errno_text(errno), From::streams));
        to_device_.erase(0, static_cast<std::size_t>(wrote));
    }
    if (to_device_.empty()) return;
    writing_ = true;
    device.async_wait(Descriptor::wait_write, [self = shared_from_this()](boost::system::error_code error) {
        self->writing_ = false;
        if (!error && self->open_) self->write_out();
    });
}

void DescriptorStream::finish(bool confirm) {
    if (confirm) send(rpc::Status::ok, {});
    abandon();
    if (const auto peer = client()) peer->drop_stream(header().serial);
}

void DescriptorStream::fail(const rpc::Error& error) {
    if (const auto peer = client()) peer->reply_error(header(), error);
    finish(false);
}

void DescriptorStream::abandon() {
    if (!open_) return;
    open_ = false;
    boost::system::error_code ignored;
    in_.close(ignored);
    if (out_) out_->close(ignored);
}

} // namespace lodge::daemon
