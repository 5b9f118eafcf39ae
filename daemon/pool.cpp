#include "daemon/pool.hpp"
#include "rpc/generated/constants.hpp"
#include <algorithm>

namespace lodge::daemon {

namespace api = rpc::api;
using rpc::Code;
using rpc::From;

void Pool::require_active() const {
    if (!active) rpc::fail(From::storage, Code::operation_invalid, "storage pool '{}' is not active", name_);
}

void Pool::require_idle() const {
    if (long_jobs > 0) rpc::fail(From::storage, Code::internal_error, "pool '{}' has asynchronous jobs running.", name_);
}

VolumePtr Pool::volume(const std::string& wanted) const {
    require_active();
    const auto at = volumes.find(wanted);
    if (at == volumes.end()) rpc::fail(From::storage, Code::no_storage_vol, "no storage vol with matching name '{}'", wanted);
    return at->second;
}

namespace {

struct PoolState {
    xml::Pool pool;
};
void describe(xml::Doc& doc, PoolState& state) { doc.child("pool", state.pool); }
constexpr const char* state_root = "poolstate";

} // namespace

std::string format_pool_state(const xml::Pool& pool) { return xml::format(PoolState{pool}, state_root); }

xml::Pool parse_pool_state(const std::string& text, const std::string& path) {
    auto state = xml::parse<PoolState>(text, state_root, {.from = From::storage, .where = path});
    xml::normalize_pool(state.pool);
    return std::move(state.pool);
}

static bool group_matches(unsigned flags, unsigned yes, unsigned no, bool fact) {
    return (flags & (yes | no)) == 0 || (fact ? (flags & yes) != 0 : (flags & no) != 0);
}

static bool type_matches(unsigned flags, xml::PoolType type) {
    struct Row {
        xml::PoolType type;
        unsigned flag;
    };
    using enum xml::PoolType;
    static constexpr Row rows[] = {
        {dir, api::connect_list_storage_pools_dir},
        {fs, api::connect_list_storage_pools_fs},
        {netfs, api::connect_list_storage_pools_netfs},
        {logical, api::connect_list_storage_pools_logical},
        {disk, api::connect_list_storage_pools_disk},
        {iscsi, api::connect_list_storage_pools_iscsi},
        {iscsi_direct, api::connect_list_storage_pools_iscsi_direct},
        {scsi, api::connect_list_storage_pools_scsi},
        {mpath, api::connect_list_storage_pools_mpath},
        {rbd, api::connect_list_storage_pools_rbd},
        {sheepdog, api::connect_list_storage_pools_sheepdog},
        {gluster, api::connect_list_storage_pools_gluster},
        {zfs, api::connect_list_storage_pools_zfs},
        {vstorage, api::connect_list_storage_pools_vstorage},
    };
    unsigned asked = 0;
    for (const auto& row : rows) asked |= row.flag;
    if ((flags & asked) == 0) return true;
    return std::ranges::any_of(rows, [&](const Row& row) { return row.type == type && (flags & row.flag); });
}

bool matches_pool_filter(const Pool& pool, unsigned flags) {
    return group_matches(flags, api::connect_list_storage_pools_active, api::connect_list_storage_pools_inactive, pool.active) &&
           group_matches(flags, api::connect_list_storage_pools_persistent, api::connect_list_storage_pools_transient,
                         pool.persistent) &&
           group_matches(flags, api::connect_list_storage_pools_autostart, api::connect_list_storage_pools_no_autostart,
                         pool.autostart) &&
           type_matches(flags, pool.document.type);
}

void check_pool_conflict(const xml::Pool& document, const Pool* same_uuid, const Pool* same_name, bool starting) {
    if (same_uuid) {
        if (same_uuid->name() != document.name)
            rpc::fail(From::storage, Code::operation_failed, "pool '{}' is already defined with uuid {}", same_uuid->name(),
                      same_uuid->uuid().text());
        if (starting && same_uuid->active)
            rpc::fail(From::storage, Code::operation_invalid, "pool is already active as '{}'", same_uuid->name());
    } else if (same_name) {
        rpc::fail(From::storage, Code::operation_failed, "pool '{}' already exists with uuid {}", document.name,
                  same_name->uuid().text());
    }
}

// ---- the same storage under two names ----

static bool same_host(const xml::PoolSource& a, const xml::PoolSource& b) {
    if (a.hosts.size() != 1 || b.hosts.size() != 1) return false;
    if (b.hosts[0].port && a.hosts[0].port != b.hosts[0].port) return false;
    return a.hosts[0].name == b.hosts[0].name;
}

static bool same_adapter(const xml::PoolSource& a, const xml::PoolSource& b) {
    if (!a.adapter || !b.adapter || a.adapter->type != b.adapter->type) return false;
    if (a.adapter->type == xml::PoolAdapterType::fc_host)
        return a.adapter->wwnn == b.adapter->wwnn && a.adapter->wwpn == b.adapter->wwpn;
    const auto &one = a.adapter->parent_address, &other = b.adapter->parent_address;
    if (one && other)
        return one->unique_id == other->unique_id && one->address && other->address && one->address->same_place(*other->address);
    return !a.adapter->name.empty() && a.adapter->name == b.adapter->name;
}

static bool same_device(const xml::PoolSource& a, const xml::PoolSource& b) {
    return std::ranges::any_of(a.devices, [&](const xml::PoolDevice& device) {
        return std::ranges::any_of(b.devices, [&](const xml::PoolDevice& other) { return device.path == other.path; });
    });
}

bool share_storage(const xml::Pool& a, const xml::Pool& b) {
    using enum xml::PoolType;
    const auto on_devices = [](xml::PoolType type) {
        return type == fs || type == logical || type == disk || type == zfs || type == iscsi;
    };
    if (on_devices(a.type) && on_devices(b.type)) {
        if ((a.type == iscsi) != (b.type == iscsi) || !same_device(a.source, b.source)) return false;
        return a.type != iscsi || a.source.initiator_iqn == b.source.initiator_iqn;
    }
    if (a.type != b.type) return false;
    switch (a.type) {
    case dir: return a.target.path == b.target.path;
    case netfs: return a.source.dir == b.source.dir && same_host(a.source, b.source);
    case gluster: return a.source.name == b.source.name && a.source.dir == b.source.dir && same_host(a.source, b.source);
    case scsi: return same_adapter(a.source, b.source);
    case sheepdog: return same_host(a.source, b.source) && a.source.name == b.source.name;
    case vstorage: return a.source.name == b.source.name;
    case mpath: return true;
    default: return false;
    }
}

} // namespace lodge::daemon
