// How pools come to be: from a document or from facts, built and deleted; and what pools could be made of here.
#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xml_query.hpp"

#include <bit>
#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

unsigned build_flags(const Arguments& arguments) {
    arguments.exclusive("overwrite", "no-overwrite");
    unsigned flags = 0;
    if (arguments.has("build")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD;
    if (arguments.has("overwrite")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE;
    if (arguments.has("no-overwrite")) flags |= VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE;
    return flags;
}

void create(Session& session, const Arguments& arguments) {
    const unsigned flags = build_flags(arguments);
    const auto& file = arguments.required("file");
    Pool pool(virStoragePoolCreateXML(session.connection(), read_document(file).c_str(), flags));
    if (!pool) fail_with_cause("Failed to create pool from {}", file);
    session.extra("Pool {} created from {}\n", virStoragePoolGetName(pool.get()), file);
}

// ---- a document from facts ----

void put(pugi::xml_node node, const char* name, const std::optional<std::string>& value) {
    if (value) node.append_attribute(name) = value->c_str();
}

void put_adapter(pugi::xml_node source, const Arguments& arguments) {
    const auto name = arguments.text("adapter-name"), wwnn = arguments.text("adapter-wwnn"),
               wwpn = arguments.text("adapter-wwpn"), parent_wwnn = arguments.text("adapter-parent-wwnn"),
               parent_wwpn = arguments.text("adapter-parent-wwpn");
    if (wwnn && wwpn) {
        auto adapter = source.append_child("adapter");
        put(adapter, "type", "fc_host");
        if (const auto parent = arguments.text("adapter-parent")) {
            put(adapter, "parent", parent);
        } else if (parent_wwnn && parent_wwpn) {
            put(adapter, "parent_wwnn", parent_wwnn);
            put(adapter, "parent_wwpn", parent_wwpn);
        } else {
            put(adapter, "parent_fabric_wwn", arguments.text("adapter-parent-fabric-wwn"));
        }
        put(adapter, "wwnn", wwnn);
        put(adapter, "wwpn", wwpn);
    } else if (name) {
        auto adapter = source.append_child("adapter");
        put(adapter, "type", "scsi_host");
        put(adapter, "name", name);
    }
}

void put_auth(pugi::xml_node source, const Arguments& arguments) {
    const auto type = arguments.text("auth-type"), user = arguments.text("auth-username"), usage = arguments.text("secret-usage"),
               uuid = arguments.text("secret-uuid");
    if (!type || !user || (!usage && !uuid)) return;
    auto auth = source.append_child("auth");
    put(auth, "type", type);
    put(auth, "username", user);
    put(auth.append_child("secret"), usage ? "usage" : "uuid", usage ? usage : uuid);
}

// Details alone do not make a source: one of the facts that say where it is must be there.
pugi::xml_node put_source(pugi::xml_node pool, const Arguments& arguments) {
    const bool fibre = arguments.has("adapter-wwnn") && arguments.has("adapter-wwpn");
    bool known = fibre;
    for (const char* fact :
         {"source-host", "source-path", "source-dev", "source-initiator", "source-format", "source-name", "adapter-name"})
        known = known || arguments.has(fact);
    if (!known) return {};
    auto source = pool.append_child("source");
    if (const auto host = arguments.text("source-host")) put(source.append_child("host"), "name", host);
    if (const auto path = arguments.text("source-path")) put(source.append_child("dir"), "path", path);
    if (const auto device = arguments.text("source-dev")) put(source.append_child("device"), "path", device);
    if (const auto initiator = arguments.text("source-initiator"))
        put(source.append_child("initiator").append_child("iqn"), "name", initiator);
    put_adapter(source, arguments);
    put_auth(source, arguments);
    if (const auto format = arguments.text("source-format")) put(source.append_child("format"), "type", format);
    if (const auto name = arguments.text("source-name")) source.append_child("name").text() = name->c_str();
    if (const auto version = arguments.text("source-protocol-ver")) put(source.append_child("protocol"), "ver", version);
    return source;
}

std::string document_from(const Arguments& arguments) {
    arguments.exclusive("secret-usage", "secret-uuid");
    pugi::xml_document document;
    auto pool = document.append_child("pool");
    put(pool, "type", arguments.required("type"));
    pool.append_child("name").text() = arguments.required("name").c_str();
    put_source(pool, arguments);
    if (const auto target = arguments.text("target")) pool.append_child("target").append_child("path").text() = target->c_str();
    return format_shown(pool);
}

void create_as(Session& session, const Arguments& arguments) {
    const unsigned flags = build_flags(arguments);
    const std::string xml = document_from(arguments);
    if (arguments.has("print-xml")) return session.write(xml);
    const auto& name = arguments.required("name");
    Pool pool(virStoragePoolCreateXML(session.connection(), xml.c_str(), flags));
    if (!pool) fail_with_cause("Failed to create pool {}", name);
    session.extra("Pool {} created\n", name);
}

void define_as(Session& session, const Arguments& arguments) {
    const std::string xml = document_from(arguments);
    if (arguments.has("print-xml")) return session.write(xml);
    const auto& name = arguments.required("name");
    Pool pool(virStoragePoolDefineXML(session.connection(), xml.c_str(), 0));
    if (!pool) fail_with_cause("Failed to define pool {}", name);
    session.extra("Pool {} defined\n", name);
}

// ---- what is done to one ----

void build(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    const std::string name = virStoragePoolGetName(pool.get());
    unsigned flags = 0;
    if (arguments.has("no-overwrite")) flags |= VIR_STORAGE_POOL_BUILD_NO_OVERWRITE;
    if (arguments.has("overwrite")) flags |= VIR_STORAGE_POOL_BUILD_OVERWRITE;
    check(virStoragePoolBuild(pool.get(), flags), "Failed to build pool {}", name);
    session.extra("Pool {} built\n", name);
}

void remove(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    const std::string name = virStoragePoolGetName(pool.get());
    check(virStoragePoolDelete(pool.get(), 0), "Failed to delete pool {}", name);
    session.extra("Pool {} deleted\n", name);
}

void edit(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    std::string name = virStoragePoolGetName(pool.get());
    const auto fetch = [&](unsigned flags) { return Text(virStoragePoolGetXMLDesc(pool.get(), flags)); };
    edit_object(session, {
                             .fetch =
                                 [&] {
                                     Text xml = fetch(VIR_STORAGE_XML_INACTIVE);
                                     // a driver that knows one document only says so
                                     if (!xml && cause_code() == VIR_ERR_INVALID_ARG) xml = fetch(0);
                                     if (!xml) fail_with_cause();
                                     forget_cause();
                                     return std::string(xml.get());
                                 },
                             .store =
                                 [&](const std::string& xml) {
                                     Pool stored(virStoragePoolDefineXML(session.connection(), xml.c_str(), 0));
                                     if (!stored) fail_with_cause();
                                     name = virStoragePoolGetName(stored.get());
                                 },
                             .unchanged = fmt::format("Pool {} XML configuration not changed.", name),
                             .edited = fmt::format("Pool {} XML configuration edited.", name),
                         });
}

// ---- what there is to make pools of ----

void show_sources(Session& session, const std::string& type, const std::string* about) {
    Text found(virConnectFindStoragePoolSources(session.connection(), type.c_str(), about ? about->c_str() : nullptr, 0));
    if (!found) fail_with_cause("Failed to find any {} pool sources", type);
    session.write(found.get());
}

void find_sources(Session& session, const Arguments& arguments) {
    std::string about;
    const auto file = arguments.text("srcSpec");
    if (file) about = read_document(*file);
    show_sources(session, arguments.required("type"), file ? &about : nullptr);
}

void find_sources_as(Session& session, const Arguments& arguments) {
    const auto host = arguments.text("host");
    if (!host) return show_sources(session, arguments.required("type"), nullptr);
    pugi::xml_document document;
    auto source = document.append_child("source");
    auto node = source.append_child("host");
    put(node, "name", host);
    put(node, "port", arguments.text("port"));
    if (const auto initiator = arguments.text("initiator"))
        put(source.append_child("initiator").append_child("iqn"), "name", initiator);
    const std::string about = format_shown(source);
    show_sources(session, arguments.required("type"), &about);
}

void capabilities(Session& session, const Arguments&) {
    Text xml(virConnectGetStoragePoolCapabilities(session.connection(), 0));
    if (!xml) fail_with_cause("{}", "failed to get storage pool capabilities");
    session.print("{}\n", xml.get());
}

// ---- events ----

void tell_lifecycle(virConnectPtr, virStoragePoolPtr pool, int event, int, void* opaque) {
    static constexpr std::string_view words[] = {"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted"};
    static_cast<Watch*>(opaque)->tell("storage pool", "lifecycle", virStoragePoolGetName(pool),
                                      fmt::format(": {}", word_at(words, event)), false);
}

void tell_refresh(virConnectPtr, virStoragePoolPtr pool, void* opaque) {
    static_cast<Watch*>(opaque)->tell("storage pool", "refresh", virStoragePoolGetName(pool), "", false);
}

void pool_event(Session& session, const Arguments& arguments) {
    const auto wanted = wanted_event(session, arguments, {"lifecycle", "refresh"});
    if (!wanted) return;
    Pool pool = arguments.has("pool") ? find_pool(session, arguments) : nullptr;
    Watch watch(session, arguments);
    Registrations registered(session.connection());
    const bool lifecycle = *wanted == "lifecycle";
    registered.add(
        check(virConnectStoragePoolEventRegisterAny(
            session.connection(), pool.get(), lifecycle ? VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE : VIR_STORAGE_POOL_EVENT_ID_REFRESH,
            lifecycle ? std::bit_cast<virConnectStoragePoolEventGenericCallback>(&tell_lifecycle)
                      : std::bit_cast<virConnectStoragePoolEventGenericCallback>(&tell_refresh),
            &watch, nullptr)),
        virConnectStoragePoolEventDeregisterAny);
    if (!watch.wait()) throw NothingReceived();
}

// ---- options ----

Option the_pool() { return need("pool", "pool name or uuid", Complete::pool); }

void append_build(std::vector<Option>& options) {
    options.push_back(flag("build", "build the pool as normal"));
    options.push_back(flag("no-overwrite", "do not overwrite any existing data"));
    options.push_back(flag("overwrite", "overwrite any existing data"));
}

std::vector<Option> facts(bool with_build) {
    std::vector<Option> options = {need("name", "name of the pool"), need("type", "type of the pool"),
                                   flag("print-xml", "print XML document, but don't define/create")};
    for (const auto& [name, help] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"source-host", "source-host for underlying storage"},
             {"source-path", "source path for underlying storage"},
             {"source-dev", "source device for underlying storage"},
             {"source-name", "source name for underlying storage"},
             {"target", "target for underlying storage"},
             {"source-format", "format for underlying storage"},
             {"auth-type", "auth type to be used for underlying storage"},
             {"auth-username", "auth username to be used for underlying storage"},
             {"secret-usage", "auth secret usage to be used for underlying storage"},
             {"secret-uuid", "auth secret UUID to be used for underlying storage"},
             {"adapter-name", "adapter name to be used for underlying storage"},
             {"adapter-wwnn", "adapter wwnn to be used for underlying storage"},
             {"adapter-wwpn", "adapter wwpn to be used for underlying storage"},
             {"adapter-parent", "adapter parent scsi_hostN to be used for underlying vHBA storage"},
             {"adapter-parent-wwnn", "adapter parent scsi_hostN wwnn to be used for underlying vHBA storage"},
             {"adapter-parent-wwpn", "adapter parent scsi_hostN wwpn to be used for underlying vHBA storage"},
             {"adapter-parent-fabric-wwn", "adapter parent scsi_hostN fabric_wwn to be used for underlying vHBA storage"},
             {"source-protocol-ver", "nfsvers value for NFS pool mount option"},
             {"source-initiator", "initiator iqn for underlying storage"}})
        options.push_back(text(name, help));
    if (with_build) append_build(options);
    return options;
}

std::vector<Option> create_options() {
    std::vector<Option> options = {need("file", "file containing an XML pool description", Complete::file)};
    append_build(options);
    return options;
}

} // namespace

const std::vector<Command>& pool_make_commands() {
    static const std::vector<Command> rows = {
        {.name = "pool-create",
         .group = Group::pool,
         .help = "create a pool from an XML file",
         .description = "Create a pool.",
         .options = create_options(),
         .run = create},
        {.name = "pool-create-as",
         .group = Group::pool,
         .help = "create a pool from a set of args",
         .description = "Create a pool.",
         .options = facts(true),
         .run = create_as},
        {.name = "pool-define-as",
         .group = Group::pool,
         .help = "define a pool from a set of args",
         .description = "Define a pool.",
         .options = facts(false),
         .run = define_as},
        {.name = "pool-build",
         .group = Group::pool,
         .help = "build a pool",
         .description = "Build a given pool.",
         .options = {the_pool(), flag("no-overwrite", "do not overwrite any existing data"),
                     flag("overwrite", "overwrite any existing data")},
         .run = build},
        {.name = "pool-delete",
         .group = Group::pool,
         .help = "delete a pool",
         .description = "Delete a given pool.",
         .options = {the_pool()},
         .run = remove},
        {.name = "pool-edit",
         .group = Group::pool,
         .help = "edit XML configuration for a storage pool",
         .description = "Edit the XML configuration for a storage pool.",
         .options = {the_pool()},
         .run = edit},
        {.name = "find-storage-pool-sources",
         .group = Group::pool,
         .help = "discover potential storage pool sources",
         .description = "Returns XML <sources> document.",
         .options = {need("type", "type of storage pool sources to discover"),
                     text("srcSpec", "optional file of source xml to query for pools").completed(Complete::file)},
         .run = find_sources},
        {.name = "find-storage-pool-sources-as",
         .group = Group::pool,
         .help = "find potential storage pool sources",
         .description = "Returns XML <sources> document.",
         .options = {need("type", "type of storage pool sources to find"), text("host", "optional host to query"),
                     text("port", "optional port to query"), text("initiator", "optional initiator IQN to use for query")},
         .run = find_sources_as},
        {.name = "pool-capabilities",
         .group = Group::pool,
         .help = "storage pool capabilities",
         .description = "Returns capabilities of storage pool support.",
         .options = {},
         .run = capabilities},
        {.name = "pool-event",
         .group = Group::pool,
         .help = "Storage Pool Events",
         .description = "List event types, or wait for storage pool events to occur",
         .options = {text("pool", "filter by storage pool name or uuid").completed(Complete::pool),
                     text("event", "which event type to wait for"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("list", "list valid event types"), flag("timestamp", "show timestamp for each printed event")},
         .run = pool_event,
         .needs = Need::events},
    };
    return rows;
}

} // namespace lodge::cli
