#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/xml_query.hpp"

#include <pugixml.hpp>

namespace lodge::cli {

namespace {

// 1.234 MiB, as virsh's --human
Cell human(unsigned long long bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
    return {fmt::format("{:.3f} {}", value, units[unit]), bytes};
}

void domblklist(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto document = document_of(domain.get(), arguments.has("inactive") ? VIR_DOMAIN_XML_INACTIVE : 0);
    bool details = arguments.has("details");
    Table table(details ? std::vector<Column>{{"type", "Type"}, {"device", "Device"}, {"target", "Target"}, {"source", "Source"}}
                        : std::vector<Column>{{"type", ""}, {"device", ""}, {"target", "Target"}, {"source", "Source"}});
    for (const auto& disk : document.select_nodes("/domain/devices/disk")) {
        auto node = disk.node();
        std::string target = node.child("target").attribute("dev").value();
        if (target.empty()) fail("{}", "unable to query block list");
        auto source = disk_source(node);
        table.add({node.attribute("type").value(), node.attribute("device").as_string("disk"), target,
                   source.empty() ? std::string("-") : source});
    }
    session.show(table);
}

// One disk's sizes; absent where there is no medium or the daemon cannot tell.
std::optional<virDomainBlockInfo> block_info(virDomainPtr domain, const std::string& target) {
    virDomainBlockInfo info{};
    if (virDomainGetBlockInfo(domain, target.c_str(), &info, 0) < 0) {
        forget_cause();
        return {};
    }
    return info;
}

void domblkinfo(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    bool all = arguments.has("all");
    if (!all && !arguments.has("device")) fail("{}", "command 'domblkinfo' requires <device> option");
    auto size = [&](unsigned long long bytes) { return arguments.has("human") ? human(bytes) : Cell(bytes); };
    if (!all) {
        virDomainBlockInfo info{};
        check(virDomainGetBlockInfo(domain.get(), arguments.required("device").c_str(), &info, 0));
        Pairs out;
        out.add("capacity", "Capacity:", size(info.capacity));
        out.add("allocation", "Allocation:", size(info.allocation));
        out.add("physical", "Physical:", size(info.physical));
        return session.show(out);
    }
    Table table({{"target", "Target"}, {"capacity", "Capacity"}, {"allocation", "Allocation"}, {"physical", "Physical"}});
    auto document = document_of(domain.get(), 0);
    for (const auto& disk : document.select_nodes("/domain/devices/disk")) {
        std::string target = disk.node().child("target").attribute("dev").value();
        auto info = disk.node().child("source") ? block_info(domain.get(), target) : std::nullopt;
        if (info)
            table.add({target, size(info->capacity), size(info->allocation), size(info->physical)});
        else
            table.add({target, "-", "-", "-"});
    }
    session.show(table);
}

void domiflist(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto document = document_of(domain.get(), arguments.has("inactive") ? VIR_DOMAIN_XML_INACTIVE : 0);
    Table table({{"interface", "Interface"}, {"type", "Type"}, {"source", "Source"}, {"model", "Model"}, {"mac", "MAC"}});
    auto or_dash = [](std::string text) { return text.empty() ? std::string("-") : text; };
    for (const auto& found : document.select_nodes("/domain/devices/interface")) {
        auto nic = found.node();
        std::string type = nic.attribute("type").value();
        auto source = nic.child("source");
        std::string from = source.attribute(type.c_str()).value();
        if (type == "direct") from = source.attribute("dev").value();
        if (type == "vhostuser") from = source.attribute("path").value();
        if (type == "network" && from.empty()) from = source.attribute("bridge").value();
        table.add({or_dash(nic.child("target").attribute("dev").value()), type, or_dash(from),
                   or_dash(nic.child("model").attribute("type").value()),
                   or_dash(nic.child("mac").attribute("address").value())});
    }
    session.show(table);
}

unsigned address_source(const Arguments& arguments) {
    auto word = arguments.text("source", "lease");
    if (word == "lease") return VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE;
    if (word == "agent") return VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT;
    if (word == "arp") return VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP;
    fail("Unknown data source '{}'", word);
}

void domifaddr(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    virDomainInterfacePtr* found = nullptr;
    int count = check(virDomainInterfaceAddresses(domain.get(), &found, address_source(arguments), 0), "{}",
                      "Failed to query for interfaces addresses");
    auto wanted = arguments.text("interface");
    auto json = Json::array();
    std::string lines;
    for (int i = 0; i < count; i++) {
        const auto& nic = *found[i];
        if (wanted && *wanted != nic.name) continue;
        std::string mac = nic.hwaddr ? nic.hwaddr : "";
        auto addresses = Json::array();
        if (nic.naddrs == 0)
            lines += fmt::format(" {:<10} {:<17}    {:<12} {}\n", nic.name, mac.empty() ? "N/A" : mac, "N/A", "N/A");
        for (unsigned j = 0; j < nic.naddrs; j++) {
            const auto& address = nic.addrs[j];
            const char* protocol = address.type == VIR_IP_ADDR_TYPE_IPV4 ? "ipv4" : "ipv6";
            // the name and MAC stand once, unless --full repeats them
            bool named = j == 0 || arguments.has("full");
            lines += fmt::format(" {:<10} {:<17}    {:<12} {}/{}\n", named ? nic.name : "-",
                                 named ? (mac.empty() ? "N/A" : mac) : "-", protocol, address.addr, address.prefix);
            addresses.push_back({{"protocol", protocol}, {"address", address.addr}, {"prefix", address.prefix}});
        }
        json.push_back({{"name", nic.name}, {"mac", mac.empty() ? Json() : Json(mac)}, {"addresses", addresses}});
    }
    for (int i = 0; i < count; i++) virDomainInterfaceFree(found[i]);
    ::free(found);
    if (session.json()) return session.show(json);
    session.extra(" {:<10} {:<20} {:<8}     {}\n{}\n", "Name", "MAC address", "Protocol", "Address", std::string(79, '-'));
    session.write(lines);
}

void dommemstat(Session& session, const Arguments& arguments) {
    auto affect = affect_of(arguments);
    auto period = arguments.number<int>("period");
    auto domain = find_domain(session, arguments);
    if (period) {
        if (*period < 0) fail("Invalid collection period value '{}'", *period);
        check(virDomainSetMemoryStatsPeriod(domain.get(), *period, affect.flags()), "{}",
              "Unable to change balloon collection period.");
        return;
    }
    constexpr std::string_view names[] = {"swap_in",     "swap_out",        "major_fault",   "minor_fault", "unused",
                                          "available",   "actual",          "rss",           "usable",      "last_update",
                                          "disk_caches", "hugetlb_pgalloc", "hugetlb_pgfail"};
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    int count = virDomainMemoryStats(domain.get(), stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
    check(count, "Failed to get memory statistics for domain {}", arguments.required("domain"));
    Json json = Json::object();
    for (int i = 0; i < count; i++) {
        if (stats[i].tag < 0 || static_cast<size_t>(stats[i].tag) >= std::size(names)) continue;
        auto name = names[stats[i].tag];
        if (session.json())
            json[std::string(name)] = stats[i].val;
        else
            session.print("{} {}\n", name, stats[i].val);
    }
    if (session.json()) session.show(json);
}

// host and port of one <graphics>, as a URI; empty when the guest has no address for it yet
std::string display_uri(const pugi::xml_node& graphics, bool with_password) {
    std::string type = graphics.attribute("type").value();
    int port = graphics.attribute("port").as_int(), tls_port = graphics.attribute("tlsPort").as_int();
    auto socket = graphics.attribute("socket");
    if (!socket) socket = graphics.find_child_by_attribute("listen", "type", "socket").attribute("socket");
    if (port <= 0 && tls_port <= 0) return socket ? fmt::format("{}+unix://{}", type, socket.value()) : std::string();
    auto listen = graphics.child("listen").attribute("address");
    std::string host = listen ? listen.value() : graphics.attribute("listen").value();
    if (host.empty() || host == "0.0.0.0" || host == "::") host = "localhost";
    if (host.find(':') != host.npos) host = "[" + host + "]";
    auto out = fmt::format("{}://", type);
    std::string password = graphics.attribute("passwd").value();
    if (with_password && !password.empty() && type != "spice") out += ":" + password + "@";
    out += host;
    if (type == "vnc") port -= 5900;
    if (port > 0 || type == "vnc") out += fmt::format(":{}", port);
    char join = '?';
    if (tls_port > 0) out += fmt::format("{}tls-port={}", std::exchange(join, '&'), tls_port);
    if (with_password && !password.empty() && type == "spice")
        out += fmt::format("{}password={}", std::exchange(join, '&'), password);
    return out;
}

void domdisplay(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    if (check(virDomainIsActive(domain.get())) == 0) fail("{}", "Domain is not running");
    auto document = document_of(domain.get(), arguments.has("include-password") ? VIR_DOMAIN_XML_SECURE : 0);
    auto wanted = arguments.text("type");
    std::vector<std::string> uris;
    for (const auto* type : {"vnc", "spice", "rdp", "dbus"})
        for (const auto& found : document.select_nodes("/domain/devices/graphics")) {
            if (std::string_view(found.node().attribute("type").value()) != type || (wanted && *wanted != type)) continue;
            auto uri = display_uri(found.node(), arguments.has("include-password"));
            if (!uri.empty()) uris.push_back(std::move(uri));
        }
    if (uris.empty() && wanted) fail("No graphical display with type '{}' found", *wanted);
    if (uris.empty()) fail("{}", "No graphical display found");
    if (!arguments.has("all")) uris.resize(1);
    if (session.json()) return session.show(Json(uris));
    for (const auto& uri : uris) session.print("{}{}", uri, arguments.has("all") ? "\n" : "");
}

void vncdisplay(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    if (check(virDomainIsActive(domain.get())) == 0) fail("{}", "Domain is not running");
    auto graphics = document_of(domain.get(), 0).select_node("/domain/devices/graphics[@type='vnc']").node();
    int port = graphics.attribute("port").as_int(-1);
    if (port < 0) fail("{}", "Failed to get VNC port. Is this domain using VNC?");
    std::string host = graphics.attribute("listen").value();
    if (host == "0.0.0.0") host.clear();
    session.show_value(fmt::format("{}:{}", host, port - 5900));
}

void ttyconsole(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    if (check(virDomainIsActive(domain.get())) == 0) fail("{}", "Domain is not running");
    std::string tty = document_of(domain.get(), 0).select_node("/domain/devices/console/@tty").attribute().value();
    if (tty.empty()) fail("{}", "Failed to get tty console");
    session.show_value(tty);
}

} // namespace

const std::vector<Command>& domain_device_commands() {
    static const std::vector<Command> rows = {
        {.name = "domblklist",
         .group = Group::monitor,
         .help = "list all domain blocks",
         .description = "Get the summary of block devices for a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     flag("inactive", "get inactive rather than running configuration"),
                     flag("details", "additionally display the type and device value")},
         .run = domblklist},
        {.name = "domblkinfo",
         .group = Group::monitor,
         .help = "domain block device size information",
         .description = "Get block device size info for a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain), text("device", "block device"),
                     flag("human", "Human readable output"), flag("all", "display all block devices info")},
         .run = domblkinfo},
        {.name = "domiflist",
         .group = Group::monitor,
         .help = "list all domain virtual interfaces",
         .description = "Get the summary of virtual interfaces for a domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     flag("inactive", "get inactive rather than running configuration")},
         .run = domiflist},
        {.name = "domifaddr",
         .group = Group::monitor,
         .help = "Get network interfaces' addresses for a running domain",
         .description = "Get network interfaces' addresses for a running domain",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     text("interface", "network interface name"), flag("full", "always display names and MACs of interfaces"),
                     text("source", "address source: 'lease', 'agent', or 'arp'").choices("lease agent arp")},
         .run = domifaddr},
        {.name = "dommemstat",
         .group = Group::monitor,
         .help = "get memory statistics for a domain",
         .description = "Get memory statistics for a running domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     number("period", "period in seconds to set collection").named(), flag("config", "affect next boot"),
                     flag("live", "affect running domain"), flag("current", "affect current domain")},
         .run = dommemstat},
        {.name = "domdisplay",
         .group = Group::domain,
         .help = "domain display connection URI",
         .description = "Output the IP address and port number for the graphical display.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     flag("include-password", "includes the password into the connection URI if available"),
                     text("type", "select particular graphical display (e.g. \"vnc\", \"spice\", \"rdp\", \"dbus\")")
                         .choices("vnc spice rdp dbus"),
                     flag("all", "show all possible graphical displays")},
         .run = domdisplay},
        {.name = "vncdisplay",
         .group = Group::domain,
         .help = "vnc display",
         .description = "Output the IP address and port number for the VNC display.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = vncdisplay},
        {.name = "ttyconsole",
         .group = Group::domain,
         .help = "tty console",
         .description = "Output the device for the TTY console.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = ttyconsole},
    };
    return rows;
}

} // namespace lodge::cli
