// -audiodev (the host's side of sound) and sound cards.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

const char* audio_driver(AudioType type) {
    switch (type) {
    case AudioType::pulseaudio: return "pa";
    case AudioType::file: return "wav";
    case AudioType::none: return "none";
    case AudioType::alsa: return "alsa";
    case AudioType::coreaudio: return "coreaudio";
    case AudioType::jack: return "jack";
    case AudioType::oss: return "oss";
    case AudioType::sdl: return "sdl";
    case AudioType::spice: return "spice";
    case AudioType::dbus: return "dbus";
    }
    return "none";
}

Json direction_json(const AudioDirection& direction) {
    Json json = Json::object();
    put(json, "mixing-engine", direction.mixing_engine);
    put(json, "fixed-settings", direction.fixed_settings);
    put(json, "voices", direction.voices);
    put(json, "buffer-length", direction.buffer_length);
    put(json, "frequency", direction.settings.frequency);
    put(json, "channels", direction.settings.channels);
    if (direction.settings.format && *direction.settings.format != AudioFormat::default_)
        json["format"] = word(*direction.settings.format);
    put(json, "dev", direction.dev);
    put(json, "buffer-count", direction.buffer_count);
    put(json, "try-poll", direction.try_poll);
    put(json, "server-name", direction.server_name);
    put(json, "client-name", direction.client_name);
    put(json, "connect-ports", direction.connect_ports);
    put(json, "exact-name", direction.exact_name);
    put(json, "name", direction.name);
    put(json, "stream-name", direction.stream_name);
    put(json, "latency", direction.latency);
    return json;
}

Json audiodev_json(const Audio& audio) {
    Json json{{"id", fmt::format("audio{}", audio.id)}, {"driver", audio_driver(audio.type)}};
    put(json, "timer-period", audio.timer_period);
    put(json, "server", audio.server_name);
    put(json, "path", audio.path);
    put(json, "try-mmap", audio.try_mmap);
    put(json, "exclusive", audio.exclusive);
    put(json, "dsp-policy", audio.dsp_policy);
    if (Json in = direction_json(audio.input); !in.empty()) json["in"] = std::move(in);
    if (Json out = direction_json(audio.output); !out.empty()) json["out"] = std::move(out);
    return json;
}

const char* sound_driver(SoundModel model) {
    switch (model) {
    case SoundModel::es1370: return "ES1370";
    case SoundModel::ac97: return "AC97";
    case SoundModel::ich6: return "intel-hda";
    case SoundModel::ich9: return "ich9-intel-hda";
    case SoundModel::usb: return "usb-audio";
    case SoundModel::sb16: return "sb16";
    default: rpc::fail(Code::config_unsupported, "sound card model '{}' is not supported by qemu", word(model));
    }
}

bool is_hda(SoundModel model) { return model == SoundModel::ich6 || model == SoundModel::ich9; }

std::string audiodev_of(const Builder& builder, const Sound& sound) {
    if (sound.audio_id) return fmt::format("audio{}", *sound.audio_id);
    if (builder.domain.devices.audios.empty()) return "";
    return fmt::format("audio{}", builder.domain.devices.audios.front().id);
}

void add_codec(Builder& builder, const Sound& sound, CodecType type, unsigned number) {
    const char* driver = type == CodecType::micro ? "hda-micro" : type == CodecType::output ? "hda-output" : "hda-duplex";
    Json json{{"driver", driver},
              {"id", fmt::format("{}-codec{}", sound.info.alias, number)},
              {"bus", sound.info.alias + ".0"},
              {"cad", number}};
    put(json, "audiodev", audiodev_of(builder, sound));
    builder.device(json);
}

void add_sound(Builder& builder, const Sound& sound) {
    if (sound.model == SoundModel::pcspk) {
        if (builder.ctx.emulator.version >= 7'001'000 && !builder.ctx.display) return; // part of -machine there
        return builder.option("-soundhw", "pcspk");
    }
    Json json{{"driver", sound_driver(sound.model)}, {"id", sound.info.alias}};
    if (!is_hda(sound.model)) put(json, "audiodev", audiodev_of(builder, sound));
    put_address(json, builder.domain, sound.info);
    builder.device(json);
    if (!is_hda(sound.model)) return;
    unsigned number = 0;
    for (const auto& codec : sound.codecs) add_codec(builder, sound, codec.type, number++);
    if (sound.codecs.empty()) add_codec(builder, sound, CodecType::duplex, 0);
}

} // namespace

void add_audio(Builder& builder) {
    for (const auto& audio : builder.domain.devices.audios) {
        // SDL chooses its own back end by the environment.
        if (audio.type == AudioType::sdl && audio.driver && *audio.driver != SdlAudioDriver::default_)
            builder.line.env.push_back(fmt::format("SDL_AUDIODRIVER={}", word(*audio.driver)));
        builder.json("-audiodev", audiodev_json(audio));
    }
}

void add_sounds(Builder& builder) {
    for (const auto& sound : builder.domain.devices.sounds) add_sound(builder, sound);
}

} // namespace lodge::drivers::qemu
