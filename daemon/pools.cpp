// What can be done to a pool. See volumes.cpp for volumes, pool_files.cpp for what happens at start-up.
#include "daemon/pools.hpp"
#include "daemon/store.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/log.hpp"
#include <algorithm>

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

template<class... Args> [[noreturn]] static void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::storage, code, format, std::forward<Args>(args)...);
}

drivers::PoolDriver& driver_of(xml::PoolType type) {
    if (auto* driver = drivers::pool_driver(type)) return *driver;
    refuse(Code::internal_error, "missing backend for pool type {} ({})", static_cast<int>(type), xml::word(type));
}

// ---- look-ups ----

PoolPtr Pools::find_name(const std::string& name) const {
    auto pool = pools_.by_name(name);
    if (!pool || !pool->exists()) refuse(Code::no_storage_pool, "no storage pool with matching name '{}'", name);
    return pool;
}

PoolPtr Pools::find_uuid(const rpc::Uuid& uuid) const {
    auto pool = pools_.by_uuid(uuid);
    if (!pool || !pool->exists()) refuse(Code::no_storage_pool, "no storage pool with matching uuid '{}'", uuid.text());
    return pool;
}

PoolPtr Pools::find(const remote::NonnullStoragePool& wire) const {
    auto pool = pools_.by_uuid(wire.uuid);
    if (!pool || !pool->exists())
        refuse(Code::no_storage_pool, "no storage pool with matching uuid '{}' ({})", wire.uuid.text(), wire.name);
    return pool;
}

PoolPtr Pools::find_target(const std::string& path) const {
    const std::string clean = xml::clean_path(path);
    for (const auto& [name, pool] : pools_.all())
        if (pool->active && pool->document.target.path == clean) return pool;
    if (path == clean) refuse(Code::no_storage_pool, "no storage pool with matching target path '{}'", path);
    refuse(Code::no_storage_pool, "no storage pool with matching target path '{}' ({})", path, clean);
}

std::vector<PoolPtr> Pools::list(unsigned filter) const {
    std::vector<PoolPtr> found;
    for (const auto& [name, pool] : pools_.all())
        if (pool->exists() && matches_pool_filter(*pool, filter)) found.push_back(pool);
    return found;
}

bool Pools::has_active() const {
    return std::ranges::any_of(pools_.all(), [](const auto& entry) { return entry.second->active; });
}

void Pools::require_current(const PoolPtr& pool) const {
    if (pools_.by_uuid(pool->uuid()) != pool || !pool->exists())
        refuse(Code::no_storage_pool, "no storage pool with matching uuid '{}' ({})", pool->uuid().text(), pool->name());
}

void Pools::settle(const PoolPtr& pool) {
    if (!pool->active && pool->next) {
        pool->document = std::move(*pool->next);
        pool->next.reset();
    }
    if (!pool->exists() && pools_.by_uuid(pool->uuid()) == pool) pools_.remove(*pool);
}

void Pools::emit(const Pool& pool, unsigned event) {
    host_.events().emit<remote::StoragePoolEventLifecycleCall>(
        EventKind::storage_pool, api::storage_pool_event_id_lifecycle, nullptr, pool.uuid(),
        {.callbackID = 0, .pool = pool.wire(), .event = static_cast<std::int32_t>(event), .detail = 0});
}

void Pools::emit_refresh(const Pool& pool) {
    host_.events().emit<remote::StoragePoolEventRefreshCall>(EventKind::storage_pool, api::storage_pool_event_id_refresh, nullptr,
                                                             pool.uuid(), {.callbackID = 0, .pool = pool.wire()});
}

// ---- coming in ----

void Pools::check_conflict(const xml::Pool& document, bool starting) const {
    for (const auto& [name, other] : pools_.all())
        if (name != document.name && share_storage(other->document, document))
            refuse(Code::operation_failed, "Storage source conflict with pool: '{}'", name);
    check_pool_conflict(document, pools_.by_uuid(document.uuid).get(), pools_.by_name(document.name).get(), starting);
}

// Checks a new document against all others, and takes the job of the pool that it is for.
Task<Pools::Claim> Pools::claim(xml::Pool document, bool starting, std::string api_name) {
    for (;;) {
        check_conflict(document, starting);
        auto pool = pools_.by_uuid(document.uuid);
        if (!pool) {
            pool = std::make_shared<Pool>(document.name, document.uuid);
            pool->document = document; // already in the way of others that want the same storage
            pools_.add(pool);
        }
        auto job = co_await pool->acquire(api_name);
        // Gone while we waited: whoever held it has removed it.
        if (pools_.by_uuid(document.uuid) != pool) continue;
        check_conflict(document, starting);
        co_return Claim{std::move(pool), std::move(job)};
    }
}

Task<> Pools::store_definition(PoolPtr pool) {
    const std::string text = store::definition_header("virsh pool-edit " + pool->name()) + xml::format_pool(pool->inactive());
    co_await store::replace(definition_file(pool->name()), text);
}

Task<PoolPtr> Pools::define(xml::Pool document) {
    if (document.name.find('\n') != std::string::npos) refuse(Code::xml_detail, "invalid char in name: {}", "\n");
    driver_of(document.type);
    auto claimed = co_await claim(document, false, "virStoragePoolDefineXML");
    auto pool = claimed.pool;
    const auto before = std::pair(pool->document, pool->next);
    (pool->active ? pool->next.emplace() : pool->document) = std::move(document);
    std::exception_ptr failure;
    try {
        co_await store_definition(pool);
    } catch (...) {
        failure = std::current_exception();
        std::tie(pool->document, pool->next) = before;
    }
    if (!failure) pool->persistent = true;
    settle(pool);
    if (failure) std::rethrow_exception(failure);
    log::info("storage pool {}: defined", pool->name());
    emit(*pool, api::storage_pool_event_defined);
    co_return pool;
}

Task<PoolPtr> Pools::create(xml::Pool document, unsigned build) {
    driver_of(document.type);
    auto claimed = co_await claim(document, true, "virStoragePoolCreateXML");
    auto pool = claimed.pool;
    if (pool->persistent && !pool->next) pool->next = pool->document;
    pool->document = std::move(document);
    std::exception_ptr failure;
    try {
        co_await bring_up(pool, build);
    } catch (...) {
        failure = std::current_exception();
    }
    settle(pool);
    if (failure) std::rethrow_exception(failure);
    co_return pool;
}

// ---- up and down ----

// What is in it now. Volumes that somebody uses stay the same objects.
Task<> Pools::take_contents(PoolPtr pool) {
    auto contents = co_await driver_of(pool->document.type).refresh(pool->document);
    auto& document = pool->document;
    document.capacity = {contents.capacity};
    document.allocation = {contents.allocation};
    document.available = {contents.available};
    if (contents.permissions) document.target.permissions = *contents.permissions;
    if (!document.source.devices.empty()) document.source.devices.front().free = std::move(contents.free_extents);
    std::map<std::string, VolumePtr> volumes;
    for (auto& found : contents.volumes) {
        auto& volume = volumes[found.name];
        const auto known = pool->volumes.find(found.name);
        volume = known != pool->volumes.end() ? known->second : std::make_shared<PoolVolume>();
        volume->update(std::move(found));
    }
    pool->volumes = std::move(volumes);
}

static std::optional<drivers::PoolBuild> wanted_build(unsigned flags) {
    if (flags & api::storage_pool_create_with_build_overwrite) return drivers::PoolBuild::overwrite;
    if (flags & api::storage_pool_create_with_build_no_overwrite) return drivers::PoolBuild::no_overwrite;
    if (flags & api::storage_pool_create_with_build) return drivers::PoolBuild::make;
    return std::nullopt;
}

Task<> Pools::bring_up(PoolPtr pool, unsigned build) {
    auto& driver = driver_of(pool->document.type);
    if (const auto how = wanted_build(build)) co_await driver.build(pool->document, *how);
    co_await driver.start(pool->document);
    std::exception_ptr failure;
    try {
        co_await store::replace_volatile(state_file(pool->name()), store::definition_header("virsh pool-edit " + pool->name()) +
                                                                       format_pool_state(pool->document));
        co_await take_contents(pool);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        store::remove_now(state_file(pool->name()));
        pool->volumes.clear();
        try {
            co_await driver.stop(pool->document);
        } catch (const std::exception& error) {
            log::warn("storage pool {}: cannot be stopped after its start failed: {}", pool->name(), error.what());
        }
        std::rethrow_exception(failure);
    }
    pool->active = true;
    log::info("storage pool {}: started", pool->name());
    emit(*pool, api::storage_pool_event_started);
}

Task<> Pools::start(PoolPtr pool, unsigned build) {
    auto job = co_await pool->acquire("virStoragePoolCreate");
    require_current(pool);
    if (pool->active) refuse(Code::operation_invalid, "storage pool '{}' is already active", pool->name());
    co_await bring_up(pool, build);
}

Task<> Pools::build(PoolPtr pool, unsigned flags) {
    constexpr unsigned known = api::storage_pool_build_overwrite | api::storage_pool_build_no_overwrite;
    auto job = co_await pool->acquire("virStoragePoolBuild");
    require_current(pool);
    auto& driver = driver_of(pool->document.type);
    if (pool->active) refuse(Code::operation_invalid, "storage pool '{}' is already active", pool->name());
    if (flags & ~known) refuse(Code::invalid_arg, "unsupported flags (0x{:x}) in function storagePoolBuild", flags & ~known);
    if (flags == known)
        refuse(Code::invalid_arg, "Flags '{}' and '{}' are mutually exclusive", "VIR_STORAGE_POOL_BUILD_OVERWRITE",
               "VIR_STORAGE_POOL_BUILD_NO_OVERWRITE");
    const auto how = flags & api::storage_pool_build_overwrite      ? drivers::PoolBuild::overwrite
                     : flags & api::storage_pool_build_no_overwrite ? drivers::PoolBuild::no_overwrite
                                                                    : drivers::PoolBuild::make;
    co_await driver.build(pool->document, how);
    emit(*pool, api::storage_pool_event_created);
}

Task<> Pools::destroy(PoolPtr pool) {
    auto job = co_await pool->acquire("virStoragePoolDestroy");
    require_current(pool);
    auto& driver = driver_of(pool->document.type);
    pool->require_active();
    pool->require_idle();
    co_await driver.stop(pool->document);
    store::remove_now(state_file(pool->name()));
    pool->volumes.clear();
    pool->active = false;
    settle(pool);
    log::info("storage pool {}: stopped", pool->name());
    emit(*pool, api::storage_pool_event_stopped);
}

Task<> Pools::remove(PoolPtr pool) {
    auto job = co_await pool->acquire("virStoragePoolDelete");
    require_current(pool);
    auto& driver = driver_of(pool->document.type);
    if (pool->active) refuse(Code::operation_invalid, "storage pool '{}' is still active", pool->name());
    pool->require_idle();
    co_await driver.remove(pool->document);
    log::info("storage pool {}: deleted", pool->name());
    emit(*pool, api::storage_pool_event_deleted);
}

// A pool that can no longer be looked at is stopped, as libvirt does.
Task<> Pools::refresh(PoolPtr pool) {
    auto job = co_await pool->acquire("virStoragePoolRefresh");
    require_current(pool);
    pool->require_active();
    pool->require_idle();
    std::exception_ptr failure;
    try {
        co_await take_contents(pool);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) {
        emit_refresh(*pool);
        co_return;
    }
    store::remove_now(state_file(pool->name()));
    try {
        co_await driver_of(pool->document.type).stop(pool->document);
    } catch (const std::exception& error) {
        log::warn("storage pool {}: cannot be stopped after its refresh failed: {}", pool->name(), error.what());
    }
    pool->volumes.clear();
    pool->active = false;
    settle(pool);
    emit(*pool, api::storage_pool_event_stopped);
    std::rethrow_exception(failure);
}

// ---- definitions ----

Task<> Pools::undefine(PoolPtr pool) {
    auto job = co_await pool->acquire("virStoragePoolUndefine");
    require_current(pool);
    if (pool->active) refuse(Code::operation_invalid, "storage pool '{}' is still active", pool->name());
    pool->require_idle();
    // The link first: broken off here, the pool is merely no longer started by itself.
    co_await store::set_link(autostart_link(pool->name()), {}, false);
    pool->autostart = false;
    co_await store::remove(definition_file(pool->name()));
    pool->persistent = false;
    settle(pool);
    log::info("storage pool {}: undefined", pool->name());
    emit(*pool, api::storage_pool_event_undefined);
}

Task<> Pools::set_autostart(PoolPtr pool, bool on) {
    auto job = co_await pool->acquire("virStoragePoolSetAutostart");
    require_current(pool);
    if (!pool->persistent) refuse(Code::internal_error, "pool has no config file");
    if (pool->autostart == on) co_return;
    co_await store::set_link(autostart_link(pool->name()), definition_file(pool->name()), on);
    pool->autostart = on;
}

} // namespace lodge::daemon
