// All storage pools of the host and their volumes: the rules (names, transient and persistent, who uses what), files and events.
// What a pool is made of belongs to drivers/storage. Control thread only. Changes to one pool stand in its queue; what takes as
// long as its bytes do (building, copying and wiping volumes) leaves the queue and is counted in Pool::long_jobs instead, so that
// other volumes of the pool can be worked on meanwhile.
#pragma once
#include "daemon/host.hpp"
#include "daemon/pool.hpp"
#include "drivers/storage/pool_driver.hpp"

namespace lodge::daemon {

// A volume and the pool it stands in.
struct FoundVolume {
    PoolPtr pool;
    VolumePtr volume;
};

// Keeps a volume in use for as long as it lives: nobody deletes, resizes or wipes it meanwhile.
class VolumeUse {
  public:
    explicit VolumeUse(VolumePtr volume)
        : volume_(std::move(volume)) {
        ++volume_->users;
    }
    VolumeUse(VolumeUse&&) noexcept = default;
    VolumeUse& operator=(VolumeUse&&) = delete;
    ~VolumeUse() {
        if (volume_) --volume_->users;
    }

  private:
    VolumePtr volume_;
};

class Pools {
  public:
    explicit Pools(Host& host)
        : host_(host) {}

    // Definitions of earlier daemons, and the pools that are still active.
    Task<> load();
    // Once per boot of the host.
    Task<> autostart();

    // Throw Code::no_storage_pool.
    PoolPtr find(const rpc::remote::NonnullStoragePool& wire) const;
    PoolPtr find_name(const std::string& name) const;
    PoolPtr find_uuid(const rpc::Uuid& uuid) const;
    PoolPtr find_target(const std::string& path) const;
    // By VIR_CONNECT_LIST_STORAGE_POOLS_*; 0: all.
    std::vector<PoolPtr> list(unsigned filter) const;
    bool has_active() const;

    Task<PoolPtr> define(xml::Pool document);
    // `build`: VIR_STORAGE_POOL_CREATE_WITH_BUILD*.
    Task<PoolPtr> create(xml::Pool document, unsigned build);
    Task<> start(PoolPtr pool, unsigned build);
    Task<> build(PoolPtr pool, unsigned flags);
    Task<> destroy(PoolPtr pool);
    Task<> remove(PoolPtr pool);
    Task<> undefine(PoolPtr pool);
    Task<> refresh(PoolPtr pool);
    Task<> set_autostart(PoolPtr pool, bool on);

    // ---- volumes; see volumes.cpp ----

    FoundVolume find_volume(const rpc::remote::NonnullStorageVol& wire) const;
    FoundVolume find_key(const std::string& key) const;
    FoundVolume find_path(const std::string& path) const;
    // Throws unless nobody uses the volume.
    static void require_unused(const PoolVolume& volume);
    static void require_built(const PoolVolume& volume);

    struct NewVolume {
        std::string text;
        bool preallocate_metadata = false, reflink = false;
    };
    Task<VolumePtr> create_volume(PoolPtr pool, NewVolume wanted);
    Task<VolumePtr> copy_volume(PoolPtr pool, NewVolume wanted, FoundVolume source);
    Task<> delete_volume(FoundVolume found);
    Task<> resize_volume(FoundVolume found, std::uint64_t capacity, unsigned flags);
    Task<> wipe_volume(FoundVolume found, unsigned algorithm);
    // Takes a volume into use for a stream; `writing` wants it alone.
    Task<VolumeUse> use_volume(FoundVolume found, bool writing);
    // Its document as of now.
    Task<xml::Volume> current(FoundVolume found);
    // After an upload: finds out what the volume is now. Never throws.
    Task<> reread(PoolPtr pool);

  private:
    struct Claim {
        PoolPtr pool;
        JobQueue::Job job;
    };
    Task<Claim> claim(xml::Pool document, bool starting, std::string api_name);
    void check_conflict(const xml::Pool& document, bool starting) const;
    void require_current(const PoolPtr& pool) const;
    // Ends a change: a pool that is neither active nor defined is forgotten, one that is stopped takes up its new definition.
    void settle(const PoolPtr& pool);

    Task<> bring_up(PoolPtr pool, unsigned build);
    Task<> take_contents(PoolPtr pool);
    Task<> store_definition(PoolPtr pool);
    void emit(const Pool& pool, unsigned event);
    void emit_refresh(const Pool& pool);

    struct Build;
    Task<VolumePtr> build_volume(PoolPtr pool, drivers::VolumeRequest request, std::optional<JobQueue::Job> job);
    // Of an encrypted volume; throws Code::no_secret.
    drivers::Passphrase passphrase(const xml::Volume& volume) const;

    void load_definition(const std::string& text, const std::string& file_name, const std::string& path);
    void load_state(const std::string& text, const std::string& path);
    Task<> adopt(PoolPtr pool);

    std::string definition_file(const std::string& name) const;
    std::string autostart_link(const std::string& name) const;
    std::string state_file(const std::string& name) const;

    Host& host_;
    Registry<Pool> pools_;
};

// The driver of a pool's type; throws "missing backend" where this host has none.
drivers::PoolDriver& driver_of(xml::PoolType type);

} // namespace lodge::daemon
