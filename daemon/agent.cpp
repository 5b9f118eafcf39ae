#include "daemon/agent.hpp"

namespace lodge::daemon {

using nlohmann::json;

Task<AgentSession> AgentSession::open(DomainPtr domain, std::string api) {
    auto job = co_await domain->acquire_agent(std::move(api));
    domain->require_active();
    if (domain->state() == static_cast<int>(api::domain_pmsuspended)) rpc::fail(Code::operation_invalid, "domain is not running");
    co_return AgentSession(std::move(domain), std::move(job));
}

Task<json> AgentSession::reply(std::string command, json arguments) {
    domain_->require_active(); // it may have ended since the last question
    json message = {{"execute", command}};
    if (!arguments.is_null()) message["arguments"] = std::move(arguments);
    const auto machine = domain_->shared_machine();
    const std::string text = co_await machine->agent_command(message.dump(), domain_->agent_limit());
    // A guest that went down or to sleep has done what it was asked to.
    if (text.empty()) co_return json{{"return", json::object()}};
    co_return json::parse(text, nullptr, false);
}

namespace {

json result_of(const std::string& command, json reply) {
    const auto refuse = [&](const std::string& why) {
        rpc::fail(Code::internal_error, "unable to execute QEMU agent command '{}'{}{}", command, why.empty() ? "" : ": ", why);
    };
    if (!reply.is_object()) refuse("");
    if (const auto error = reply.find("error"); error != reply.end()) refuse(error->value("desc", "unknown QEMU command error"));
    const auto result = reply.find("return");
    if (result == reply.end()) refuse("");
    return std::move(*result);
}

} // namespace

Task<json> AgentSession::ask(std::string command, json arguments) {
    co_return result_of(command, co_await reply(command, std::move(arguments)));
}

Task<std::optional<json>> AgentSession::ask_if_known(std::string command, json arguments) {
    json answer = co_await reply(command, std::move(arguments));
    if (answer.is_object() && answer.contains("error")) {
        const std::string kind = answer["error"].value("class", "");
        if (kind == "CommandNotFound" || kind == "CommandDisabled") co_return std::nullopt;
    }
    co_return result_of(command, std::move(answer));
}

Task<json> ask_agent(DomainPtr domain, std::string api, std::string command, json arguments) {
    auto session = co_await AgentSession::open(std::move(domain), std::move(api));
    co_return co_await session.ask(std::move(command), std::move(arguments));
}

} // namespace lodge::daemon
