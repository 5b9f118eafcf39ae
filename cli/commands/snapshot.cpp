#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/moments.hpp"
#include "cli/words.hpp"
#include "cli/xml_query.hpp"
#include "cli/xpath.hpp"

namespace lodge::cli {

namespace {

struct Flag {
    std::string_view option;
    unsigned flag;
};
unsigned flags_of(const Arguments& arguments, std::span<const Flag> known) {
    unsigned flags = 0;
    for (const auto& one : known)
        if (arguments.has(one.option)) flags |= one.flag;
    return flags;
}

constexpr Flag create_flags[] = {
    {"redefine", VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE},
    {"current", VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT},
    {"no-metadata", VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA},
    {"halt", VIR_DOMAIN_SNAPSHOT_CREATE_HALT},
    {"disk-only", VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY},
    {"reuse-external", VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT},
    {"quiesce", VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE},
    {"atomic", VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC},
    {"live", VIR_DOMAIN_SNAPSHOT_CREATE_LIVE},
    {"validate", VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE},
};
constexpr Flag revert_flags[] = {
    {"running", VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING},
    {"paused", VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED},
    {"force", VIR_DOMAIN_SNAPSHOT_REVERT_FORCE},
    {"reset-nvram", VIR_DOMAIN_SNAPSHOT_REVERT_RESET_NVRAM},
};
constexpr Flag delete_flags[] = {
    {"children", VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN},
    {"children-only", VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN_ONLY},
    {"metadata", VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY},
};
constexpr Flag list_flags[] = {
    {"leaves", VIR_DOMAIN_SNAPSHOT_LIST_LEAVES},           {"no-leaves", VIR_DOMAIN_SNAPSHOT_LIST_NO_LEAVES},
    {"metadata", VIR_DOMAIN_SNAPSHOT_LIST_METADATA},       {"no-metadata", VIR_DOMAIN_SNAPSHOT_LIST_NO_METADATA},
    {"inactive", VIR_DOMAIN_SNAPSHOT_LIST_INACTIVE},       {"active", VIR_DOMAIN_SNAPSHOT_LIST_ACTIVE},
    {"disk-only", VIR_DOMAIN_SNAPSHOT_LIST_DISK_ONLY},     {"internal", VIR_DOMAIN_SNAPSHOT_LIST_INTERNAL},
    {"external", VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL},       {"roots", VIR_DOMAIN_SNAPSHOT_LIST_ROOTS},
    {"topological", VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL},
};

std::string name_of(const Snapshot& snapshot) { return virDomainSnapshotGetName(snapshot.get()); }

// By --snapshotname, or the current one.
Snapshot find_snapshot(virDomainPtr domain, const Arguments& arguments) {
    arguments.exclusive("snapshotname", "current");
    Snapshot found;
    if (auto name = arguments.text("snapshotname"))
        found.reset(virDomainSnapshotLookupByName(domain, name->c_str(), 0));
    else if (arguments.has("current"))
        found.reset(virDomainSnapshotCurrent(domain, 0));
    else
        fail("{}", "--snapshotname or --current is required");
    if (!found) fail_with_cause();
    return found;
}

std::string document_of(const Snapshot& snapshot, unsigned flags) {
    Text xml(virDomainSnapshotGetXMLDesc(snapshot.get(), flags));
    if (!xml) fail_with_cause();
    return xml.get();
}

void create_from(Session& session, virDomainPtr domain, const std::string& xml, unsigned flags, const std::string& file) {
    Snapshot made(virDomainSnapshotCreateXML(domain, xml.c_str(), flags));
    if (!made) fail_with_cause();
    if (file.empty())
        session.extra("Domain snapshot {} created\n", name_of(made));
    else
        session.extra("Domain snapshot {} created from '{}'\n", name_of(made), file);
}

void create(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto file = arguments.text("xmlfile", "");
    create_from(session, domain.get(), file.empty() ? "<domainsnapshot/>" : read_document(file),
                flags_of(arguments, create_flags), file);
}

void add_memory(pugi::xml_node snapshot, const std::string& text) {
    static constexpr std::string_view keys[] = {"file", "snapshot"};
    // The first part is the file, with or without saying so.
    auto spec = parse_spec(text.starts_with("file=") || text.starts_with("snapshot=") ? "," + text : text, keys);
    if (!spec) fail("unable to parse memspec: {}", text);
    auto memory = snapshot.append_child("memory");
    auto file = spec->name.empty() ? spec->value("file") : spec->name;
    if (auto mode = spec->value("snapshot"); !mode.empty()) memory.append_attribute("snapshot") = mode.c_str();
    if (!file.empty()) memory.append_attribute("file") = file.c_str();
}

void add_disk(pugi::xml_node disks, const std::string& text) {
    static constexpr std::string_view keys[] = {"snapshot", "driver", "stype", "file"};
    auto spec = parse_spec(text, keys);
    if (!spec) fail("unable to parse diskspec: {}", text);
    auto type = spec->value("stype"), file = spec->value("file");
    if (!type.empty() && type != "file" && type != "block") fail("Unknown storage type: '{}'", type);
    auto disk = disks.append_child("disk");
    disk.append_attribute("name") = spec->name.c_str();
    if (auto mode = spec->value("snapshot"); !mode.empty()) disk.append_attribute("snapshot") = mode.c_str();
    if (!type.empty()) disk.append_attribute("type") = type.c_str();
    if (auto driver = spec->value("driver"); !driver.empty())
        disk.append_child("driver").append_attribute("type") = driver.c_str();
    if (!file.empty()) disk.append_child("source").append_attribute(type == "block" ? "dev" : "file") = file.c_str();
}

void create_as(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    pugi::xml_document document;
    auto snapshot = document.append_child("domainsnapshot");
    for (const char* part : {"name", "description"})
        if (auto value = arguments.text(part)) snapshot.append_child(part).text() = value->c_str();
    if (auto memory = arguments.text("memspec")) add_memory(snapshot, *memory);
    if (auto specs = arguments.rest("diskspec"); !specs.empty()) {
        auto disks = snapshot.append_child("disks");
        for (const auto& spec : specs) add_disk(disks, spec);
    }
    auto xml = format_document(snapshot);
    if (arguments.has("print-xml")) return session.print("{}", xml);
    create_from(session, domain.get(), xml, flags_of(arguments, create_flags), "");
}

// A document with another name makes another snapshot: a copy, the same one renamed, or a slip that is taken back.
void settle_name(Session& session, const Arguments& arguments, const Snapshot& snapshot, const Snapshot& stored) {
    const auto name = name_of(snapshot), now = name_of(stored);
    if (now == name) return session.extra("Snapshot {} edited.\n", name);
    if (arguments.has("clone")) return session.extra("Snapshot {} cloned to {}.\n", name, now);
    const bool rename = arguments.has("rename");
    check(virDomainSnapshotDelete(rename ? snapshot.get() : stored.get(), VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY),
          "Failed to clean up {}", rename ? name : now);
    if (!rename) fail("Must use --rename or --clone to change {} to {}: Failed to update {}", name, now, name);
}

void edit(Session& session, const Arguments& arguments) {
    arguments.exclusive("rename", "clone");
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE;
    const bool is_current = virDomainSnapshotIsCurrent(snapshot.get(), 0) > 0;
    if (is_current || (arguments.has("snapshotname") && arguments.has("current"))) flags |= VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT;
    auto name = name_of(snapshot);
    edit_object(session, {.fetch = [&] { return document_of(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE); },
                          .store =
                              [&](const std::string& xml) {
                                  Snapshot stored(virDomainSnapshotCreateXML(domain.get(), xml.c_str(), flags));
                                  if (!stored) fail_with_cause("Failed to update {}", name);
                                  settle_name(session, arguments, snapshot, stored);
                              },
                          .unchanged = fmt::format("Snapshot {} XML configuration not changed.", name),
                          .edited = ""});
}

void current(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    if (auto name = arguments.text("snapshotname")) {
        Snapshot snapshot(virDomainSnapshotLookupByName(domain.get(), name->c_str(), 0));
        if (!snapshot) fail_with_cause();
        auto xml = document_of(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
        Snapshot set(virDomainSnapshotCreateXML(domain.get(), xml.c_str(),
                                                VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT));
        if (!set) fail_with_cause();
        return session.extra("Snapshot {} set as current\n", *name);
    }
    if (check(virDomainHasCurrentSnapshot(domain.get(), 0)) == 0)
        fail("domain '{}' has no current snapshot", virDomainGetName(domain.get()));
    Snapshot snapshot(virDomainSnapshotCurrent(domain.get(), 0));
    if (!snapshot) fail_with_cause();
    if (arguments.has("name")) return session.show_value(name_of(snapshot));
    session.print("{}", document_of(snapshot, arguments.has("security-info") ? VIR_DOMAIN_SNAPSHOT_XML_SECURE : 0));
}

void info(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    auto document = parse_document(document_of(snapshot, 0), "snapshot");
    auto root = document.document_element();
    const bool external = root.find_node([&](pugi::xml_node node) {
        return (node.parent() == root || node.parent() == root.child("disks")) &&
               std::string_view(node.attribute("snapshot").value()) == "external";
    });
    std::string parent = root.child("parent").child("name").text().get();
    Pairs pairs;
    pairs.add("name", "Name:", name_of(snapshot));
    pairs.add("domain", "Domain:", virDomainGetName(domain.get()));
    pairs.add("current", "Current:", yes_no(check(virDomainSnapshotIsCurrent(snapshot.get(), 0)) > 0));
    pairs.add("state", "State:", root.child("state").text().get());
    pairs.add("location", "Location:", external ? "external" : "internal");
    pairs.add("parent", "Parent:", parent.empty() ? "-" : parent.c_str());
    pairs.add("children", "Children:", check(virDomainSnapshotNumChildren(snapshot.get(), 0)));
    pairs.add("descendants",
              "Descendants:", check(virDomainSnapshotNumChildren(snapshot.get(), VIR_DOMAIN_SNAPSHOT_LIST_DESCENDANTS)));
    pairs.add("metadata", "Metadata:", yes_no(check(virDomainSnapshotHasMetadata(snapshot.get(), 0)) > 0));
    session.show(pairs);
}

std::vector<Snapshot> listed(virDomainPtr domain, const Arguments& arguments) {
    unsigned flags = flags_of(arguments, list_flags);
    auto from = arguments.text("from");
    if (!from && !arguments.has("current"))
        return collect<Snapshot>(virDomainListAllSnapshots, domain, flags, "failed to collect snapshot list");
    Snapshot begin(from ? virDomainSnapshotLookupByName(domain, from->c_str(), 0) : virDomainSnapshotCurrent(domain, 0));
    if (!begin) fail_with_cause();
    flags &= ~static_cast<unsigned>(VIR_DOMAIN_SNAPSHOT_LIST_ROOTS);
    if (arguments.has("descendants") || arguments.has("tree")) flags |= VIR_DOMAIN_SNAPSHOT_LIST_DESCENDANTS;
    auto found = collect<Snapshot>(virDomainSnapshotListAllChildren, begin.get(), flags, "failed to collect snapshot list");
    if (arguments.has("tree")) found.insert(found.begin(), std::move(begin));
    return found;
}

void list(Session& session, const Arguments& arguments) {
    for (const char* other : {"parent", "roots", "leaves", "no-leaves", "name"}) arguments.exclusive("tree", other);
    arguments.exclusive("from", "current");
    if (arguments.has("descendants") && !arguments.has("from") && !arguments.has("current"))
        fail("{}", "--descendants requires either --from or --current");
    auto domain = find_domain(session, arguments);
    std::vector<MomentRow> rows;
    for (const auto& snapshot : listed(domain.get(), arguments)) {
        auto document = parse_document(document_of(snapshot, 0), "snapshot");
        auto root = document.document_element();
        rows.push_back({name_of(snapshot), root.child("parent").child("name").text().get(),
                        root.child("creationTime").text().as_llong(), root.child("state").text().get()});
    }
    if (!arguments.has("topological")) sort_by_name(rows);
    show_moments(session, arguments, rows, {.state = true, .parent = arguments.has("parent")});
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    show_document(session, arguments, document_of(snapshot, arguments.has("security-info") ? VIR_DOMAIN_SNAPSHOT_XML_SECURE : 0));
}

void parent(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    Snapshot found(virDomainSnapshotGetParent(snapshot.get(), 0));
    if (!found) fail("snapshot '{}' has no parent", name_of(snapshot));
    session.show_value(name_of(found));
}

void revert(Session& session, const Arguments& arguments) {
    arguments.exclusive("running", "paused");
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    unsigned flags = flags_of(arguments, revert_flags);
    check(virDomainRevertToSnapshot(snapshot.get(), flags), "Failed to revert snapshot {}", name_of(snapshot));
    session.extra("Domain snapshot {} reverted\n", name_of(snapshot));
}

void remove(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto snapshot = find_snapshot(domain.get(), arguments);
    unsigned flags = flags_of(arguments, delete_flags);
    check(virDomainSnapshotDelete(snapshot.get(), flags), "Failed to delete snapshot {}", name_of(snapshot));
    session.extra("Domain snapshot {} {}deleted\n", name_of(snapshot), arguments.has("children-only") ? "children " : "");
}

Option domain_option() { return need("domain", "domain name, id or uuid", Complete::domain); }

Command row(std::string_view name, std::string_view help, std::vector<Option> options, void (*run)(Session&, const Arguments&)) {
    options.insert(options.begin(), domain_option());
    return {.name = name, .group = Group::snapshot, .help = help, .description = help, .options = std::move(options), .run = run};
}

} // namespace

const std::vector<Command>& snapshot_commands() {
    static const std::vector<Command> rows = {
        row("snapshot-create", "Create a snapshot from XML",
            {text("xmlfile", "domain snapshot XML").completed(Complete::file),
             flag("redefine", "redefine metadata for existing snapshot"), flag("current", "with redefine, set current snapshot"),
             flag("no-metadata", "take snapshot but create no metadata"), flag("halt", "halt domain after snapshot is created"),
             flag("disk-only", "capture disk state but not vm state"),
             flag("reuse-external", "reuse any existing external files"), flag("quiesce", "quiesce guest's file systems"),
             flag("atomic", "require atomic operation"), flag("live", "take a live snapshot"),
             flag("validate", "validate the XML against the schema")},
            create),
        row("snapshot-create-as", "Create a snapshot from a set of args",
            {text("name", "name of snapshot"), text("description", "description of snapshot"),
             flag("print-xml", "print XML document rather than create"),
             flag("no-metadata", "take snapshot but create no metadata"), flag("halt", "halt domain after snapshot is created"),
             flag("disk-only", "capture disk state but not vm state"),
             flag("reuse-external", "reuse any existing external files"), flag("quiesce", "quiesce guest's file systems"),
             flag("atomic", "require atomic operation"), flag("live", "take a live snapshot"),
             flag("validate", "validate the XML against the schema"),
             text("memspec", "memory attributes: [file=]name[,snapshot=type]").named(),
             rest("diskspec", "disk attributes: disk[,snapshot=type][,driver=type][,stype=type][,file=name]")},
            create_as),
        row("snapshot-edit", "edit XML for a snapshot",
            {text("snapshotname", "snapshot name"), flag("current", "also set edited snapshot as current"),
             flag("rename", "allow renaming an existing snapshot"), flag("clone", "allow cloning to new name")},
            edit),
        row("snapshot-current", "Get or set the current snapshot",
            {flag("name", "list the name, rather than the full xml"),
             flag("security-info", "include security sensitive information in XML dump"),
             text("snapshotname", "name of existing snapshot to make current").named()},
            current),
        row("snapshot-info", "snapshot information",
            {text("snapshotname", "snapshot name"), flag("current", "info on current snapshot")}, info),
        row("snapshot-list", "List snapshots for a domain",
            {flag("parent", "add a column showing parent snapshot"), flag("roots", "list only snapshots without parents"),
             flag("leaves", "list only snapshots without children"),
             flag("no-leaves", "list only snapshots that are not leaves (with children)"),
             flag("metadata", "list only snapshots that have metadata that would prevent undefine"),
             flag("no-metadata", "list only snapshots that have no metadata managed by libvirt"),
             flag("inactive", "filter by snapshots taken while inactive"),
             flag("active", "filter by snapshots taken while active (full system snapshots)"),
             flag("disk-only", "filter by disk-only snapshots"), flag("internal", "filter by internal snapshots"),
             flag("external", "filter by external snapshots"), flag("tree", "list snapshots in a tree"),
             text("from", "limit list to children of given snapshot"),
             flag("current", "limit list to children of current snapshot"),
             flag("descendants", "with --from, list all descendants"), flag("name", "list snapshot names only"),
             flag("topological", "sort list topologically rather than by name")},
            list),
        row("snapshot-dumpxml", "Dump XML for a domain snapshot",
            {text("snapshotname", "snapshot name"), flag("security-info", "include security sensitive information in XML dump"),
             text("xpath", "xpath expression to filter the XML document").named(),
             flag("wrap", "wrap xpath results in an common root element")},
            dumpxml),
        row("snapshot-parent", "Get the name of the parent of a snapshot",
            {text("snapshotname", "find parent of snapshot name"), flag("current", "find parent of current snapshot")}, parent),
        row("snapshot-revert", "Revert a domain to a snapshot",
            {text("snapshotname", "snapshot name"), flag("current", "revert to current snapshot"),
             flag("running", "after reverting, change state to running"),
             flag("paused", "after reverting, change state to paused"), flag("force", "try harder on risky reverts"),
             flag("reset-nvram", "re-initialize NVRAM from its pristine template")},
            revert),
        row("snapshot-delete", "Delete a domain snapshot",
            {text("snapshotname", "snapshot name"), flag("current", "delete current snapshot"),
             flag("children", "delete snapshot and all children"), flag("children-only", "delete children but not snapshot"),
             flag("metadata", "delete only libvirt metadata, leaving snapshot contents behind")},
            remove),
    };
    return rows;
}

} // namespace lodge::cli
