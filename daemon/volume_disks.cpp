#include "daemon/volume_disks.hpp"
#include "daemon/pools.hpp"

namespace lodge::daemon {

static void require_usable(const xml::Pool& pool, const xml::Volume& volume) {
    if (pool.type == xml::PoolType::mpath || xml::facts_of(pool.type).network)
        rpc::fail(Code::config_unsupported, "using '{}' pools for backing 'volume' disks isn't yet supported",
                  xml::word(pool.type));
    using enum xml::VolumeType;
    const auto type = volume.type.value_or(file);
    if (type != file && type != block && type != ploop)
        rpc::fail(Code::internal_error, "unexpected storage volume type '{}' for storage pool type '{}'", xml::word(type),
                  xml::word(pool.type));
}

void resolve_volume(Host& host, xml::Disk& disk) {
    auto& source = disk.source;
    if (source.type != xml::SourceType::volume || source.empty()) return;
    const auto pool = host.pools().find_name(source.pool);
    if (!pool->active)
        rpc::fail(Code::config_unsupported, "storage pool '{}' containing volume '{}' is not active", source.pool, source.volume);
    const auto volume = pool->volume(source.volume);
    Pools::require_built(*volume);
    if (source.volume_mode && pool->document.type != xml::PoolType::iscsi)
        rpc::fail(Code::xml_error, "disk source mode is only valid when storage pool is of iscsi type");
    require_usable(pool->document, volume->document);
    source.path = volume->document.target.path;
    // Never by looking into it: a guest could have written the header of another format.
    if (!disk.driver.type) disk.driver.type = xml::StorageFormat::raw;
}

void resolve_volumes(Host& host, xml::Domain& domain) {
    for (auto& disk : domain.devices.disks) resolve_volume(host, disk);
}

} // namespace lodge::daemon
