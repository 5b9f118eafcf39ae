#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"

#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

void setmem(Session& session, const Arguments& arguments) {
    auto affect = affect_of(arguments);
    auto kib = arguments.scaled("size", 1024).value_or(0) / 1024;
    auto domain = find_domain(session, arguments);
    check(virDomainSetMemoryFlags(domain.get(), kib, affect.flags()));
}

void setmaxmem(Session& session, const Arguments& arguments) {
    auto affect = affect_of(arguments);
    auto kib = arguments.scaled("size", 1024).value_or(0) / 1024;
    auto domain = find_domain(session, arguments);
    bool plain = !affect.live && !affect.config && !affect.current;
    check(plain ? virDomainSetMaxMemory(domain.get(), kib)
                : virDomainSetMemoryFlags(domain.get(), kib, affect.flags() | VIR_DOMAIN_MEM_MAXIMUM),
          "{}", "Unable to change MaxMemorySize");
}

void setvcpus(Session& session, const Arguments& arguments) {
    arguments.exclusive("guest", "config");
    auto affect = affect_of(arguments);
    auto flags = affect.flags();
    if (arguments.has("guest")) flags |= VIR_DOMAIN_VCPU_GUEST;
    if (arguments.has("maximum")) flags |= VIR_DOMAIN_VCPU_MAXIMUM;
    if (arguments.has("hotpluggable")) flags |= VIR_DOMAIN_VCPU_HOTPLUGGABLE;
    auto domain = find_domain(session, arguments);
    auto count = arguments.number<unsigned>("count").value_or(0);
    if (count == 0) fail("{}", "Can't set 0 processors for a VM");
    check(flags || affect.current ? virDomainSetVcpusFlags(domain.get(), count, flags) : virDomainSetVcpus(domain.get(), count));
}

std::string joined(std::span<const std::string> words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
}

// The text now: from the running or the stored definition, empty when there is none.
std::string current_text(virDomainPtr domain, int type, unsigned flags) {
    Text text(virDomainGetMetadata(domain, type, nullptr, flags));
    if (!text && !cause().empty() && cause_code() != VIR_ERR_NO_DOMAIN_METADATA) fail_with_cause();
    forget_cause();
    return text ? text.get() : "";
}

void desc(Session& session, const Arguments& arguments) {
    auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    bool title = arguments.has("title");
    const char* noun = title ? "title" : "description";
    int type = title ? VIR_DOMAIN_METADATA_TITLE : VIR_DOMAIN_METADATA_DESCRIPTION;
    auto words = arguments.rest("new-desc");
    if (words.empty() && !arguments.has("edit")) {
        auto now = current_text(domain.get(), type, affect.flags());
        if (session.json())
            session.show(Json(now));
        else if (!now.empty())
            session.print("{}", now);
        else
            session.extra("No {} for domain: {}", noun, virDomainGetName(domain.get()));
        return;
    }
    auto text = words.empty() ? current_text(domain.get(), type, affect.flags()) : joined(words);
    if (arguments.has("edit")) {
        auto edited = edit_text(text, ".txt");
        while (!edited.empty() && edited.back() == '\n') edited.pop_back();
        if (edited == text) {
            session.extra("Domain {} not changed\n", noun);
            return;
        }
        text = edited;
    }
    check(virDomainSetMetadata(domain.get(), type, text.c_str(), nullptr, nullptr, affect.flags()), "Failed to set new domain {}",
          noun);
    session.extra("Domain {} updated successfully", noun);
}

void domrename(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments, By::name_or_uuid);
    check(virDomainRename(domain.get(), arguments.required("new-name").c_str(), 0));
    session.extra("{}", "Domain successfully renamed\n");
}

void attach_device(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto flags = device_flags(arguments, domain.get());
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    bool plain = flags == 0 && !arguments.has("current");
    check(plain ? virDomainAttachDevice(domain.get(), xml.c_str()) : virDomainAttachDeviceFlags(domain.get(), xml.c_str(), flags),
          "Failed to attach device from {}", file);
    session.extra("{}", "Device attached successfully\n");
}

void detach_device(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto flags = device_flags(arguments, domain.get());
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    bool plain = flags == 0 && !arguments.has("current");
    check(plain ? virDomainDetachDevice(domain.get(), xml.c_str()) : virDomainDetachDeviceFlags(domain.get(), xml.c_str(), flags),
          "Failed to detach device from {}", file);
    session.extra("{}", "Device detached successfully\n");
}

void update_device(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto flags = device_flags(arguments, domain.get());
    if (arguments.has("force")) flags |= VIR_DOMAIN_DEVICE_MODIFY_FORCE;
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    check(virDomainUpdateDeviceFlags(domain.get(), xml.c_str(), flags), "Failed to update device from {}", file);
    session.extra("{}", "Device updated successfully\n");
}

} // namespace

const std::vector<Command>& domain_change_commands() {
    static const std::vector<Command> rows = {
        {.name = "setmem",
         .group = Group::domain,
         .help = "change memory allocation",
         .description = "Change the current memory allocation in the guest domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     need_number("size", "new memory size, as scaled integer (default KiB)"), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain")},
         .run = setmem},
        {.name = "setmaxmem",
         .group = Group::domain,
         .help = "change maximum memory limit",
         .description = "Change the maximum memory allocation limit in the guest domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     need_number("size", "new maximum memory size, as scaled integer (default KiB)"),
                     flag("config", "affect next boot"), flag("live", "affect running domain"),
                     flag("current", "affect current domain")},
         .run = setmaxmem},
        {.name = "setvcpus",
         .group = Group::domain,
         .help = "change number of virtual CPUs",
         .description = "Change the number of virtual CPUs in the guest domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), need_number("count", "number of virtual CPUs"),
                     flag("maximum", "set maximum limit on next boot"), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain"),
                     flag("guest", "modify cpu state in the guest"), flag("hotpluggable", "make added vcpus hot(un)pluggable")},
         .run = setvcpus},
        {.name = "desc",
         .group = Group::domain,
         .help = "show or set domain's description or title",
         .description = "Allows setting or modifying the description or title of a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), flag("live", "modify/get running state"),
                     flag("config", "modify/get persistent configuration"),
                     flag("current", "modify/get current state configuration"),
                     flag("title", "modify/get the title instead of description"),
                     flag("edit", "open an editor to modify the description"), rest("new-desc", "message")},
         .run = desc},
        {.name = "domrename",
         .group = Group::domain,
         .help = "rename a domain",
         .description = "Rename an inactive domain.",
         .options = {need("domain", "domain name or uuid", Complete::domain), need("new-name", "new domain name")},
         .run = domrename},
        {.name = "attach-device",
         .group = Group::domain,
         .help = "attach device from an XML file",
         .description = "Attach device from an XML <file>.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), need("file", "XML file", Complete::file),
                     flag("persistent", "make live change persistent"), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain")},
         .run = attach_device},
        {.name = "detach-device",
         .group = Group::domain,
         .help = "detach device from an XML file",
         .description = "Detach device from an XML <file>",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), need("file", "XML file", Complete::file),
                     flag("persistent", "make live change persistent"), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain")},
         .run = detach_device},
        {.name = "update-device",
         .group = Group::domain,
         .help = "update device from an XML file",
         .description = "Update device from an XML <file>.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), need("file", "XML file", Complete::file),
                     flag("persistent", "make live change persistent"), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain"),
                     flag("force", "force device update")},
         .run = update_device},
    };
    return rows;
}

} // namespace lodge::cli
