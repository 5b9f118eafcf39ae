// Storage volumes: the calls of virsh vol-*.
#include "daemon/method.hpp"
#include "daemon/pools.hpp"
#include "daemon/schema.hpp"
#include "daemon/volume_stream.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

// The volumes are the host's; guests that exist only in memory have no host.
Pools& pools(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "storage volumes of the test driver");
    return client.host().pools();
}

PoolPtr find_pool(Client& client, const remote::NonnullStoragePool& named) { return pools(client).find(named); }
FoundVolume find(Client& client, const remote::NonnullStorageVol& named) { return pools(client).find_volume(named); }

// ---- lists and look-ups ----

remote::StoragePoolNumOfVolumesRet num_of_volumes(Client& client, const remote::StoragePoolNumOfVolumesArgs& args) {
    const auto pool = find_pool(client, args.pool);
    pool->require_active();
    return {static_cast<std::int32_t>(pool->volumes.size())};
}

remote::StoragePoolListVolumesRet list_volumes(Client& client, const remote::StoragePoolListVolumesArgs& args) {
    if (args.maxnames < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    const auto pool = find_pool(client, args.pool);
    pool->require_active();
    remote::StoragePoolListVolumesRet ret;
    for (const auto& [name, volume] : pool->volumes)
        if (ret.names.size() < static_cast<std::size_t>(args.maxnames)) ret.names.push_back(name);
    return ret;
}

remote::StoragePoolListAllVolumesRet list_all_volumes(Client& client, const remote::StoragePoolListAllVolumesArgs& args) {
    const auto pool = find_pool(client, args.pool);
    pool->require_active();
    remote::StoragePoolListAllVolumesRet ret{{}, static_cast<std::uint32_t>(pool->volumes.size())};
    if (args.need_results)
        for (const auto& [name, volume] : pool->volumes) ret.vols.push_back(pool->wire(*volume));
    return ret;
}

remote::NonnullStorageVol wire(const FoundVolume& found) { return found.pool->wire(*found.volume); }

remote::StorageVolLookupByNameRet lookup_by_name(Client& client, const remote::StorageVolLookupByNameArgs& args) {
    const auto pool = find_pool(client, args.pool);
    return {pool->wire(*pool->volume(args.name))};
}
remote::StorageVolLookupByKeyRet lookup_by_key(Client& client, const remote::StorageVolLookupByKeyArgs& args) {
    return {wire(pools(client).find_key(args.key))};
}
remote::StorageVolLookupByPathRet lookup_by_path(Client& client, const remote::StorageVolLookupByPathArgs& args) {
    return {wire(pools(client).find_path(args.path))};
}

// ---- facts of one volume ----

remote::StorageVolGetPathRet get_path(Client& client, const remote::StorageVolGetPathArgs& args) {
    return {find(client, args.vol).volume->document.target.path};
}

struct Info {
    std::int8_t type;
    std::uint64_t capacity, allocation;
};
Task<Info> info(ClientPtr client, remote::NonnullStorageVol named, bool physical) {
    auto found = find(*client, named);
    const auto document = co_await pools(*client).current(found);
    co_return Info{static_cast<std::int8_t>(document.type.value_or(xml::VolumeType::file)), document.capacity_bytes(),
                   physical ? (document.physical ? document.physical->value : 0) : document.allocation_bytes()};
}

Task<remote::StorageVolGetInfoRet> get_info(ClientPtr client, remote::StorageVolGetInfoArgs args) {
    const auto facts = co_await info(client, args.vol, false);
    co_return remote::StorageVolGetInfoRet{facts.type, facts.capacity, facts.allocation};
}
Task<remote::StorageVolGetInfoFlagsRet> get_info_flags(ClientPtr client, remote::StorageVolGetInfoFlagsArgs args) {
    const auto facts = co_await info(client, args.vol, args.flags & api::storage_vol_get_physical);
    co_return remote::StorageVolGetInfoFlagsRet{facts.type, facts.capacity, facts.allocation};
}

Task<remote::StorageVolGetXmlDescRet> get_xml_desc(ClientPtr client, remote::StorageVolGetXmlDescArgs args) {
    auto found = find(*client, args.vol);
    co_return remote::StorageVolGetXmlDescRet{xml::format_volume(co_await pools(*client).current(found))};
}

// ---- changes ----

Pools::NewVolume wanted(std::string text, unsigned flags) {
    return {std::move(text), (flags & api::storage_vol_create_prealloc_metadata) != 0,
            (flags & api::storage_vol_create_reflink) != 0};
}

Task<remote::StorageVolCreateXmlRet> create_xml(ClientPtr client, remote::StorageVolCreateXmlArgs args) {
    co_await validate_if(args.flags & api::storage_vol_create_validate, args.xml, "storagevol.rng");
    auto pool = find_pool(*client, args.pool);
    auto volume = co_await pools(*client).create_volume(pool, wanted(args.xml, args.flags));
    co_return remote::StorageVolCreateXmlRet{pool->wire(*volume)};
}
Task<remote::StorageVolCreateXmlFromRet> create_xml_from(ClientPtr client, remote::StorageVolCreateXmlFromArgs args) {
    co_await validate_if(args.flags & api::storage_vol_create_validate, args.xml, "storagevol.rng");
    auto pool = find_pool(*client, args.pool);
    pool->require_active();
    auto source = find(*client, args.clonevol);
    auto volume = co_await pools(*client).copy_volume(pool, wanted(args.xml, args.flags), source);
    co_return remote::StorageVolCreateXmlFromRet{pool->wire(*volume)};
}

Task<> remove(ClientPtr client, remote::StorageVolDeleteArgs args) {
    if (args.flags != 0)
        rpc::fail(From::storage, Code::invalid_arg, "unsupported flags (0x{:x}) in function virStorageBackendVolDeleteLocal",
                  args.flags);
    auto found = find(*client, args.vol);
    co_await pools(*client).delete_volume(found);
}

Task<> resize(ClientPtr client, remote::StorageVolResizeArgs args) {
    auto found = find(*client, args.vol);
    co_await pools(*client).resize_volume(found, args.capacity, args.flags);
}

Task<> wipe(ClientPtr client, remote::StorageVolWipeArgs args) {
    if (args.flags != 0)
        rpc::fail(From::storage, Code::invalid_arg, "unsupported flags (0x{:x}) in function storageVolWipePattern", args.flags);
    auto found = find(*client, args.vol);
    co_await pools(*client).wipe_volume(found, api::storage_vol_wipe_alg_zero);
}
Task<> wipe_pattern(ClientPtr client, remote::StorageVolWipePatternArgs args) {
    if (args.algorithm > api::storage_vol_wipe_alg_trim)
        rpc::fail(From::storage, Code::invalid_arg, "wiping algorithm {} not supported", args.algorithm);
    auto found = find(*client, args.vol);
    co_await pools(*client).wipe_volume(found, args.algorithm);
}

// ---- content ----

void download(Call& call, remote::StorageVolDownloadArgs args) {
    auto found = find(call.client, args.vol);
    const bool sparse = args.flags & api::storage_vol_download_sparse_stream;
    call.client.run_replying(
        call.header, call.procedure.name,
        serve_download(call.client.shared_from_this(), call.header, found, {args.offset, args.length, sparse}));
}
void upload(Call& call, remote::StorageVolUploadArgs args) {
    auto found = find(call.client, args.vol);
    const bool sparse = args.flags & api::storage_vol_upload_sparse_stream;
    call.client.run_replying(
        call.header, call.procedure.name,
        serve_upload(call.client.shared_from_this(), call.header, found, {args.offset, args.length, sparse}));
}

constexpr Method table[] = {
    on<remote::StoragePoolNumOfVolumesCall, num_of_volumes>(),
    on<remote::StoragePoolListVolumesCall, list_volumes>(),
    on<remote::StoragePoolListAllVolumesCall, list_all_volumes>(),
    on<remote::StorageVolLookupByNameCall, lookup_by_name>(),
    on<remote::StorageVolLookupByKeyCall, lookup_by_key>(),
    on<remote::StorageVolLookupByPathCall, lookup_by_path>(),
    on<remote::StorageVolGetPathCall, get_path>(),
    on<remote::StorageVolGetInfoCall, get_info>(),
    on<remote::StorageVolGetInfoFlagsCall, get_info_flags>(),
    on<remote::StorageVolGetXmlDescCall, get_xml_desc>(),
    on<remote::StorageVolCreateXmlCall, create_xml>(),
    on<remote::StorageVolCreateXmlFromCall, create_xml_from>(),
    on<remote::StorageVolDeleteCall, remove>(),
    on<remote::StorageVolResizeCall, resize>(),
    on<remote::StorageVolWipeCall, wipe>(),
    on<remote::StorageVolWipePatternCall, wipe_pattern>(),
    on<remote::StorageVolDownloadCall, download>(),
    on<remote::StorageVolUploadCall, upload>(),
};

} // namespace

const MethodTable methods::storage_volume = table;

} // namespace lodge::daemon
