// Calls that a guest's agent answers: file systems, users, keys, time, and what the guest tells about itself.
#include "daemon/addresses.hpp"
#include "daemon/agent.hpp"
#include "daemon/guest_info.hpp"
#include "daemon/lookup.hpp"
#include "rpc/base64.hpp"

namespace lodge::daemon {

namespace {

using nlohmann::json;

// Of a guest that is off, what asks the agent more than a plain question speaks in the driver's name.
void require_guest(const Domain& domain) {
    if (!domain.is_active()) rpc::fail(Code::operation_invalid, "domain is not running");
}

// ---- file systems ----

Task<remote::DomainFsfreezeRet> fsfreeze(ClientPtr client, remote::DomainFsfreezeArgs args) {
    auto domain = find_domain(*client, args.dom);
    const bool all = args.mountpoints.empty();
    const json frozen =
        co_await ask_agent(domain, "virDomainFSFreeze", all ? "guest-fsfreeze-freeze" : "guest-fsfreeze-freeze-list",
                           all ? json() : json{{"mountpoints", args.mountpoints}});
    if (!frozen.is_number_integer()) rpc::fail(Code::internal_error, "malformed return value");
    co_return remote::DomainFsfreezeRet{frozen.get<std::int32_t>()};
}

Task<remote::DomainFsthawRet> fsthaw(ClientPtr client, remote::DomainFsthawArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (!args.mountpoints.empty()) rpc::fail(Code::argument_unsupported, "specifying mountpoints is not supported");
    const json thawed = co_await ask_agent(domain, "virDomainFSThaw", "guest-fsfreeze-thaw");
    if (!thawed.is_number_integer()) rpc::fail(Code::internal_error, "malformed return value");
    co_return remote::DomainFsthawRet{thawed.get<std::int32_t>()};
}

Task<> fstrim(ClientPtr client, remote::DomainFstrimArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (args.mountPoint) rpc::fail(Code::argument_unsupported, "Specifying mount point is not supported for now");
    if (!domain->is_active()) rpc::fail(Code::operation_invalid, "domain is not running");
    co_await ask_agent(domain, "virDomainFSTrim", "guest-fstrim", {{"minimum", args.minimum}});
}

Task<remote::DomainGetFsinfoRet> get_fsinfo(ClientPtr client, remote::DomainGetFsinfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    const json answer = co_await ask_agent(domain, "virDomainGetFSInfo", "guest-get-fsinfo");
    remote::DomainGetFsinfoRet ret;
    ret.info = guest_info::filesystems(answer, *domain->current());
    ret.ret = static_cast<std::uint32_t>(ret.info.size());
    co_return ret;
}

// ---- users ----

Task<> set_user_password(ClientPtr client, remote::DomainSetUserPasswordArgs args) {
    auto domain = find_domain(*client, args.dom);
    co_await ask_agent(domain, "virDomainSetUserPassword", "guest-set-user-password",
                       {{"crypted", (args.flags & api::domain_password_encrypted) != 0},
                        {"username", args.user.value_or("")},
                        {"password", rpc::to_base64(args.password.value_or(""))}});
}

Task<remote::DomainAuthorizedSshKeysGetRet> ssh_keys_get(ClientPtr client, remote::DomainAuthorizedSshKeysGetArgs args) {
    auto domain = find_domain(*client, args.dom);
    require_guest(*domain);
    const json answer =
        co_await ask_agent(domain, "virDomainAuthorizedSSHKeysGet", "guest-ssh-get-authorized-keys", {{"username", args.user}});
    const auto keys = answer.is_object() ? answer.find("keys") : answer.end();
    if (keys == answer.end() || !keys->is_array()) rpc::fail(Code::internal_error, "qemu agent didn't return an array of keys");
    remote::DomainAuthorizedSshKeysGetRet ret;
    for (const auto& key : *keys)
        if (key.is_string()) ret.keys.push_back(key.get<std::string>());
    co_return ret;
}

Task<> ssh_keys_set(ClientPtr client, remote::DomainAuthorizedSshKeysSetArgs args) {
    const bool remove = args.flags & api::domain_authorized_ssh_keys_set_remove;
    const bool append = args.flags & api::domain_authorized_ssh_keys_set_append;
    if (args.keys.empty() && (remove || append))
        rpc::fail(From::domain, Code::invalid_arg, "keys in virDomainAuthorizedSSHKeysSet must not be NULL");
    auto domain = find_domain(*client, args.dom);
    require_guest(*domain);
    json arguments = {{"username", args.user}, {"keys", args.keys}};
    if (!remove) arguments["reset"] = !append;
    co_await ask_agent(domain, "virDomainAuthorizedSSHKeysSet",
                       remove ? "guest-ssh-remove-authorized-keys" : "guest-ssh-add-authorized-keys", std::move(arguments));
}

// ---- time ----

constexpr std::int64_t second_ns = 1'000'000'000;

Task<remote::DomainGetTimeRet> get_time(ClientPtr client, remote::DomainGetTimeArgs args) {
    auto domain = find_domain(*client, args.dom);
    const json time = co_await ask_agent(domain, "virDomainGetTime", "guest-get-time");
    if (!time.is_number_integer()) rpc::fail(Code::internal_error, "malformed return value");
    co_return remote::DomainGetTimeRet{time.get<std::int64_t>() / second_ns,
                                       static_cast<std::uint32_t>(time.get<std::int64_t>() % second_ns)};
}

Task<> set_time(ClientPtr client, remote::DomainSetTimeArgs args) {
    auto domain = find_domain(*client, args.dom);
    // libvirt asks first what a QEMU can do that is not there; its code for that is kept.
    if (!domain->is_active()) rpc::fail(Code::operation_unsupported, "cannot set time: domain is not running");
    json arguments;
    if (!(args.flags & api::domain_time_sync)) {
        if (args.seconds > std::numeric_limits<std::int64_t>::max() / second_ns - 1)
            rpc::fail(Code::invalid_arg, "Time '{}' is too big for guest agent", args.seconds);
        arguments = {{"time", args.seconds * second_ns + args.nseconds}};
    }
    co_await ask_agent(domain, "virDomainSetTime", "guest-set-time", std::move(arguments));
    // Ticks that the guest missed must not be delivered on top of the time that it has now.
    auto job = co_await domain->acquire("virDomainSetTime");
    domain->require_active();
    co_await domain->machine().forget_missed_ticks();
}

// ---- what the guest tells ----

Task<remote::DomainGetHostnameRet> get_hostname(ClientPtr client, remote::DomainGetHostnameArgs args) {
    constexpr unsigned lease = api::domain_get_hostname_lease, agent = api::domain_get_hostname_agent;
    if ((args.flags & (lease | agent)) == (lease | agent))
        rpc::fail(Code::invalid_arg, "flags 'VIR_DOMAIN_GET_HOSTNAME_LEASE' and 'VIR_DOMAIN_GET_HOSTNAME_AGENT' in function "
                                     "'qemuDomainGetHostname' are mutually exclusive");
    auto domain = find_domain(*client, args.dom);
    std::string name;
    if (args.flags & lease) {
        domain->require_active();
        name = co_await leased_hostname(client->host(), domain->current());
    } else {
        const json answer = co_await ask_agent(domain, "virDomainGetHostname", "guest-get-host-name");
        if (answer.is_object() && answer.contains("host-name") && answer["host-name"].is_string()) name = answer["host-name"];
    }
    if (name.empty()) rpc::fail(Code::no_hostname, "no hostname found for domain {}", domain->name());
    co_return remote::DomainGetHostnameRet{name};
}

// A group of virDomainGetGuestInfo: the question, and what becomes of the answer.
struct InfoGroup {
    unsigned type;
    const char* command;
    void (*add)(guest_info::Params& out, const json& answer, const xml::Domain& domain);
};
constexpr InfoGroup info_groups[] = {
    {api::domain_guest_info_users, "guest-get-users", [](auto& out, auto& answer, auto&) { guest_info::add_users(out, answer); }},
    {api::domain_guest_info_os, "guest-get-osinfo", [](auto& out, auto& answer, auto&) { guest_info::add_os(out, answer); }},
    {api::domain_guest_info_timezone, "guest-get-timezone",
     [](auto& out, auto& answer, auto&) { guest_info::add_timezone(out, answer); }},
    {api::domain_guest_info_hostname, "guest-get-host-name",
     [](auto& out, auto& answer, auto&) {
         if (answer.is_object() && answer.contains("host-name") && answer["host-name"].is_string())
             out.push_back({"hostname", answer["host-name"].template get<std::string>()});
     }},
    {api::domain_guest_info_filesystem, "guest-get-fsinfo", guest_info::add_filesystems},
    {api::domain_guest_info_disks, "guest-get-disks", guest_info::add_disks},
    {api::domain_guest_info_interfaces, "guest-network-get-interfaces",
     [](auto& out, auto& answer, auto&) { guest_info::add_interfaces(out, answer); }},
};

Task<remote::DomainGetGuestInfoRet> get_guest_info(ClientPtr client, remote::DomainGetGuestInfoArgs args) {
    unsigned known = 0;
    for (const auto& group : info_groups) known |= group.type;
    if (args.types & ~known) rpc::fail(Code::invalid_arg, "unsupported guest information types '0x{:x}'", args.types & ~known);
    auto domain = find_domain(*client, args.dom);
    require_guest(*domain);
    auto session = co_await AgentSession::open(domain, "virDomainGetGuestInfo");
    remote::DomainGetGuestInfoRet ret;
    for (const auto& group : info_groups) {
        if (args.types && !(args.types & group.type)) continue;
        // Who asks for everything takes what there is; who asks for something wants that.
        const auto answer =
            args.types ? std::optional(co_await session.ask(group.command)) : co_await session.ask_if_known(group.command);
        if (answer) group.add(ret.params, *answer, *domain->current());
    }
    co_return ret;
}

remote::DomainAgentSetResponseTimeoutRet set_response_timeout(Client& client,
                                                              const remote::DomainAgentSetResponseTimeoutArgs& args) {
    constexpr int for_ever = -2; // VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK
    if (args.timeout < for_ever)
        rpc::fail(Code::invalid_arg, "guest agent timeout '{}' is less than the minimum '{}'", args.timeout, for_ever);
    auto domain = find_domain(client, args.dom);
    domain->agent_timeout = args.timeout;
    if (domain->is_active()) domain->keep_status();
    return {0};
}

// ---- sleep ----

Task<> pm_suspend(ClientPtr client, remote::DomainPmSuspendForDurationArgs args) {
    static constexpr const char* commands[] = {"guest-suspend-ram", "guest-suspend-disk", "guest-suspend-hybrid"};
    if (args.duration) rpc::fail(Code::argument_unsupported, "Duration not supported. Use 0 for now");
    if (args.target >= std::size(commands)) rpc::fail(Code::invalid_arg, "Unknown suspend target: {}", args.target);
    auto domain = find_domain(*client, args.dom);
    if (!domain->is_active()) rpc::fail(Code::operation_invalid, "domain is not running");
    // A guest that sleeps does not answer any more.
    co_await ask_agent(domain, "virDomainPMSuspendForDuration", commands[args.target]);
}

constexpr Method table[] = {
    on<remote::DomainFsfreezeCall, fsfreeze>(),
    on<remote::DomainFsthawCall, fsthaw>(),
    on<remote::DomainFstrimCall, fstrim>(),
    on<remote::DomainGetFsinfoCall, get_fsinfo>(),
    on<remote::DomainSetUserPasswordCall, set_user_password>(),
    on<remote::DomainAuthorizedSshKeysGetCall, ssh_keys_get>(),
    on<remote::DomainAuthorizedSshKeysSetCall, ssh_keys_set>(),
    on<remote::DomainGetTimeCall, get_time>(),
    on<remote::DomainSetTimeCall, set_time>(),
    on<remote::DomainGetHostnameCall, get_hostname>(),
    on<remote::DomainGetGuestInfoCall, get_guest_info>(),
    on<remote::DomainAgentSetResponseTimeoutCall, set_response_timeout>(),
    on<remote::DomainPmSuspendForDurationCall, pm_suspend>(),
};

} // namespace

const MethodTable methods::domain_agent = table;

} // namespace lodge::daemon
