// Opening a connection: authentication, features, what the host can do.
#include "daemon/domain.hpp"
#include "daemon/method.hpp"
#include "daemon/polkit.hpp"
#include "daemon/remote_peers.hpp"
#include "xml/domain/domain.hpp"
#include <boost/asio/this_coro.hpp>
#include <unistd.h>

namespace lodge::daemon {

namespace {

using rpc::Nothing;

// The version of libvirt whose API this daemon speaks: major * 1,000,000 + minor * 1,000 + release.
constexpr std::uint64_t spoken_version = 9000000;

bool needs_polkit(Client& client) {
    if (client.door() == Door::admin || client.credentials().uid == 0 || client.credentials().uid == geteuid()) return false;
    const auto& config = client.host().config();
    return (client.door() == Door::read_only ? config.auth_unix_ro : config.auth_unix_rw) == "polkit";
}

remote::AuthListRet auth_list(Client& client, const Nothing&) {
    if (needs_polkit(client)) return {{remote::auth_polkit}};
    client.authenticate();
    return {{remote::auth_none}};
}

Task<remote::AuthPolkitRet> auth_polkit(ClientPtr client, Nothing) {
    const char* action = client->door() == Door::read_only ? "org.libvirt.unix.monitor" : "org.libvirt.unix.manage";
    co_await polkit::authorize(client->credentials(), action);
    client->authenticate();
    co_return remote::AuthPolkitRet{1};
}

struct Uri {
    std::string scheme, path;
};

// "qemu:///system", "qemu+unix:///system?socket=…", "test:///default". Clients take the transport off; some forget.
Uri parse_uri(const std::string& text) {
    const auto colon = text.find("://");
    if (colon == std::string::npos) rpc::fail(From::none, Code::no_connect, "no connection driver available for {}", text);
    Uri uri{text.substr(0, text.find('+') < colon ? text.find('+') : colon), {}};
    const auto slash = text.find('/', colon + 3);
    if (slash != std::string::npos) uri.path = text.substr(slash, text.find('?', slash) - slash);
    return uri;
}

// Connections that offer no guests, only the host's networks, interfaces and so on.
bool is_secondary(const std::string& scheme) {
    for (const char* name : {"network", "interface", "storage", "nodedev", "nwfilter", "secret"})
        if (scheme == name) return true;
    return false;
}

void open(Client& client, const remote::ConnectOpenArgs& args) {
    if (client.is_open()) rpc::fail(From::rpc, Code::internal_error, "connection already open");
    if (!args.name) rpc::fail(From::rpc, Code::internal_error, "connection not open");
    const bool readonly = args.flags & api::connect_ro;
    const char* place = geteuid() == 0 ? "/system" : "/session";
    if (args.name->empty()) return client.open(client.host().hypervisor("qemu"), readonly, fmt::format("qemu://{}", place));
    const Uri uri = parse_uri(*args.name);
    if (is_secondary(uri.scheme)) return client.open(nullptr, readonly, *args.name);
    Hypervisor* hypervisor = client.host().hypervisor(uri.scheme);
    if (!hypervisor) rpc::fail(From::none, Code::no_connect, "no connection driver available for {}", *args.name);
    if (uri.scheme == "qemu" && uri.path != "/system" && uri.path != "/session")
        rpc::fail(From::qemu, Code::internal_error, "unexpected QEMU URI path '{}', try qemu://{}", uri.path, place);
    if (uri.scheme == "qemu" && uri.path != place)
        rpc::fail(From::qemu, Code::internal_error, "unexpected QEMU URI path '{}', try qemu://{}", uri.path, place);
    if (uri.scheme == "test" && uri.path.empty())
        rpc::fail(From::test, Code::invalid_arg, "test driver: supply a path or use 'test:///default'");
    client.open(hypervisor, readonly, *args.name);
}

void close(Client& client, const Nothing&) { client.close_connection(); }

remote::ConnectSupportsFeatureRet supports_feature(Client& client, const remote::ConnectSupportsFeatureArgs& args) {
    // VIR_DRV_FEATURE_* that hold here. Migration protocols are offered when they are served.
    enum {
        fd_passing = 8,
        typed_param_string = 9,
        keepalive = 10,
        xml_migratable = 11,
        event_callback = 14,
        close_callback = 15,
        network_update_order = 16
    };
    switch (args.feature) {
    case keepalive: client.session().start_keepalive(); return {1};
    case fd_passing:
    case typed_param_string:
    case xml_migratable:
    case event_callback:
    case close_callback:
    case network_update_order: return {1};
    default: return {0};
    }
}

remote::ConnectGetTypeRet get_type(Client& client, const Nothing&) { return {client.hypervisor().driver().type()}; }

Task<remote::ConnectGetVersionRet> get_version(ClientPtr client, Nothing) {
    co_return remote::ConnectGetVersionRet{co_await client->hypervisor().driver().version()};
}

remote::ConnectGetLibVersionRet get_lib_version(Client&, const Nothing&) { return {spoken_version}; }
remote::ConnectGetUriRet get_uri(Client& client, const Nothing&) { return {client.uri()}; }
// A local socket is, and TLS; bare TCP is not.
remote::ConnectIsSecureRet is_secure(Client& client, const Nothing&) {
    const auto peer = remote_peers().of(client);
    return {!peer || peer->tls};
}

remote::ConnectGetHostnameRet get_hostname(Client&, const Nothing&) {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0) rpc::fail_errno(errno, "failed to determine host name");
    return {name};
}

Task<remote::ConnectGetMaxVcpusRet> get_max_vcpus(ClientPtr client, remote::ConnectGetMaxVcpusArgs args) {
    co_return remote::ConnectGetMaxVcpusRet{
        static_cast<std::int32_t>(co_await client->hypervisor().driver().max_vcpus(args.type.value_or("")))};
}

Task<remote::ConnectGetCapabilitiesRet> get_capabilities(ClientPtr client, Nothing) {
    co_return remote::ConnectGetCapabilitiesRet{co_await client->hypervisor().driver().capabilities()};
}

Task<remote::ConnectGetDomainCapabilitiesRet> get_domain_capabilities(ClientPtr client,
                                                                      remote::ConnectGetDomainCapabilitiesArgs args) {
    auto text = co_await client->hypervisor().driver().domain_capabilities(args.emulatorbin.value_or(""), args.arch.value_or(""),
                                                                           args.machine.value_or(""), args.virttype.value_or(""));
    co_return remote::ConnectGetDomainCapabilitiesRet{std::move(text)};
}

Task<remote::ConnectDomainXmlToNativeRet> domain_xml_to_native(ClientPtr client, remote::ConnectDomainXmlToNativeArgs args) {
    if (args.nativeFormat != "qemu-argv") rpc::fail(Code::invalid_arg, "unsupported config type {}", args.nativeFormat);
    xml::Domain document = xml::parse_domain(args.domainXml, {.from = From::domain});
    auto& driver = client->hypervisor().driver();
    co_await driver.complete(document);
    co_return remote::ConnectDomainXmlToNativeRet{co_await driver.native_command_line(document)};
}

void register_close_callback(Client& client, const Nothing&) {
    if (client.wants_close_event) rpc::fail(From::rpc, Code::internal_error, "A close callback is already registered");
    client.wants_close_event = true;
}

void unregister_close_callback(Client& client, const Nothing&) {
    if (!client.wants_close_event) rpc::fail(From::rpc, Code::internal_error, "A different callback was requested");
    client.wants_close_event = false;
}

constexpr Method table[] = {
    on<remote::AuthListCall, auth_list>(),
    on<remote::AuthPolkitCall, auth_polkit>(),
    on<remote::ConnectOpenCall, open>(),
    on<remote::ConnectCloseCall, close>(),
    on<remote::ConnectSupportsFeatureCall, supports_feature>(),
    on<remote::ConnectGetTypeCall, get_type>(),
    on<remote::ConnectGetVersionCall, get_version>(),
    on<remote::ConnectGetLibVersionCall, get_lib_version>(),
    on<remote::ConnectGetUriCall, get_uri>(),
    on<remote::ConnectIsSecureCall, is_secure>(),
    on<remote::ConnectGetHostnameCall, get_hostname>(),
    on<remote::ConnectGetMaxVcpusCall, get_max_vcpus>(),
    on<remote::ConnectGetCapabilitiesCall, get_capabilities>(),
    on<remote::ConnectGetDomainCapabilitiesCall, get_domain_capabilities>(),
    on<remote::ConnectDomainXmlToNativeCall, domain_xml_to_native>(),
    on<remote::ConnectRegisterCloseCallbackCall, register_close_callback>(),
    on<remote::ConnectUnregisterCloseCallbackCall, unregister_close_callback>(),
};

} // namespace

const MethodTable methods::connect = table;

} // namespace lodge::daemon
