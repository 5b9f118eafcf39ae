// What a storage pool is made of. The daemon owns pools and volumes (names, files, events, who uses what); a PoolDriver knows one
// kind of them: it starts and stops a pool, finds its volumes, makes, changes and deletes them. Stateless; what may block runs on
// the worker pool or as a child. Whoever calls sees to it that nothing else works on the same pool or volume meanwhile.
#pragma once
#include "drivers/driver.hpp"
#include "xml/volume.hpp"

namespace lodge::drivers {

struct PoolContents {
    std::uint64_t capacity = 0, allocation = 0, available = 0; // bytes
    std::optional<xml::Permissions> permissions;               // of the pool's folder
    std::vector<xml::Volume> volumes;
    std::vector<xml::PoolExtent> free_extents; // of a disk's partition table
};

// The passphrase of an encrypted image, looked up by the daemon.
using Passphrase = std::optional<std::string>;

struct VolumeRequest {
    xml::Pool pool;
    xml::Volume volume;
    bool preallocate_metadata = false, reflink = false;
    Passphrase passphrase;
    std::optional<xml::Volume> source; // to copy from
    Passphrase source_passphrase;
};

enum class PoolBuild { make, no_overwrite, overwrite };

class PoolDriver {
  public:
    virtual ~PoolDriver() = default;

    // Found active after a restart of the daemon? `pool` ran before it.
    virtual Task<bool> is_active(xml::Pool pool);
    virtual Task<> build(xml::Pool pool, PoolBuild how);
    virtual Task<> start(xml::Pool pool);
    virtual Task<> stop(xml::Pool pool);
    virtual Task<> remove(xml::Pool pool);
    virtual Task<PoolContents> refresh(xml::Pool pool) = 0;
    // The pools there could be, as <sources>.
    virtual Task<std::string> find_sources(xml::PoolType type, std::optional<std::string> specification);

    // Where a new volume will stand (path, key, type); makes nothing.
    virtual Task<xml::Volume> place(xml::Pool pool, xml::Volume volume);
    // Fails and leaves nothing, or the volume is whole.
    virtual Task<> create(VolumeRequest request);
    virtual Task<xml::Volume> refresh_volume(xml::Pool pool, xml::Volume volume);
    // After its content was written anew: finds out what it is now.
    virtual Task<xml::Volume> probe_volume(xml::Pool pool, xml::Volume volume);
    virtual Task<> delete_volume(xml::Pool pool, xml::Volume volume);
    virtual Task<> resize(xml::Pool pool, xml::Volume volume, std::uint64_t capacity, bool allocate, Passphrase passphrase);
    virtual Task<> wipe(xml::Volume volume, unsigned algorithm); // VIR_STORAGE_VOL_WIPE_ALG_*
    // The volume as a file to read or write from its start.
    virtual Task<Fd> open_volume(xml::Volume volume, bool writing);
    // A path by which clients may know a volume, as the pool itself names it.
    virtual std::string own_path(const xml::Pool&, const std::string& path) const { return path; }
};

// Null: this host's storage knows no such pools.
PoolDriver* pool_driver(xml::PoolType type);
std::vector<xml::PoolType> supported_pool_types();

} // namespace lodge::drivers
