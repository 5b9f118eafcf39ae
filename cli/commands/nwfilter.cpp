#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

#include <strings.h>

namespace lodge::cli {

namespace {

Filter named(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("nwfilter");
    Filter filter;
    if (word.size() == VIR_UUID_STRING_BUFLEN - 1)
        filter.reset(virNWFilterLookupByUUIDString(session.connection(), word.c_str()));
    if (!filter) filter.reset(virNWFilterLookupByName(session.connection(), word.c_str()));
    if (!filter) fail_with_cause("failed to get nwfilter '{}'", word);
    forget_cause();
    return filter;
}

FilterBinding bound(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("binding");
    FilterBinding binding(virNWFilterBindingLookupByPortDev(session.connection(), word.c_str()));
    if (!binding) fail_with_cause("failed to get nwfilter binding '{}'", word);
    return binding;
}

// ---- filters ----

void show_list(Session& session, const Arguments&) {
    auto found = collect<Filter>(virConnectListAllNWFilters, session.connection(), 0, "Failed to list network filters");
    std::ranges::sort(found, [](const Filter& a, const Filter& b) {
        return strcasecmp(virNWFilterGetName(a.get()), virNWFilterGetName(b.get())) < 0;
    });
    Table table({{"uuid", "UUID"}, {"name", "Name"}});
    for (const auto& filter : found) {
        char uuid[VIR_UUID_STRING_BUFLEN] = {};
        check(virNWFilterGetUUIDString(filter.get(), uuid));
        table.add({uuid, virNWFilterGetName(filter.get())});
    }
    session.show(table);
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    Filter filter(arguments.has("validate")
                      ? virNWFilterDefineXMLFlags(session.connection(), xml.c_str(), VIR_NWFILTER_DEFINE_VALIDATE)
                      : virNWFilterDefineXML(session.connection(), xml.c_str()));
    if (!filter) fail_with_cause("Failed to define network filter from {}", file);
    session.extra("Network filter {} defined from {}\n", virNWFilterGetName(filter.get()), file);
}

void undefine(Session& session, const Arguments& arguments) {
    auto filter = named(session, arguments);
    const std::string name = virNWFilterGetName(filter.get());
    check(virNWFilterUndefine(filter.get()), "Failed to undefine network filter {}", name);
    session.extra("Network filter {} undefined\n", name);
}

std::string document_of(const Filter& filter) {
    Text xml(virNWFilterGetXMLDesc(filter.get(), 0));
    if (!xml) fail_with_cause();
    return xml.get();
}

void dumpxml(Session& session, const Arguments& arguments) {
    show_document(session, arguments, document_of(named(session, arguments)));
}

void edit(Session& session, const Arguments& arguments) {
    auto filter = named(session, arguments);
    const std::string name = virNWFilterGetName(filter.get());
    edit_object(session, {.fetch = [&] { return document_of(filter); },
                          .store =
                              [&](const std::string& xml) {
                                  if (!Filter(virNWFilterDefineXML(session.connection(), xml.c_str()))) fail_with_cause();
                              },
                          .unchanged = fmt::format("Network filter {} XML configuration not changed.", name),
                          .edited = fmt::format("Network filter {} XML configuration edited.", name)});
}

// ---- bindings ----

void show_bindings(Session& session, const Arguments&) {
    auto found = collect<FilterBinding>(virConnectListAllNWFilterBindings, session.connection(), 0,
                                        "Failed to list network filter bindings");
    std::ranges::sort(found, [](const FilterBinding& a, const FilterBinding& b) {
        return strcasecmp(virNWFilterBindingGetPortDev(a.get()), virNWFilterBindingGetPortDev(b.get())) < 0;
    });
    Table table({{"port_dev", "Port Dev"}, {"filter", "Filter"}});
    for (const auto& binding : found)
        table.add({virNWFilterBindingGetPortDev(binding.get()), virNWFilterBindingGetFilterName(binding.get())});
    session.show(table);
}

void bind(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    FilterBinding binding(virNWFilterBindingCreateXML(session.connection(), xml.c_str(),
                                                      arguments.has("validate") ? VIR_NWFILTER_BINDING_CREATE_VALIDATE : 0));
    if (!binding) fail_with_cause("Failed to create network filter from {}", file);
    session.extra("Network filter binding on {} created from {}\n", virNWFilterBindingGetPortDev(binding.get()), file);
}

void unbind(Session& session, const Arguments& arguments) {
    auto binding = bound(session, arguments);
    const std::string port = virNWFilterBindingGetPortDev(binding.get());
    check(virNWFilterBindingDelete(binding.get()), "Failed to delete network filter binding on {}", port);
    session.extra("Network filter binding on {} deleted\n", port);
}

void dump_binding(Session& session, const Arguments& arguments) {
    auto binding = bound(session, arguments);
    Text xml(virNWFilterBindingGetXMLDesc(binding.get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

} // namespace

const std::vector<Command>& nwfilter_commands() {
    static const std::vector<Command> rows = {
        {.name = "nwfilter-define",
         .group = Group::filter,
         .help = "define or update a network filter from an XML file",
         .description = "Define a new network filter or update an existing one.",
         .options = {need("file", "file containing an XML network filter description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "nwfilter-dumpxml",
         .group = Group::filter,
         .help = "network filter information in XML",
         .description = "Output the network filter information as an XML dump to stdout.",
         .options = {need("nwfilter", "network filter name or uuid", Complete::nwfilter),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "nwfilter-edit",
         .group = Group::filter,
         .help = "edit XML configuration for a network filter",
         .description = "Edit the XML configuration for a network filter.",
         .options = {need("nwfilter", "network filter name or uuid", Complete::nwfilter)},
         .run = edit},
        {.name = "nwfilter-list",
         .group = Group::filter,
         .help = "list network filters",
         .description = "Returns list of network filters.",
         .options = {},
         .run = show_list},
        {.name = "nwfilter-undefine",
         .group = Group::filter,
         .help = "undefine a network filter",
         .description = "Undefine a given network filter.",
         .options = {need("nwfilter", "network filter name or uuid", Complete::nwfilter)},
         .run = undefine},
        {.name = "nwfilter-binding-create",
         .group = Group::filter,
         .help = "create a network filter binding from an XML file",
         .description = "Create a new network filter binding.",
         .options = {need("file", "file containing an XML network filter binding description", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = bind},
        {.name = "nwfilter-binding-delete",
         .group = Group::filter,
         .help = "delete a network filter binding",
         .description = "Delete a given network filter binding.",
         .options = {need("binding", "network filter binding port dev", Complete::filter_binding)},
         .run = unbind},
        {.name = "nwfilter-binding-dumpxml",
         .group = Group::filter,
         .help = "network filter information in XML",
         .description = "Output the network filter information as an XML dump to stdout.",
         .options = {need("binding", "network filter binding portdev", Complete::filter_binding),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dump_binding},
        {.name = "nwfilter-binding-list",
         .group = Group::filter,
         .help = "list network filter bindings",
         .description = "Returns list of network filter bindings.",
         .options = {},
         .run = show_bindings},
    };
    return rows;
}

} // namespace lodge::cli
