// A scripted peer plays QEMU: what it says, and where it falls silent, dies or rambles, is the test's to choose.
#include "drivers/qemu/qmp.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers::qemu;
namespace asio = boost::asio;

namespace {

constexpr const char* greeting = R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}})"
                                 "\r\n";

struct Peer {
    asio::io_context io;
    int theirs = -1;
    std::shared_ptr<Qmp> qmp;
    std::vector<std::string> events;
    std::string closed;

    explicit Peer(QmpOptions options = {}) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        theirs = ends[1];
        options.name = "guest";
        options.on_event = [this](const QmpEvent& event) { events.push_back(event.name); };
        options.on_closed = [this](const std::string& reason) { closed = reason; };
        qmp = Qmp::open(io.get_executor(), Fd(ends[0]), std::move(options));
    }
    ~Peer() { hang_up(); }
    void say(std::string_view text) { REQUIRE(::send(theirs, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size())); }
    void hang_up() {
        if (theirs >= 0) ::close(std::exchange(theirs, -1));
    }
    std::string heard() {
        char buffer[65536];
        const ssize_t n = ::recv(theirs, buffer, sizeof buffer, MSG_DONTWAIT);
        return {buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
    }
    // Runs the task; its value as text, or its error.
    std::string finish(Task<json> task) {
        std::string outcome = "nothing";
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, json value) {
            try {
                if (error) std::rethrow_exception(error);
                outcome = value.dump();
            } catch (const rpc::Error& e) {
                outcome = e.message();
            }
            io.stop();
        });
        io.restart();
        io.run_for(5s);
        return outcome;
    }
    void turn() {
        io.restart();
        io.run_for(20ms);
    }
};

} // namespace

TEST_CASE("QMP commands are pipelined behind the handshake and answered by id") {
    Peer peer;
    auto first = peer.qmp->send("query-status");
    auto second = peer.qmp->send("qom-get", {{"path", "/machine"}});
    CHECK(peer.heard() == "{\"execute\":\"qmp_capabilities\",\"id\":1}\r\n{\"execute\":\"query-status\",\"id\":2}\r\n"
                          "{\"arguments\":{\"path\":\"/machine\"},\"execute\":\"qom-get\",\"id\":3}\r\n");
    // Arrives in odd pieces: half a line, an event between the answers.
    peer.say(std::string(greeting) + R"({"return": {}, "id": 1})" + "\r\n{\"return\": {\"runn");
    peer.turn();
    peer.say("ing\": true}, \"id\": 2}\r\n{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 5, \"microseconds\": 7}}\r\n");
    peer.say("{\"return\": 8, \"id\": 3}\r\n");
    CHECK(peer.finish(second.result()) == "8");
    CHECK(peer.finish(first.result()) == R"({"running":true})");
    CHECK(peer.finish(peer.qmp->greeting(1s)).starts_with(R"({"capabilities":[],"version")"));
    CHECK(peer.events == std::vector<std::string>{"STOP"});
}

TEST_CASE("what QEMU refuses carries its words") {
    Peer peer;
    peer.say(std::string(greeting) + "{\"return\": {}, \"id\": 1}\r\n");
    peer.say(R"({"id": 2, "error": {"class": "CommandNotFound", "desc": "The command foo has not been found"}})"
             "\r\n");
    CHECK(peer.finish(peer.qmp->ask("foo")) ==
          "internal error: unable to execute QEMU command 'foo': The command foo has not been found");
    peer.say(R"({"id": 3, "error": {"class": "GenericError", "desc": "no"}})"
             "\r\n");
    CHECK(peer.finish(peer.qmp->send("foo").reply()) == R"({"error":{"class":"GenericError","desc":"no"},"id":3})");
}

TEST_CASE("QMP fails well at each step") {
    Peer peer;
    const std::string before = GENERATE("", greeting, "{\"QMP\"", "{\"QMP\": {}}\r\n{\"return\": {}, \"id\": 1}\r\n");
    const bool greeted = before.ends_with("1}\r\n");
    peer.say(before);
    SECTION("silence ends with the time limit") {
        CHECK(peer.finish(peer.qmp->ask("stop", nullptr, 50ms)) ==
              "Timed out during operation: QEMU did not answer 'stop' within 0.05 s");
        if (!greeted) CHECK(peer.finish(peer.qmp->greeting(50ms)).starts_with("Timed out during operation: QEMU did not answer"));
    }
    SECTION("death ends every wait") {
        auto first = peer.qmp->send("one"), second = peer.qmp->send("two");
        peer.heard(); // unread bytes would turn the end into a reset
        peer.hang_up();
        CHECK(peer.finish(first.result()) == "internal error: End of file from qemu monitor");
        CHECK(peer.finish(second.result()) == "internal error: End of file from qemu monitor");
        CHECK(peer.finish(peer.qmp->ask("three")) == "internal error: End of file from qemu monitor");
        CHECK(peer.closed == "End of file from qemu monitor");
    }
    SECTION("death with words of ours unread") {
        auto first = peer.qmp->send("one");
        peer.hang_up();
        CHECK(peer.finish(first.result()) == "internal error: Unable to read from monitor: Connection reset by peer");
    }
    SECTION("closing from our side tells the waiting, not the owner") {
        auto first = peer.qmp->send("one");
        peer.qmp->close("guest was destroyed");
        CHECK(peer.finish(first.result()) == "internal error: guest was destroyed");
        CHECK(peer.closed.empty());
    }
}

TEST_CASE("a QEMU that rambles is cut off") {
    QmpOptions narrow;
    narrow.max_line = 100'000;
    narrow.max_events_per_second = 100;
    Peer peer(narrow);
    peer.say(std::string(greeting) + "{\"return\": {}, \"id\": 1}\r\n");
    auto pending = peer.qmp->send("stop");
    SECTION("an endless line") {
        std::thread flood([fd = ::dup(peer.theirs)] {
            const std::string text(10'000, ' ');
            while (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0) {
            }
            ::close(fd);
        });
        CHECK(peer.finish(pending.result()) == "internal error: QEMU monitor reply exceeds buffer size (100000 bytes)");
        flood.join();
    }
    SECTION("a storm of events") {
        for (int i = 0; i < 200; ++i) peer.say("{\"event\": \"RTC_CHANGE\"}\r\n");
        CHECK(peer.finish(pending.result()) == "internal error: QEMU sends more than 100 events per second");
        CHECK(peer.events.size() == 100);
    }
    SECTION("no JSON") {
        peer.say("hello\r\n");
        CHECK(peer.finish(pending.result()) == "internal error: cannot parse json hello");
    }
    SECTION("an answer that nobody asked for") {
        peer.say("{\"return\": {}, \"id\": 99}\r\n");
        CHECK(peer.finish(pending.result()) == "internal error: Unexpected JSON reply '{\"return\": {}, \"id\": 99}'");
    }
}

TEST_CASE("descriptors travel with the command") {
    Peer peer;
    peer.heard();
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    auto pending = peer.qmp->send("getfd", {{"fdname", "x"}}, Fd(pipe[1]));
    char bytes[256], control[CMSG_SPACE(sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    REQUIRE(::recvmsg(peer.theirs, &message, 0) > 0);
    REQUIRE(CMSG_FIRSTHDR(&message));
    int fd;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    CHECK(::write(fd, "x", 1) == 1);
    ::close(fd);
    CHECK(::read(pipe[0], bytes, 2) == 1);
    CHECK(::read(pipe[0], bytes, 2) == 0); // our copy was closed
    ::close(pipe[0]);
}

TEST_CASE("the monitor socket is connected before QEMU runs, and again later") {
    const std::string path = fmt::format("/tmp/lodge-qmp-{}.sock", ::getpid());
    auto socket = listen_qmp(path);
    const Fd accepted(::accept(socket.listener.get(), nullptr, nullptr));
    CHECK(accepted);
    const Fd again = connect_qmp(path);
    CHECK(again);
    ::unlink(path.c_str());
    CHECK_THROWS_AS(connect_qmp(path), rpc::Error);
    CHECK_THROWS_AS(listen_qmp("/tmp/" + std::string(200, 'x')), rpc::Error);
}
