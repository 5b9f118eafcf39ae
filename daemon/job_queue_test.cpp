#include "daemon/job_queue.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

using namespace lodge;
using daemon::JobQueue;
using namespace std::chrono_literals;

TEST_CASE("jobs come one after another, first come first served") {
    boost::asio::io_context io;
    JobQueue queue;
    auto owner = std::make_shared<int>();
    std::string order;
    auto work = [&](std::string name) -> rpc::Task<> {
        auto job = co_await queue.acquire(owner, name);
        order += name + "(";
        co_await rpc::sleep_for(2ms);
        order += ")";
    };
    for (const char* name : {"a", "b", "c"}) boost::asio::co_spawn(io, work(name), boost::asio::detached);
    io.run();
    CHECK(order == "a()b()c()");
    CHECK(queue.holder().empty());
}

TEST_CASE("who waits too long hears who holds the lock") {
    boost::asio::io_context io;
    JobQueue queue;
    auto owner = std::make_shared<int>();
    std::string error;
    auto holder = [&]() -> rpc::Task<> {
        auto job = co_await queue.acquire(owner, "virDomainSave");
        co_await rpc::sleep_for(1200ms);
    };
    auto waiter = [&]() -> rpc::Task<> {
        try {
            auto job = co_await queue.acquire(owner, "virDomainReset", std::chrono::seconds(1));
        } catch (const rpc::Error& e) {
            CHECK(e.code() == rpc::Code::operation_timeout);
            error = e.detail();
        }
    };
    boost::asio::co_spawn(io, holder(), boost::asio::detached);
    boost::asio::co_spawn(io, waiter(), boost::asio::detached);
    io.run();
    CHECK(error == "cannot acquire state change lock (held by virDomainSave for 1 s)");
    CHECK(queue.holder().empty());
}
