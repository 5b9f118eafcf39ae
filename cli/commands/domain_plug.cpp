// Devices by their facts instead of by a file of XML: disks, cards, media, links.
#include "cli/commands.hpp"
#include "cli/device_facts.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

// Of the stored document when only that is to change.
unsigned document_flags(unsigned flags, virDomainPtr domain) {
    const bool stored = flags == VIR_DOMAIN_AFFECT_CONFIG && virDomainIsPersistent(domain) == 1;
    return stored ? VIR_DOMAIN_XML_INACTIVE : 0;
}

void detach(virDomainPtr domain, const Arguments& arguments, unsigned flags, const std::string& xml, const char* what) {
    const bool plain = flags == 0 && !arguments.has("current");
    check(plain ? virDomainDetachDevice(domain, xml.c_str()) : virDomainDetachDeviceFlags(domain, xml.c_str(), flags), "{}",
          what);
}

// ---- disks ----

// By target or by source, as a person names it.
pugi::xml_node find_disk(const pugi::xml_document& document, const std::string& name) {
    for (const auto& found : document.select_nodes("/domain/devices/disk")) {
        const auto source = found.node().child("source");
        for (const std::string_view known :
             {found.node().child("target").attribute("dev").value(), source.attribute("file").value(),
              source.attribute("dev").value(), source.attribute("dir").value()})
            if (!name.empty() && known == name) return found.node();
    }
    return {};
}

void detach_disk(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto flags = device_flags(arguments, domain.get());
    const auto& target = arguments.required("target");
    const auto document = document_of(domain.get(), document_flags(flags, domain.get()));
    const auto disk = find_disk(document, target);
    if (!disk) fail("No disk found whose source path or target is {}", target);
    if (arguments.has("print-xml")) return session.write(format_shown(disk, '"'));
    detach(domain.get(), arguments, flags, format_document(disk), "Failed to detach disk");
    session.extra("{}", "Disk detached successfully\n");
}

void change_media(Session& session, const Arguments& arguments) {
    arguments.exclusive("eject", "insert");
    arguments.exclusive("eject", "update");
    arguments.exclusive("insert", "update");
    const auto affect = affect_of(arguments);
    auto flags = affect.flags();
    auto domain = find_domain(session, arguments);
    const auto& path = arguments.required("path");
    const std::string source = arguments.text("source", "");
    const bool eject = arguments.has("eject"), insert = arguments.has("insert"),
               update = arguments.has("update") || (!eject && !insert);
    const auto document = document_of(domain.get(), document_flags(flags, domain.get()));
    auto disk = find_disk(document, path);
    if (!disk) fail("No disk found whose source path or target is {}", path);
    const std::string_view device = disk.attribute("device").value();
    if (device != "cdrom" && device != "floppy") fail("The disk device '{}' is not removable", path);
    const bool loaded = static_cast<bool>(disk.child("source"));
    if (eject && !loaded) fail("The disk device '{}' doesn't have media", path);
    if (insert && source.empty()) fail("No source specified for inserting media");
    if (update && source.empty()) fail("No source specified for updating media");
    if (insert && loaded) fail("The disk device '{}' already has media", path);
    disk.remove_child("source");
    if (!eject) {
        const bool block = arguments.has("block") || is_block_device(source);
        disk.remove_attribute("type");
        disk.prepend_attribute("type") = block ? "block" : "file";
        disk.insert_child_before("source", disk.child("target")).append_attribute(block ? "dev" : "file") = source.c_str();
    }
    if (arguments.has("print-xml")) return session.write(format_shown(disk, '"'));
    if (arguments.has("force")) flags |= VIR_DOMAIN_DEVICE_MODIFY_FORCE;
    const char* verb = eject ? "eject" : insert ? "insert" : "update";
    check(virDomainUpdateDeviceFlags(domain.get(), format_document(disk).c_str(), flags), "Failed to complete action {} on media",
          verb);
    session.extra("Successfully {}ed media.\n", update ? "updat" : verb);
}

// ---- cards ----

pugi::xml_node find_card(const pugi::xml_document& document, const std::string& name, const std::string& type = "") {
    pugi::xml_node found;
    for (const auto& one : document.select_nodes("/domain/devices/interface")) {
        const auto node = one.node();
        if (!type.empty() && node.attribute("type").value() != type) continue;
        const bool mac = node.child("mac").attribute("address").value() == name;
        if (!name.empty() && !mac && node.child("target").attribute("dev").value() != name) continue;
        if (found) fail("Domain has multiple interfaces matching '{}'. You must specify which one to detach using --mac", name);
        found = node;
    }
    return found;
}

void detach_interface(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto flags = device_flags(arguments, domain.get());
    const auto& type = arguments.required("type");
    const std::string mac = arguments.text("mac", "");
    const auto document = document_of(domain.get(), document_flags(flags, domain.get()));
    const auto nic = find_card(document, mac, type);
    if (!nic && mac.empty()) fail("No interface found whose type is {}", type);
    if (!nic) fail("No interface with MAC address {} was found", mac);
    if (arguments.has("print-xml")) return session.write(format_shown(nic, '"'));
    detach(domain.get(), arguments, flags, format_document(nic), "Failed to detach interface");
    session.extra("{}", "Interface detached successfully\n");
}

void domif_setlink(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto& name = arguments.required("interface");
    const auto& state = arguments.required("state");
    if (state != "up" && state != "down") fail("invalid link state '{}'", state);
    const bool config = arguments.has("config") || arguments.has("persistent");
    unsigned flags = config ? VIR_DOMAIN_AFFECT_CONFIG : VIR_DOMAIN_AFFECT_LIVE;
    if (virDomainIsActive(domain.get()) == 0) flags = VIR_DOMAIN_AFFECT_CONFIG;
    const auto document = document_of(domain.get(), config ? VIR_DOMAIN_XML_INACTIVE : 0);
    auto nic = find_card(document, name);
    if (!nic) fail("interface '{}' not found", name);
    if (!nic.child("link")) nic.append_child("link").append_attribute("state");
    nic.child("link").attribute("state") = state.c_str();
    if (arguments.has("print-xml")) return session.write(format_shown(nic, '"'));
    check(virDomainUpdateDeviceFlags(domain.get(), format_document(nic).c_str(), flags), "{}",
          "Failed to update interface link state");
    session.extra("{}", "Device updated successfully\n");
}

void domif_getlink(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto& name = arguments.required("interface");
    const bool config = arguments.has("config") || arguments.has("persistent");
    const auto document = document_of(domain.get(), config ? VIR_DOMAIN_XML_INACTIVE : 0);
    const auto nic = find_card(document, name);
    if (!nic) fail("Interface '{}' not found", name);
    const std::string state = nic.child("link").attribute("state").as_string("up");
    if (session.json()) return session.show_value(state);
    session.print("{} {}\n", name, state);
}

void detach_device_alias(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    const auto& alias = arguments.required("alias");
    check(virDomainDetachDeviceAlias(domain.get(), alias.c_str(), affect.flags()), "Failed to detach device with alias {}",
          alias);
    session.extra("{}", "Device detach request sent successfully\n");
}

std::vector<Option> with_device_options(std::vector<Option> options, bool persistent = true) {
    if (persistent) options.push_back(flag("persistent", "make live change persistent"));
    options.push_back(flag("config", "affect next boot"));
    options.push_back(flag("live", "affect running domain"));
    options.push_back(flag("current", "affect current domain"));
    return options;
}

} // namespace

const std::vector<Command>& domain_plug_commands() {
    static const std::vector<Command> rows = {
        {.name = "detach-disk",
         .group = Group::domain,
         .help = "detach disk device",
         .description = "Detach disk device.",
         .options = with_device_options({the_domain(), need("target", "target of disk device"),
                                         flag("print-xml", "print XML document rather than detach the disk")}),
         .run = detach_disk},
        {.name = "change-media",
         .group = Group::domain,
         .help = "Change media of CD or floppy drive",
         .description = "Change media of CD or floppy drive.",
         .options = with_device_options(
             {the_domain(), need("path", "Fully-qualified path or target of disk device"), text("source", "source of the media"),
              flag("eject", "Eject the media"), flag("insert", "Insert the media"), flag("update", "Update the media"),
              flag("force", "force media changing"), flag("print-xml", "print XML document rather than change media"),
              flag("block", "source media is a block device")},
             false),
         .run = change_media},
        {.name = "detach-interface",
         .group = Group::domain,
         .help = "detach network interface",
         .description = "Detach network interface.",
         .options = with_device_options({the_domain(), need("type", "network interface type"), text("mac", "MAC address"),
                                         flag("print-xml", "print XML document rather than detach the interface")}),
         .run = detach_interface},
        {.name = "domif-setlink",
         .group = Group::domain,
         .help = "set link state of a virtual interface",
         .description = "Set link state of a domain's virtual interface. This command wraps usage of update-device command.",
         .options = {the_domain(), need("interface", "interface device (MAC Address)"), need("state", "new state of the device"),
                     flag("persistent", "affect next boot"), flag("config", "affect next boot"),
                     flag("print-xml", "print XML document rather than set the interface link state")},
         .run = domif_setlink},
        {.name = "domif-getlink",
         .group = Group::monitor,
         .help = "get link state of a virtual interface",
         .description = "Get link state of a domain's virtual interface.",
         .options = {the_domain(), need("interface", "interface device (MAC Address)"),
                     flag("persistent", "Get persistent interface state"), flag("config", "Get persistent interface state")},
         .run = domif_getlink},
        {.name = "detach-device-alias",
         .group = Group::domain,
         .help = "detach device from an alias",
         .description = "Detach device identified by the given alias from a domain",
         .options = with_device_options({the_domain(), need("alias", "device alias")}, false),
         .run = detach_device_alias},
    };
    return rows;
}

} // namespace lodge::cli
