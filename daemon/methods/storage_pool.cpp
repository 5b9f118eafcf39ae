// Storage pools: the calls of virsh pool-*.
#include "daemon/method.hpp"
#include "daemon/pools.hpp"
#include "daemon/schema.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using rpc::Nothing;

// The pools are the host's; guests that exist only in memory have no host.
Pools& pools(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "storage pools of the test driver");
    return client.host().pools();
}

PoolPtr find(Client& client, const remote::NonnullStoragePool& named) { return pools(client).find(named); }

// ---- lists and look-ups ----

std::vector<std::string> names(Client& client, unsigned filter, std::int32_t max) {
    if (max < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    std::vector<std::string> found;
    for (const auto& pool : pools(client).list(filter))
        if (found.size() < static_cast<std::size_t>(max)) found.push_back(pool->name());
    return found;
}

std::int32_t count(Client& client, unsigned filter) { return static_cast<std::int32_t>(pools(client).list(filter).size()); }

remote::ConnectNumOfStoragePoolsRet num_active(Client& client, const Nothing&) {
    return {count(client, api::connect_list_storage_pools_active)};
}
remote::ConnectNumOfDefinedStoragePoolsRet num_inactive(Client& client, const Nothing&) {
    return {count(client, api::connect_list_storage_pools_inactive)};
}
remote::ConnectListStoragePoolsRet list_active(Client& client, const remote::ConnectListStoragePoolsArgs& args) {
    return {names(client, api::connect_list_storage_pools_active, args.maxnames)};
}
remote::ConnectListDefinedStoragePoolsRet list_inactive(Client& client, const remote::ConnectListDefinedStoragePoolsArgs& args) {
    return {names(client, api::connect_list_storage_pools_inactive, args.maxnames)};
}

// Six filters of state, and one for each type of pools.
void check_filter(unsigned flags) {
    constexpr unsigned known = (api::connect_list_storage_pools_iscsi_direct << 1) - 1;
    if (flags & ~known)
        rpc::fail(From::storage, Code::invalid_arg, "unsupported flags (0x{:x}) in function storageConnectListAllStoragePools",
                  flags & ~known);
}

remote::ConnectListAllStoragePoolsRet list_all(Client& client, const remote::ConnectListAllStoragePoolsArgs& args) {
    check_filter(args.flags);
    const auto found = pools(client).list(args.flags);
    remote::ConnectListAllStoragePoolsRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& pool : found) ret.pools.push_back(pool->wire());
    return ret;
}

remote::StoragePoolLookupByNameRet lookup_by_name(Client& client, const remote::StoragePoolLookupByNameArgs& args) {
    return {pools(client).find_name(args.name)->wire()};
}
remote::StoragePoolLookupByUuidRet lookup_by_uuid(Client& client, const remote::StoragePoolLookupByUuidArgs& args) {
    return {pools(client).find_uuid(args.uuid)->wire()};
}
remote::StoragePoolLookupByVolumeRet lookup_by_volume(Client& client, const remote::StoragePoolLookupByVolumeArgs& args) {
    return {pools(client).find_name(args.vol.pool)->wire()};
}
remote::StoragePoolLookupByTargetPathRet lookup_by_target(Client& client, const remote::StoragePoolLookupByTargetPathArgs& args) {
    return {pools(client).find_target(args.path)->wire()};
}

// ---- facts of one pool ----

remote::StoragePoolIsActiveRet is_active(Client& client, const remote::StoragePoolIsActiveArgs& args) {
    return {find(client, args.pool)->active};
}
remote::StoragePoolIsPersistentRet is_persistent(Client& client, const remote::StoragePoolIsPersistentArgs& args) {
    return {find(client, args.pool)->persistent};
}
remote::StoragePoolGetAutostartRet get_autostart(Client& client, const remote::StoragePoolGetAutostartArgs& args) {
    return {find(client, args.pool)->autostart};
}

remote::StoragePoolGetInfoRet get_info(Client& client, const remote::StoragePoolGetInfoArgs& args) {
    const auto pool = find(client, args.pool);
    driver_of(pool->document.type);
    const auto state = pool->active ? api::storage_pool_running : api::storage_pool_inactive;
    return {.state = static_cast<std::uint8_t>(state),
            .capacity = pool->document.capacity,
            .allocation = pool->document.allocation,
            .available = pool->document.available};
}

remote::StoragePoolGetXmlDescRet get_xml_desc(Client& client, const remote::StoragePoolGetXmlDescArgs& args) {
    const auto pool = find(client, args.pool);
    return {xml::format_pool(args.flags & api::storage_xml_inactive ? pool->inactive() : pool->document)};
}

remote::ConnectGetStoragePoolCapabilitiesRet get_capabilities(Client& client,
                                                              const remote::ConnectGetStoragePoolCapabilitiesArgs&) {
    pools(client);
    return {xml::format_pool_capabilities(drivers::supported_pool_types())};
}

Task<remote::ConnectFindStoragePoolSourcesRet> find_sources(ClientPtr client, remote::ConnectFindStoragePoolSourcesArgs args) {
    pools(*client);
    xml::PoolType type{};
    if (!xml::Traits<xml::PoolType>::parse(type, args.type))
        rpc::fail(From::storage, Code::internal_error, "unknown storage pool type {}", args.type);
    co_return remote::ConnectFindStoragePoolSourcesRet{co_await driver_of(type).find_sources(type, args.srcSpec)};
}

// ---- changes ----

Task<remote::StoragePoolDefineXmlRet> define_xml(ClientPtr client, remote::StoragePoolDefineXmlArgs args) {
    co_await validate_if(args.flags & api::storage_pool_define_validate, args.xml, "storagepool.rng");
    auto pool = co_await pools(*client).define(xml::parse_pool(args.xml));
    co_return remote::StoragePoolDefineXmlRet{pool->wire()};
}
Task<remote::StoragePoolCreateXmlRet> create_xml(ClientPtr client, remote::StoragePoolCreateXmlArgs args) {
    auto pool = co_await pools(*client).create(xml::parse_pool(args.xml), args.flags);
    co_return remote::StoragePoolCreateXmlRet{pool->wire()};
}
Task<> create(ClientPtr client, remote::StoragePoolCreateArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).start(std::move(pool), args.flags);
}
Task<> build(ClientPtr client, remote::StoragePoolBuildArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).build(std::move(pool), args.flags);
}
Task<> destroy(ClientPtr client, remote::StoragePoolDestroyArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).destroy(std::move(pool));
}
Task<> remove(ClientPtr client, remote::StoragePoolDeleteArgs args) {
    auto pool = find(*client, args.pool);
    if (args.flags != 0)
        rpc::fail(From::storage, Code::invalid_arg, "unsupported flags (0x{:x}) in function virStorageBackendDeleteLocal",
                  args.flags);
    co_await pools(*client).remove(std::move(pool));
}
Task<> undefine(ClientPtr client, remote::StoragePoolUndefineArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).undefine(std::move(pool));
}
Task<> refresh(ClientPtr client, remote::StoragePoolRefreshArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).refresh(std::move(pool));
}
Task<> set_autostart(ClientPtr client, remote::StoragePoolSetAutostartArgs args) {
    auto pool = find(*client, args.pool);
    co_await pools(*client).set_autostart(std::move(pool), args.autostart != 0);
}

// ---- events ----

remote::ConnectStoragePoolEventRegisterAnyRet register_event(Client& client,
                                                             const remote::ConnectStoragePoolEventRegisterAnyArgs& args) {
    pools(client);
    if (args.eventID < 0 || args.eventID > static_cast<int>(api::storage_pool_event_id_refresh))
        rpc::fail(From::rpc, Code::internal_error, "unsupported storage pool event ID {}", args.eventID);
    Subscription subscription{
        .client = &client, .kind = EventKind::storage_pool, .event = args.eventID, .scope = nullptr, .object = {}, .pattern = {}};
    if (args.pool) subscription.object = find(client, *args.pool)->uuid();
    return {client.host().events().add(std::move(subscription))};
}

void deregister_event(Client& client, const remote::ConnectStoragePoolEventDeregisterAnyArgs& args) {
    EventHub& hub = client.host().events();
    const bool known = std::ranges::any_of(hub.all(), [&](const Subscription& s) {
        return s.client == &client && s.kind == EventKind::storage_pool && s.id == args.callbackID;
    });
    if (!known) rpc::fail(From::rpc, Code::internal_error, "storage pool event callback {} not registered", args.callbackID);
    hub.remove(client, EventKind::storage_pool, args.callbackID);
}

constexpr Method table[] = {
    on<remote::ConnectNumOfStoragePoolsCall, num_active>(),
    on<remote::ConnectNumOfDefinedStoragePoolsCall, num_inactive>(),
    on<remote::ConnectListStoragePoolsCall, list_active>(),
    on<remote::ConnectListDefinedStoragePoolsCall, list_inactive>(),
    on<remote::ConnectListAllStoragePoolsCall, list_all>(),
    on<remote::StoragePoolLookupByNameCall, lookup_by_name>(),
    on<remote::StoragePoolLookupByUuidCall, lookup_by_uuid>(),
    on<remote::StoragePoolLookupByVolumeCall, lookup_by_volume>(),
    on<remote::StoragePoolLookupByTargetPathCall, lookup_by_target>(),
    on<remote::StoragePoolIsActiveCall, is_active>(),
    on<remote::StoragePoolIsPersistentCall, is_persistent>(),
    on<remote::StoragePoolGetAutostartCall, get_autostart>(),
    on<remote::StoragePoolGetInfoCall, get_info>(),
    on<remote::StoragePoolGetXmlDescCall, get_xml_desc>(),
    on<remote::ConnectGetStoragePoolCapabilitiesCall, get_capabilities>(),
    on<remote::ConnectFindStoragePoolSourcesCall, find_sources>(),
    on<remote::StoragePoolDefineXmlCall, define_xml>(),
    on<remote::StoragePoolCreateXmlCall, create_xml>(),
    on<remote::StoragePoolCreateCall, create>(),
    on<remote::StoragePoolBuildCall, build>(),
    on<remote::StoragePoolDestroyCall, destroy>(),
    on<remote::StoragePoolDeleteCall, remove>(),
    on<remote::StoragePoolUndefineCall, undefine>(),
    on<remote::StoragePoolRefreshCall, refresh>(),
    on<remote::StoragePoolSetAutostartCall, set_autostart>(),
    on<remote::ConnectStoragePoolEventRegisterAnyCall, register_event>(),
    on<remote::ConnectStoragePoolEventDeregisterAnyCall, deregister_event>(),
};

} // namespace

const MethodTable methods::storage_pool = table;

} // namespace lodge::daemon
