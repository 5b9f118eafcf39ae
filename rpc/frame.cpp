#include "rpc/frame.hpp"

namespace lodge::rpc {

// str1 is the template and str2 the detail where the code has a template with one; clients in old languages rebuild the text from
// them.
void encode_error(Encoder& io, const Error& error) {
    const ErrorText text = error_text(error.code());
    const bool detailed = text.with_detail && error.message() != error.detail();
    io(static_cast<std::int32_t>(error.code()));
    io(static_cast<std::int32_t>(error.from() == from_nobody ? From::none : error.from()));
    io.bounded(std::optional(error.message()), string_max);
    io(static_cast<std::int32_t>(Error::level));
    io(std::optional<std::int32_t>()); // dom
    io.bounded(std::optional(std::string(detailed ? text.with_detail : "%s")), string_max);
    io.bounded(std::optional(detailed ? error.detail() : error.message()), string_max);
    io(std::optional<std::int32_t>()); // str3
    io(std::int32_t{-1});
    io(std::int32_t{-1});
    io(std::optional<std::int32_t>()); // net
}

// One message off the front of `bytes`.
FrameReader::Step FrameReader::next(std::string_view& bytes, const Sink& sink) {
    if (bytes.size() < 4) return Step::incomplete;
    Decoder io(bytes);
    std::uint32_t size = 0, type = 0, status = 0;
    io(size);
    if (size < header_size || size > message_max) return Step::broken;
    if (bytes.size() < size) return Step::incomplete;
    Header header;
    io(header.program), io(header.version), io(header.procedure), io(type), io(header.serial), io(status);
    header.type = static_cast<MessageType>(type);
    header.status = static_cast<Status>(status);
    auto payload = bytes.substr(header_size, size - header_size);
    std::vector<Fd> fds;
    std::size_t end = size;
    if (header.type == MessageType::call_with_fds || header.type == MessageType::reply_with_fds) {
        std::uint32_t count = 0;
        if (payload.size() < 4) return Step::broken;
        Decoder{payload}(count);
        payload.remove_prefix(4);
        if (count > descriptors_max) return Step::broken;
        // Each descriptor rides on one zero byte behind the message.
        end += count;
        if (bytes.size() < end) return Step::incomplete;
        if (fds_.size() < count) return Step::broken;
        for (std::uint32_t i = 0; i < count; ++i) {
            fds.push_back(std::move(fds_.front()));
            fds_.pop_front();
        }
    }
    bytes.remove_prefix(end);
    return sink(header, payload, std::move(fds)) ? Step::message : Step::stopped;
}

bool FrameReader::feed(std::string_view bytes, std::vector<Fd> fds, const Sink& sink) {
    for (auto& fd : fds) fds_.push_back(std::move(fd));
    if (fds_.size() > descriptors_max) return false;
    // The sink may drop this reader's owner's interest but not the reader itself; the buffer is local while it runs.
    std::string held = std::move(pending_);
    pending_.clear();
    if (!held.empty()) {
        held.append(bytes);
        bytes = held;
    }
    Step step = Step::message;
    while (step == Step::message) step = next(bytes, sink);
    if (step == Step::broken) return false;
    if (!bytes.empty()) {
        if (bytes.data() == held.data())
            pending_ = std::move(held); // nothing was taken: no copy of a growing message
        else
            pending_.assign(bytes);
    }
    return true;
}

} // namespace lodge::rpc
