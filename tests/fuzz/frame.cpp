// Arbitrary bytes as a peer may send them, in arbitrary pieces: the frame reader cuts messages, and the arguments of whatever
// procedure a message names are decoded. What decodes must survive its own encoding.
#include "rpc/frame.hpp"
#include "rpc/generated/admin.hpp"
#include "rpc/generated/lxc.hpp"
#include "rpc/generated/qemu.hpp"
#include "rpc/generated/remote.hpp"
#include <cstdint>
#include <cstdlib>
#include <map>

using namespace lodge::rpc;

namespace {

template<class T> std::string encoded(const T& value) {
    std::string bytes;
    Encoder encoder(bytes);
    encode(encoder, value);
    return bytes;
}

template<class T> void round_trip(std::string_view payload) {
    T first{};
    try {
        Decoder decoder(payload);
        decode(decoder, first);
    } catch (const DecodeError&) {
        return;
    }
    // Bytes are compared, not values: a NaN differs from itself.
    const std::string bytes = encoded(first);
    T second{};
    Decoder decoder(bytes);
    decode(decoder, second);
    if (encoded(second) != bytes) std::abort();
}

using Check = void (*)(std::string_view);

template<class Call> void add(std::map<std::pair<std::uint32_t, std::int32_t>, std::vector<Check>>& checks) {
    auto& of_call = checks[{Call::program, static_cast<std::int32_t>(Call::number)}];
    of_call.push_back(round_trip<typename Call::Args>);
    of_call.push_back(round_trip<typename Call::Ret>);
}

const auto& checks() {
    static const auto table = [] {
        std::map<std::pair<std::uint32_t, std::int32_t>, std::vector<Check>> all;
#define CALL(program, call) add<program::call>(all);
#include "tests/calls.inc"
#undef CALL
        return all;
    }();
    return table;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = data[0] + 1u; // the first byte says how big the pieces are
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    FrameReader reader;
    bool stop = false; // after every message, as a slow server would
    const FrameReader::Sink sink = [&](const Header& header, std::string_view payload, std::vector<Fd>) {
        const auto found = checks().find({header.program, header.procedure});
        if (found != checks().end())
            for (const Check check : found->second) check(payload);
        stop = true;
        return false;
    };
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, piece);
        rest.remove_prefix(part.size());
        if (!reader.feed(part, {}, sink)) return 0;
        while (stop) {
            stop = false;
            if (!reader.resume(sink)) return 0;
        }
    }
    return 0;
}
