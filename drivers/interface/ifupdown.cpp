// /etc/network/interfaces and the files it sources. Lines that are not about the interface in hand stay as they are, comments
// included. What we do not understand about an interface (dns-nameservers, up, …) moves with its addresses.
#include "drivers/interface/config.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <charconv>
#include <glob.h>
#include <set>
#include <sstream>

namespace lodge::drivers {

namespace fs = std::filesystem;

namespace {

struct Option {
    std::string name, value;
};
struct Stanza {
    std::string text; // as it stands, with its line ends
    std::vector<std::string> head;
    std::vector<Option> options;
    bool is_iface(const std::string& name) const { return head.size() >= 4 && head[0] == "iface" && head[1] == name; }
    bool is_auto() const { return !head.empty() && (head[0] == "auto" || head[0].starts_with("allow-")); }
};
struct File {
    fs::path path;
    std::vector<Stanza> stanzas;
    std::string text() const {
        std::string out;
        for (const auto& stanza : stanzas) out += stanza.text;
        return out;
    }
};

bool starts_stanza(const std::string& word) {
    static const std::set<std::string> words = {"iface", "auto", "mapping", "source", "source-directory", "rename", "template"};
    return words.contains(word) || word.starts_with("allow-") || word.starts_with("no-auto-") || word.starts_with("no-scripts");
}

std::vector<Stanza> parse_stanzas(const std::string& text) {
    std::vector<Stanza> stanzas;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        std::string raw = line + "\n";
        while (line.ends_with('\\')) { // goes on in the next line
            line.pop_back();
            std::string more;
            if (!std::getline(in, more)) break;
            raw += more + "\n";
            line += more;
        }
        const auto words = words_of(line);
        const bool comment = words.empty() || words[0].starts_with("#");
        if (comment || starts_stanza(words[0])) {
            stanzas.push_back({raw, comment ? std::vector<std::string>{} : words, {}});
        } else {
            if (stanzas.empty()) stanzas.push_back({});
            // Options stand below their stanza, maybe after a comment: that comment then belongs to it.
            while (stanzas.size() > 1 && stanzas.back().head.empty()) {
                const auto& before = stanzas[stanzas.size() - 2];
                if (before.head.empty() || before.is_auto()) break;
                stanzas[stanzas.size() - 2].text += stanzas.back().text;
                stanzas.pop_back();
            }
            auto& stanza = stanzas.back();
            stanza.text += raw;
            const auto value = std::min(line.find_first_of(" \t", line.find(words[0])), line.size());
            stanza.options.push_back({words[0], std::string(xml::trim(line.substr(value)))});
        }
    }
    return stanzas;
}

bool same_option(const std::string& a, const char* b) {
    return std::ranges::equal(a, std::string_view(b),
                              [](char x, char y) { return (x == '_' ? '-' : x) == (y == '_' ? '-' : y); });
}
std::string option_of(const Stanza& stanza, const char* name) {
    for (const auto& option : stanza.options)
        if (same_option(option.name, name)) return option.value;
    return {};
}

// ---- documents ----

void read_addresses(const Stanza& stanza, xml::Interface& out) {
    const bool v6 = stanza.head[2] == "inet6";
    const std::string family = v6 ? "ipv6" : "ipv4";
    const auto& method = stanza.head[3];
    if (stanza.head[2] != "inet" && !v6) return;
    if (method == "manual" || method == "loopback") return;
    auto at = std::ranges::find(out.protocols, family, &xml::InterfaceProtocol::family);
    if (at == out.protocols.end()) at = out.protocols.insert(at, xml::InterfaceProtocol{family, false, {}, {}, {}});
    if (method == "dhcp") at->dhcp.emplace();
    if (method == "auto") at->autoconf = true;
    if (method != "static") return;
    const auto address = option_of(stanza, "address"), mask = option_of(stanza, "netmask");
    const auto slash = address.find('/');
    xml::InterfaceIp ip;
    ip.address = xml::IpAddress(address.substr(0, slash));
    if (slash != std::string::npos)
        ip.prefix = static_cast<unsigned>(std::atoi(address.c_str() + slash + 1));
    else if (const auto length = xml::IpAddress(mask).as_netmask())
        ip.prefix = *length;
    else if (!mask.empty())
        ip.prefix = static_cast<unsigned>(std::atoi(mask.c_str()));
    if (ip.address.valid()) at->ips.push_back(ip);
    if (const xml::IpAddress gateway{option_of(stanza, "gateway")}; gateway.valid() && at->routes.empty())
        at->routes.push_back({gateway});
}

std::vector<std::string> listed_ports(const std::string& value) {
    auto ports = words_of(value);
    std::erase_if(ports, [](const std::string& each) { return each == "none" || each == "all" || each == "regex"; });
    return ports;
}

std::optional<unsigned> number_of(const Stanza& stanza, const char* name) {
    const auto value = option_of(stanza, name);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc{} && end == value.data() + value.size() ? std::optional(number) : std::nullopt;
}

// How a bond notices that a port is dead; the words are those of the bonding module's parameters.
void read_monitors(const Stanza& stanza, xml::InterfaceBond& bond) {
    if (const auto freq = number_of(stanza, "bond-miimon")) {
        bond.mii = xml::MiiMonitor{*freq, number_of(stanza, "bond-downdelay"), number_of(stanza, "bond-updelay"), {}};
        if (const auto carrier = number_of(stanza, "bond-use-carrier"))
            bond.mii->carrier = *carrier ? xml::MiiCarrier::netif : xml::MiiCarrier::ioctl;
    }
    if (const auto interval = number_of(stanza, "bond-arp-interval")) {
        bond.arp = xml::ArpMonitor{*interval, option_of(stanza, "bond-arp-ip-target"), {}};
        xml::ArpValidate validate{};
        if (xml::Traits<xml::ArpValidate>::parse(validate, option_of(stanza, "bond-arp-validate"))) bond.arp->validate = validate;
    }
}

void read_kind(const Stanza& stanza, xml::Interface& out) {
    if (const auto ports = option_of(stanza, "bridge-ports"); !ports.empty()) {
        out.type = xml::InterfaceType::bridge;
        if (!out.bridge) out.bridge.emplace();
        if (const auto stp = option_of(stanza, "bridge-stp"); !stp.empty()) out.bridge->stp = stp == "on" || stp == "yes";
        out.bridge->delay = option_of(stanza, "bridge-fd");
        for (const auto& port : listed_ports(ports)) out.bridge->ports.emplace_back().name = port;
    }
    const auto slaves = option_of(stanza, "bond-slaves");
    if (const auto mode = option_of(stanza, "bond-mode"); !slaves.empty() || !mode.empty()) {
        out.type = xml::InterfaceType::bond;
        if (!out.bond) out.bond.emplace();
        xml::BondMode parsed{};
        if (xml::Traits<xml::BondMode>::parse(parsed, mode)) out.bond->mode = parsed;
        read_monitors(stanza, *out.bond);
        for (const auto& port : listed_ports(slaves)) out.bond->ports.emplace_back().name = port;
    }
    const auto dot = out.name.rfind('.');
    const auto parent = option_of(stanza, "vlan-raw-device");
    if (!parent.empty() || (dot != std::string::npos && dot + 1 < out.name.size() &&
                            out.name.find_first_not_of("0123456789", dot + 1) == std::string::npos)) {
        out.type = xml::InterfaceType::vlan;
        auto tag = option_of(stanza, "vlan-id");
        if (tag.empty())
            tag =
                dot == std::string::npos ? out.name.substr(std::min(out.name.size(), std::size_t{4})) : out.name.substr(dot + 1);
        out.vlan = xml::InterfaceVlan{tag, {parent.empty() ? out.name.substr(0, dot) : parent}};
    }
    if (const auto mtu = option_of(stanza, "mtu"); !mtu.empty())
        out.mtu = xml::InterfaceMtu{static_cast<unsigned>(std::atoi(mtu.c_str()))};
    if (const auto words = words_of(option_of(stanza, "hwaddress")); !words.empty()) out.mac = xml::InterfaceMac{words.back()};
}

// Ours to write; everything else travels along.
bool understood(const std::string& name) {
    static constexpr const char* known[] = {"address",
                                            "netmask",
                                            "gateway",
                                            "mtu",
                                            "hwaddress",
                                            "broadcast",
                                            "network",
                                            "bridge-ports",
                                            "bridge-stp",
                                            "bridge-fd",
                                            "bridge-maxwait",
                                            "bond-slaves",
                                            "bond-mode",
                                            "bond-miimon",
                                            "bond-updelay",
                                            "bond-downdelay",
                                            "bond-use-carrier",
                                            "bond-arp-interval",
                                            "bond-arp-ip-target",
                                            "bond-arp-validate",
                                            "vlan-raw-device",
                                            "vlan-id"};
    return std::ranges::any_of(known, [&](const char* each) { return same_option(name, each); });
}

// Ends the commands that we write where bridge-utils is missing; they are made anew each time.
constexpr std::string_view made_by_us = "# lodge";

class Ifupdown : public InterfaceConfig {
  public:
    explicit Ifupdown(fs::path root)
        : root_(std::move(root)) {}

    std::vector<xml::Interface> read() override {
        std::vector<xml::Interface> found;
        const auto all = files();
        std::set<std::string> on_boot, hotplug;
        for (const auto& file : all)
            for (const auto& stanza : file.stanzas) {
                if (stanza.is_auto())
                    for (std::size_t i = 1; i < stanza.head.size(); ++i)
                        (stanza.head[0] == "allow-hotplug" ? hotplug : on_boot).insert(stanza.head[i]);
                if (stanza.head.size() < 4 || stanza.head[0] != "iface") continue;
                auto at = std::ranges::find(found, stanza.head[1], &xml::Interface::name);
                if (at == found.end()) {
                    at = found.insert(found.end(), xml::Interface{});
                    at->name = stanza.head[1];
                }
                read_addresses(stanza, *at);
                read_kind(stanza, *at);
            }
        for (auto& each : found)
            each.start = xml::InterfaceStart{on_boot.contains(each.name)   ? xml::StartMode::onboot
                                             : hotplug.contains(each.name) ? xml::StartMode::hotplug
                                                                           : xml::StartMode::none};
        return nested(std::move(found));
    }

    void define(const xml::Interface& document) override {
        auto all = files();
        std::set<std::string> names = {document.name};
        collect_ports(document, names);
        // Where it was configured before, or its first port was, there it goes.
        fs::path place = main_file();
        std::vector<Option> extras;
        for (auto& file : all)
            for (const auto& name : names)
                if (erase(file, name, document.name, extras)) place = file.path;
        if (extras.empty() && extras_.contains(document.name)) extras = extras_[document.name];
        auto at = std::ranges::find(all, place, &File::path);
        if (at == all.end()) at = all.insert(all.end(), File{place, {}});
        auto& target = *at;
        std::string text = target.text();
        while (text.ends_with("\n\n")) text.pop_back();
        if (!text.empty()) text += "\n";
        target.stanzas = parse_stanzas(text + stanzas_of(document, extras));
        for (const auto& file : all)
            if (file.text() != read_config_file(file.path)) write_config_file(file.path, file.text());
    }

    void undefine(const std::string& name) override {
        std::set<std::string> names = {name};
        for (const auto& each : read())
            if (each.name == name) collect_ports(each, names);
        auto all = files();
        std::vector<Option> extras;
        for (auto& file : all)
            for (const auto& each : names) erase(file, each, each, extras);
        // virsh unbridges by undefining the bridge and then defining its port: what hung on the bridge shall come back to it.
        for (const auto& each : names)
            if (each != name) {
                extras_[each] = extras;
                for (auto& extra : extras_[each]) extra.value = renamed(extra.value, name, each);
            }
        for (const auto& file : all)
            if (file.text() != read_config_file(file.path)) write_config_file(file.path, file.text());
    }

    std::vector<fs::path> places() override {
        std::vector<fs::path> all = {main_file(), root_ / "etc/network/interfaces.d"};
        for (const auto& file : files()) all.push_back(file.path);
        return all;
    }

    // ifup and ifdown remember what they did here.
    void mark(const std::string& name, bool up) override {
        const auto path = root_ / "run/network/ifstate";
        if (!fs::exists(path)) return;
        std::istringstream in(read_config_file(path));
        std::string out;
        for (std::string line; std::getline(in, line);)
            if (line != name + "=" + name) out += line + "\n";
        if (up) out += name + "=" + name + "\n";
        write_config_file(path, out);
    }

  private:
    fs::path main_file() const { return root_ / "etc/network/interfaces"; }

    std::vector<File> files() const {
        std::vector<File> all;
        std::set<fs::path> seen;
        load(main_file(), all, seen);
        return all;
    }

    // A path in the file is as the host sees it; below a root of tests it lies deeper.
    fs::path below_root(const std::string& path, const fs::path& file) const {
        const fs::path given(path);
        return given.is_absolute() ? root_ / given.relative_path() : file.parent_path() / given;
    }

    void load(const fs::path& path, std::vector<File>& all, std::set<fs::path>& seen) const {
        if (!fs::is_regular_file(path) || !seen.insert(path).second) return;
        all.push_back({path, parse_stanzas(read_config_file(path))});
        const auto stanzas = all.back().stanzas; // `all` grows below
        for (const auto& stanza : stanzas) {
            if (stanza.head.size() < 2) continue;
            if (stanza.head[0] == "source") {
                glob_t found{};
                if (glob(below_root(stanza.head[1], path).c_str(), GLOB_BRACE, nullptr, &found) == 0)
                    for (std::size_t i = 0; i < found.gl_pathc; ++i) load(found.gl_pathv[i], all, seen);
                globfree(&found);
            } else if (stanza.head[0] == "source-directory") {
                std::error_code ignored;
                for (const auto& entry : fs::directory_iterator(below_root(stanza.head[1], path), ignored))
                    load(entry.path(), all, seen);
            }
        }
    }

    static void collect_ports(const xml::Interface& document, std::set<std::string>& names) {
        for (const auto* ports :
             {document.bridge ? &document.bridge->ports : nullptr, document.bond ? &document.bond->ports : nullptr})
            if (ports)
                for (const auto& port : *ports) names.insert(port.name), collect_ports(port, names);
    }

    static std::vector<xml::Interface> nested(std::vector<xml::Interface> flat) {
        std::set<std::string> inside;
        for (auto& each : flat)
            for (auto* ports : {each.bond ? &each.bond->ports : nullptr, each.bridge ? &each.bridge->ports : nullptr})
                if (ports)
                    for (auto& port : *ports) {
                        inside.insert(port.name);
                        if (const auto own = std::ranges::find(flat, port.name, &xml::Interface::name); own != flat.end()) {
                            port = *own;
                            port.start.reset();
                            port.protocols.clear();
                        }
                    }
        std::erase_if(flat, [&](const xml::Interface& each) { return inside.contains(each.name); });
        return flat;
    }

    static std::string renamed(std::string text, const std::string& from, const std::string& to) {
        const auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-'; };
        for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
            const bool whole =
                (at == 0 || !part(text[at - 1])) && (at + from.size() >= text.size() || !part(text[at + from.size()]));
            if (whole)
                text.replace(at, from.size(), to), at += to.size();
            else
                at += from.size();
        }
        return text;
    }

    // Takes an interface out of a file; options that we do not know are handed over, in the name of `heir`.
    static bool erase(File& file, const std::string& name, const std::string& heir, std::vector<Option>& extras) {
        bool found = false;
        for (auto& stanza : file.stanzas) {
            if (stanza.is_iface(name)) {
                found = true;
                for (const auto& option : stanza.options)
                    if (!understood(option.name) && option.value.find(made_by_us) == std::string::npos)
                        extras.push_back({option.name, renamed(option.value, name, heir)});
                stanza = {};
            } else if (stanza.is_auto() && std::erase(stanza.head, name)) {
                found = true;
                if (stanza.head.size() == 1)
                    stanza = {};
                else
                    stanza.text = fmt::format("{}\n", fmt::join(stanza.head, " "));
            }
        }
        return found;
    }

    // ifupdown knows bridges only with bridge-utils' hook (or as ifupdown2); without it the commands stand in the file.
    bool needs_commands() const {
        return !fs::exists(root_ / "etc/network/if-pre-up.d/bridge") && !fs::exists(root_ / "usr/share/ifupdown2");
    }
    void add_bridge(const xml::InterfaceBridge& bridge, std::string& out) const {
        std::vector<std::string> ports;
        for (const auto& port : bridge.ports) ports.push_back(port.name);
        const bool stp = bridge.stp && *bridge.stp;
        out += fmt::format("    bridge_ports {}\n    bridge_stp {}\n    bridge_fd {}\n",
                           ports.empty() ? "none" : fmt::format("{}", fmt::join(ports, " ")), stp ? "on" : "off",
                           bridge.delay.empty() ? "0" : bridge.delay);
        if (!needs_commands()) return;
        out += fmt::format("    pre-up ip link show $IFACE >/dev/null 2>&1 || ip link add $IFACE type bridge stp_state {} {}\n",
                           stp ? 1 : 0, made_by_us);
        for (const auto& port : ports) out += fmt::format("    pre-up ip link set {} master $IFACE up {}\n", port, made_by_us);
        out += fmt::format("    post-down ip link delete $IFACE {}\n", made_by_us);
    }
    static void add_bond(const xml::InterfaceBond& bond, std::string& out) {
        std::vector<std::string> ports;
        for (const auto& port : bond.ports) ports.push_back(port.name);
        out += fmt::format("    bond-slaves {}\n", fmt::join(ports, " "));
        if (bond.mode) out += fmt::format("    bond-mode {}\n", xml::word(*bond.mode));
        if (bond.mii) {
            out += fmt::format("    bond-miimon {}\n", bond.mii->freq);
            if (bond.mii->up_delay) out += fmt::format("    bond-updelay {}\n", *bond.mii->up_delay);
            if (bond.mii->down_delay) out += fmt::format("    bond-downdelay {}\n", *bond.mii->down_delay);
            if (bond.mii->carrier)
                out += fmt::format("    bond-use-carrier {}\n", *bond.mii->carrier == xml::MiiCarrier::netif ? 1 : 0);
        }
        if (bond.arp) {
            out += fmt::format("    bond-arp-interval {}\n    bond-arp-ip-target {}\n", bond.arp->interval, bond.arp->target);
            if (bond.arp->validate) out += fmt::format("    bond-arp-validate {}\n", xml::word(*bond.arp->validate));
        }
    }

    void add_options(const xml::Interface& document, const std::vector<Option>& extras, std::string& out) const {
        if (document.mtu && document.mtu->size) out += fmt::format("    mtu {}\n", document.mtu->size);
        if (document.mac && !document.mac->address.empty() && document.type != xml::InterfaceType::ethernet)
            out += fmt::format("    hwaddress ether {}\n", document.mac->address);
        if (document.bridge) add_bridge(*document.bridge, out);
        if (document.bond) add_bond(*document.bond, out);
        if (document.vlan)
            out += fmt::format("    vlan-raw-device {}\n    vlan-id {}\n", document.vlan->device.name, document.vlan->tag);
        for (const auto& extra : extras) out += fmt::format("    {} {}\n", extra.name, extra.value);
    }

    static std::string start_line(const xml::Interface& document) {
        // Nobody plugs in a bridge: what was brought up by its cable is brought up at boot from then on.
        const bool hardware = document.type == xml::InterfaceType::ethernet;
        const auto mode = document.start_mode();
        if (mode == xml::StartMode::onboot || (mode == xml::StartMode::hotplug && !hardware))
            return fmt::format("auto {}\n", document.name);
        return mode == xml::StartMode::hotplug ? fmt::format("allow-hotplug {}\n", document.name) : "";
    }

    std::string stanzas_of(const xml::Interface& document, const std::vector<Option>& extras) const {
        std::string out = start_line(document), options;
        add_options(document, extras, options);
        const auto stanza = [&](const char* family, const std::string& method, const std::string& own) {
            out += fmt::format("iface {} {} {}\n{}{}", document.name, family, method, own, options);
            options.clear(); // once is enough
        };
        for (const auto& protocol : document.protocols) {
            const char* family = protocol.family == "ipv6" ? "inet6" : "inet";
            if (protocol.autoconf) stanza(family, "auto", "");
            if (protocol.dhcp) stanza(family, "dhcp", "");
            auto gateway = protocol.routes.empty() ? "" : fmt::format("    gateway {}\n", protocol.routes.front().gateway.text());
            for (const auto& ip : protocol.ips) {
                const auto length = ip.prefix ? fmt::format("/{}", *ip.prefix) : "";
                stanza(family, "static", fmt::format("    address {}{}\n{}", ip.address.text(), length, gateway));
                gateway.clear();
            }
        }
        if (!options.empty() || out.find("iface ") == std::string::npos) stanza("inet", "manual", "");
        const auto add_ports = [&](const std::vector<xml::Interface>& ports) {
            for (auto port : ports) {
                port.start = document.start; // bring-up at boot goes port first
                port.protocols.clear();
                out += "\n" + stanzas_of(port, {});
            }
        };
        if (document.bridge) add_ports(document.bridge->ports);
        if (document.bond) add_ports(document.bond->ports);
        return out;
    }

    fs::path root_;
    std::map<std::string, std::vector<Option>> extras_;
};

} // namespace

std::unique_ptr<InterfaceConfig> ifupdown_config(const fs::path& root) { return std::make_unique<Ifupdown>(root); }

} // namespace lodge::drivers
