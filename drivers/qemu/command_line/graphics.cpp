// Where the guest's screen is shown: -vnc, -spice, -display.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

constexpr int vnc_base_port = 5900, spice_base_port = 5901;

std::string bracketed(const std::string& address) { return address.contains(':') ? "[" + address + "]" : address; }

const GraphicsListen* first_listen(const Graphics& graphics) {
    return graphics.listens.empty() ? nullptr : &graphics.listens.front();
}

std::string listen_address(const Graphics& graphics, const std::string& fallback) {
    const GraphicsListen* listen = first_listen(graphics);
    if (listen && !listen->address.empty()) return listen->address;
    return graphics.listen.empty() ? fallback : graphics.listen;
}

// A port that the running guest got, or for people a likely one.
int shown_port(const std::optional<std::int32_t>& port, int likely) { return port && *port > 0 ? *port : likely; }

const char* yes_on(const std::optional<YesNo>& value) { return on_off(value && *value); }

// ---- VNC ----

std::string vnc_place(const Builder& builder, const Graphics& graphics) {
    const GraphicsListen* listen = first_listen(graphics);
    if (listen && listen->type == ListenType::none) return "none";
    if ((listen && listen->type == ListenType::socket) || !graphics.socket.empty()) {
        std::string path = listen && !listen->socket.empty() ? listen->socket : graphics.socket;
        if (path.empty()) path = domain_dir(builder.domain, builder.ctx) + "/vnc.sock";
        return "vnc=unix:" + escape(path);
    }
    const int port = shown_port(graphics.port, vnc_base_port);
    if (port < vnc_base_port) rpc::fail(Code::config_unsupported, "vnc port must be in range [5900,65535]");
    return fmt::format("{}:{}", bracketed(listen_address(graphics, builder.ctx.vnc_listen)), port - vnc_base_port);
}

void add_vnc(Builder& builder, const Graphics& graphics) {
    std::string words = vnc_place(builder, graphics);
    const GraphicsListen* listen = first_listen(graphics);
    const bool by_address = !listen || listen->type == ListenType::address || listen->type == ListenType::network;
    if (by_address && graphics.websocket && *graphics.websocket != 0) words += fmt::format(",websocket={}", *graphics.websocket);
    if (graphics.share_policy && *graphics.share_policy != SharePolicy::default_)
        words += fmt::format(",share={}", word(*graphics.share_policy));
    if (graphics.passwd || builder.ctx.vnc_password) words += ",password=on";
    if (builder.ctx.vnc_tls.on) {
        add_tls(builder, builder.ctx.vnc_tls, "vnc-tls-creds0", "vnc-tls-creds0-secret0", true);
        words += ",tls-creds=vnc-tls-creds0";
    }
    if (builder.ctx.vnc_sasl) {
        words += ",sasl=on";
        if (!builder.ctx.vnc_sasl_dir.empty()) builder.line.env.push_back("SASL_CONF_PATH=" + builder.ctx.vnc_sasl_dir);
    }
    if (graphics.power_control) words += fmt::format(",power-control={}", yes_on(graphics.power_control));
    if (graphics.audio_id)
        words += fmt::format(",audiodev=audio{}", *graphics.audio_id);
    else if (!builder.domain.devices.audios.empty())
        words += fmt::format(",audiodev=audio{}", builder.domain.devices.audios.front().id);
    builder.option("-vnc", words);
    if (!graphics.keymap.empty()) builder.option("-k", graphics.keymap);
}

// ---- SPICE ----

void add_word(std::string& words, std::string_view text) {
    if (!words.empty()) words += ',';
    words += text;
}

// Empty words mean that nothing listens.
std::string spice_place(const Builder& builder, const Graphics& graphics) {
    const GraphicsListen* listen = first_listen(graphics);
    if (listen && listen->type == ListenType::none) return "port=0";
    if (listen && listen->type == ListenType::socket) {
        const std::string path =
            listen->socket.empty() ? domain_dir(builder.domain, builder.ctx) + "/spice.sock" : listen->socket;
        return "unix,addr=" + escape(path);
    }
    // "-1" asks for the next free port; the running guest's document has its number.
    std::string words;
    const bool wants_port = graphics.port.value_or(0) != 0 || (graphics.autoport && *graphics.autoport);
    const bool tls = builder.ctx.spice_tls.on;
    if (graphics.tls_port && *graphics.tls_port > 0 && !tls)
        rpc::fail(Code::config_unsupported, "spice TLS port set in XML configuration, but TLS is disabled in qemu.conf");
    if (wants_port) add_word(words, fmt::format("port={}", shown_port(graphics.port, spice_base_port)));
    if (tls && graphics.tls_port && *graphics.tls_port > 0) add_word(words, fmt::format("tls-port={}", *graphics.tls_port));
    if (words.empty()) return "port=0";
    return fmt::format("{},addr={}", words, listen_address(graphics, builder.ctx.spice_listen));
}

void add_spice_quality(std::string& words, const Graphics& graphics) {
    const auto set = [&](std::string_view name, std::string_view value) { add_word(words, fmt::format("{}={}", name, value)); };
    if (graphics.image && *graphics.image != SpiceImage::default_) set("image-compression", word(*graphics.image));
    if (graphics.jpeg && *graphics.jpeg != SpiceCompression::default_) set("jpeg-wan-compression", word(*graphics.jpeg));
    if (graphics.zlib && *graphics.zlib != SpiceCompression::default_) set("zlib-glz-wan-compression", word(*graphics.zlib));
    if (graphics.playback) set("playback-compression", on_off(*graphics.playback));
    if (graphics.streaming && *graphics.streaming != SpiceStreaming::default_) set("streaming-video", word(*graphics.streaming));
    if (graphics.clipboard && !*graphics.clipboard) set("disable-copy-paste", "on");
    if (graphics.filetransfer && !*graphics.filetransfer) set("disable-agent-file-xfer", "on");
    if (graphics.gl.enable && *graphics.gl.enable) {
        set("gl", "on");
        if (!graphics.gl.rendernode.empty()) set("rendernode", escape(graphics.gl.rendernode));
    }
}

void add_spice(Builder& builder, const Graphics& graphics) {
    std::string words = spice_place(builder, graphics);
    if (builder.ctx.spice_sasl) {
        add_word(words, "sasl=on");
        if (!builder.ctx.spice_sasl_dir.empty()) builder.line.env.push_back("SASL_CONF_PATH=" + builder.ctx.spice_sasl_dir);
    }
    if (graphics.mouse && *graphics.mouse != MouseMode::default_)
        add_word(words, fmt::format("agent-mouse={}", on_off(*graphics.mouse == MouseMode::client)));
    if (!graphics.passwd && !builder.ctx.spice_password) add_word(words, "disable-ticketing=on");
    if (builder.ctx.spice_tls.on) add_word(words, "x509-dir=" + escape(builder.ctx.spice_tls.dir));
    if (graphics.default_mode && *graphics.default_mode != SpiceMode::any)
        add_word(words, graphics.default_mode == SpiceMode::secure ? "tls-channel=default" : "plaintext-channel=default");
    for (const auto& channel : graphics.channels) {
        if (channel.mode == SpiceMode::any) continue;
        add_word(words, fmt::format("{}={}", channel.mode == SpiceMode::secure ? "tls-channel" : "plaintext-channel",
                                    word(channel.name)));
    }
    add_spice_quality(words, graphics);
    add_word(words, "seamless-migration=on");
    builder.option("-spice", words);
    if (!graphics.keymap.empty()) builder.option("-k", graphics.keymap);
}

// ---- the others ----

void add_sdl(Builder& builder, const Graphics& graphics) {
    if (!graphics.xauth.empty()) builder.line.env.push_back("XAUTHORITY=" + graphics.xauth);
    if (!graphics.display.empty()) builder.line.env.push_back("DISPLAY=" + graphics.display);
    if (graphics.fullscreen && *graphics.fullscreen) builder.option("-full-screen");
    std::string words = "sdl";
    if (graphics.gl.enable) words += fmt::format(",gl={}", yes_on(graphics.gl.enable));
    builder.option("-display", words);
}

void add_egl(Builder& builder, const Graphics& graphics) {
    std::string words = "egl-headless";
    if (!graphics.gl.rendernode.empty()) words += ",rendernode=" + escape(graphics.gl.rendernode);
    builder.option("-display", words);
}

void add_dbus(Builder& builder, const Graphics& graphics) {
    std::string words = "dbus";
    if (graphics.p2p && *graphics.p2p)
        words += ",p2p=on";
    else
        words += ",addr=" + escape(!graphics.address.empty() ? graphics.address
                                                             : fmt::format("unix:path={}/qemu/dbus/{}-dbus.sock", builder.ctx.run,
                                                                           short_name(builder.domain, builder.ctx.id)));
    if (graphics.gl.enable) words += fmt::format(",gl={}", yes_on(graphics.gl.enable));
    if (graphics.gl.enable && *graphics.gl.enable && !graphics.gl.rendernode.empty())
        words += ",rendernode=" + escape(graphics.gl.rendernode);
    if (graphics.audio_id) words += fmt::format(",audiodev=audio{}", *graphics.audio_id);
    builder.option("-display", words);
}

} // namespace

void add_graphics(Builder& builder) {
    for (const auto& graphics : builder.domain.devices.graphics) {
        switch (graphics.type) {
        case GraphicsType::vnc: add_vnc(builder, graphics); break;
        case GraphicsType::spice: add_spice(builder, graphics); break;
        case GraphicsType::sdl: add_sdl(builder, graphics); break;
        case GraphicsType::egl_headless: add_egl(builder, graphics); break;
        case GraphicsType::dbus: add_dbus(builder, graphics); break;
        default: rpc::fail(Code::config_unsupported, "unsupported graphics type '{}'", word(graphics.type));
        }
    }
}

} // namespace lodge::drivers::qemu
