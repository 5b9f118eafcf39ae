#include "drivers/qemu/displays.hpp"
#include "rpc/task.hpp"
#include <algorithm>
#include <ctime>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

namespace lodge::drivers::qemu {

using rpc::Code;

// Whether a listener could be bound to this port, on any address.
static bool is_free(unsigned port) {
    const auto can_bind = [&](int family, const sockaddr* address, socklen_t size) {
        const rpc::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!fd) return true; // a kernel without this family
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        return ::bind(fd.get(), address, size) == 0 || errno == EADDRNOTAVAIL;
    };
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    return can_bind(AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof v4) &&
           can_bind(AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

int Displays::next(const Range& range, std::vector<unsigned>& ports) {
    for (unsigned port = range.min; port <= range.max; ++port) {
        if (taken_.contains(port) || !is_free(port)) continue;
        taken_.insert(port);
        ports.push_back(port);
        return static_cast<int>(port);
    }
    rpc::fail(Code::internal_error, "Unable to find an unused port in range '{}' ({}-{})", range.name, range.min, range.max);
}

static void fill_address(xml::Graphics& graphics, const std::string& address) {
    if (graphics.listens.empty()) graphics.listens.push_back({xml::ListenType::address, "", "", "", {}});
    auto& first = graphics.listens.front();
    if (first.type == xml::ListenType::address && first.address.empty()) {
        first.address = address;
        first.from_config = 1;
    }
    if (graphics.listen.empty() && first.type == xml::ListenType::address) graphics.listen = first.address;
}

void Displays::assign_vnc(xml::Graphics& graphics, std::vector<unsigned>& ports) {
    const bool open = (graphics.autoport && *graphics.autoport) || graphics.port.value_or(-1) == -1;
    if (open) graphics.port = next(display_, ports);
    if (graphics.websocket == -1) {
        graphics.websocket = next(websocket_, ports);
        graphics.websocket_generated = true;
    }
}

void Displays::assign_spice(xml::Graphics& graphics, bool tls, std::vector<unsigned>& ports) {
    const bool automatic = (graphics.autoport && *graphics.autoport) || (graphics.port == -1 && graphics.tls_port == -1);
    const auto mode = graphics.default_mode.value_or(xml::SpiceMode::any);
    const auto asks_for = [&](xml::SpiceMode kind) {
        return mode == kind || std::ranges::any_of(graphics.channels, [&](const auto& channel) { return channel.mode == kind; });
    };
    const bool any = mode == xml::SpiceMode::any;
    const bool wants_plain = (automatic && (any || asks_for(xml::SpiceMode::insecure))) ||
                             (!automatic && graphics.port.value_or(graphics.tls_port ? 0 : -1) == -1);
    const bool wants_tls =
        (automatic && ((any && tls) || asks_for(xml::SpiceMode::secure))) || (!automatic && graphics.tls_port == -1);
    if (wants_plain) graphics.port = next(display_, ports);
    if (!wants_tls) return;
    if (!tls)
        rpc::fail(Code::config_unsupported, "Auto allocation of spice TLS port requested but spice TLS is disabled in qemu.conf");
    graphics.tls_port = next(display_, ports);
}

std::vector<unsigned> Displays::assign(xml::Domain& domain, const Settings& settings) {
    std::vector<unsigned> ports;
    try {
        for (auto& graphics : domain.devices.graphics) {
            const bool vnc = graphics.is(xml::GraphicsType::vnc);
            if (!vnc && !graphics.is(xml::GraphicsType::spice)) continue;
            if (vnc && settings.vnc_auto_unix_socket && graphics.listens.empty()) continue;
            const bool by_address = graphics.listens.empty() || graphics.listens.front().type == xml::ListenType::address ||
                                    graphics.listens.front().type == xml::ListenType::network;
            if (!by_address) continue;
            fill_address(graphics, vnc ? settings.vnc_listen : settings.spice_listen);
            if (vnc)
                assign_vnc(graphics, ports);
            else
                assign_spice(graphics, settings.spice_tls.on, ports);
        }
    } catch (...) {
        release(ports);
        throw;
    }
    return ports;
}

// ---- who may look ----

// "2026-01-31T12:00:00" in UTC, as seconds since the epoch.
static std::optional<std::time_t> moment(const std::string& text) {
    std::tm parts{};
    if (text.empty() || !::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts)) return std::nullopt;
    return ::timegm(&parts);
}

std::vector<std::pair<std::string, nlohmann::json>> password_orders(const xml::Graphics& graphics, const Settings& settings) {
    const bool vnc = graphics.is(xml::GraphicsType::vnc);
    if (!vnc && !graphics.is(xml::GraphicsType::spice)) return {};
    const std::string& general = vnc ? settings.vnc_password : settings.spice_password;
    if (!graphics.passwd && general.empty()) return {};
    const std::string& password = graphics.passwd ? *graphics.passwd : general;
    const char* protocol = vnc ? "vnc" : "spice";
    nlohmann::json order = {{"protocol", protocol}, {"password", password}};
    if (graphics.connected && *graphics.connected != xml::PasswordConnected::default_)
        order["connected"] = word(*graphics.connected);
    const auto end = moment(graphics.passwd_valid_to);
    const bool over = password.empty() || (end && *end <= std::time(nullptr)); // an empty one locks the display
    const std::string expiry = over ? "now" : end ? std::to_string(*end) : "never";
    return {{"set_password", std::move(order)}, {"expire_password", {{"protocol", protocol}, {"time", expiry}}}};
}

} // namespace lodge::drivers::qemu
