// The admin program (virt-admin): servers, their clients and limits, the daemon's log. Two servers as in libvirtd: "libvirtd"
// stands for every socket but the admin one.
#include "rpc/generated/admin.hpp"
#include "daemon/admin_text.hpp"
#include "daemon/domain.hpp"
#include "daemon/host.hpp"
#include "daemon/logging.hpp"
#include "daemon/method.hpp"
#include "daemon/networks.hpp"
#include "daemon/remote_peers.hpp"
#include "rpc/generated/constants.hpp"
#include <csignal>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace lodge::daemon {

namespace admin = rpc::admin;
namespace api = rpc::api;

namespace {

using rpc::Nothing;
using rpc::TypedParam;

constexpr std::uint64_t spoken_version = 9000000; // as in methods/connect.cpp
constexpr const char* server_names[] = {"admin", "libvirtd"};

template<class... Args> [[noreturn]] void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::admin, code, format, std::forward<Args>(args)...);
}

// ---- servers ----

bool is_admin(const admin::NonnullServer& server) {
    for (const char* name : server_names)
        if (server.name == name) return name == server_names[0];
    rpc::fail(From::rpc, Code::no_server, "No server named '{}'", server.name);
}

void open(Client& client, const admin::ConnectOpenArgs&) {
    if (client.is_open()) rpc::fail(From::rpc, Code::internal_error, "connection already open");
    client.open(nullptr, false, "libvirtd:///system");
}
void close(Client& client, const Nothing&) { client.close_connection(); }
admin::ConnectGetLibVersionRet get_lib_version(Client&, const Nothing&) { return {spoken_version}; }

admin::ConnectListServersRet list_servers(Client&, const admin::ConnectListServersArgs& args) {
    admin::ConnectListServersRet ret{{}, std::size(server_names)};
    if (args.need_results)
        for (const char* name : server_names) ret.servers.push_back({name});
    return ret;
}

admin::ConnectLookupServerRet lookup_server(Client&, const admin::ConnectLookupServerArgs& args) {
    admin::NonnullServer server{args.name};
    is_admin(server);
    return {std::move(server)};
}

// ---- clients ----

std::vector<ClientPtr> clients_of(Host& host, const admin::NonnullServer& server) {
    const bool wanted = is_admin(server);
    std::vector<ClientPtr> found;
    for (const auto& client : host.clients())
        if ((client->door() == Door::admin) == wanted) found.push_back(client);
    std::ranges::sort(found, {}, [](const ClientPtr& client) { return client->id(); });
    return found;
}

ClientPtr find_client(Host& host, const admin::NonnullServer& server, std::uint64_t id) {
    for (const auto& client : clients_of(host, server))
        if (client->id() == id) return client;
    rpc::fail(From::rpc, Code::no_client, "No client with matching ID '{}'", id);
}

admin::NonnullClient wire(const admin::NonnullServer& server, Client& client) {
    const auto peer = remote_peers().of(client);
    const auto transport = !peer ? api::client_trans_unix : peer->tls ? api::client_trans_tls : api::client_trans_tcp;
    return {server, client.id(), client.connected_at(), transport};
}

admin::ServerListClientsRet list_clients(Client& caller, const admin::ServerListClientsArgs& args) {
    const auto found = clients_of(caller.host(), args.srv);
    admin::ServerListClientsRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& client : found) ret.clients.push_back(wire(args.srv, *client));
    return ret;
}

admin::ServerLookupClientRet lookup_client(Client& caller, const admin::ServerLookupClientArgs& args) {
    return {wire(args.srv, *find_client(caller.host(), args.srv, args.id))};
}

std::string user_name(uid_t uid) {
    passwd entry{};
    passwd* found = nullptr;
    char buffer[4096];
    return getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found ? found->pw_name : "";
}
std::string group_name(gid_t gid) {
    group entry{};
    group* found = nullptr;
    char buffer[4096];
    return getgrgid_r(gid, &entry, buffer, sizeof buffer, &found) == 0 && found ? found->gr_name : "";
}

// Looking up names may ask a directory service: not on the control thread.
Task<admin::ClientGetInfoRet> get_client_info(ClientPtr caller, admin::ClientGetInfoArgs args) {
    const auto client = find_client(caller->host(), args.clnt.srv, args.clnt.id);
    const Credentials credentials = client->credentials();
    const bool readonly = client->is_readonly();
    if (const auto peer = remote_peers().of(*client)) {
        admin::ClientGetInfoRet ret;
        ret.params = {{api::client_info_readonly, readonly}, {api::client_info_socket_addr, peer->address}};
        if (!peer->x509_name.empty()) ret.params.push_back({api::client_info_x509_distinguished_name, peer->x509_name});
        co_return ret;
    }
    const auto names = co_await rpc::blocking_result(
        [credentials] { return std::pair(user_name(credentials.uid), group_name(credentials.gid)); });
    admin::ClientGetInfoRet ret;
    ret.params = {{api::client_info_readonly, readonly},
                  {api::client_info_unix_user_id, static_cast<std::int32_t>(credentials.uid)},
                  {api::client_info_unix_user_name, names.first},
                  {api::client_info_unix_group_id, static_cast<std::int32_t>(credentials.gid)},
                  {api::client_info_unix_group_name, names.second},
                  {api::client_info_unix_process_id, static_cast<std::int32_t>(credentials.pid)}};
    std::erase_if(ret.params, [](const TypedParam& param) {
        const auto* text = std::get_if<std::string>(&param.value);
        return text && text->empty();
    });
    co_return ret;
}

void close_client(Client& caller, const admin::ClientCloseArgs& args) {
    const auto client = find_client(caller.host(), args.clnt.srv, args.clnt.id);
    if (client.get() == &caller)
        client->session().close_when_written();
    else
        client->session().close("disconnected by the administrator");
}

// ---- limits ----

unsigned known_value(const TypedParam& param, std::initializer_list<const char*> names) {
    if (std::ranges::none_of(names, [&](const char* name) { return param.field == name; }))
        refuse(Code::invalid_arg, "parameter '{}' not supported", param.field);
    const auto* value = std::get_if<std::uint32_t>(&param.value);
    if (!value) refuse(Code::invalid_arg, "invalid type for parameter '{}', expected 'uint'", param.field);
    return *value;
}

// Calls run on one thread here, and what may block on a small pool of its own: the numbers are kept for whoever asks.
struct Workers {
    int &min, &max;
    int priority;
};
Workers workers(Config& config, bool admin_server) {
    if (admin_server) return {config.admin_min_workers, config.admin_max_workers, 0};
    return {config.min_workers, config.max_workers, config.prio_workers};
}

admin::ServerGetThreadpoolParametersRet get_threadpool(Client& client, const admin::ServerGetThreadpoolParametersArgs& args) {
    const bool admin_server = is_admin(args.srv);
    const Workers pool = workers(client.host().mutable_config(), admin_server);
    const auto number = [](int value) { return static_cast<std::uint32_t>(value); };
    return {{{api::threadpool_workers_min, number(pool.min)},
             {api::threadpool_workers_max, number(pool.max)},
             {api::threadpool_workers_current, number(pool.min)},
             {api::threadpool_workers_free, number(pool.min - (admin_server ? 1 : 0))},
             {api::threadpool_workers_priority, number(pool.priority)},
             {api::threadpool_job_queue_depth, 0U}}};
}

void set_threadpool(Client& client, const admin::ServerSetThreadpoolParametersArgs& args) {
    Config& config = client.host().mutable_config();
    const Workers pool = workers(config, is_admin(args.srv));
    int min = pool.min, max = pool.max, priority = pool.priority;
    for (const auto& param : args.params) {
        const auto value = static_cast<int>(
            known_value(param, {api::threadpool_workers_min, api::threadpool_workers_max, api::threadpool_workers_priority}));
        (param.field == api::threadpool_workers_min ? min : param.field == api::threadpool_workers_max ? max : priority) = value;
    }
    if ((max == 0) != (pool.max == 0))
        rpc::fail(Code::invalid_arg, "maxWorkers must not be switched from zero to non-zero and vice versa");
    if (min > max) rpc::fail(Code::invalid_arg, "minWorkers cannot be larger than maxWorkers");
    pool.min = min;
    pool.max = max;
    if (!is_admin(args.srv)) config.prio_workers = priority;
}

admin::ServerGetClientLimitsRet get_client_limits(Client& client, const admin::ServerGetClientLimitsArgs& args) {
    Host& host = client.host();
    const bool admin_server = is_admin(args.srv);
    const auto found = clients_of(host, args.srv);
    const auto waiting = std::ranges::count_if(found, [](const ClientPtr& c) { return !c->is_authenticated(); });
    const int unauthenticated = admin_server ? 0 : host.config().max_anonymous_clients;
    return {
        {{api::server_clients_max, static_cast<std::uint32_t>(host.max_clients(admin_server ? Door::admin : Door::read_write))},
         {api::server_clients_current, static_cast<std::uint32_t>(found.size())},
         {api::server_clients_unauth_max, static_cast<std::uint32_t>(unauthenticated)},
         {api::server_clients_unauth_current, static_cast<std::uint32_t>(waiting)}}};
}

void set_client_limits(Client& client, const admin::ServerSetClientLimitsArgs& args) {
    Config& config = client.host().mutable_config();
    const bool admin_server = is_admin(args.srv);
    int& max_clients = admin_server ? config.admin_max_clients : config.max_clients;
    int max = max_clients, waiting = admin_server ? 0 : config.max_anonymous_clients;
    for (const auto& param : args.params) {
        const auto value = static_cast<int>(known_value(param, {api::server_clients_max, api::server_clients_unauth_max}));
        (param.field == api::server_clients_max ? max : waiting) = value;
    }
    if (max < waiting)
        rpc::fail(From::rpc, Code::invalid_arg,
                  "The overall maximum number of clients waiting for authentication must not be less than the overall maximum "
                  "number of clients");
    max_clients = max;
    if (!admin_server) config.max_anonymous_clients = waiting;
}

[[noreturn]] void update_tls_files(Client&, const admin::ServerUpdateTlsFilesArgs& args) {
    is_admin(args.srv);
    rpc::fail(From::rpc, Code::internal_error, "no tls service found, unable to update tls files");
}

// ---- the log ----

admin::ConnectGetLoggingOutputsRet get_outputs(Client&, const admin::ConnectGetLoggingOutputsArgs&) {
    const std::string outputs = log_outputs();
    return {outputs, static_cast<std::uint32_t>(count_words(outputs))};
}

void set_outputs(Client& client, const admin::ConnectSetLoggingOutputsArgs& args) {
    const std::string wanted = args.outputs.value_or("");
    check_log_outputs(wanted);
    set_log_outputs(wanted);
    client.host().mutable_config().log_outputs = wanted;
}

admin::ConnectGetLoggingFiltersRet get_filters(Client& client, const admin::ConnectGetLoggingFiltersArgs&) {
    const std::string& filters = client.host().config().log_filters;
    return {filters, static_cast<std::uint32_t>(count_words(filters))};
}

// Our lines carry no module names, so the loudest filter decides how much the daemon says.
void set_filters(Client& client, const admin::ConnectSetLoggingFiltersArgs& args) {
    Config& config = client.host().mutable_config();
    const auto filters = parse_log_filters(args.filters.value_or(""));
    config.log_filters = filters.text;
    set_log_level(std::min(config.log_level, filters.loudest));
}

void set_daemon_timeout(Client& client, const admin::ConnectSetDaemonTimeoutArgs& args) {
    client.host().idle().set_limit(std::chrono::seconds(args.timeout));
}

constexpr Method table[] = {
    on<admin::ConnectOpenCall, open>(),
    on<admin::ConnectCloseCall, close>(),
    on<admin::ConnectGetLibVersionCall, get_lib_version>(),
    on<admin::ConnectListServersCall, list_servers>(),
    on<admin::ConnectLookupServerCall, lookup_server>(),
    on<admin::ServerGetThreadpoolParametersCall, get_threadpool>(),
    on<admin::ServerSetThreadpoolParametersCall, set_threadpool>(),
    on<admin::ServerListClientsCall, list_clients>(),
    on<admin::ServerLookupClientCall, lookup_client>(),
    on<admin::ClientGetInfoCall, get_client_info>(),
    on<admin::ClientCloseCall, close_client>(),
    on<admin::ServerGetClientLimitsCall, get_client_limits>(),
    on<admin::ServerSetClientLimitsCall, set_client_limits>(),
    on<admin::ServerUpdateTlsFilesCall, update_tls_files>(),
    on<admin::ConnectGetLoggingOutputsCall, get_outputs>(),
    on<admin::ConnectGetLoggingFiltersCall, get_filters>(),
    on<admin::ConnectSetLoggingOutputsCall, set_outputs>(),
    on<admin::ConnectSetLoggingFiltersCall, set_filters>(),
    on<admin::ConnectSetDaemonTimeoutCall, set_daemon_timeout>(),
};

} // namespace

const MethodTable methods::admin = table;

} // namespace lodge::daemon
