// Calls that open a stream to a guest, and keys and pictures of its screen.
#include "daemon/lookup.hpp"
#include "daemon/stream.hpp"
#include "drivers/key_numbers.hpp"
#include "rpc/generated/qemu.hpp"
#include "xml/domain/domain.hpp"
#include <nlohmann/json.hpp>

namespace lodge::daemon {

namespace {

// Replies, then pumps: the client expects the reply before the first packet of its stream.
Task<> serve_console(ClientPtr client, rpc::Header call, DomainPtr domain, std::string device, bool force, bool channel) {
    auto machine = domain->shared_machine();
    drivers::Endpoint endpoint =
        channel ? co_await machine->open_channel(device, force) : co_await machine->open_console(device, force);
    client->reply(call, rpc::Nothing{});
    DescriptorStream::open(client, call, std::move(endpoint));
}

void open_console(Call& call, remote::DomainOpenConsoleArgs args) {
    auto domain = find_domain(call.client, args.dom);
    domain->require_active();
    call.client.run_replying(call.header, call.procedure.name,
                             serve_console(call.client.shared_from_this(), call.header, domain, args.dev_name.value_or(""),
                                           args.flags & api::domain_console_force, false));
}

void open_channel(Call& call, remote::DomainOpenChannelArgs args) {
    auto domain = find_domain(call.client, args.dom);
    domain->require_active();
    call.client.run_replying(call.header, call.procedure.name,
                             serve_console(call.client.shared_from_this(), call.header, domain, args.name.value_or(""),
                                           args.flags & api::domain_channel_force, true));
}

Task<> serve_screenshot(ClientPtr client, rpc::Header call, DomainPtr domain, unsigned screen) {
    auto [picture, mime] = co_await domain->shared_machine()->screenshot(screen);
    client->reply(call, remote::DomainScreenshotRet{mime});
    DescriptorStream::open(client, call, {std::move(picture), {}});
}

void screenshot(Call& call, remote::DomainScreenshotArgs args) {
    auto domain = find_domain(call.client, args.dom);
    domain->require_active();
    call.client.run_replying(call.header, call.procedure.name,
                             serve_screenshot(call.client.shared_from_this(), call.header, domain, args.screen));
}

Task<> send_key(ClientPtr client, remote::DomainSendKeyArgs args) {
    std::vector<unsigned> keys;
    for (const unsigned code : args.keycodes) keys.push_back(drivers::key_number(args.codeset, code));
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSendKey");
    domain->require_active();
    const auto machine = domain->shared_machine();
    co_await machine->send_keys(std::move(keys), args.holdtime);
}

Task<> inject_nmi(ClientPtr client, remote::DomainInjectNmiArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainInjectNMI");
    domain->require_active();
    co_await domain->machine().inject_nmi();
}

Task<std::string> ask_monitor(ClientPtr client, remote::NonnullDomain named, std::string command, unsigned flags, Fd file) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainQemuMonitorCommand");
    domain->require_active();
    const auto machine = domain->shared_machine();
    domain->taint(Taint::custom_monitor);
    co_return co_await machine->monitor_command(std::move(command), flags & api::domain_qemu_monitor_command_hmp,
                                                std::move(file));
}
Task<rpc::qemu::DomainMonitorCommandRet> monitor_command(ClientPtr client, rpc::qemu::DomainMonitorCommandArgs args) {
    co_return rpc::qemu::DomainMonitorCommandRet{co_await ask_monitor(client, args.dom, args.cmd, args.flags, {})};
}

// QEMU gives no descriptors back.
Task<rpc::qemu::DomainMonitorCommandWithFilesRet> ask_with_file(ClientPtr client,
                                                                rpc::qemu::DomainMonitorCommandWithFilesArgs args, Fd file) {
    co_return rpc::qemu::DomainMonitorCommandWithFilesRet{
        co_await ask_monitor(client, args.dom, args.cmd, args.flags, std::move(file))};
}
void monitor_command_with_files(Call& call, rpc::qemu::DomainMonitorCommandWithFilesArgs args) {
    if (call.fds.size() > 1) rpc::fail(Code::invalid_arg, "at most 1 fd can be passed to qemu along with a command");
    Fd file = call.fds.empty() ? Fd() : std::move(call.fds.front());
    call.client.run(call.header, call.procedure.name,
                    ask_with_file(call.client.shared_from_this(), std::move(args), std::move(file)));
}

// What the agent refused is an error of the call, as it is of every other that asks it.
void refuse_with_agent(const std::string& command, const std::string& reply) {
    using Json = nlohmann::json;
    const Json answer = Json::parse(reply, nullptr, false);
    if (!answer.is_object() || !answer.contains("error")) return;
    const Json asked = Json::parse(command, nullptr, false);
    const Json& error = answer["error"];
    rpc::fail(Code::internal_error, "unable to execute QEMU agent command '{}': {}",
              asked.is_object() ? asked.value("execute", "") : "", error.is_object() ? error.value("desc", "") : "");
}

Task<rpc::qemu::DomainAgentCommandRet> agent_command(ClientPtr client, rpc::qemu::DomainAgentCommandArgs args) {
    constexpr int for_ever = api::domain_qemu_agent_command_block;
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire_agent("virDomainQemuAgentCommand");
    domain->require_active();
    if (args.timeout < for_ever)
        rpc::fail(Code::invalid_arg, "guest agent timeout '{}' is less than the minimum '{}'", args.timeout, for_ever);
    if (!nlohmann::json::accept(args.cmd)) rpc::fail(rpc::from_nobody, Code::internal_error, "cannot parse json {}", args.cmd);
    std::optional<std::chrono::milliseconds> limit = std::chrono::seconds(args.timeout < 0 ? 5 : args.timeout);
    if (args.timeout == for_ever) limit.reset();
    domain->taint(Taint::custom_ga_command);
    rpc::qemu::DomainAgentCommandRet ret;
    ret.result = co_await domain->shared_machine()->agent_command(args.cmd, limit);
    refuse_with_agent(args.cmd, *ret.result);
    co_return ret;
}

constexpr Method table[] = {
    on<remote::DomainOpenConsoleCall, open_console>(),
    on<remote::DomainOpenChannelCall, open_channel>(),
    on<remote::DomainScreenshotCall, screenshot>(),
    on<remote::DomainSendKeyCall, send_key>(),
    on<remote::DomainInjectNmiCall, inject_nmi>(),
    on<rpc::qemu::DomainMonitorCommandCall, monitor_command>(),
    on<rpc::qemu::DomainAgentCommandCall, agent_command>(),
    on<rpc::qemu::DomainMonitorCommandWithFilesCall, monitor_command_with_files>(),
};

} // namespace

const MethodTable methods::domain_streams = table;

} // namespace lodge::daemon
