// Volumes of storage pools: looking them up, making, copying, changing and deleting them.
#include "daemon/pools.hpp"
#include "daemon/secrets.hpp"
#include "drivers/storage/qemu_img.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/log.hpp"
#include <algorithm>

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

template<class... Args> [[noreturn]] static void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::storage, code, format, std::forward<Args>(args)...);
}

// ---- look-ups ----

FoundVolume Pools::find_volume(const remote::NonnullStorageVol& wire) const {
    auto pool = find_name(wire.pool);
    auto volume = pool->volume(wire.name);
    return {std::move(pool), std::move(volume)};
}

FoundVolume Pools::find_key(const std::string& key) const {
    for (const auto& [name, pool] : pools_.all())
        for (const auto& [volume_name, volume] : pool->volumes)
            if (pool->active && volume->document.key == key) return {pool, volume};
    refuse(Code::no_storage_vol, "no storage vol with matching key {}", key);
}

FoundVolume Pools::find_path(const std::string& path) const {
    const std::string clean = xml::clean_path(path);
    for (const auto& [name, pool] : pools_.all()) {
        if (!pool->active) continue;
        const auto* driver = drivers::pool_driver(pool->document.type);
        const std::string own = driver ? driver->own_path(pool->document, clean) : clean;
        for (const auto& [volume_name, volume] : pool->volumes)
            if (volume->document.target.path == own) return {pool, volume};
    }
    if (path == clean) refuse(Code::no_storage_vol, "no storage vol with matching path '{}'", path);
    refuse(Code::no_storage_vol, "no storage vol with matching path '{}' ({})", path, clean);
}

void Pools::require_built(const PoolVolume& volume) {
    if (volume.building) refuse(Code::operation_invalid, "volume '{}' is still being allocated.", volume.name());
}

void Pools::require_unused(const PoolVolume& volume) {
    if (volume.users > 0) refuse(Code::operation_invalid, "volume '{}' is still in use.", volume.name());
    require_built(volume);
}

// A volume that was waited for is still the one of that name.
static void require_present(const FoundVolume& found) {
    if (found.pool->volume(found.volume->name()) != found.volume)
        refuse(Code::no_storage_vol, "no storage vol with matching name '{}'", found.volume->name());
}

// An image says that it is encrypted, not with what. A secret that is meant for its path is taken to be the one.
static void add_usual_secret(const Secrets& secrets, xml::Volume& volume) {
    auto& encryption = volume.target.encryption;
    if (!encryption || !encryption->secrets.empty()) return;
    for (const auto& secret : secrets.list(0))
        if (secret->document.usage_type() == xml::SecretUsage::volume && secret->document.usage_id() == volume.target.path)
            encryption->secrets.push_back({"passphrase", secret->uuid(), {}});
}

Task<xml::Volume> Pools::current(FoundVolume found) {
    auto& volume = *found.volume;
    // One that is being made has no file yet; what was asked for is all there is to tell.
    if (volume.building) co_return volume.document;
    const auto before = volume.revision;
    auto document = co_await driver_of(found.pool->document.type).refresh_volume(found.pool->document, volume.document);
    add_usual_secret(host_.secrets(), document);
    if (volume.revision == before) volume.update(document);
    co_return document;
}

// ---- making ----

// Counts as one of the pool's long jobs, and the volume as being made, while it lives.
struct Pools::Build {
    PoolPtr pool;
    VolumePtr volume;

    Build(PoolPtr in, VolumePtr made)
        : pool(std::move(in))
        , volume(std::move(made)) {
        ++pool->long_jobs;
        volume->building = true;
    }
    Build(const Build&) = delete;
    ~Build() {
        --pool->long_jobs;
        volume->building = false;
    }
};

static void add_to_figures(xml::Pool& pool, std::int64_t bytes) {
    pool.allocation.value += static_cast<std::uint64_t>(bytes);
    pool.available.value -= static_cast<std::uint64_t>(bytes);
}

// Gives the pool's queue free as soon as the volume stands in its list: others may be made meanwhile.
Task<VolumePtr> Pools::build_volume(PoolPtr pool, drivers::VolumeRequest request, std::optional<JobQueue::Job> job) {
    auto& driver = driver_of(pool->document.type);
    auto volume = std::make_shared<PoolVolume>();
    volume->document = request.volume;
    pool->volumes[request.volume.name] = volume;
    std::exception_ptr failure;
    {
        const Build at_work(pool, volume);
        job.reset();
        try {
            co_await driver.create(request);
            volume->update(co_await driver.refresh_volume(pool->document, volume->document));
        } catch (...) {
            failure = std::current_exception();
        }
    }
    if (failure) {
        const auto at = pool->volumes.find(volume->name());
        if (at != pool->volumes.end() && at->second == volume) pool->volumes.erase(at);
        std::rethrow_exception(failure);
    }
    add_to_figures(pool->document, static_cast<std::int64_t>(volume->document.allocation_bytes()));
    log::info("storage pool {}: volume {} created", pool->name(), volume->name());
    co_return volume;
}

static drivers::VolumeRequest request_for(const xml::Pool& pool, xml::Volume volume, const Pools::NewVolume& wanted) {
    drivers::VolumeRequest request;
    request.pool = pool;
    request.volume = std::move(volume);
    request.preallocate_metadata = wanted.preallocate_metadata;
    request.reflink = wanted.reflink;
    return request;
}

Task<VolumePtr> Pools::create_volume(PoolPtr pool, NewVolume wanted) {
    std::optional<JobQueue::Job> job(co_await pool->acquire("virStorageVolCreateXML"));
    require_current(pool);
    pool->require_active();
    auto& driver = driver_of(pool->document.type);
    auto document = xml::parse_volume(wanted.text, pool->document.type, xml::CapacityRule::optional_with_backing);
    if (!document.allocation) document.allocation = document.capacity;
    if (pool->volumes.contains(document.name)) refuse(Code::storage_vol_exist, "'{}'", document.name);
    auto request = request_for(pool->document, co_await driver.place(pool->document, std::move(document)), wanted);
    request.passphrase = passphrase(request.volume);
    co_return co_await build_volume(pool, std::move(request), std::move(job));
}

Task<VolumePtr> Pools::copy_volume(PoolPtr pool, NewVolume wanted, FoundVolume source) {
    std::optional<JobQueue::Job> job(co_await pool->acquire("virStorageVolCreateXMLFrom"));
    require_current(pool);
    pool->require_active();
    require_present(source);
    auto& driver = driver_of(pool->document.type);
    auto document = xml::parse_volume(wanted.text, pool->document.type, xml::CapacityRule::optional);
    if (pool->volumes.contains(document.name))
        refuse(Code::internal_error, "storage volume name '{}' already in use.", document.name);
    require_built(*source.volume);
    const VolumeUse use(source.volume);
    const auto from = co_await current(source);
    document.capacity = {std::max(document.capacity_bytes(), from.capacity_bytes())};
    if (!document.allocation) document.allocation = document.capacity;
    auto request = request_for(pool->document, co_await driver.place(pool->document, std::move(document)), wanted);
    request.source = from;
    request.passphrase = passphrase(request.volume);
    request.source_passphrase = passphrase(from);
    ++source.pool->long_jobs;
    std::exception_ptr failure;
    VolumePtr volume;
    try {
        volume = co_await build_volume(pool, std::move(request), std::move(job));
    } catch (...) {
        failure = std::current_exception();
    }
    --source.pool->long_jobs;
    if (failure) std::rethrow_exception(failure);
    co_return volume;
}

// ---- changing ----

Task<> Pools::delete_volume(FoundVolume found) {
    auto job = co_await found.pool->acquire("virStorageVolDelete");
    require_present(found);
    require_unused(*found.volume);
    const auto volume = found.volume;
    co_await driver_of(found.pool->document.type).delete_volume(found.pool->document, volume->document);
    add_to_figures(found.pool->document, -static_cast<std::int64_t>(volume->document.allocation_bytes()));
    found.pool->volumes.erase(volume->name());
    log::info("storage pool {}: volume {} deleted", found.pool->name(), volume->name());
}

static std::uint64_t wanted_capacity(const xml::Volume& volume, std::uint64_t capacity, unsigned flags) {
    const auto now = volume.capacity_bytes();
    if (!(flags & api::storage_vol_resize_delta)) return capacity;
    if (flags & api::storage_vol_resize_shrink) return now - std::min(capacity, now);
    if (capacity > UINT64_MAX - now) rpc::fail(From::storage, Code::overflow, "value too large: {}", capacity);
    return now + capacity;
}

Task<> Pools::resize_volume(FoundVolume found, std::uint64_t capacity, unsigned flags) {
    auto job = co_await found.pool->acquire("virStorageVolResize");
    require_present(found);
    require_unused(*found.volume);
    auto volume = found.volume->document;
    const auto wanted = wanted_capacity(volume, capacity, flags);
    const bool allocate = flags & api::storage_vol_resize_allocate;
    if (wanted < volume.allocation_bytes()) refuse(Code::invalid_arg, "can't shrink capacity below existing allocation");
    if (wanted < volume.capacity_bytes() && !(flags & api::storage_vol_resize_shrink))
        refuse(Code::invalid_arg, "Can't shrink capacity below current capacity unless shrink flag explicitly specified");
    const auto more = allocate ? wanted - volume.allocation_bytes() : 0;
    if (more > found.pool->document.available) refuse(Code::operation_failed, "Not enough space left in storage pool");
    const VolumeUse use(found.volume);
    co_await driver_of(found.pool->document.type).resize(found.pool->document, volume, wanted, allocate, passphrase(volume));
    volume.capacity = {wanted};
    if (allocate) volume.allocation = {wanted};
    found.volume->update(std::move(volume));
    add_to_figures(found.pool->document, static_cast<std::int64_t>(more));
}

Task<> Pools::wipe_volume(FoundVolume found, unsigned algorithm) {
    std::optional<JobQueue::Job> job(co_await found.pool->acquire("virStorageVolWipe"));
    require_present(found);
    require_unused(*found.volume);
    const auto volume = found.volume;
    auto& driver = driver_of(found.pool->document.type);
    const VolumeUse use(volume);
    ++found.pool->long_jobs;
    job.reset();
    std::exception_ptr failure;
    try {
        co_await driver.wipe(volume->document, algorithm);
        volume->update(co_await driver.probe_volume(found.pool->document, volume->document));
    } catch (...) {
        failure = std::current_exception();
    }
    --found.pool->long_jobs;
    if (failure) std::rethrow_exception(failure);
}

Task<VolumeUse> Pools::use_volume(FoundVolume found, bool writing) {
    auto job = co_await found.pool->acquire(writing ? "virStorageVolUpload" : "virStorageVolDownload");
    require_present(found);
    writing ? require_unused(*found.volume) : require_built(*found.volume);
    co_return VolumeUse(found.volume);
}

Task<> Pools::reread(PoolPtr pool) {
    try {
        auto job = co_await pool->acquire("virStorageVolUpload");
        // A volume in the making will be seen by a later refresh.
        if (!pool->active || pool->long_jobs > 0) co_return;
        co_await take_contents(pool);
        emit_refresh(*pool);
    } catch (const std::exception& error) {
        log::warn("storage pool {}: not refreshed after an upload: {}", pool->name(), error.what());
    }
}

// ---- secrets ----

drivers::Passphrase Pools::passphrase(const xml::Volume& volume) const {
    if (!volume.target.encryption) return std::nullopt;
    if (volume.target.encryption->secrets.size() != 1)
        refuse(Code::invalid_arg, "A single <secret type='passphrase'...> element is expected in encryption description");
    const auto& secret = volume.target.encryption->secrets.front();
    const auto& values = host_.secrets();
    if (secret.uuid.is_nil()) return values.by_usage(xml::SecretUsage::volume, secret.usage);
    return values.by_uuid(secret.uuid, xml::SecretUsage::volume);
}

} // namespace lodge::daemon
