#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::Graphics;
using xml::GraphicsListen;
using xml::GraphicsType;
using xml::ListenType;

namespace {

bool has_listens(const Graphics& graphics) {
    return graphics.is(GraphicsType::vnc) || graphics.is(GraphicsType::spice) || graphics.is(GraphicsType::rdp);
}

bool wants_ports(const Graphics& graphics) {
    return graphics.port.value_or(0) || graphics.tls_port.value_or(0) || (graphics.autoport && *graphics.autoport);
}

// The attributes listen= and socket= repeat the first <listen>; older documents have only them.
void check_listen_attribute(const Graphics& graphics) {
    if (graphics.listen.empty() || graphics.listens.empty()) return;
    const auto& first = graphics.listens.front();
    if (first.type == ListenType::address && first.address == graphics.listen) return;
    if (first.type != ListenType::address && first.type != ListenType::network) return;
    if (first.address.empty() && first.type == ListenType::network) return;
    rpc::fail(From::domain, Code::config_unsupported,
              "graphics 'listen' attribute '{}' must match 'address' attribute of first listen element (found '{}')",
              graphics.listen, first.address.empty() ? "none" : first.address);
}

void check_listen(const GraphicsListen& listen) {
    if (listen.type == ListenType::network && listen.network.empty())
        rpc::fail(From::domain, Code::xml_error, "'network' attribute is required for listen type 'network'");
}

void complete_listens(Graphics& graphics) {
    for (const auto& listen : graphics.listens) check_listen(listen);
    check_listen_attribute(graphics);
    if (graphics.listens.empty()) {
        auto& listen = graphics.listens.emplace_back();
        const bool socket = graphics.is(GraphicsType::vnc) && !graphics.socket.empty();
        listen.type = socket ? ListenType::socket : ListenType::address;
        listen.socket = graphics.socket;
        if (!socket) listen.address = graphics.listen;
    }
    auto& first = graphics.listens.front();
    // Spice without any port is reached through descriptors that a client passes in.
    if (graphics.is(GraphicsType::spice) && first.type == ListenType::address && first.address.empty() && !wants_ports(graphics))
        first.type = ListenType::none;
    for (auto& listen : graphics.listens)
        if (listen.type != ListenType::address) listen.address.clear(); // of a network: known when the guest runs
    graphics.listen = first.address;
    graphics.socket = graphics.is(GraphicsType::vnc) && first.type == ListenType::socket ? first.socket : "";
}

bool uses_ports(const Graphics& graphics) {
    const auto type = graphics.listens.front().type;
    return type == ListenType::address || type == ListenType::network;
}

void complete_vnc_ports(Graphics& graphics) {
    if (!uses_ports(graphics)) {
        graphics.port.reset(), graphics.autoport.reset();
        return;
    }
    const bool automatic = graphics.autoport ? graphics.autoport->value : graphics.port.value_or(-1) == -1;
    const bool named = graphics.port.value_or(0) > 0;
    graphics.autoport = automatic;
    if (automatic)
        graphics.port = -1;
    else if (!named)
        graphics.port.reset();
}

void complete_spice_ports(Graphics& graphics) {
    const auto drop_zero = [](std::optional<std::int32_t>& port) {
        if (port == 0) port.reset();
    };
    if (!uses_ports(graphics)) {
        graphics.port.reset(), graphics.tls_port.reset(), graphics.autoport.reset();
        return;
    }
    if (graphics.port == -1 && graphics.tls_port == -1) graphics.autoport = true;
    drop_zero(graphics.port);
    drop_zero(graphics.tls_port);
    if (!graphics.autoport) graphics.autoport = false;
    if (*graphics.autoport) graphics.port.reset(), graphics.tls_port.reset();
}

} // namespace

void complete_graphics(xml::Domain& domain, const CompleteContext&) {
    for (auto& graphics : domain.devices.graphics) {
        if (!graphics.passwd) graphics.connected.reset(), graphics.passwd_valid_to.clear();
        if (graphics.default_mode == xml::SpiceMode::any) graphics.default_mode.reset();
        std::ranges::sort(graphics.channels, {}, &xml::SpiceChannel::name);
        if (!has_listens(graphics)) continue;
        complete_listens(graphics);
        if (graphics.is(GraphicsType::vnc)) complete_vnc_ports(graphics);
        if (graphics.is(GraphicsType::spice)) complete_spice_ports(graphics);
    }
}

} // namespace lodge::drivers::qemu
