// <serial>, <parallel>, <console>, <channel>: character devices. What they talk to on the host (CharSource) is the same for all,
// and for smartcards, USB redirection and egd random sources too; what the guest sees (the target) differs.
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class CharType { null, vc, pty, dev, file, pipe, stdio, udp, tcp, unix_, spicevmc, spiceport, nmdm, qemu_vdagent, dbus };
inline std::span<const std::string_view> enum_words(CharType) {
    static constexpr std::string_view w[] = {"null", "vc",   "pty",      "dev",       "file", "pipe",         "stdio", "udp",
                                             "tcp",  "unix", "spicevmc", "spiceport", "nmdm", "qemu-vdagent", "dbus"};
    return w;
}
enum class CharMode { connect, bind };
inline std::span<const std::string_view> enum_words(CharMode) {
    static constexpr std::string_view w[] = {"connect", "bind"};
    return w;
}
enum class CharProtocol { raw, telnet, telnets, tls };
inline std::span<const std::string_view> enum_words(CharProtocol) {
    static constexpr std::string_view w[] = {"raw", "telnet", "telnets", "tls"};
    return w;
}
enum class MouseMode { default_, server, client };
inline std::span<const std::string_view> enum_words(MouseMode) {
    static constexpr std::string_view w[] = {"default", "server", "client"};
    return w;
}

// One <source>. Only udp has two of them.
struct CharEndpoint {
    std::optional<CharMode> mode;
    std::string path, host, service;
    std::string channel;       // spiceport, dbus
    std::string master, slave; // nmdm
    std::optional<OnOff> append;
    std::optional<YesNo> tls;
    std::optional<Reconnect> reconnect;
    std::vector<SourceLabel> labels;
    std::optional<YesNo> clipboard; // qemu-vdagent
    std::optional<MouseMode> mouse;
};
struct CharLog {
    std::string file;
    std::optional<OnOff> append;
};
struct CharSource {
    CharType type = CharType::pty;
    std::vector<CharEndpoint> sources;
    std::optional<CharProtocol> protocol; // tcp
    std::optional<CharLog> log;

    const CharEndpoint& first() const;                  // of an empty source when there is none
    CharEndpoint& edit_first();                         // makes one
    const CharEndpoint* with_mode(CharMode mode) const; // null: none
};
void describe(Doc&, CharEndpoint&); // one of udp's two
void describe_char_end(Doc&, CharEndpoint&, CharType type);
void describe(Doc&, CharLog&);
// The type= attribute; first of all in the parent's element.
void describe_char_type(Doc&, CharSource&, Mark marks = Mark::none);
// <source>, <protocol>, <log>.
void describe_char_source(Doc&, CharSource&);

enum class SerialTargetType { none, isa_serial, usb_serial, pci_serial, spapr_vio_serial, system_serial, sclp_serial, isa_debug };
inline std::span<const std::string_view> enum_words(SerialTargetType) {
    static constexpr std::string_view w[] = {"none",          "isa-serial",  "usb-serial", "pci-serial", "spapr-vio-serial",
                                             "system-serial", "sclp-serial", "isa-debug"};
    return w;
}
enum class SerialModel {
    none,
    isa_serial,
    usb_serial,
    pci_serial,
    spapr_vty,
    pl011,
    sclpconsole,
    sclplmconsole,
    uart_16550a,
    isa_debugcon
};
inline std::span<const std::string_view> enum_words(SerialModel) {
    static constexpr std::string_view w[] = {"none",  "isa-serial",  "usb-serial",    "pci-serial", "spapr-vty",
                                             "pl011", "sclpconsole", "sclplmconsole", "16550a",     "isa-debugcon"};
    return w;
}
enum class ConsoleTargetType { none, serial, xen, uml, virtio, lxc, openvz, sclp, sclplm };
inline std::span<const std::string_view> enum_words(ConsoleTargetType) {
    static constexpr std::string_view w[] = {"none", "serial", "xen", "uml", "virtio", "lxc", "openvz", "sclp", "sclplm"};
    return w;
}
enum class ChannelTargetType { none, guestfwd, virtio, xen };
inline std::span<const std::string_view> enum_words(ChannelTargetType) {
    static constexpr std::string_view w[] = {"none", "guestfwd", "virtio", "xen"};
    return w;
}
enum class ChannelState { default_, connected, disconnected };
inline std::span<const std::string_view> enum_words(ChannelState) {
    static constexpr std::string_view w[] = {"default", "connected", "disconnected"};
    return w;
}

struct SerialTarget {
    std::optional<SerialTargetType> type;
    std::optional<std::uint32_t> port;
    std::optional<SerialModel> model;
};
struct ParallelTarget {
    std::optional<std::uint32_t> port;
};
struct ConsoleTarget {
    std::optional<ConsoleTargetType> type;
    std::optional<std::uint32_t> port;
};
struct ChannelTarget {
    std::optional<ChannelTargetType> type;
    std::string name;                  // virtio, xen
    std::optional<ChannelState> state; // virtio, live
    std::string address;               // guestfwd
    std::optional<std::uint32_t> port;
};
struct Serial {
    CharSource source;
    SerialTarget target;
    DeviceInfo info;
};
struct Parallel {
    CharSource source;
    ParallelTarget target;
    DeviceInfo info;
};
struct Console {
    CharSource source;
    std::string tty; // live, libvirt's old spelling of the pty's path
    ConsoleTarget target;
    DeviceInfo info;
};
struct Channel {
    CharSource source;
    ChannelTarget target;
    DeviceInfo info;
};
void describe(Doc&, SerialTarget&);
void describe(Doc&, ParallelTarget&);
void describe(Doc&, ConsoleTarget&);
void describe(Doc&, ChannelTarget&);
void describe(Doc&, Serial&);
void describe(Doc&, Parallel&);
void describe(Doc&, Console&);
void describe(Doc&, Channel&);

} // namespace lodge::xml
