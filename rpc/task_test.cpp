#include "rpc/finish_blocking.hpp"
#include "rpc/start_blocking.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <latch>
#include <thread>

using namespace lodge;
namespace asio = boost::asio;

static void run_to_end(rpc::Task<> task) {
    asio::io_context io(1);
    std::exception_ptr failure;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr escaped) { failure = escaped; });
    io.run();
    rpc::finish_blocking();
    if (failure) std::rethrow_exception(failure);
}

static rpc::Task<> work_goes_on_beside(std::thread::id* ran_in) {
    auto met = std::make_shared<std::latch>(2);
    rpc::StartedWork started(co_await asio::this_coro::executor, [=] {
        *ran_in = std::this_thread::get_id();
        met->arrive_and_wait();
    });
    met->arrive_and_wait(); // hangs unless the work runs before anybody waits for its end
    co_await started.end();
}

static rpc::Task<> work_fails() {
    rpc::StartedWork started(co_await asio::this_coro::executor, [] { throw std::runtime_error("disk full"); });
    co_await rpc::sleep_for(std::chrono::milliseconds(20)); // it may have ended before it is awaited
    co_await started.end();
}

TEST_CASE("started work runs beside who started it") {
    std::thread::id ran_in;
    run_to_end(work_goes_on_beside(&ran_in));
    CHECK(ran_in != std::thread::id());
    CHECK(ran_in != std::this_thread::get_id());
}

TEST_CASE("the failure of started work is told to who waits for its end") {
    CHECK_THROWS_WITH(run_to_end(work_fails()), "disk full");
}
