#include "xml/domain/check.hpp"

namespace lodge::xml {

const CharEndpoint& CharSource::first() const {
    static const CharEndpoint none;
    return sources.empty() ? none : sources.front();
}

CharEndpoint& CharSource::edit_first() { return sources.empty() ? sources.emplace_back() : sources.front(); }

const CharEndpoint* CharSource::with_mode(CharMode mode) const {
    for (const auto& source : sources)
        if (source.mode == mode) return &source;
    return nullptr;
}

void describe(Doc& doc, CharEndpoint& end) {
    doc.attribute("mode", end.mode);
    doc.attribute("host", end.host);
    doc.attribute("service", end.service);
}

// What a type does not know is not even looked at.
static void describe_end(Doc& doc, CharEndpoint& end, CharType type, bool labelled) {
    using enum CharType;
    const auto is = [&](auto... types) { return doc.when(((type == types) || ...)); };
    if (is(tcp, unix_)) doc.attribute("mode", end.mode);
    if (is(file, dev, pipe, pty, unix_)) doc.attribute("path", end.path);
    if (is(spiceport, dbus)) doc.attribute("channel", end.channel);
    if (is(nmdm)) {
        doc.attribute("master", end.master);
        doc.attribute("slave", end.slave);
    }
    if (is(tcp)) {
        doc.attribute("host", end.host);
        doc.attribute("service", end.service);
        doc.attribute("tls", end.tls);
    }
    if (is(file)) doc.attribute("append", end.append);
    if (doc.when(labelled) && is(file, dev, pipe, pty, unix_)) doc.list("seclabel", end.labels);
    if (is(tcp, unix_)) doc.child("reconnect", end.reconnect);
    if (is(qemu_vdagent)) {
        doc.group("clipboard", [&] { doc.required("copypaste", end.clipboard); });
        doc.group("mouse", [&] { doc.required("mode", end.mouse, Mark::positive); });
    }
}

void describe_char_end(Doc& doc, CharEndpoint& end, CharType type) { describe_end(doc, end, type, false); }

void describe(Doc& doc, CharLog& log) {
    doc.attribute("file", log.file);
    doc.attribute("append", log.append);
}

void describe_char_type(Doc& doc, CharSource& source, Mark marks) { doc.required("type", source.type, marks); }

// Only devices of the guest's own may have labels.
static void describe_source(Doc& doc, CharSource& source, bool labelled) {
    // The host's side of a pty exists only while the guest runs.
    const bool lasting = source.type != CharType::pty;
    const bool udp = source.type == CharType::udp;
    if (doc.when(udp)) doc.list("source", source.sources);
    if (doc.when(!udp && (doc.reading() || ((doc.live() || lasting) && !source.sources.empty()))))
        doc.group("source", [&] { describe_end(doc, source.edit_first(), source.type, labelled); }, Mark::single);
    if (doc.reading() && !doc.live() && !lasting) source.sources.clear();
    if (doc.when(source.type == CharType::tcp))
        doc.group("protocol", [&] { doc.attribute("type", source.protocol); }, Mark::single);
    doc.child("log", source.log, Mark::single);
    if (doc.reading() && source.log && source.log->file.empty()) source.log.reset();
}

void describe_char_source(Doc& doc, CharSource& source) { describe_source(doc, source, false); }

void describe(Doc& doc, SerialTarget& target) {
    doc.attribute("type", target.type, Mark::guest);
    doc.attribute("port", target.port, Mark::guest);
    doc.group("model", [&] { doc.attribute("name", target.model, Mark::guest); });
}

void describe(Doc& doc, ParallelTarget& target) { doc.attribute("port", target.port, Mark::guest); }

void describe(Doc& doc, ConsoleTarget& target) {
    doc.attribute("type", target.type, Mark::guest);
    doc.attribute("port", target.port);
}

constexpr std::string_view channel_target_order[] = {"@type", "@address", "@port"};

void describe(Doc& doc, ChannelTarget& target) {
    doc.read_in_order(channel_target_order);
    doc.required("type", target.type, Mark::guest);
    const auto is = [&](ChannelTargetType type) { return doc.when(target.type == type); };
    if (doc.when(target.type != ChannelTargetType::guestfwd)) doc.attribute("name", target.name, Mark::guest);
    if (is(ChannelTargetType::virtio)) doc.attribute("state", target.state, Mark::live | Mark::positive);
    if (is(ChannelTargetType::guestfwd)) {
        doc.attribute("address", target.address, Mark::guest);
        doc.check("@address", [&] { check_forward(target.address); });
        doc.attribute("port", target.port, Mark::guest);
    }
}

namespace {

// libvirt's order of reading.
constexpr std::string_view char_order[] = {"@type", "target", "source", "log", "protocol"};

template<class Device> void describe_device(Doc& doc, Device& device) {
    describe_source(doc, device.source, true);
    doc.child("target", device.target);
    describe_info(doc, device.info);
}

} // namespace

void describe(Doc& doc, Serial& serial) {
    doc.read_in_order(char_order);
    doc.attribute("type", serial.source.type); // a pty, when nothing is said
    describe_device(doc, serial);
    check_serial(doc, serial);
}

void describe(Doc& doc, Parallel& parallel) {
    doc.read_in_order(char_order);
    doc.attribute("type", parallel.source.type); // a pty, when nothing is said
    describe_device(doc, parallel);
    check_ends(doc, parallel.source);
}

void describe(Doc& doc, Console& console) {
    doc.read_in_order(char_order);
    doc.attribute("type", console.source.type);
    doc.attribute("tty", console.tty, Mark::live);
    describe_device(doc, console);
    check_ends(doc, console.source);
}

void describe(Doc& doc, Channel& channel) {
    doc.read_in_order(char_order);
    doc.attribute("type", channel.source.type); // a pty, when nothing is said
    describe_device(doc, channel);
    check_channel(doc, channel);
}

} // namespace lodge::xml
