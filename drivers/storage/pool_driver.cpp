#include "drivers/storage/pool_driver.hpp"
#include "drivers/storage/device_pool.hpp"
#include "drivers/storage/local_pool.hpp"
#include "drivers/storage/logical_pool.hpp"
#include "drivers/storage/mounted_pool.hpp"

namespace lodge::drivers {

[[noreturn]] static void cannot(const char* what) { rpc::fail(Code::no_support, "{}", what); }

Task<bool> PoolDriver::is_active(xml::Pool) { co_return false; }
Task<> PoolDriver::build(xml::Pool, PoolBuild) { co_return; }
Task<> PoolDriver::start(xml::Pool) { co_return; }
Task<> PoolDriver::stop(xml::Pool) { co_return; }
Task<> PoolDriver::remove(xml::Pool) { cannot("pool does not support pool deletion"); }
Task<std::string> PoolDriver::find_sources(xml::PoolType type, std::optional<std::string>) {
    rpc::fail(Code::no_support, "pool type '{}' does not support source discovery", xml::word(type));
}
Task<xml::Volume> PoolDriver::place(xml::Pool, xml::Volume) { cannot("storage pool does not support volume creation"); }
Task<> PoolDriver::create(VolumeRequest request) {
    if (request.source) cannot("storage pool does not support volume creation from an existing volume");
    cannot("storage pool does not support volume creation");
}
Task<xml::Volume> PoolDriver::refresh_volume(xml::Pool, xml::Volume volume) { co_return volume; }
Task<xml::Volume> PoolDriver::probe_volume(xml::Pool pool, xml::Volume volume) { return refresh_volume(pool, volume); }
Task<> PoolDriver::delete_volume(xml::Pool, xml::Volume) { cannot("storage pool does not support vol deletion"); }
Task<> PoolDriver::resize(xml::Pool, xml::Volume, std::uint64_t, bool, Passphrase) {
    cannot("storage pool does not support changing of volume capacity");
}
Task<> PoolDriver::wipe(xml::Volume, unsigned) { cannot("storage pool doesn't support volume wiping"); }
Task<Fd> PoolDriver::open_volume(xml::Volume, bool writing) {
    cannot(writing ? "storage pool doesn't support volume upload" : "storage pool doesn't support volume download");
}

static const std::map<xml::PoolType, std::unique_ptr<PoolDriver>>& all_drivers() {
    static const auto* all = [] {
        auto* drivers = new std::map<xml::PoolType, std::unique_ptr<PoolDriver>>();
        drivers->emplace(xml::PoolType::dir, std::make_unique<LocalPool>());
        drivers->emplace(xml::PoolType::fs, std::make_unique<MountedPool>());
        drivers->emplace(xml::PoolType::netfs, std::make_unique<MountedPool>());
        drivers->emplace(xml::PoolType::logical, std::make_unique<LogicalPool>());
        drivers->emplace(xml::PoolType::disk, std::make_unique<DevicePool>("parted"));
        drivers->emplace(xml::PoolType::iscsi, std::make_unique<DevicePool>("iscsiadm"));
        drivers->emplace(xml::PoolType::scsi, std::make_unique<DevicePool>(""));
        drivers->emplace(xml::PoolType::mpath, std::make_unique<DevicePool>("multipath"));
        return drivers;
    }();
    return *all;
}

PoolDriver* pool_driver(xml::PoolType type) {
    const auto at = all_drivers().find(type);
    return at == all_drivers().end() ? nullptr : at->second.get();
}

std::vector<xml::PoolType> supported_pool_types() {
    std::vector<xml::PoolType> types;
    for (const auto& [type, driver] : all_drivers()) types.push_back(type);
    return types;
}

} // namespace lodge::drivers
