#include "daemon/volume_stream.hpp"
#include "daemon/host.hpp"
#include <deque>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::daemon {

namespace {

constexpr std::size_t upload_max = 4 << 20; // bytes that wait for the disk; above, the client is not read from

// What both directions share: the volume in use, and an end that comes from either side.
class VolumeStream : public ClientStream {
  public:
    VolumeStream(ClientPtr peer, const rpc::Header& call, Fd file, VolumeUse use, VolumeRange range)
        : ClientStream(peer, call)
        , file_(std::move(file))
        , range_(range)
        , wake_(peer->executor())
        , use_(std::move(use)) {}

    void on_drained() override { wake_.set(); }
    void abandon() override { close(); }

  protected:
    bool is_open() const { return open_; }
    void close() {
        open_ = false;
        wake_.set();
    }
    // The volume is free again before the client hears of the end: it may want to delete it at once.
    void finish() {
        use_.reset();
        if (!open_) return;
        send(rpc::Status::ok, {});
        drop();
    }
    void fail(std::exception_ptr failure) {
        use_.reset();
        try {
            std::rethrow_exception(failure);
        } catch (rpc::Error error) {
            if (error.from() == From::none) error.set_from(From::streams);
            if (const auto peer = client(); peer && open_) peer->reply_error(header(), error);
        } catch (const std::exception& error) {
            if (const auto peer = client(); peer && open_)
                peer->reply_error(header(), rpc::Error(Code::internal_error, error.what(), From::streams));
        }
        drop();
    }

    Fd file_;
    VolumeRange range_;
    rpc::Signal wake_;

  private:
    void drop() {
        close();
        if (const auto peer = client()) peer->drop_stream(header().serial);
    }

    std::optional<VolumeUse> use_;
    bool open_ = true;
};

// ---- download ----

struct Piece {
    std::string data;
    std::uint64_t hole = 0;
    bool end = false;
};

// What comes next at `offset`: data, or a hole where the client wants to hear of those.
Piece read_piece(int file, std::uint64_t offset, std::uint64_t most, bool sparse) {
    Piece piece;
    if (sparse) {
        const off_t data = ::lseek(file, static_cast<off_t>(offset), SEEK_DATA);
        const bool only_hole = data < 0 && errno == ENXIO;
        if (only_hole || data > static_cast<off_t>(offset)) {
            const off_t end = only_hole ? ::lseek(file, 0, SEEK_END) : data;
            piece.hole = end > static_cast<off_t>(offset) ? static_cast<std::uint64_t>(end) - offset : 0;
            piece.hole = std::min(piece.hole, most);
            piece.end = piece.hole == 0;
            return piece;
        }
        if (const off_t hole = ::lseek(file, static_cast<off_t>(offset), SEEK_HOLE); hole > static_cast<off_t>(offset))
            most = std::min(most, static_cast<std::uint64_t>(hole) - offset);
    }
    piece.data.resize(std::min<std::uint64_t>(most, rpc::stream_chunk));
    ssize_t got = -1;
    do got = ::pread(file, piece.data.data(), piece.data.size(), static_cast<off_t>(offset));
    while (got < 0 && errno == EINTR);
    if (got < 0) rpc::fail_errno(errno, "cannot read from stream");
    piece.data.resize(static_cast<std::size_t>(got));
    piece.end = got == 0;
    return piece;
}

class Download : public VolumeStream {
  public:
    using VolumeStream::VolumeStream;

    // Data that a client sends the wrong way is not looked at.
    void on_packet(const rpc::Header& packet, std::string_view) override {
        if (packet.status != rpc::Status::more) finish();
    }

    static Task<> run(std::shared_ptr<Download> self) {
        std::exception_ptr failure;
        try {
            co_await pump(self);
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) self->fail(failure);
    }

  private:
    static Task<> pump(std::shared_ptr<Download> self) {
        const std::uint64_t end = self->range_.end();
        const bool sparse = self->range_.sparse;
        for (std::uint64_t at = self->range_.offset; self->is_open();) {
            const auto piece =
                at == end ? Piece{.data = {}, .end = true}
                          : co_await rpc::blocking_result([&] { return read_piece(self->file_.get(), at, end - at, sparse); });
            if (!self->is_open()) co_return;
            if (piece.end) co_return self->send(rpc::Status::more, {});
            if (piece.hole > 0) self->send_hole(static_cast<std::int64_t>(piece.hole));
            if (!piece.data.empty()) self->send(rpc::Status::more, piece.data);
            at += piece.hole + piece.data.size();
            while (self->is_open() && self->is_client_behind()) {
                self->wake_.reset();
                co_await self->wake_.wait();
            }
        }
    }

    bool is_client_behind() const {
        const auto peer = client();
        return peer && peer->session().is_congested();
    }
};

// ---- upload ----

void write_data(int file, std::string_view data, std::uint64_t offset) {
    while (!data.empty()) {
        const ssize_t wrote = ::pwrite(file, data.data(), data.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) rpc::fail_errno(errno, "cannot write to stream");
        data.remove_prefix(static_cast<std::size_t>(wrote));
        offset += static_cast<std::uint64_t>(wrote);
    }
}

// What was there before must not show through the hole.
void write_hole(int file, std::uint64_t length, std::uint64_t offset) {
    struct stat status{};
    if (::fstat(file, &status) < 0) rpc::fail_errno(errno, "cannot write to stream");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const bool device = !S_ISREG(status.st_mode);
    if (device || offset < size) {
        const auto inside = device ? length : std::min(length, size - offset);
        const auto from = static_cast<off_t>(offset), bytes = static_cast<off_t>(inside);
        if (::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, bytes) < 0) {
            static const std::string zeros(1 << 20, '\0');
            for (std::uint64_t done = 0; done < inside; done += zeros.size())
                write_data(file, std::string_view(zeros).substr(0, std::min<std::uint64_t>(zeros.size(), inside - done)),
                           offset + done);
        }
    }
    if (!device && offset + length > size && ::ftruncate(file, static_cast<off_t>(offset + length)) < 0)
        rpc::fail_errno(errno, "cannot write to stream");
}

// Of a hole that a client sends; none when it is malformed.
std::optional<std::uint64_t> hole_length(std::string_view payload) {
    try {
        rpc::Decoder io(payload);
        std::int64_t length = -1;
        io(length);
        if (length > 0) return static_cast<std::uint64_t>(length);
    } catch (const rpc::DecodeError&) {
    }
    return std::nullopt;
}

class Upload : public VolumeStream {
  public:
    using VolumeStream::VolumeStream;

    void on_packet(const rpc::Header& packet, std::string_view payload) override {
        if (!is_open() || finishing_) return;
        if (packet.status != rpc::Status::more) {
            finishing_ = true;
        } else if (packet.type == rpc::MessageType::stream_hole) {
            const auto length = hole_length(payload);
            if (!length) return fail(std::make_exception_ptr(rpc::Error(Code::rpc, "malformed hole in a stream", From::rpc)));
            queue_.push_back({{}, *length});
        } else {
            waiting_ += payload.size();
            queue_.push_back({std::string(payload), 0});
        }
        wake_.set();
    }
    bool is_full() const override { return waiting_ > upload_max; }

    static Task<> run(std::shared_ptr<Upload> self, Host& host, PoolPtr pool) {
        std::exception_ptr failure;
        try {
            co_await write_all(self);
        } catch (...) {
            failure = std::current_exception();
        }
        failure ? self->fail(failure) : self->finish();
        if (const auto peer = self->client()) peer->session().resume_reading();
        co_await host.pools().reread(pool);
    }

  private:
    static Task<> write_all(std::shared_ptr<Upload> self) {
        std::uint64_t at = self->range_.offset;
        while (self->is_open()) {
            if (self->queue_.empty()) {
                if (self->finishing_) break;
                self->wake_.reset();
                co_await self->wake_.wait();
                continue;
            }
            const auto pieces = std::exchange(self->queue_, {});
            const std::uint64_t end = self->range_.end();
            co_await rpc::blocking([&] {
                for (const auto& piece : pieces) {
                    const auto size = piece.hole + piece.data.size();
                    if (size > end - at) rpc::fail_errno(ENOSPC, "cannot write to stream");
                    piece.hole > 0 ? write_hole(self->file_.get(), piece.hole, at)
                                   : write_data(self->file_.get(), piece.data, at);
                    at += size;
                }
            });
            for (const auto& piece : pieces) self->waiting_ -= piece.data.size();
            if (const auto peer = self->client()) peer->session().resume_reading();
        }
        co_await rpc::blocking([&] {
            if (::fdatasync(self->file_.get()) < 0 && errno != EINVAL) rpc::fail_errno(errno, "cannot write to stream");
        });
    }

    std::deque<Piece> queue_;
    std::size_t waiting_ = 0;
    bool finishing_ = false;
};

} // namespace

Task<> serve_download(ClientPtr client, rpc::Header call, FoundVolume found, VolumeRange range) {
    auto use = co_await client->host().pools().use_volume(found, false);
    auto file = co_await driver_of(found.pool->document.type).open_volume(found.volume->document, false);
    auto stream = std::make_shared<Download>(client, call, std::move(file), std::move(use), range);
    client->add_stream(stream);
    client->reply(call, rpc::Nothing{});
    rpc::spawn(client->executor(), "download", Download::run(stream));
}

Task<> serve_upload(ClientPtr client, rpc::Header call, FoundVolume found, VolumeRange range) {
    auto use = co_await client->host().pools().use_volume(found, true);
    auto file = co_await driver_of(found.pool->document.type).open_volume(found.volume->document, true);
    auto stream = std::make_shared<Upload>(client, call, std::move(file), std::move(use), range);
    client->add_stream(stream);
    client->reply(call, rpc::Nothing{});
    rpc::spawn(client->executor(), "upload", Upload::run(stream, client->host(), found.pool));
}

} // namespace lodge::daemon
