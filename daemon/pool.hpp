// A storage pool as the daemon keeps it, and its volumes. Holds facts only; Pools changes them.
#pragma once
#include "daemon/job_queue.hpp"
#include "rpc/generated/remote.hpp"
#include "xml/volume.hpp"
#include <map>

namespace lodge::daemon {

// What the document says, and who works on it. Work that takes long keeps the volume by its pointer: a refresh of the pool brings
// the document up to date and leaves the rest.
struct PoolVolume {
    xml::Volume document;
    unsigned revision = 0; // counts changes of the document: what was read before one must not undo it
    bool building = false;
    int users = 0; // streams, wipes and copies that read or write it

    const std::string& name() const { return document.name; }
    void update(xml::Volume now) {
        document = std::move(now);
        ++revision;
    }
};
using VolumePtr = std::shared_ptr<PoolVolume>;

class Pool : public std::enable_shared_from_this<Pool> {
  public:
    Pool(std::string name, rpc::Uuid uuid)
        : name_(std::move(name))
        , uuid_(uuid) {}

    const std::string& name() const { return name_; }
    const rpc::Uuid& uuid() const { return uuid_; }
    rpc::remote::NonnullStoragePool wire() const { return {name_, uuid_}; }
    rpc::remote::NonnullStorageVol wire(const PoolVolume& volume) const {
        return {name_, volume.document.name, volume.document.key};
    }

    // On its way in or out, seen by nobody.
    bool exists() const { return active || persistent; }
    // What the next start will use; a change that came while it was active waits there.
    const xml::Pool& inactive() const { return next ? *next : document; }

    // Throw Code::operation_invalid and Code::no_storage_vol.
    void require_active() const;
    VolumePtr volume(const std::string& name) const;
    // Nobody builds, copies or wipes in it now; else throws Code::internal_error.
    void require_idle() const;

    rpc::Task<JobQueue::Job> acquire(std::string api_name) { return jobs_.acquire(shared_from_this(), std::move(api_name)); }

    // The figures and permissions of the last refresh stay when it is stopped, as clients of libvirt know it.
    xml::Pool document;
    std::optional<xml::Pool> next;
    bool active = false, persistent = false, autostart = false;
    std::map<std::string, VolumePtr> volumes; // by name
    int long_jobs = 0;                        // at work in it without its queue

  private:
    std::string name_;
    rpc::Uuid uuid_;
    JobQueue jobs_;
};

using PoolPtr = std::shared_ptr<Pool>;

// The state file of an active pool, in libvirt's form: either daemon takes up what the other left.
std::string format_pool_state(const xml::Pool& pool);
xml::Pool parse_pool_state(const std::string& text, const std::string& path);

// The rules of virConnectListAllStoragePools: filters of one group are alternatives, groups must all be met.
bool matches_pool_filter(const Pool& pool, unsigned flags);
// May a document with this name and uuid come in? Throws with libvirt's words. `starting`: as an active pool.
void check_pool_conflict(const xml::Pool& document, const Pool* same_uuid, const Pool* same_name, bool starting);
// Would both pools write to the same place?
bool share_storage(const xml::Pool& a, const xml::Pool& b);

} // namespace lodge::daemon
