// Disks and cards plugged in by their facts instead of by a file of XML.
#include "cli/commands.hpp"
#include "cli/device_facts.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

void attach(Session& session, const Arguments& arguments, pugi::xml_node device, const char* what, const char* done) {
    const std::string xml = format_shown(device);
    if (arguments.has("print-xml")) return session.write(xml);
    auto domain = find_domain(session, arguments);
    const auto flags = device_flags(arguments, domain.get());
    const bool plain = flags == 0 && !arguments.has("current");
    check(plain ? virDomainAttachDevice(domain.get(), xml.c_str()) : virDomainAttachDeviceFlags(domain.get(), xml.c_str(), flags),
          "{}", what);
    session.extra("{}", done);
}

// ---- disks ----

std::string source_type(const Arguments& arguments) {
    const auto protocol = arguments.text("source-protocol"), driver = arguments.text("driver"),
               asked = arguments.text("sourcetype");
    if (asked && *asked != "file" && *asked != "block" && *asked != "network") fail("Unknown source type: '{}'", *asked);
    std::string type = asked.value_or("");
    if (type.empty() && protocol) type = "network";
    if (type.empty()) {
        const bool named = driver == "file" || driver == "tap";
        type = !named && is_block_device(arguments.required("source")) ? "block" : "file";
    }
    if ((type == "network") != protocol.has_value()) fail("--source-protocol option requires --sourcetype network");
    return type;
}

void put_host(pugi::xml_node source, const Arguments& arguments) {
    auto host = source.append_child("host");
    put(host, "transport", arguments.text("source-host-transport"));
    put(host, "socket", arguments.text("source-host-socket"));
    if (const auto name = arguments.text("source-host-name")) {
        const auto colon = name->find(':');
        put(host, "name", name->substr(0, colon));
        if (colon != std::string::npos) put(host, "port", name->substr(colon + 1));
    }
    if (!host.first_attribute()) source.remove_child(host);
}

void put_source(pugi::xml_node disk, const Arguments& arguments, const std::string& type) {
    const auto& source = arguments.required("source");
    auto element = disk.append_child("source");
    if (type == "network") {
        put(element, "protocol", arguments.text("source-protocol"));
        put(element, "name", source);
        put_host(element, arguments);
    } else {
        put(element, type == "block" ? "dev" : "file", source);
    }
    if (!element.first_attribute() && !element.first_child()) disk.remove_child(element);
}

// Only addresses that a disk on such a target can have.
void put_disk_address(pugi::xml_node disk, const Arguments& arguments, const std::string& address) {
    if (!put_address(disk, address, arguments.has("multifunction"))) fail("Invalid address.");
    const auto& target = arguments.required("target");
    const auto kind = address_kind(address);
    const auto expect = [&](bool right, std::string_view wanted) {
        if (!right) fail("expecting {} address.", wanted);
    };
    if (target.starts_with("vd"))
        expect(kind == "pci" || kind == "ccw", "a pci:0000.00.00.00 or ccw:00.0.0000");
    else if (target.starts_with("sd"))
        expect(kind == "scsi" || kind == "usb" || kind == "sata", "scsi:00.00.00, usb:00.00, or sata:00.00.00");
    else if (target.starts_with("hd"))
        expect(kind == "ide", "an ide:00.00.00");
}

void attach_disk(Session& session, const Arguments& arguments) {
    for (const auto* option : {"source-host-name", "source-host-transport", "source-host-socket"})
        arguments.requires_option(option, "source-protocol");
    arguments.requires_option("source-host-socket", "source-host-transport");
    arguments.exclusive("source-host-name", "source-host-socket");
    const auto mode = arguments.text("mode");
    const std::string type = source_type(arguments);
    if (mode && *mode != "readonly" && *mode != "shareable") fail("No support for {} in command 'attach-disk'", *mode);
    pugi::xml_document document;
    auto disk = document.append_child("disk");
    put(disk, "type", type);
    put(disk, "device", arguments.text("type"));
    if (arguments.has("rawio")) put(disk, "rawio", "yes");
    auto driver = disk.append_child("driver");
    put(driver, "name", arguments.text("driver"));
    put(driver, "type", arguments.text("subdriver"));
    for (const char* fact : {"iothread", "cache", "io"}) put(driver, fact, arguments.text(fact));
    if (!driver.first_attribute()) disk.remove_child(driver);
    put_source(disk, arguments, type);
    auto target = disk.append_child("target");
    put(target, "dev", arguments.required("target"));
    put(target, "bus", arguments.text("targetbus"));
    if (mode) disk.append_child(mode->c_str());
    if (const auto serial = arguments.text("serial")) disk.append_child("serial").text() = serial->c_str();
    if (const auto alias = arguments.text("alias")) put(disk.append_child("alias"), "name", alias);
    if (const auto wwn = arguments.text("wwn")) disk.append_child("wwn").text() = wwn->c_str();
    if (const auto address = arguments.text("address")) put_disk_address(disk, arguments, *address);
    attach(session, arguments, disk, "Failed to attach disk", "Disk attached successfully\n");
}

// ---- cards ----

void put_rate(pugi::xml_node bandwidth, const char* direction, const Rate& rate) {
    auto element = bandwidth.append_child(direction);
    const auto one = [&](const char* name, unsigned long long value) {
        if (value) element.append_attribute(name) = value;
    };
    one("average", rate.average);
    one("peak", rate.peak);
    one("burst", rate.burst);
    one("floor", rate.floor);
}

void put_bandwidth(pugi::xml_node card, const Arguments& arguments) {
    const auto in = arguments.text("inbound"), out = arguments.text("outbound");
    if (!in && !out) return;
    auto bandwidth = card.append_child("bandwidth");
    if (in) {
        const Rate rate = read_rate(*in);
        if (!rate.average && !rate.floor) fail("either inbound average or floor is mandatory");
        put_rate(bandwidth, "inbound", rate);
    }
    if (out) {
        const Rate rate = read_rate(*out);
        if (!rate.average) fail("outbound average is mandatory");
        if (rate.floor) fail("outbound floor is unsupported yet");
        put_rate(bandwidth, "outbound", rate);
    }
}

void put_card_source(pugi::xml_node card, const Arguments& arguments) {
    const auto& type = arguments.required("type");
    const auto& source = arguments.required("source");
    const auto mode = arguments.text("source-mode");
    if (mode && *mode != "server" && *mode != "client") fail("Invalid source mode: {}", *mode);
    if (type == "network" || type == "bridge") {
        put(card.append_child("source"), type.c_str(), source);
    } else if (type == "direct") {
        put(card.append_child("source"), "dev", source);
    } else if (type == "hostdev") {
        if (!put_address(card.append_child("source"), "pci:" + source, false))
            fail("cannot parse pci address '{}' for network interface", source);
    } else if (type == "vhostuser") {
        if (!mode) fail("source-mode is mandatory");
        auto element = card.append_child("source");
        put(element, "type", "unix");
        put(element, "path", source);
        put(element, "mode", mode);
    } else {
        fail("No support for {} in command 'attach-interface'", type);
    }
}

void attach_interface(Session& session, const Arguments& arguments) {
    pugi::xml_document document;
    auto card = document.append_child("interface");
    put(card, "type", arguments.required("type"));
    if (arguments.has("managed")) put(card, "managed", "yes");
    put_card_source(card, arguments);
    for (const auto& [fact, element, attribute] : std::initializer_list<std::array<const char*, 3>>{{"target", "target", "dev"},
                                                                                                    {"mac", "mac", "address"},
                                                                                                    {"script", "script", "path"},
                                                                                                    {"model", "model", "type"},
                                                                                                    {"alias", "alias", "name"}})
        if (const auto value = arguments.text(fact)) put(card.append_child(element), attribute, value);
    put_bandwidth(card, arguments);
    attach(session, arguments, card, "Failed to attach interface", "Interface attached successfully\n");
}

void append_where(std::vector<Option>& options) {
    options.push_back(flag("persistent", "make live change persistent"));
    options.push_back(flag("config", "affect next boot"));
    options.push_back(flag("live", "affect running domain"));
    options.push_back(flag("current", "affect current domain"));
}

std::vector<Option> disk_options() {
    std::vector<Option> options = {
        the_domain(),
        need("source", "source of disk device or name of network disk", Complete::file),
        need("target", "target of disk device"),
        text("targetbus", "target bus of disk device"),
        text("driver", "driver of disk device"),
        text("subdriver", "subdriver of disk device"),
        text("iothread", "IOThread to be used by supported device"),
        text("cache", "cache mode of disk device"),
        text("io", "io policy of disk device"),
        text("type", "target device type"),
        text("mode", "mode of device reading and writing").choices("readonly shareable"),
        text("sourcetype", "type of source (block|file|network)").choices("block file network"),
        text("serial", "serial of disk device"),
        text("wwn", "wwn of disk device"),
        text("alias", "custom alias name of disk device"),
        flag("rawio", "needs rawio capability"),
        text("address", "address of disk device"),
        flag("multifunction", "use multifunction pci under specified address"),
        flag("print-xml", "print XML document rather than attach the disk"),
        text("source-protocol", "protocol used by disk device source"),
        text("source-host-name", "host name for source of disk device"),
        text("source-host-transport", "host transport for source of disk device"),
        text("source-host-socket", "host socket for source of disk device"),
    };
    append_where(options);
    return options;
}

std::vector<Option> card_options() {
    std::vector<Option> options = {
        the_domain(),
        need("type", "network interface type"),
        need("source", "source of network interface"),
        text("target", "target network name"),
        text("mac", "MAC address"),
        text("script", "script used to bridge network interface"),
        text("model", "model type"),
        text("alias", "custom alias name of interface device"),
        text("inbound", "control domain's incoming traffics"),
        text("outbound", "control domain's outgoing traffics"),
    };
    append_where(options);
    options.push_back(flag("print-xml", "print XML document rather than attach the interface"));
    options.push_back(flag("managed", "libvirt will automatically detach/attach the device from/to host"));
    options.push_back(text("source-mode", "mode attribute of <source/> element").choices("server client"));
    return options;
}

} // namespace

const std::vector<Command>& domain_attach_commands() {
    static const std::vector<Command> rows = {
        {.name = "attach-disk",
         .group = Group::domain,
         .help = "attach disk device",
         .description = "Attach new disk device.",
         .options = disk_options(),
         .run = attach_disk},
        {.name = "attach-interface",
         .group = Group::domain,
         .help = "attach network interface",
         .description = "Attach new network interface.",
         .options = card_options(),
         .run = attach_interface},
    };
    return rows;
}

} // namespace lodge::cli
