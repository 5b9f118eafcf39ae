#include "xml/domain/check.hpp"
#include <map>

namespace lodge::xml {

void describe(Doc& doc, GraphicsListen& listen) {
    doc.required("type", listen.type);
    doc.attribute("address", listen.address);
    doc.attribute("network", listen.network);
    doc.attribute("socket", listen.socket);
    doc.attribute("fromConfig", listen.from_config, Mark::private_);
    if (!doc.reading()) return;
    if (!listen.network.empty() && listen.type != ListenType::network)
        doc.refuse(Code::xml_error, "'network' attribute is valid only for listen type 'network'");
    if (!listen.socket.empty() && listen.type != ListenType::socket)
        doc.refuse(Code::xml_error, "'socket' attribute is valid only for listen type 'socket'");
}

void describe(Doc& doc, SpiceChannel& channel) {
    doc.required("name", channel.name);
    doc.required("mode", channel.mode);
}

void describe(Doc& doc, GraphicsGl& gl) {
    doc.required("enable", gl.enable);
    doc.attribute("rendernode", gl.rendernode);
}

namespace {

// VNC and RDP take any word, which says nothing then; only SPICE is strict.
void describe_autoport(Doc& doc, std::optional<YesNo>& autoport) {
    std::string word = !autoport ? "" : *autoport ? "yes" : "no";
    doc.attribute("autoport", word);
    autoport.reset();
    if (word == "yes" || word == "no") autoport = YesNo(word == "yes");
}

void describe_vnc(Doc& doc, Graphics& graphics) {
    doc.attribute("socket", graphics.socket);
    doc.attribute("port", graphics.port);
    describe_autoport(doc, graphics.autoport);
    doc.attribute("websocket", graphics.websocket);
    if (doc.reading() && graphics.websocket == 0) graphics.websocket.reset();
    doc.attribute("websocketGenerated", graphics.websocket_generated, Mark::private_);
    doc.attribute("listen", graphics.listen);
    doc.attribute("keymap", graphics.keymap);
    doc.attribute("sharePolicy", graphics.share_policy);
    doc.attribute("powerControl", graphics.power_control);
}

void describe_spice(Doc& doc, Graphics& graphics) {
    doc.attribute("port", graphics.port);
    doc.attribute("tlsPort", graphics.tls_port);
    doc.attribute("autoport", graphics.autoport);
    doc.attribute("listen", graphics.listen);
    doc.attribute("keymap", graphics.keymap);
    doc.attribute("defaultMode", graphics.default_mode);
}

void describe_rdp(Doc& doc, Graphics& graphics) {
    doc.attribute("port", graphics.port);
    describe_autoport(doc, graphics.autoport);
    doc.attribute("replaceUser", graphics.replace_user);
    doc.attribute("multiUser", graphics.multi_user);
    doc.attribute("listen", graphics.listen);
}

void describe_window(Doc& doc, Graphics& graphics) {
    doc.attribute("display", graphics.display);
    doc.attribute("xauth", graphics.xauth);
    doc.attribute("fullscreen", graphics.fullscreen);
    if (doc.reading() && graphics.fullscreen && !*graphics.fullscreen) graphics.fullscreen.reset();
}

void describe_dbus(Doc& doc, Graphics& graphics) {
    doc.attribute("p2p", graphics.p2p);
    if (doc.reading() && graphics.p2p && !*graphics.p2p) graphics.p2p.reset();
    doc.attribute("address", graphics.address);
}

void describe_password(Doc& doc, Graphics& graphics) {
    doc.attribute("passwd", graphics.passwd, Mark::secret);
    doc.attribute("passwdValidTo", graphics.passwd_valid_to, Mark::secret);
    doc.attribute("connected", graphics.connected, Mark::secret);
}

// One mode for each channel, the last; what is as all others are is not said.
void normalize_channels(Graphics& graphics) {
    std::map<SpiceChannelName, SpiceChannel> modes;
    for (const auto& channel : graphics.channels) modes[channel.name] = channel;
    graphics.channels.clear();
    for (const auto& [name, channel] : modes)
        if (channel.mode != graphics.default_mode.value_or(SpiceMode::any)) graphics.channels.push_back(channel);
}

void describe_spice_options(Doc& doc, Graphics& graphics) {
    const auto one = [&](const char* element, const char* attribute, auto& value) {
        doc.group(element, [&] { doc.required(attribute, value, Mark::positive); });
    };
    doc.list("channel", graphics.channels);
    if (doc.reading()) normalize_channels(graphics);
    one("image", "compression", graphics.image);
    one("jpeg", "compression", graphics.jpeg);
    one("zlib", "compression", graphics.zlib);
    one("playback", "compression", graphics.playback);
    one("streaming", "mode", graphics.streaming);
    one("mouse", "mode", graphics.mouse);
    one("clipboard", "copypaste", graphics.clipboard);
    one("filetransfer", "enable", graphics.filetransfer);
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view graphics_order[] = {
    "@type",         "listen",      "@port",        "@tlsPort", "@autoport", "@websocket",     "@sharePolicy",
    "@powerControl", "@fullscreen", "@defaultMode", "audio",    "@passwd",   "@passwdValidTo", "@connected"};

void describe(Doc& doc, Graphics& graphics) {
    doc.read_in_order(graphics_order);
    doc.required("type", graphics.type);
    const bool vnc = graphics.is(GraphicsType::vnc), spice = graphics.is(GraphicsType::spice);
    const bool rdp = graphics.is(GraphicsType::rdp), dbus = graphics.is(GraphicsType::dbus);
    if (doc.when(vnc)) describe_vnc(doc, graphics);
    if (doc.when(spice)) describe_spice(doc, graphics);
    if (doc.when(rdp)) describe_rdp(doc, graphics);
    if (doc.when(graphics.is(GraphicsType::sdl) || graphics.is(GraphicsType::desktop))) describe_window(doc, graphics);
    if (doc.when(dbus)) describe_dbus(doc, graphics);
    if (doc.when(vnc || spice)) describe_password(doc, graphics);
    if (doc.when(vnc || spice || rdp)) doc.list("listen", graphics.listens);
    if (doc.when(spice)) describe_spice_options(doc, graphics);
    const bool headless = graphics.is(GraphicsType::egl_headless);
    if (doc.when(!vnc && !rdp && !headless)) doc.child("gl", graphics.gl);
    if (doc.when(headless)) doc.group("gl", [&] { doc.attribute("rendernode", graphics.gl.rendernode); });
    if (doc.when(vnc || dbus)) doc.group("audio", [&] { doc.required("id", graphics.audio_id, Mark::positive); });
    check_graphics(doc, graphics);
}

} // namespace lodge::xml
