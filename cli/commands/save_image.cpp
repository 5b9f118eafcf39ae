#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

namespace lodge::cli {

namespace {

unsigned state_flags(const Arguments& arguments) {
    arguments.exclusive("running", "paused");
    unsigned flags = 0;
    if (arguments.has("running")) flags |= VIR_DOMAIN_SAVE_RUNNING;
    if (arguments.has("paused")) flags |= VIR_DOMAIN_SAVE_PAUSED;
    return flags;
}

unsigned secure(const Arguments& arguments) { return arguments.has("security-info") ? VIR_DOMAIN_SAVE_IMAGE_XML_SECURE : 0; }

std::string image_document(Session& session, const std::string& file, unsigned flags) {
    Text xml(virDomainSaveImageGetXMLDesc(session.connection(), file.c_str(), flags));
    if (!xml) fail_with_cause();
    return xml.get();
}

std::string managed_document(const Domain& domain, unsigned flags) {
    Text xml(virDomainManagedSaveGetXMLDesc(domain.get(), flags));
    if (!xml) fail_with_cause();
    return xml.get();
}

void image_dumpxml(Session& session, const Arguments& arguments) {
    show_document(session, arguments, image_document(session, arguments.required("file"), secure(arguments)));
}

void image_define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(arguments.required("xml"));
    check(virDomainSaveImageDefineXML(session.connection(), file.c_str(), xml.c_str(), state_flags(arguments)),
          "Failed to update {}", file);
    session.extra("State file {} updated.\n", file);
}

void image_edit(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    unsigned flags = state_flags(arguments);
    edit_object(session, {.fetch = [&] { return image_document(session, file, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE); },
                          .store =
                              [&](const std::string& xml) {
                                  check(virDomainSaveImageDefineXML(session.connection(), file.c_str(), xml.c_str(), flags),
                                        "Failed to update {}", file);
                              },
                          .unchanged = fmt::format("Saved image {} XML configuration not changed.", file),
                          .edited = fmt::format("State file {} edited.", file)});
}

void managed_dumpxml(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    show_document(session, arguments, managed_document(domain, secure(arguments)));
}

void managed_define(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto xml = read_document(arguments.required("xml"));
    std::string name = virDomainGetName(domain.get());
    check(virDomainManagedSaveDefineXML(domain.get(), xml.c_str(), state_flags(arguments)),
          "Failed to update {} XML configuration", name);
    session.extra("Managed save state file of domain '{}' updated.\n", name);
}

void managed_edit(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned flags = state_flags(arguments);
    std::string name = virDomainGetName(domain.get());
    edit_object(session, {.fetch = [&] { return managed_document(domain, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE); },
                          .store =
                              [&](const std::string& xml) {
                                  check(virDomainManagedSaveDefineXML(domain.get(), xml.c_str(), flags), "Failed to update {}",
                                        name);
                              },
                          .unchanged = fmt::format("Managed save image of domain '{}' XML configuration not changed.", name),
                          .edited = fmt::format("Managed save image of Domain '{}' XML configuration edited.", name)});
}

void dump(Session& session, const Arguments& arguments) {
    static constexpr std::pair<std::string_view, unsigned> formats[] = {
        {"elf", VIR_DOMAIN_CORE_DUMP_FORMAT_RAW},
        {"kdump-zlib", VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_ZLIB},
        {"kdump-lzo", VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_LZO},
        {"kdump-snappy", VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_SNAPPY},
        {"win-dmp", VIR_DOMAIN_CORE_DUMP_FORMAT_WIN_DMP}};
    arguments.exclusive("live", "crash");
    arguments.exclusive("live", "reset");
    arguments.exclusive("crash", "reset");
    auto domain = find_domain(session, arguments);
    const auto& file = arguments.required("file");
    std::string name = virDomainGetName(domain.get());
    unsigned flags = 0, format = VIR_DOMAIN_CORE_DUMP_FORMAT_RAW;
    if (arguments.has("live")) flags |= VIR_DUMP_LIVE;
    if (arguments.has("crash")) flags |= VIR_DUMP_CRASH;
    if (arguments.has("bypass-cache")) flags |= VIR_DUMP_BYPASS_CACHE;
    if (arguments.has("reset")) flags |= VIR_DUMP_RESET;
    if (arguments.has("memory-only")) flags |= VIR_DUMP_MEMORY_ONLY;
    if (auto word = arguments.text("format")) {
        if (!arguments.has("memory-only")) fail("{}", "--format only works with --memory-only");
        auto it = std::ranges::find(formats, *word, [](const auto& entry) { return entry.first; });
        if (it == std::end(formats))
            fail("format '{}' is not supported, expecting 'kdump-zlib', 'kdump-lzo', 'kdump-snappy', 'win-dmp' or 'elf'", *word);
        format = it->second;
    }
    check(format == VIR_DOMAIN_CORE_DUMP_FORMAT_RAW ? virDomainCoreDump(domain.get(), file.c_str(), flags)
                                                    : virDomainCoreDumpWithFormat(domain.get(), file.c_str(), format, flags),
          "Failed to core dump domain '{}' to {}", name, file);
    session.extra("\nDomain '{}' dumped to {}\n", name, file);
}

Option domain_option() { return need("domain", "domain name, id or uuid", Complete::domain); }
Option file_option() { return need("file", "saved state file to read", Complete::file); }
Option running() { return flag("running", "set domain to be running on restore"); }
Option paused() { return flag("paused", "set domain to be paused on restore"); }
Option new_document() { return need("xml", "filename containing updated XML for the target", Complete::file); }
Option secrets() { return flag("security-info", "include security sensitive information in XML dump"); }
Option filter() { return text("xpath", "xpath expression to filter the XML document").named(); }
Option wrap() { return flag("wrap", "wrap xpath results in an common root element"); }

Command row(std::string_view name, std::string_view help, std::vector<Option> options, void (*run)(Session&, const Arguments&)) {
    return {.name = name, .group = Group::domain, .help = help, .description = help, .options = std::move(options), .run = run};
}

} // namespace

const std::vector<Command>& save_image_commands() {
    static const std::vector<Command> rows = {
        row("save-image-dumpxml", "saved state domain information in XML", {file_option(), secrets(), filter(), wrap()},
            image_dumpxml),
        row("save-image-define", "redefine the XML for a domain's saved state file",
            {file_option(), new_document(), running(), paused()}, image_define),
        row("save-image-edit", "edit XML for a domain's saved state file", {file_option(), running(), paused()}, image_edit),
        row("managedsave-dumpxml", "Domain information of managed save state file in XML",
            {domain_option(), secrets(), filter(), wrap()}, managed_dumpxml),
        row("managedsave-define", "redefine the XML for a domain's managed save state file",
            {domain_option(), new_document(), running(), paused()}, managed_define),
        row("managedsave-edit", "edit XML for a domain's managed save state file", {domain_option(), running(), paused()},
            managed_edit),
        row("dump", "dump the core of a domain to a file for analysis",
            {domain_option(), need("file", "where to dump the core", Complete::file),
             flag("live", "perform a live core dump if supported"), flag("crash", "crash the domain after core dump"),
             flag("bypass-cache", "avoid file system cache when dumping"), flag("reset", "reset the domain after core dump"),
             flag("verbose", "display the progress of dump"), flag("memory-only", "dump domain's memory only"),
             text("format", "specify the format of memory-only dump").choices("elf kdump-zlib kdump-lzo kdump-snappy win-dmp")},
            dump),
    };
    return rows;
}

} // namespace lodge::cli
