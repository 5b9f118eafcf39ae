// Refuses what libvirt refuses of a pool, in its words, and brings documents into its normal form.
#include "xml/pool.hpp"
#include <algorithm>

namespace lodge::xml {

template<class... Args> [[noreturn]] static void refuse(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::storage, Code::xml_error, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] static void unsupported(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::storage, Code::config_unsupported, format, std::forward<Args>(args)...);
}

// ---- <source> ----

static void check_auth(const PoolAuth& auth) {
    if (auth.username.empty()) refuse("missing username for auth");
    if (!auth.secret) refuse("Missing <secret> element in auth");
    const bool by_uuid = !auth.secret->uuid.is_nil();
    if (!by_uuid && auth.secret->usage.empty())
        rpc::fail(rpc::from_nobody, Code::xml_error, "missing secret uuid or usage attribute");
    if (by_uuid && !auth.secret->usage.empty())
        rpc::fail(rpc::from_nobody, Code::xml_error, "either secret uuid or usage expected");
    if (!auth.type) unsupported("storage pool missing auth type");
}

static void settle_adapter_type(PoolAdapter& adapter) {
    if (adapter.type == PoolAdapterType::scsi_host && adapter.parent_address) {
        if (!adapter.parent_address->address) refuse("Missing scsi_host PCI address element");
        if (adapter.parent_address->unique_id.value_or(-1) < 0) refuse("Missing or invalid scsi adapter 'unique_id' value");
    }
    if (adapter.type) return;
    if (!adapter.wwnn.empty() || !adapter.wwpn.empty() || !adapter.parent.empty())
        refuse("Use of 'wwnn', 'wwpn', and 'parent' attributes requires use of the adapter 'type'");
    if (adapter.parent_address) refuse("Use of 'parentaddr' element requires use of the adapter 'type'");
    if (!adapter.name.empty()) adapter.type = PoolAdapterType::scsi_host;
}

static void check_fc_host(PoolAdapter& adapter) {
    if (adapter.wwnn.empty() || adapter.wwpn.empty()) refuse("'wwnn' and 'wwpn' must be specified for adapter type 'fchost'");
    check_wwn(adapter.wwnn);
    check_wwn(adapter.wwpn);
    if (!adapter.parent_wwnn.empty() && adapter.parent_wwpn.empty())
        refuse("when providing parent_wwnn='{}', the parent_wwpn must also be provided", adapter.parent_wwnn);
    if (adapter.parent_wwnn.empty() && !adapter.parent_wwpn.empty())
        refuse("when providing parent_wwpn='{}', the parent_wwnn must also be provided", adapter.parent_wwpn);
    for (const auto* wwn : {&adapter.parent_wwnn, &adapter.parent_wwpn, &adapter.parent_fabric_wwn})
        if (!wwn->empty()) check_wwn(*wwn);
    adapter.name.clear();
    adapter.parent_address.reset();
}

static void check_scsi_host(PoolAdapter& adapter) {
    if (adapter.name.empty() && !adapter.parent_address)
        refuse("Either 'name' or 'parent' must be specified for the 'scsi_host' adapter");
    if (!adapter.name.empty() && adapter.parent_address)
        refuse("Both 'name' and 'parent' cannot be specified for the 'scsi_host' adapter");
    PoolAdapter kept;
    kept.type = adapter.type;
    kept.name = std::move(adapter.name);
    kept.parent_address = std::move(adapter.parent_address);
    adapter = std::move(kept);
}

static void check_adapter(std::optional<PoolAdapter>& adapter) {
    if (!adapter || !adapter->type) refuse("missing storage pool source adapter");
    adapter->type == PoolAdapterType::fc_host ? check_fc_host(*adapter) : check_scsi_host(*adapter);
}

// The version of NFS goes with NFS only; pools without formats count as the first one of the table.
static void check_protocol(const PoolSource& source, const PoolTypeFacts& facts) {
    if (source.protocol_version.empty()) return;
    const auto words = facts_of(PoolType::netfs).formats;
    const auto number = facts.formats.empty() ? 0 : std::ranges::find(facts.formats, source.format) - facts.formats.begin();
    if (number > 1)
        unsupported("storage pool protocol ver unsupported for pool type '{}'",
                    static_cast<std::size_t>(number) < words.size() ? words[static_cast<std::size_t>(number)] : "(null)");
    if (source.protocol_version.find(',') != std::string::npos)
        rpc::fail(From::storage, Code::xml_detail, "storage pool protocol ver '{}' must not contain ','",
                  source.protocol_version);
}

static void check_source(PoolSource& source, const PoolTypeFacts& facts) {
    if (!facts.formats.empty()) {
        if (source.format.empty()) source.format = facts.default_format;
        if (std::ranges::find(facts.formats, source.format) == facts.formats.end())
            unsupported("unknown pool format type {}", source.format);
    } else {
        source.format.clear();
    }
    for (auto& host : source.hosts) {
        if (host.name.empty()) refuse("missing storage pool host name");
        if (host.port == 0) host.port.reset();
    }
    for (const auto& device : source.devices)
        if (device.path.empty()) refuse("missing storage pool source device path");
    source.dir = clean_path(source.dir);
    if (source.adapter) settle_adapter_type(*source.adapter);
    if (source.auth) check_auth(*source.auth);
    check_protocol(source, facts);
}

// What a type of pools does not know is read over.
static void drop_foreign_parts(PoolSource& source, const PoolTypeFacts& facts) {
    if (!facts.host) source.hosts.clear();
    if (!facts.device) source.devices.clear();
    if (!facts.dir) source.dir.clear();
    if (!facts.adapter) source.adapter.reset();
    if (!facts.name) source.name.clear();
    if (!facts.iqn) source.initiator_iqn.clear();
}

// ---- the pool ----

static void settle_name(Pool& pool, const PoolTypeFacts& facts) {
    if (pool.type == PoolType::rbd && pool.source.name.empty()) refuse("element 'name' is mandatory for RBD pool");
    if (pool.name.empty() && facts.name) pool.name = pool.source.name;
    if (pool.name.empty()) refuse("missing pool source name element");
    if (pool.name.find('/') != std::string::npos) refuse("name {} cannot contain '/'", pool.name);
}

static void settle_target(Pool& pool) {
    auto& target = pool.target;
    if (!pool.has_target()) {
        target = {};
        return;
    }
    if (pool.type == PoolType::logical) target.path = "/dev/" + pool.source.name;
    if (pool.type == PoolType::zfs) target.path = "/dev/zvol/" + pool.source.name;
    if (target.path.empty()) refuse("missing storage pool target path");
    target.path = clean_path(target.path);
}

void normalize_pool(Pool& pool) {
    const auto& facts = facts_of(pool.type);
    auto& source = pool.source;
    if (pool.type == PoolType::rbd && source.name.empty()) settle_name(pool, facts);
    check_source(source, facts);
    if (pool.type == PoolType::gluster && source.dir.empty()) source.dir = "/";
    settle_name(pool, facts);
    if (pool.uuid.is_nil()) pool.uuid = rpc::Uuid::random();
    if (pool.cow && pool.type != PoolType::fs && pool.type != PoolType::dir)
        rpc::fail(From::storage, Code::no_support, "cow feature may only be used for 'fs' and 'dir' pools");
    if (facts.host && source.hosts.empty()) refuse("missing storage pool source host name");
    if (facts.dir && source.dir.empty()) refuse("missing storage pool source path");
    if (facts.name && source.name.empty()) source.name = pool.name;
    if (facts.adapter) check_adapter(source.adapter);
    const bool only_device = facts.device && !facts.host && !facts.name;
    if (only_device && source.devices.empty()) refuse("missing storage pool source device name");
    settle_target(pool);
    if (pool.type == PoolType::iscsi_direct && source.initiator_iqn.empty()) unsupported("missing initiator IQN");
    for (const auto& option : pool.mount_options)
        if (option.name.empty()) refuse("no fs mount option name specified");
    drop_foreign_parts(source, facts);
}

PoolSource parse_pool_source(const std::string& text, PoolType type) {
    auto source = parse<PoolSource>(text, "source", {.from = From::storage, .where = "(storage_source_specification)"});
    check_source(source, facts_of(type));
    return source;
}

} // namespace lodge::xml
