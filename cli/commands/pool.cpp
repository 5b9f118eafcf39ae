#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xpath.hpp"

#include <strings.h>

namespace lodge::cli {

namespace {

struct TypeFlag {
    std::string_view name;
    unsigned flag;
};
constexpr TypeFlag pool_types[] = {
    {"dir", VIR_CONNECT_LIST_STORAGE_POOLS_DIR},           {"fs", VIR_CONNECT_LIST_STORAGE_POOLS_FS},
    {"netfs", VIR_CONNECT_LIST_STORAGE_POOLS_NETFS},       {"logical", VIR_CONNECT_LIST_STORAGE_POOLS_LOGICAL},
    {"disk", VIR_CONNECT_LIST_STORAGE_POOLS_DISK},         {"iscsi", VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI},
    {"scsi", VIR_CONNECT_LIST_STORAGE_POOLS_SCSI},         {"mpath", VIR_CONNECT_LIST_STORAGE_POOLS_MPATH},
    {"rbd", VIR_CONNECT_LIST_STORAGE_POOLS_RBD},           {"sheepdog", VIR_CONNECT_LIST_STORAGE_POOLS_SHEEPDOG},
    {"gluster", VIR_CONNECT_LIST_STORAGE_POOLS_GLUSTER},   {"zfs", VIR_CONNECT_LIST_STORAGE_POOLS_ZFS},
    {"vstorage", VIR_CONNECT_LIST_STORAGE_POOLS_VSTORAGE}, {"iscsi-direct", VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT},
};
constexpr std::string_view states[] = {"inactive", "building", "running", "degraded", "inaccessible"};

unsigned filter_of(const Arguments& arguments) {
    unsigned flags = VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE;
    if (arguments.has("inactive")) flags = VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE;
    if (arguments.has("all")) flags = VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE | VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE;
    if (arguments.has("persistent")) flags |= VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT;
    if (arguments.has("transient")) flags |= VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT;
    if (arguments.has("autostart")) flags |= VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART;
    if (arguments.has("no-autostart")) flags |= VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART;
    auto list = arguments.text("type", "");
    for (size_t at = 0; arguments.has("type") && at <= list.size();) {
        auto comma = std::min(list.find(',', at), list.size());
        auto word = std::string_view(list).substr(at, comma - at);
        const auto* type = std::ranges::find(pool_types, word, &TypeFlag::name);
        if (type == std::end(pool_types)) fail("Invalid pool type '{}'", word);
        flags |= type->flag;
        at = comma + 1;
    }
    return flags;
}

std::string uuid_text(const Pool& pool) {
    char text[VIR_UUID_STRING_BUFLEN] = {};
    check(virStoragePoolGetUUIDString(pool.get(), text), "{}", "Failed to get pool's UUID");
    return text;
}

Cell yes_cell(int value) {
    if (value < 0) {
        forget_cause();
        return {"unknown", Json()};
    }
    return {std::string(yes_no(value)), value != 0};
}

Cell autostart_cell(const Pool& pool) {
    int autostart = 0;
    if (virStoragePoolGetAutostart(pool.get(), &autostart) == 0) return yes_cell(autostart);
    forget_cause();
    return {"no autostart", Json()};
}

void print_details(Session& session, const std::vector<Pool>& pools) {
    Table table({{"name", "Name"},
                 {"state", "State"},
                 {"autostart", "Autostart"},
                 {"persistent", "Persistent"},
                 {"capacity", "Capacity"},
                 {"allocation", "Allocation"},
                 {"available", "Available"},
                 {"uuid", ""}});
    for (const auto& pool : pools) {
        virStoragePoolInfo info{};
        check(virStoragePoolGetInfo(pool.get(), &info), "{}", "Could not retrieve pool information");
        bool known = info.state == VIR_STORAGE_POOL_RUNNING || info.state == VIR_STORAGE_POOL_DEGRADED;
        auto size = [&](unsigned long long bytes) { return known ? size_cell(bytes) : Cell("-"); };
        std::string name = virStoragePoolGetName(pool.get());
        table.add({Cell(name, name), word_at(states, info.state), autostart_cell(pool),
                   yes_cell(virStoragePoolIsPersistent(pool.get())), size(info.capacity), size(info.allocation),
                   size(info.available), uuid_text(pool)});
    }
    session.show(table);
}

void show_list(Session& session, const Arguments& arguments) {
    arguments.exclusive("details", "uuid");
    arguments.exclusive("details", "name");
    auto pools = collect<Pool>(virConnectListAllStoragePools, session.connection(), filter_of(arguments), "Failed to list pools");
    std::ranges::sort(pools, [](const Pool& a, const Pool& b) {
        return strcasecmp(virStoragePoolGetName(a.get()), virStoragePoolGetName(b.get())) < 0;
    });
    if (arguments.has("details")) return print_details(session, pools);
    bool names = arguments.has("name"), uuids = arguments.has("uuid");
    Table table({{"name", "Name"}, {"state", "State"}, {"autostart", "Autostart"}, {"uuid", ""}});
    for (const auto& pool : pools) {
        std::string name = virStoragePoolGetName(pool.get());
        if (!session.json() && (names || uuids)) {
            if (uuids) session.print("{}{}", uuid_text(pool), names ? " " : "");
            if (names) session.print("{:<20}", name);
            session.print("{}", "\n");
        }
        table.add({Cell(name, name), virStoragePoolIsActive(pool.get()) > 0 ? "active" : "inactive", autostart_cell(pool),
                   uuid_text(pool)});
    }
    if (session.json() || !(names || uuids)) session.show(table);
}

void show_info(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    virStoragePoolInfo info{};
    Pairs out;
    out.add("name", "Name:", virStoragePoolGetName(pool.get()));
    out.add("uuid", "UUID:", uuid_text(pool));
    check(virStoragePoolGetInfo(pool.get(), &info));
    out.add("state", "State:", word_at(states, info.state));
    out.add("persistent", "Persistent:", yes_cell(virStoragePoolIsPersistent(pool.get())));
    out.add("autostart", "Autostart:", autostart_cell(pool));
    if (info.state == VIR_STORAGE_POOL_RUNNING || info.state == VIR_STORAGE_POOL_DEGRADED) {
        auto size = [&](unsigned long long bytes) { return arguments.has("bytes") ? Cell(bytes) : size_cell(bytes); };
        out.add("capacity", "Capacity:", size(info.capacity));
        out.add("allocation", "Allocation:", size(info.allocation));
        out.add("available", "Available:", size(info.available));
    }
    session.show(out);
}

void show_name(Session& session, const Arguments& arguments) {
    session.show_value(virStoragePoolGetName(find_pool(session, arguments, By::id_or_uuid).get()));
}

void show_uuid(Session& session, const Arguments& arguments) {
    session.show_value(uuid_text(find_pool(session, arguments, By::id_or_name)));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    Text xml(virStoragePoolGetXMLDesc(pool.get(), arguments.has("inactive") ? VIR_STORAGE_XML_INACTIVE : 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    Pool pool(virStoragePoolDefineXML(session.connection(), xml.c_str(),
                                      arguments.has("validate") ? VIR_STORAGE_POOL_DEFINE_VALIDATE : 0));
    if (!pool) fail_with_cause("Failed to define pool from {}", file);
    session.extra("Pool {} defined from {}\n", virStoragePoolGetName(pool.get()), file);
}

// The commands that do one thing to one pool.
void change(Session& session, const Arguments& arguments, int (*call)(virStoragePoolPtr), const char* verb, const char* done) {
    auto pool = find_pool(session, arguments);
    std::string name = virStoragePoolGetName(pool.get());
    check(call(pool.get()), "Failed to {} pool {}", verb, name);
    session.extra("Pool {} {}\n", name, done);
}

void undefine(Session& session, const Arguments& arguments) {
    change(session, arguments, virStoragePoolUndefine, "undefine", "has been undefined");
}

void destroy(Session& session, const Arguments& arguments) {
    change(session, arguments, virStoragePoolDestroy, "destroy", "destroyed");
}

void refresh(Session& session, const Arguments& arguments) {
    change(session, arguments, [](virStoragePoolPtr pool) { return virStoragePoolRefresh(pool, 0); }, "refresh", "refreshed");
}

void start(Session& session, const Arguments& arguments) {
    arguments.exclusive("overwrite", "no-overwrite");
    auto pool = find_pool(session, arguments);
    std::string name = virStoragePoolGetName(pool.get());
    unsigned flags = 0;
    if (arguments.has("build")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD;
    if (arguments.has("overwrite")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE;
    if (arguments.has("no-overwrite")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE;
    check(virStoragePoolCreate(pool.get(), flags), "Failed to start pool {}", name);
    session.extra("Pool {} started\n", name);
}

void autostart(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    std::string name = virStoragePoolGetName(pool.get());
    bool on = !arguments.has("disable");
    check(virStoragePoolSetAutostart(pool.get(), on), "failed to {} pool {} as autostarted", on ? "mark" : "unmark", name);
    session.extra("Pool {} {} as autostarted\n", name, on ? "marked" : "unmarked");
}

} // namespace

const std::vector<Command>& pool_commands() {
    static const std::vector<Command> rows = {
        {.name = "pool-list",
         .group = Group::pool,
         .help = "list pools",
         .description = "Returns list of pools.",
         .options = {flag("inactive", "list inactive pools"), flag("all", "list inactive & active pools"),
                     flag("transient", "list transient pools"), flag("persistent", "list persistent pools"),
                     flag("autostart", "list pools with autostart enabled"),
                     flag("no-autostart", "list pools with autostart disabled"),
                     text("type", "only list pool of specified type(s) (if supported)"),
                     flag("details", "display extended details for pools"), flag("uuid", "list UUID of active pools only"),
                     flag("name", "list name of active pools only")},
         .run = show_list},
        {.name = "pool-info",
         .group = Group::pool,
         .help = "storage pool information",
         .description = "Returns basic information about the storage pool.",
         .options = {need("pool", "pool name or uuid", Complete::pool), flag("bytes", "Return pool info in bytes")},
         .run = show_info},
        {.name = "pool-name",
         .group = Group::pool,
         .help = "convert a pool UUID to pool name",
         .description = "",
         .options = {need("pool", "pool name or uuid", Complete::pool)},
         .run = show_name},
        {.name = "pool-uuid",
         .group = Group::pool,
         .help = "convert a pool name to pool UUID",
         .description = "",
         .options = {need("pool", "pool name or uuid", Complete::pool)},
         .run = show_uuid},
        {.name = "pool-dumpxml",
         .group = Group::pool,
         .help = "pool information in XML",
         .description = "Output the pool information as an XML dump to stdout.",
         .options = {need("pool", "pool name or uuid", Complete::pool), flag("inactive", "show inactive defined XML"),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "pool-define",
         .group = Group::pool,
         .help = "define an inactive persistent storage pool or modify an existing persistent one from an XML file",
         .description = "Define or modify a persistent storage pool.",
         .options = {need("file", "file containing an XML pool description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "pool-undefine",
         .group = Group::pool,
         .help = "undefine an inactive pool",
         .description = "Undefine the configuration for an inactive pool.",
         .options = {need("pool", "pool name or uuid", Complete::pool)},
         .run = undefine},
        {.name = "pool-start",
         .group = Group::pool,
         .help = "start a (previously defined) inactive pool",
         .description = "Start a pool.",
         .options = {need("pool", "pool name or uuid", Complete::pool), flag("build", "build the pool as normal"),
                     flag("no-overwrite", "do not overwrite any existing data"),
                     flag("overwrite", "overwrite any existing data")},
         .run = start},
        {.name = "pool-destroy",
         .group = Group::pool,
         .help = "destroy (stop) a pool",
         .description = "Forcefully stop a given pool. Raw data in the pool is untouched",
         .options = {need("pool", "pool name or uuid", Complete::pool)},
         .run = destroy},
        {.name = "pool-refresh",
         .group = Group::pool,
         .help = "refresh a pool",
         .description = "Refresh a given pool.",
         .options = {need("pool", "pool name or uuid", Complete::pool)},
         .run = refresh},
        {.name = "pool-autostart",
         .group = Group::pool,
         .help = "autostart a pool",
         .description = "Configure a pool to be automatically started at boot.",
         .options = {need("pool", "pool name or uuid", Complete::pool), flag("disable", "disable autostarting")},
         .run = autostart},
    };
    return rows;
}

} // namespace lodge::cli
