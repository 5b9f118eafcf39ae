// The frame of a message: length word, header, payload, and the descriptors that follow it. Bytes in, messages out; no sockets.
#pragma once
#include "rpc/codec.hpp"
#include "rpc/task.hpp"
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lodge::rpc {

inline constexpr std::size_t header_size = 28;       // length word included
inline constexpr std::size_t message_max = 33554436; // VIR_NET_MESSAGE_MAX and the length word
inline constexpr std::size_t descriptors_max = 32;   // VIR_NET_MESSAGE_NUM_FDS_MAX
inline constexpr std::size_t stream_chunk = 262120;  // data bytes in one stream packet

enum class MessageType : std::uint32_t { call, reply, message, stream, call_with_fds, reply_with_fds, stream_hole };
enum class Status : std::uint32_t { ok, error, more };

struct Header {
    std::uint32_t program = 0, version = 1;
    std::int32_t procedure = 0;
    MessageType type = MessageType::call;
    std::uint32_t serial = 0;
    Status status = Status::ok;
};

// Appends one message to `out`; the body encodes itself after the header. Nothing is appended when the body throws.
template<class Body> void append_message(std::string& out, const Header& header, Body&& body) {
    const std::size_t start = out.size();
    try {
        Encoder io(out);
        for (std::uint32_t word :
             {0u, header.program, header.version, static_cast<std::uint32_t>(header.procedure),
              static_cast<std::uint32_t>(header.type), header.serial, static_cast<std::uint32_t>(header.status)})
            io(word);
        body(io);
        if (out.size() - start > message_max) fail(From::rpc, Code::rpc, "Unable to encode message payload");
    } catch (...) {
        out.resize(start);
        throw;
    }
    const auto size = static_cast<std::uint32_t>(out.size() - start);
    for (int i = 0; i < 4; ++i) out[start + static_cast<std::size_t>(i)] = static_cast<char>(size >> (24 - 8 * i));
}

// The error struct of a reply with status error.
void encode_error(Encoder& io, const Error& error);

// Cuts a byte stream into messages. Keeps only what has arrived: an announced length costs nothing.
class FrameReader {
  public:
    // Payload is valid only during the call. Returning false stops the reader (see feed).
    using Sink = std::function<bool(const Header&, std::string_view payload, std::vector<Fd> fds)>;

    // Takes what arrived, with the descriptors that came along. Returns false when the peer broke the framing and must be
    // dropped. When the sink says stop, the unread rest is kept; call resume() later.
    bool feed(std::string_view bytes, std::vector<Fd> fds, const Sink& sink);
    bool resume(const Sink& sink) { return feed({}, {}, sink); }
    bool has_pending() const { return !pending_.empty(); }

  private:
    enum class Step { incomplete, message, stopped, broken };
    Step next(std::string_view& bytes, const Sink& sink);

    std::string pending_;
    std::deque<Fd> fds_;
};

} // namespace lodge::rpc
