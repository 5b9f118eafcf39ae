#include "daemon/status.hpp"
#include <algorithm>

namespace lodge::daemon {

void describe(xml::Doc& doc, DomainStatus& status) {
    doc.required("state", status.state);
    doc.required("reason", status.reason);
    doc.required("id", status.id);
    doc.attribute("pid", status.pid);
    doc.attribute("agentTimeout", status.agent_timeout);
    doc.attribute("taints", status.taints);
    doc.flag("persistent", status.persistent);
    doc.flag("autodestroy", status.autodestroy);
    doc.text_child("machine", status.machine);
    doc.text_child("backup", status.backup);
    doc.child("domain", status.domain);
}

// ---- libvirtd's ----

namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view states[] = {"nostate",  "running", "blocked", "paused",
                                       "shutdown", "shutoff", "crashed", "pmsuspended"};
constexpr std::string_view running_reasons[] = {"unknown",       "booted",   "migrated",           "restored",
                                                "from snapshot", "unpaused", "migration canceled", "save canceled",
                                                "wakeup",        "crashed",  "post-copy",          "post-copy failed"};
constexpr std::string_view paused_reasons[] = {
    "unknown",       "user",     "migration", "save",     "dump",        "ioerror",   "watchdog",
    "from snapshot", "shutdown", "snapshot",  "panicked", "starting up", "post-copy", "post-copy failed"};
constexpr std::string_view shutdown_reasons[] = {"unknown", "user"};
constexpr std::string_view crashed_reasons[] = {"unknown", "panicked"};

Words reasons_of(std::string_view state) {
    if (state == "running") return running_reasons;
    if (state == "paused") return paused_reasons;
    if (state == "shutdown") return shutdown_reasons;
    if (state == "crashed") return crashed_reasons;
    return {};
}

// What is not known counts as the first, as libvirt has it.
int number_of(Words words, std::string_view word) {
    const auto found = std::ranges::find(words, word);
    return found == words.end() ? 0 : static_cast<int>(found - words.begin());
}

// What a network made of the guest's wish for a network card.
struct Plug {
    std::optional<xml::NicType> type;
    std::string bridge, link;
    std::optional<xml::MacvtapMode> mode;
    xml::NicActual actual;
};
void describe(xml::Doc& doc, Plug& plug) {
    doc.group("actual", [&] {
        doc.attribute("type", plug.type);
        doc.group("source", [&] {
            doc.attribute("bridge", plug.bridge);
            doc.attribute("dev", plug.link);
            doc.attribute("mode", plug.mode);
        });
        doc.child("bandwidth", plug.actual.bandwidth);
        doc.child("vlan", plug.actual.vlan);
        doc.child("virtualport", plug.actual.virtual_port);
    });
}
void take_over(xml::Nic& nic, Plug plug) {
    if (nic.source.bridge.empty()) nic.source.bridge = plug.bridge;
    if (!plug.type || nic.type != xml::NicType::network) return;
    plug.actual.type = *plug.type;
    nic.source.dev = plug.link;
    nic.source.mode = plug.mode;
    nic.actual = std::move(plug.actual);
}

struct LibvirtStatus {
    std::string state, reason;
    std::int64_t pid = 0;
    std::optional<int> agent_timeout;
    xml::Domain domain;
    std::vector<Plug> plugs; // of each network card
};
void describe(xml::Doc& doc, LibvirtStatus& status) {
    doc.attribute("state", status.state);
    doc.attribute("reason", status.reason);
    doc.attribute("pid", status.pid);
    doc.text_child("agentTimeout", status.agent_timeout);
    doc.child("domain", status.domain);
    doc.group("domain", [&] { doc.group("devices", [&] { doc.list("interface", status.plugs); }); });
}

DomainStatus from_libvirt(const std::string& text, const xml::ReadOptions& options) {
    auto read = xml::parse<LibvirtStatus>(text, domain_status_root, options);
    DomainStatus status;
    status.state = number_of(states, read.state);
    status.reason = number_of(reasons_of(read.state), read.reason);
    status.id = read.domain.id.value_or(-1);
    status.pid = read.pid;
    status.agent_timeout = read.agent_timeout;
    status.machine = text;
    auto& nics = read.domain.devices.interfaces;
    for (std::size_t i = 0; i < std::min(nics.size(), read.plugs.size()); ++i) take_over(nics[i], std::move(read.plugs[i]));
    status.domain = std::move(read.domain);
    return status;
}

// Only the first attribute: ours is a number.
struct Writer {
    std::string state;
};
void describe(xml::Doc& doc, Writer& writer) { doc.required("state", writer.state); }

} // namespace

DomainStatus read_domain_status(const std::string& text, const std::string& path) {
    const xml::ReadOptions options{.live = true, .private_ = true, .from = rpc::From::domain, .where = path};
    const auto writer = xml::parse<Writer>(text, domain_status_root, options);
    if (std::ranges::find(states, writer.state) != std::end(states)) return from_libvirt(text, options);
    return xml::parse<DomainStatus>(text, domain_status_root, options);
}

} // namespace lodge::daemon
