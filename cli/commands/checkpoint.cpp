#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/moments.hpp"
#include "cli/xml_query.hpp"
#include "cli/xpath.hpp"

namespace lodge::cli {

namespace {

std::string name_of(const Checkpoint& checkpoint) { return virDomainCheckpointGetName(checkpoint.get()); }

Checkpoint find_checkpoint(virDomainPtr domain, const Arguments& arguments) {
    Checkpoint found(virDomainCheckpointLookupByName(domain, arguments.required("checkpointname").c_str(), 0));
    if (!found) fail_with_cause();
    return found;
}

std::string document_of(const Checkpoint& checkpoint, unsigned flags) {
    Text xml(virDomainCheckpointGetXMLDesc(checkpoint.get(), flags));
    if (!xml) fail_with_cause();
    return xml.get();
}

void create_from(Session& session, virDomainPtr domain, const std::string& xml, unsigned flags, const std::string& file) {
    Checkpoint made(virDomainCheckpointCreateXML(domain, xml.c_str(), flags));
    if (!made) fail_with_cause();
    if (file.empty())
        session.extra("Domain checkpoint {} created\n", name_of(made));
    else
        session.extra("Domain checkpoint {} created from '{}'\n", name_of(made), file);
}

void create(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto file = arguments.text("xmlfile", "");
    unsigned flags = 0;
    if (arguments.has("redefine")) flags |= VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE;
    if (arguments.has("redefine-validate")) flags |= VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE;
    if (arguments.has("quiesce")) flags |= VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE;
    create_from(session, domain.get(), file.empty() ? "<domaincheckpoint/>" : read_document(file), flags, file);
}

void create_as(Session& session, const Arguments& arguments) {
    static constexpr std::string_view keys[] = {"checkpoint", "bitmap"};
    auto domain = find_domain(session, arguments);
    pugi::xml_document document;
    auto checkpoint = document.append_child("domaincheckpoint");
    for (const char* part : {"name", "description"})
        if (auto value = arguments.text(part)) checkpoint.append_child(part).text() = value->c_str();
    pugi::xml_node disks;
    for (const auto& text : arguments.rest("diskspec")) {
        auto spec = parse_spec(text, keys);
        if (!spec) fail("unable to parse diskspec: {}", text);
        if (!disks) disks = checkpoint.append_child("disks");
        auto disk = disks.append_child("disk");
        disk.append_attribute("name") = spec->name.c_str();
        for (const auto& [key, value] : spec->values) disk.append_attribute(key.c_str()) = value.c_str();
    }
    auto xml = format_document(checkpoint);
    if (arguments.has("print-xml")) return session.print("{}", xml);
    create_from(session, domain.get(), xml, arguments.has("quiesce") ? VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE : 0, "");
}

void edit(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto checkpoint = find_checkpoint(domain.get(), arguments);
    auto name = name_of(checkpoint);
    edit_object(session, {.fetch = [&] { return document_of(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_SECURE); },
                          .store =
                              [&](const std::string& xml) {
                                  Checkpoint stored(virDomainCheckpointCreateXML(domain.get(), xml.c_str(),
                                                                                 VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE));
                                  if (!stored) fail_with_cause("Failed to update {}", name);
                              },
                          .unchanged = fmt::format("Checkpoint {} XML configuration not changed.", name),
                          .edited = fmt::format("Checkpoint {} edited.", name)});
}

std::string parent_of(const Checkpoint& checkpoint) {
    Checkpoint found(virDomainCheckpointGetParent(checkpoint.get(), 0));
    forget_cause();
    return found ? name_of(found) : "";
}

unsigned count(const Checkpoint& checkpoint, unsigned flags) {
    return static_cast<unsigned>(check(virDomainCheckpointListAllChildren(checkpoint.get(), nullptr, flags)));
}

void info(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto checkpoint = find_checkpoint(domain.get(), arguments);
    auto parent = parent_of(checkpoint);
    Pairs pairs;
    pairs.add("name", "Name:", name_of(checkpoint));
    pairs.add("domain", "Domain:", virDomainGetName(domain.get()));
    pairs.add("parent", "Parent:", parent.empty() ? "-" : parent.c_str());
    pairs.add("children", "Children:", count(checkpoint, 0));
    pairs.add("descendants", "Descendants:", count(checkpoint, VIR_DOMAIN_CHECKPOINT_LIST_DESCENDANTS));
    session.show(pairs);
}

std::vector<Checkpoint> listed(virDomainPtr domain, const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("leaves")) flags |= VIR_DOMAIN_CHECKPOINT_LIST_LEAVES;
    if (arguments.has("no-leaves")) flags |= VIR_DOMAIN_CHECKPOINT_LIST_NO_LEAVES;
    if (arguments.has("topological")) flags |= VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL;
    auto from = arguments.text("from");
    if (!from) {
        if (arguments.has("roots")) flags |= VIR_DOMAIN_CHECKPOINT_LIST_ROOTS;
        return collect<Checkpoint>(virDomainListAllCheckpoints, domain, flags, "failed to collect checkpoint list");
    }
    Checkpoint begin(virDomainCheckpointLookupByName(domain, from->c_str(), 0));
    if (!begin) fail_with_cause();
    if (arguments.has("descendants") || arguments.has("tree")) flags |= VIR_DOMAIN_CHECKPOINT_LIST_DESCENDANTS;
    auto found = collect<Checkpoint>(virDomainCheckpointListAllChildren, begin.get(), flags, "failed to collect checkpoint list");
    if (arguments.has("tree")) found.insert(found.begin(), std::move(begin));
    return found;
}

void list(Session& session, const Arguments& arguments) {
    for (const char* other : {"parent", "roots", "leaves", "no-leaves", "name"}) arguments.exclusive("tree", other);
    if (arguments.has("descendants") && !arguments.has("from")) fail("{}", "--descendants requires --from");
    auto domain = find_domain(session, arguments);
    std::vector<MomentRow> rows;
    for (const auto& checkpoint : listed(domain.get(), arguments)) {
        auto document = parse_document(document_of(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN), "checkpoint");
        auto root = document.document_element();
        rows.push_back({name_of(checkpoint), root.child("parent").child("name").text().get(),
                        root.child("creationTime").text().as_llong(), ""});
    }
    if (!arguments.has("topological")) sort_by_name(rows);
    show_moments(session, arguments, rows, {.state = false, .parent = arguments.has("parent")});
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto checkpoint = find_checkpoint(domain.get(), arguments);
    unsigned flags = 0;
    if (arguments.has("security-info")) flags |= VIR_DOMAIN_CHECKPOINT_XML_SECURE;
    if (arguments.has("no-domain")) flags |= VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN;
    if (arguments.has("size")) flags |= VIR_DOMAIN_CHECKPOINT_XML_SIZE;
    show_document(session, arguments, document_of(checkpoint, flags));
}

void parent(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto checkpoint = find_checkpoint(domain.get(), arguments);
    auto name = parent_of(checkpoint);
    if (name.empty()) fail("checkpoint '{}' has no parent", name_of(checkpoint));
    session.show_value(name);
}

void remove(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto checkpoint = find_checkpoint(domain.get(), arguments);
    unsigned flags = 0;
    if (arguments.has("children")) flags |= VIR_DOMAIN_CHECKPOINT_DELETE_CHILDREN;
    if (arguments.has("children-only")) flags |= VIR_DOMAIN_CHECKPOINT_DELETE_CHILDREN_ONLY;
    if (arguments.has("metadata")) flags |= VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY;
    check(virDomainCheckpointDelete(checkpoint.get(), flags), "Failed to delete checkpoint {}", name_of(checkpoint));
    session.extra("Domain checkpoint {} {}deleted\n", name_of(checkpoint), arguments.has("children-only") ? "children " : "");
}

Command row(std::string_view name, std::string_view help, std::vector<Option> options, void (*run)(Session&, const Arguments&)) {
    options.insert(options.begin(), need("domain", "domain name, id or uuid", Complete::domain));
    return {
        .name = name, .group = Group::checkpoint, .help = help, .description = help, .options = std::move(options), .run = run};
}

} // namespace

const std::vector<Command>& checkpoint_commands() {
    static const std::vector<Command> rows = {
        row("checkpoint-create", "Create a checkpoint from XML",
            {text("xmlfile", "domain checkpoint XML").completed(Complete::file),
             flag("redefine", "redefine metadata for existing checkpoint"),
             flag("redefine-validate", "validate the redefined checkpoint"), flag("quiesce", "quiesce guest's file systems")},
            create),
        row("checkpoint-create-as", "Create a checkpoint from a set of args",
            {text("name", "name of checkpoint"), text("description", "description of checkpoint"),
             flag("print-xml", "print XML document rather than create"), flag("quiesce", "quiesce guest's file systems"),
             rest("diskspec", "disk attributes: disk[,checkpoint=type][,bitmap=name]")},
            create_as),
        row("checkpoint-edit", "edit XML for a checkpoint", {need("checkpointname", "checkpoint name")}, edit),
        row("checkpoint-info", "checkpoint information", {need("checkpointname", "checkpoint name")}, info),
        row("checkpoint-list", "List checkpoints for a domain",
            {flag("parent", "add a column showing parent checkpoint"), flag("roots", "list only checkpoints without parents"),
             flag("leaves", "list only checkpoints without children"),
             flag("no-leaves", "list only checkpoints that are not leaves (with children)"),
             flag("tree", "list checkpoints in a tree"), text("from", "limit list to children of given checkpoint"),
             flag("descendants", "with --from, list all descendants"), flag("name", "list checkpoint names only"),
             flag("topological", "sort list topologically rather than by name")},
            list),
        row("checkpoint-dumpxml", "Dump XML for a domain checkpoint",
            {need("checkpointname", "checkpoint name"),
             flag("security-info", "include security sensitive information in XML dump"),
             flag("no-domain", "exclude <domain> from XML"), flag("size", "include backup size estimate in XML dump"),
             text("xpath", "xpath expression to filter the XML document").named(),
             flag("wrap", "wrap xpath results in an common root element")},
            dumpxml),
        row("checkpoint-parent", "Get the name of the parent of a checkpoint",
            {need("checkpointname", "find parent of checkpoint name")}, parent),
        row("checkpoint-delete", "Delete a domain checkpoint",
            {need("checkpointname", "checkpoint name"), flag("children", "delete checkpoint and all children"),
             flag("children-only", "delete children but not checkpoint"),
             flag("metadata", "delete only libvirt metadata, leaving checkpoint contents behind")},
            remove),
    };
    return rows;
}

} // namespace lodge::cli
