#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, AudioSettings& settings) {
    doc.attribute("frequency", settings.frequency, Mark::positive);
    doc.attribute("channels", settings.channels);
    doc.attribute("format", settings.format, Mark::positive);
}

namespace {

constexpr std::string_view direction_order[] = {"@mixingEngine", "@fixedSettings", "@voices", "@bufferLength", "settings"};

// What a backend does not know is not even looked at.
void describe_direction(Doc& doc, AudioDirection& direction, AudioType type) {
    using enum AudioType;
    const auto is = [&](auto... types) { return doc.when(((type == types) || ...)); };
    const auto given = [](const std::optional<YesNo>& value) { return value && *value; };
    doc.read_in_order(direction_order);
    doc.attribute("mixingEngine", direction.mixing_engine);
    doc.attribute("fixedSettings", direction.fixed_settings);
    doc.check("@fixedSettings", [&] {
        if (given(direction.fixed_settings) && !given(direction.mixing_engine))
            unsupported("fixed audio settings requires mixing engine");
    });
    doc.attribute("voices", direction.voices, Mark::positive);
    doc.attribute("bufferLength", direction.buffer_length, Mark::positive);
    if (is(alsa, oss)) doc.attribute("dev", direction.dev);
    if (is(coreaudio, oss, sdl)) doc.attribute("bufferCount", direction.buffer_count, Mark::unless_zero);
    if (is(oss)) doc.attribute("tryPoll", direction.try_poll);
    if (is(jack)) {
        doc.attribute("serverName", direction.server_name);
        doc.attribute("clientName", direction.client_name);
        doc.attribute("connectPorts", direction.connect_ports);
        doc.attribute("exactName", direction.exact_name);
    }
    if (is(pulseaudio)) {
        doc.attribute("name", direction.name);
        doc.attribute("streamName", direction.stream_name);
        doc.attribute("latency", direction.latency);
    }
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view audio_order[] = {"@type", "@id", "@timerPeriod", "input", "output"};

void describe(Doc& doc, Audio& audio) {
    doc.read_in_order(audio_order);
    using enum AudioType;
    const auto is = [&](AudioType type) { return doc.when(audio.type == type); };
    doc.required("id", audio.id, Mark::positive);
    doc.required("type", audio.type);
    doc.attribute("timerPeriod", audio.timer_period, Mark::positive);
    if (is(pulseaudio)) doc.attribute("serverName", audio.server_name);
    if (is(sdl)) doc.attribute("driver", audio.driver, Mark::positive);
    if (is(file)) doc.attribute("path", audio.path);
    if (is(oss)) {
        doc.attribute("tryMMap", audio.try_mmap);
        doc.attribute("exclusive", audio.exclusive);
        doc.attribute("dspPolicy", audio.dsp_policy);
    }
    const auto direction = [&](const char* element, AudioDirection& one) {
        doc.group(element, [&] {
            describe_direction(doc, one, audio.type);
            doc.child("settings", one.settings);
        });
    };
    direction("input", audio.input);
    direction("output", audio.output);
    check_audio(doc, audio);
}

} // namespace lodge::xml
