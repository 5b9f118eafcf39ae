#include "rpc/frame.hpp"
#include "rpc/generated/remote.hpp"
#include "tests/catch.hpp"
#include <fcntl.h>

using namespace lodge::rpc;

static std::string message(std::uint32_t serial, const std::string& name) {
    std::string out;
    append_message(out, {remote::program, 1, 23, MessageType::call, serial, Status::ok},
                   [&](Encoder& io) { io(remote::DomainLookupByNameArgs{name}); });
    return out;
}

struct Seen {
    std::vector<std::pair<std::uint32_t, std::string>> messages;
    std::vector<std::size_t> descriptors;
    bool go_on = true;
    FrameReader::Sink sink() {
        return [this](const Header& header, std::string_view payload, std::vector<Fd> fds) {
            messages.emplace_back(header.serial, std::string(payload));
            descriptors.push_back(fds.size());
            return go_on;
        };
    }
};

TEST_CASE("messages are cut wherever the bytes are") {
    const std::string stream = message(1, "a") + message(2, "somewhat longer") + message(3, "");
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        Seen seen;
        FrameReader reader;
        for (std::size_t at = 0; at < stream.size(); at += step)
            REQUIRE(reader.feed(std::string_view(stream).substr(at, step), {}, seen.sink()));
        REQUIRE(seen.messages.size() == 3);
        CHECK(seen.messages[1].first == 2);
        CHECK(seen.messages[1].second == stream.substr(36 + 28, 20));
        CHECK_FALSE(reader.has_pending());
    }
}

TEST_CASE("a length outside the limits breaks the connection") {
    for (std::uint32_t size : {0u, 3u, 27u, 33554437u, 0xffffffffu}) {
        Seen seen;
        FrameReader reader;
        const char bytes[4] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                               static_cast<char>(size)};
        CHECK_FALSE(reader.feed({bytes, 4}, {}, seen.sink()));
    }
}

TEST_CASE("a reader that was told to stop goes on where it was") {
    const std::string stream = message(1, "a") + message(2, "b");
    Seen seen;
    seen.go_on = false;
    FrameReader reader;
    REQUIRE(reader.feed(stream, {}, seen.sink()));
    CHECK(seen.messages.size() == 1);
    CHECK(reader.has_pending());
    REQUIRE(reader.resume(seen.sink()));
    CHECK(seen.messages.size() == 2);
    CHECK_FALSE(reader.has_pending());
}

TEST_CASE("descriptors belong to the message that announced them") {
    std::string stream;
    append_message(stream, {remote::program, 1, 1, MessageType::call_with_fds, 9, Status::ok},
                   [](Encoder& io) { io(2u), io(7u); });
    stream += std::string(2, '\0'); // one byte for each
    stream += message(10, "next");
    Seen seen;
    FrameReader reader;
    std::vector<Fd> fds;
    fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(reader.feed(std::string_view(stream).substr(0, 37), std::move(fds), seen.sink()));
    CHECK(seen.messages.empty());
    fds.clear();
    fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(reader.feed(std::string_view(stream).substr(37), std::move(fds), seen.sink()));
    REQUIRE(seen.messages.size() == 2);
    CHECK(seen.descriptors == std::vector<std::size_t>{2, 0});
    CHECK(seen.messages[0].second == std::string("\0\0\0\7", 4));
}

TEST_CASE("a message that cannot be encoded leaves nothing behind") {
    std::string out = "before";
    CHECK_THROWS(append_message(out, {}, [](Encoder& io) {
        io(1u);
        fail(Code::rpc, "no");
    }));
    CHECK(out == "before");
}
