// <graphics>: where the guest's screen is shown.
#pragma once
#include "xml/domain/chardev.hpp"

namespace lodge::xml {

enum class GraphicsType { sdl, vnc, rdp, desktop, spice, egl_headless, dbus };
inline std::span<const std::string_view> enum_words(GraphicsType) {
    static constexpr std::string_view w[] = {"sdl", "vnc", "rdp", "desktop", "spice", "egl-headless", "dbus"};
    return w;
}
enum class ListenType { none, address, network, socket };
inline std::span<const std::string_view> enum_words(ListenType) {
    static constexpr std::string_view w[] = {"none", "address", "network", "socket"};
    return w;
}
enum class SharePolicy { default_, allow_exclusive, force_shared, ignore };
inline std::span<const std::string_view> enum_words(SharePolicy) {
    static constexpr std::string_view w[] = {"default", "allow-exclusive", "force-shared", "ignore"};
    return w;
}
enum class PasswordConnected { default_, fail, disconnect, keep };
inline std::span<const std::string_view> enum_words(PasswordConnected) {
    static constexpr std::string_view w[] = {"default", "fail", "disconnect", "keep"};
    return w;
}
enum class SpiceMode { any, secure, insecure };
inline std::span<const std::string_view> enum_words(SpiceMode) {
    static constexpr std::string_view w[] = {"any", "secure", "insecure"};
    return w;
}
enum class SpiceChannelName { main, display, inputs, cursor, playback, record, smartcard, usbredir };
inline std::span<const std::string_view> enum_words(SpiceChannelName) {
    static constexpr std::string_view w[] = {"main",     "display", "inputs",    "cursor",
                                             "playback", "record",  "smartcard", "usbredir"};
    return w;
}
enum class SpiceImage { default_, auto_glz, auto_lz, quic, glz, lz, off };
inline std::span<const std::string_view> enum_words(SpiceImage) {
    static constexpr std::string_view w[] = {"default", "auto_glz", "auto_lz", "quic", "glz", "lz", "off"};
    return w;
}
enum class SpiceCompression { default_, auto_, never, always };
inline std::span<const std::string_view> enum_words(SpiceCompression) {
    static constexpr std::string_view w[] = {"default", "auto", "never", "always"};
    return w;
}
enum class SpiceStreaming { default_, filter, all, off };
inline std::span<const std::string_view> enum_words(SpiceStreaming) {
    static constexpr std::string_view w[] = {"default", "filter", "all", "off"};
    return w;
}

struct GraphicsListen {
    ListenType type = ListenType::none;
    std::string address, network, socket;
    std::optional<std::int32_t> from_config; // live: 1 when qemu.conf gave the address; private to status files
};
struct SpiceChannel {
    SpiceChannelName name = SpiceChannelName::main;
    SpiceMode mode = SpiceMode::any;
};
struct GraphicsGl {
    std::optional<YesNo> enable;
    std::string rendernode;
};
struct Graphics {
    GraphicsType type = GraphicsType::vnc;
    // vnc, spice, rdp. Port -1 is written for "the next free one" (autoport).
    std::optional<std::int32_t> port, tls_port, websocket;
    std::optional<YesNo> autoport, websocket_generated;
    std::string listen; // repeats the first listen's address
    std::string socket; // vnc: repeats the first listen's socket
    std::string keymap, passwd_valid_to;
    std::optional<std::string> passwd; // empty: nobody gets in
    std::optional<PasswordConnected> connected;
    std::optional<SharePolicy> share_policy;       // vnc
    std::optional<YesNo> power_control;            // vnc
    std::optional<SpiceMode> default_mode;         // spice
    std::optional<YesNo> replace_user, multi_user; // rdp
    std::string display, xauth;                    // sdl, desktop
    std::optional<YesNo> fullscreen;
    std::string address;      // dbus
    std::optional<YesNo> p2p; // dbus

    std::vector<GraphicsListen> listens;
    std::vector<SpiceChannel> channels;
    std::optional<SpiceImage> image;
    std::optional<SpiceCompression> jpeg, zlib;
    std::optional<OnOff> playback;
    std::optional<SpiceStreaming> streaming;
    std::optional<MouseMode> mouse;
    std::optional<YesNo> clipboard, filetransfer;
    GraphicsGl gl;
    std::optional<std::uint32_t> audio_id; // vnc, dbus

    bool is(GraphicsType t) const { return type == t; }
};
void describe(Doc&, Graphics&);
void describe(Doc&, GraphicsListen&);
void describe(Doc&, SpiceChannel&);
void describe(Doc&, GraphicsGl&);

} // namespace lodge::xml
