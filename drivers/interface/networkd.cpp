// systemd-networkd: /etc/systemd/network/*.network and *.netdev. An interface that we define gets files of its own,
// "10-lodge-NAME.network"; what stood in the old file and is not ours to write ([Network] DNS=, whole sections) is carried over.
#include "drivers/interface/config.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <set>
#include <sstream>

namespace lodge::drivers {

namespace fs = std::filesystem;

namespace {

struct Entry {
    std::string section, key, value; // an empty key: only the section's beginning
};
using Entries = std::vector<Entry>;

Entries parse_ini(const std::string& text) {
    Entries entries;
    std::string section;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        const std::string trimmed(xml::trim(line));
        if (trimmed.empty() || trimmed[0] == '#' || trimmed[0] == ';') continue;
        if (trimmed[0] == '[') {
            section = trimmed.substr(1, trimmed.find(']') - 1);
            entries.push_back({section, "", ""});
        } else if (const auto equals = trimmed.find('='); equals != std::string::npos) {
            entries.push_back(
                {section, std::string(xml::trim(trimmed.substr(0, equals))), std::string(xml::trim(trimmed.substr(equals + 1)))});
        }
    }
    return entries;
}

std::string value_of(const Entries& entries, std::string_view section, std::string_view key) {
    for (const auto& each : entries)
        if (each.section == section && each.key == key) return each.value;
    return {};
}
bool truth(const std::string& value) { return value == "yes" || value == "true" || value == "on" || value == "1"; }

void add_address(const std::string& text, xml::Interface& out) {
    const auto slash = text.find('/');
    xml::InterfaceIp ip;
    ip.address = xml::IpAddress(text.substr(0, slash));
    if (slash != std::string::npos) ip.prefix = static_cast<unsigned>(std::atoi(text.c_str() + slash + 1));
    if (!ip.address.valid()) return;
    const std::string family = ip.address.is_v6() ? "ipv6" : "ipv4";
    auto at = std::ranges::find(out.protocols, family, &xml::InterfaceProtocol::family);
    if (at == out.protocols.end()) at = out.protocols.insert(at, xml::InterfaceProtocol{family, false, {}, {}, {}});
    at->ips.push_back(ip);
}
xml::InterfaceProtocol& protocol(xml::Interface& out, const std::string& family) {
    auto at = std::ranges::find(out.protocols, family, &xml::InterfaceProtocol::family);
    if (at == out.protocols.end()) at = out.protocols.insert(at, xml::InterfaceProtocol{family, false, {}, {}, {}});
    return *at;
}

void read_network(const Entries& entries, xml::Interface& out) {
    bool route_default = true;
    for (const auto& [section, key, value] : entries) {
        if (section == "Route" && key.empty()) route_default = true;
        if (section == "Route" && key == "Destination") route_default = value == "0.0.0.0/0" || value == "::/0";
        if ((section == "Network" || section == "Address") && key == "Address") add_address(value, out);
        if ((section == "Network" && key == "Gateway") || (section == "Route" && key == "Gateway" && route_default)) {
            const xml::IpAddress gateway(value);
            if (gateway.valid()) protocol(out, gateway.is_v6() ? "ipv6" : "ipv4").routes = {{gateway}};
        }
    }
    const auto dhcp = value_of(entries, "Network", "DHCP");
    if (truth(dhcp) || dhcp == "ipv4") protocol(out, "ipv4").dhcp.emplace();
    if (truth(dhcp) || dhcp == "ipv6") protocol(out, "ipv6").dhcp.emplace();
    if (truth(value_of(entries, "Network", "IPv6AcceptRA"))) protocol(out, "ipv6").autoconf = true;
    if (const auto mtu = value_of(entries, "Link", "MTUBytes"); !mtu.empty())
        out.mtu = xml::InterfaceMtu{static_cast<unsigned>(std::atoi(mtu.c_str()))};
    const auto policy = value_of(entries, "Link", "ActivationPolicy");
    out.start = xml::InterfaceStart{policy == "manual" || policy == "down" ? xml::StartMode::none : xml::StartMode::onboot};
}

void read_netdev(const Entries& entries, xml::Interface& out) {
    const auto kind = value_of(entries, "NetDev", "Kind");
    if (const auto mac = value_of(entries, "NetDev", "MACAddress"); !mac.empty()) out.mac = xml::InterfaceMac{mac};
    if (kind == "bridge") {
        out.type = xml::InterfaceType::bridge;
        auto& bridge = out.bridge.emplace();
        if (const auto stp = value_of(entries, "Bridge", "STP"); !stp.empty()) bridge.stp = truth(stp);
        bridge.delay = value_of(entries, "Bridge", "ForwardDelaySec");
    } else if (kind == "bond") {
        out.type = xml::InterfaceType::bond;
        xml::BondMode mode{};
        auto& bond = out.bond.emplace();
        if (xml::Traits<xml::BondMode>::parse(mode, value_of(entries, "Bond", "Mode"))) bond.mode = mode;
    } else if (kind == "vlan") {
        out.type = xml::InterfaceType::vlan;
        out.vlan = xml::InterfaceVlan{value_of(entries, "VLAN", "Id"), {}};
    }
}

class Networkd : public InterfaceConfig {
  public:
    explicit Networkd(fs::path root)
        : root_(std::move(root)) {}

    std::vector<xml::Interface> read() override {
        std::vector<xml::Interface> found;
        const auto named = [&](const std::string& name) -> xml::Interface& {
            auto at = std::ranges::find(found, name, &xml::Interface::name);
            if (at == found.end()) {
                at = found.insert(found.end(), xml::Interface{});
                at->name = name;
            }
            return *at;
        };
        std::map<std::string, std::string> masters;
        for (const auto& [path, entries] : files()) {
            if (path.extension() == ".netdev") {
                if (const auto name = value_of(entries, "NetDev", "Name"); !name.empty()) read_netdev(entries, named(name));
                continue;
            }
            for (const auto& name : words_of(value_of(entries, "Match", "Name"))) {
                if (name.find_first_of("*?[!") != std::string::npos) continue; // a pattern names nobody in particular
                read_network(entries, named(name));
                for (const auto& each : entries) {
                    if (each.section != "Network") continue;
                    if (each.key == "Bridge" || each.key == "Bond") masters[name] = each.value;
                    if (each.key == "VLAN") named(each.value).vlan.emplace(xml::InterfaceVlan{"", {name}});
                }
            }
        }
        for (const auto& [path, entries] : files()) // tags stand in the .netdev, parents in the parent's .network
            if (const auto tag = value_of(entries, "VLAN", "Id"); !tag.empty())
                if (auto& vlan = named(value_of(entries, "NetDev", "Name")); vlan.vlan) vlan.vlan->tag = tag;
        nest(found, masters);
        return found;
    }

    void define(const xml::Interface& document) override {
        std::set<std::string> names = {document.name};
        collect_ports(document, names);
        Entries extras = erase(names);
        if (extras.empty() && extras_.contains(document.name)) extras = extras_[document.name];
        write(document, "", extras);
    }

    void undefine(const std::string& name) override {
        std::set<std::string> names = {name};
        for (const auto& each : read())
            if (each.name == name) collect_ports(each, names);
        const auto extras = erase(names);
        for (const auto& each : names)
            if (each != name) extras_[each] = extras;
    }

    std::vector<fs::path> places() override { return {folder()}; }

    std::vector<Command> notify() override {
        if (!fs::exists(root_ / "run/systemd/netif/state") || find_program("networkctl").empty()) return {};
        Command reload;
        reload.program = "networkctl";
        reload.args = {"reload"};
        return {reload};
    }

  private:
    fs::path folder() const { return root_ / "etc/systemd/network"; }

    std::vector<std::pair<fs::path, Entries>> files() const {
        std::vector<std::pair<fs::path, Entries>> all;
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(folder(), ignored))
            if (const auto kind = entry.path().extension(); kind == ".network" || kind == ".netdev")
                all.emplace_back(entry.path(), parse_ini(read_config_file(entry.path())));
        std::ranges::sort(all, {}, [](const auto& each) { return each.first; });
        return all;
    }

    static void collect_ports(const xml::Interface& document, std::set<std::string>& names) {
        for (const auto* ports :
             {document.bridge ? &document.bridge->ports : nullptr, document.bond ? &document.bond->ports : nullptr})
            if (ports)
                for (const auto& port : *ports) names.insert(port.name), collect_ports(port, names);
    }

    static void nest(std::vector<xml::Interface>& all, const std::map<std::string, std::string>& masters) {
        for (const bool into_bonds : {true, false}) // bonds first: they may be ports themselves
            for (const auto& [name, master] : masters) {
                const auto port = std::ranges::find(all, name, &xml::Interface::name);
                const auto owner = std::ranges::find(all, master, &xml::Interface::name);
                if (port == all.end() || owner == all.end() || owner->bond.has_value() != into_bonds) continue;
                if (!owner->bond && !owner->bridge) continue;
                auto nested = *port;
                nested.start.reset();
                nested.protocols.clear();
                (owner->bond ? owner->bond->ports : owner->bridge->ports).push_back(std::move(nested));
            }
        std::erase_if(all, [&](const xml::Interface& each) { return masters.contains(each.name); });
    }

    // Removes the files of these interfaces; what we do not write ourselves is handed over.
    Entries erase(const std::set<std::string>& names) {
        static const std::set<std::string> ours = {
            "Address", "Gateway", "DHCP", "IPv6AcceptRA", "Bridge", "Bond", "LinkLocalAddressing"};
        Entries extras;
        for (const auto& [path, entries] : files()) {
            const auto matched = words_of(value_of(entries, path.extension() == ".netdev" ? "NetDev" : "Match", "Name"));
            if (matched.size() != 1 || !names.contains(matched.front())) continue;
            fs::remove(path);
            if (path.extension() == ".netdev") continue;
            for (const auto& each : entries) {
                if (each.section == "Match" || each.section == "Link" || each.key.empty()) continue;
                if (each.section == "Network" ? !ours.contains(each.key) : each.section != "Address" && each.section != "Route")
                    extras.push_back(each);
            }
        }
        return extras;
    }

    void write(const xml::Interface& document, const std::string& membership, const Entries& extras) {
        write_config_file(folder() / fmt::format("10-lodge-{}.network", document.name),
                          network_text(document, membership, extras));
        if (document.type != xml::InterfaceType::ethernet)
            write_config_file(folder() / fmt::format("10-lodge-{}.netdev", document.name), netdev_text(document));
        if (document.bridge)
            for (const auto& port : document.bridge->ports) write(port, "Bridge=" + document.name, {});
        if (document.bond)
            for (const auto& port : document.bond->ports) write(port, "Bond=" + document.name, {});
        if (document.vlan) attach_vlan(document.vlan->device.name, document.name);
    }

    // A VLAN is named in its parent's file.
    void attach_vlan(const std::string& parent, const std::string& name) {
        const auto line = "VLAN=" + name;
        for (const auto& [path, entries] : files()) {
            if (path.extension() != ".network" || value_of(entries, "Match", "Name") != parent) continue;
            auto text = read_config_file(path);
            if (text.find(line + "\n") != std::string::npos) return;
            const auto section = text.find("[Network]");
            if (section == std::string::npos)
                text += "\n[Network]\n" + line + "\n";
            else
                text.insert(text.find('\n', section) + 1, line + "\n");
            return write_config_file(path, text);
        }
        write_config_file(folder() / fmt::format("10-lodge-{}.network", parent),
                          fmt::format("[Match]\nName={}\n\n[Network]\nLinkLocalAddressing=no\n{}\n", parent, line));
    }

    static std::string network_text(const xml::Interface& document, const std::string& membership, const Entries& extras) {
        std::string out = fmt::format("[Match]\nName={}\n\n", document.name), link, dhcp;
        if (document.mtu && document.mtu->size) link += fmt::format("MTUBytes={}\n", document.mtu->size);
        if (membership.empty() && document.start_mode() == xml::StartMode::none) link += "ActivationPolicy=manual\n";
        if (!link.empty()) out += "[Link]\n" + link + "\n";
        out += "[Network]\n";
        if (!membership.empty()) out += membership + "\n";
        bool v4 = false, v6 = false;
        for (const auto& protocol : document.protocols) {
            (protocol.family == "ipv6" ? v6 : v4) |= protocol.dhcp.has_value();
            if (protocol.autoconf) out += "IPv6AcceptRA=yes\n";
            for (const auto& ip : protocol.ips)
                out += fmt::format("Address={}{}\n", ip.address.text(), ip.prefix ? fmt::format("/{}", *ip.prefix) : "");
            for (const auto& route : protocol.routes) out += fmt::format("Gateway={}\n", route.gateway.text());
        }
        if (v4 || v6) out += fmt::format("DHCP={}\n", v4 && v6 ? "yes" : v4 ? "ipv4" : "ipv6");
        std::string section = "Network";
        for (const auto& each : extras) {
            if (each.section != section) out += fmt::format("\n[{}]\n", section = each.section);
            out += fmt::format("{}={}\n", each.key, each.value);
        }
        return out;
    }

    static std::string netdev_text(const xml::Interface& document) {
        std::string out = fmt::format("[NetDev]\nName={}\nKind={}\n", document.name, xml::word(document.type));
        if (document.mac && !document.mac->address.empty()) out += fmt::format("MACAddress={}\n", document.mac->address);
        if (document.bridge) {
            out += fmt::format("\n[Bridge]\nSTP={}\n", document.bridge->stp && *document.bridge->stp ? "yes" : "no");
            if (!document.bridge->delay.empty()) out += fmt::format("ForwardDelaySec={}\n", document.bridge->delay);
        } else if (document.bond) {
            out += "\n[Bond]\n";
            if (document.bond->mode) out += fmt::format("Mode={}\n", xml::word(*document.bond->mode));
            if (document.bond->mii) out += fmt::format("MIIMonitorSec={}ms\n", document.bond->mii->freq);
        } else if (document.vlan) {
            out += fmt::format("\n[VLAN]\nId={}\n", document.vlan->tag);
        }
        return out;
    }

    fs::path root_;
    std::map<std::string, Entries> extras_;
};

} // namespace

std::unique_ptr<InterfaceConfig> networkd_config(const fs::path& root) { return std::make_unique<Networkd>(root); }

} // namespace lodge::drivers
