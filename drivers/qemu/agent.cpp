// The guest's agent: one command at a time over its channel's socket, begun by a handshake that throws away what an earlier,
// impatient caller left unread.
#include "drivers/qemu/machine.hpp"
#include "xml/domain/domain.hpp"
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <random>

namespace asio = boost::asio;

namespace lodge::drivers::qemu {

// One command, from its handshake to its answer.
struct AgentCall {
    explicit AgentCall(const Executor& executor)
        : socket(executor)
        , timer(executor) {}
    asio::local::stream_protocol::socket socket;
    asio::steady_timer timer;
    std::string input;
    bool late = false;
};

namespace {

using Agent = AgentCall;

// An agent that lives answers a handshake at once, whatever the command after it may take.
constexpr std::chrono::milliseconds sync_limit = 5s;

// From now on; absent: no limit.
void allow(std::shared_ptr<Agent> agent, std::optional<std::chrono::milliseconds> limit) {
    agent->timer.cancel();
    if (!limit) return;
    agent->timer.expires_after(*limit);
    agent->timer.async_wait([agent](boost::system::error_code error) {
        if (error) return;
        agent->late = true;
        agent->socket.close(error);
    });
}

bool is_agent(const xml::Channel& channel) {
    return channel.target.name == "org.qemu.guest_agent.0" && channel.source.type == xml::CharType::unix_;
}

// Reads lines until one is an object that `wanted` likes.
template<class F> Task<json> await_answer(std::shared_ptr<Agent> agent, F wanted) {
    for (;;) {
        boost::system::error_code error;
        const std::size_t size =
            co_await asio::async_read_until(agent->socket, asio::dynamic_buffer(agent->input, 16 * 1024 * 1024), '\n',
                                            asio::redirect_error(asio::use_awaitable, error));
        if (agent->late) rpc::fail(Code::agent_unresponsive, "guest agent didn't respond to command within the time allowed");
        if (error) rpc::fail(Code::agent_unresponsive, "Guest agent disappeared while executing command");
        std::string line = agent->input.substr(0, size);
        agent->input.erase(0, size);
        // 0xff marks where the answer to guest-sync-delimited begins.
        if (const auto mark = line.rfind('\xff'); mark != std::string::npos) line.erase(0, mark + 1);
        json answer = json::parse(line, nullptr, false);
        if (answer.is_object() && wanted(answer)) co_return answer;
    }
}

} // namespace

Task<> QemuMachine::forget_missed_ticks() {
    const auto self = shared_from_this();
    co_await ask("rtc-reset-reinjection");
}

// The port is closed on the guest's side: nobody there will answer.
void QemuMachine::on_agent_gone() {
    boost::system::error_code ignored;
    for (const auto& waiting : std::exchange(agent_calls_, {}))
        if (const auto call = waiting.lock()) call->socket.close(ignored);
}

// A guest on its way down or to sleep need not answer.
static bool may_go_unanswered(const std::string& command) {
    return command.find("guest-shutdown") != std::string::npos || command.find("guest-suspend-") != std::string::npos;
}

Task<std::string> QemuMachine::agent_command(std::string command, std::optional<std::chrono::milliseconds> limit) {
    const auto self = shared_from_this();
    if (state_ != RunState::running) rpc::fail(Code::operation_invalid, "domain is not running");
    const xml::Channel* channel = nullptr;
    for (const auto& candidate : parts_.domain->devices.channels)
        if (is_agent(candidate)) channel = &candidate;
    if (!channel) rpc::fail(Code::argument_unsupported, "QEMU guest agent is not configured");
    if (channel->target.state != xml::ChannelState::connected)
        rpc::fail(Code::agent_unresponsive, "QEMU guest agent is not connected");
    const std::string path = channel->source.first().path;
    const auto agent = std::make_shared<Agent>(parts_.executor);
    std::erase_if(agent_calls_, [](const auto& call) { return call.expired(); });
    agent_calls_.push_back(agent);
    allow(agent, std::min(limit.value_or(sync_limit), sync_limit));
    std::exception_ptr failure;
    bool asked = false;
    json answer;
    try {
        boost::system::error_code error;
        co_await agent->socket.async_connect(path, asio::redirect_error(asio::use_awaitable, error));
        if (error) rpc::fail(Code::agent_unresponsive, "QEMU guest agent is not connected");
        static std::mt19937 random{std::random_device{}()};
        const std::int64_t token = random();
        const std::string sync = "\xff" + json{{"execute", "guest-sync-delimited"}, {"arguments", {{"id", token}}}}.dump() + "\n";
        co_await asio::async_write(agent->socket, asio::buffer(sync), asio::redirect_error(asio::use_awaitable, error));
        co_await await_answer(agent, [token](const json& said) { return said.value("return", json()) == token; });
        allow(agent, limit);
        const std::string line = command + "\n";
        co_await asio::async_write(agent->socket, asio::buffer(line), asio::redirect_error(asio::use_awaitable, error));
        asked = !error;
        if (command.find("guest-shutdown") == std::string::npos)
            answer = co_await await_answer(agent, [](const json&) { return true; });
    } catch (...) {
        failure = std::current_exception();
    }
    if (asked && !agent->late && may_go_unanswered(command)) failure = nullptr;
    agent->timer.cancel();
    boost::system::error_code ignored;
    agent->socket.close(ignored);
    if (failure) std::rethrow_exception(failure);
    co_return answer.is_null() ? std::string() : answer.dump();
}

} // namespace lodge::drivers::qemu
