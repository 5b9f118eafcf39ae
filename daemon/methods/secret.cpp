// Secrets: the calls of virsh secret-*.
#include "daemon/method.hpp"
#include "daemon/schema.hpp"
#include "daemon/secrets.hpp"
#include "rpc/generated/constants.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using rpc::Nothing;

// The secrets are the host's; guests that exist only in memory have no host.
Secrets& secrets(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "secrets of the test driver");
    return client.host().secrets();
}

// ---- lists and look-ups ----

remote::ConnectNumOfSecretsRet count(Client& client, const Nothing&) {
    return {static_cast<std::int32_t>(secrets(client).list(0).size())};
}

remote::ConnectListSecretsRet list(Client& client, const remote::ConnectListSecretsArgs& args) {
    if (args.maxuuids < 0) rpc::fail(Code::invalid_arg, "maxuuids must be zero or greater");
    remote::ConnectListSecretsRet ret;
    for (const auto& secret : secrets(client).list(0))
        if (ret.uuids.size() < static_cast<std::size_t>(args.maxuuids)) ret.uuids.push_back(secret->uuid().text());
    return ret;
}

remote::ConnectListAllSecretsRet list_all(Client& client, const remote::ConnectListAllSecretsArgs& args) {
    const auto found = secrets(client).list(args.flags);
    remote::ConnectListAllSecretsRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& secret : found) ret.secrets.push_back(secret->wire());
    return ret;
}

remote::SecretLookupByUuidRet lookup_by_uuid(Client& client, const remote::SecretLookupByUuidArgs& args) {
    return {secrets(client).find(args.uuid)->wire()};
}
remote::SecretLookupByUsageRet lookup_by_usage(Client& client, const remote::SecretLookupByUsageArgs& args) {
    return {secrets(client).find_usage(static_cast<xml::SecretUsage>(args.usageType), args.usageID)->wire()};
}

remote::SecretGetXmlDescRet get_xml_desc(Client& client, const remote::SecretGetXmlDescArgs& args) {
    return {xml::format_secret(secrets(client).find(args.secret.uuid)->document)};
}

// ---- changes ----

Task<remote::SecretDefineXmlRet> define_xml(ClientPtr client, remote::SecretDefineXmlArgs args) {
    co_await validate_if(args.flags & api::secret_define_validate, args.xml, "secret.rng");
    const auto secret = co_await secrets(*client).define(xml::parse_secret(args.xml));
    co_return remote::SecretDefineXmlRet{secret->wire()};
}
Task<> undefine(ClientPtr client, remote::SecretUndefineArgs args) { co_await secrets(*client).undefine(args.secret.uuid); }

// ---- values ----

Task<> set_value(ClientPtr client, remote::SecretSetValueArgs args) {
    co_await secrets(*client).set_value(args.secret.uuid, std::string(args.value.begin(), args.value.end()));
}

// What is private is for drivers alone, whoever asks.
remote::SecretGetValueRet get_value(Client& client, const remote::SecretGetValueArgs& args) {
    const auto secret = secrets(client).find(args.secret.uuid);
    if (secret->document.private_) rpc::fail(From::secret, Code::invalid_secret, "secret is private");
    const auto& value = secret->value();
    return {{value.begin(), value.end()}};
}

// ---- events ----

remote::ConnectSecretEventRegisterAnyRet register_event(Client& client, const remote::ConnectSecretEventRegisterAnyArgs& args) {
    auto& host_secrets = secrets(client);
    if (args.eventID < 0 || args.eventID >= static_cast<int>(api::secret_event_id_last))
        rpc::fail(From::rpc, Code::internal_error, "unsupported secret event ID {}", args.eventID);
    Subscription subscription{
        .client = &client, .kind = EventKind::secret, .event = args.eventID, .scope = nullptr, .object = {}, .pattern = {}};
    if (args.secret) subscription.object = host_secrets.find(args.secret->uuid)->uuid();
    return {client.host().events().add(std::move(subscription))};
}

void deregister_event(Client& client, const remote::ConnectSecretEventDeregisterAnyArgs& args) {
    client.host().events().remove_known(client, EventKind::secret, args.callbackID, "secret");
}

constexpr Method table[] = {
    on<remote::ConnectNumOfSecretsCall, count>(),
    on<remote::ConnectListSecretsCall, list>(),
    on<remote::ConnectListAllSecretsCall, list_all>(),
    on<remote::SecretLookupByUuidCall, lookup_by_uuid>(),
    on<remote::SecretLookupByUsageCall, lookup_by_usage>(),
    on<remote::SecretGetXmlDescCall, get_xml_desc>(),
    on<remote::SecretDefineXmlCall, define_xml>(),
    on<remote::SecretUndefineCall, undefine>(),
    on<remote::SecretSetValueCall, set_value>(),
    on<remote::SecretGetValueCall, get_value>(),
    on<remote::ConnectSecretEventRegisterAnyCall, register_event>(),
    on<remote::ConnectSecretEventDeregisterAnyCall, deregister_event>(),
};

} // namespace

const MethodTable methods::secret = table;

} // namespace lodge::daemon
