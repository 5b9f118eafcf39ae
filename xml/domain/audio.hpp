// <audio>: the host's side of sound; <sound> devices name one by its id.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class AudioType { none, alsa, coreaudio, jack, oss, pulseaudio, sdl, spice, file, dbus };
inline std::span<const std::string_view> enum_words(AudioType) {
    static constexpr std::string_view w[] = {"none",       "alsa", "coreaudio", "jack", "oss",
                                             "pulseaudio", "sdl",  "spice",     "file", "dbus"};
    return w;
}
enum class AudioFormat { default_, s8, u8, s16, u16, s32, u32, f32 };
inline std::span<const std::string_view> enum_words(AudioFormat) {
    static constexpr std::string_view w[] = {"default", "s8", "u8", "s16", "u16", "s32", "u32", "f32"};
    return w;
}
enum class SdlAudioDriver { default_, esd, alsa, arts, pulseaudio };
inline std::span<const std::string_view> enum_words(SdlAudioDriver) {
    static constexpr std::string_view w[] = {"default", "esd", "alsa", "arts", "pulseaudio"};
    return w;
}

struct AudioSettings {
    std::optional<std::uint32_t> frequency, channels;
    std::optional<AudioFormat> format;
};
// <input> or <output>; which attributes make sense depends on the type of the audio device.
struct AudioDirection {
    std::optional<YesNo> mixing_engine, fixed_settings;
    std::optional<std::uint32_t> voices, buffer_length;
    std::string dev;                                     // alsa, oss
    std::optional<std::uint32_t> buffer_count;           // coreaudio, oss, sdl
    std::optional<YesNo> try_poll;                       // oss
    std::string server_name, client_name, connect_ports; // jack
    std::optional<YesNo> exact_name;                     // jack
    std::string name, stream_name;                       // pulseaudio
    std::optional<std::uint32_t> latency;                // pulseaudio
    AudioSettings settings;
};
struct Audio {
    std::uint32_t id = 0;
    AudioType type = AudioType::none;
    std::optional<std::uint32_t> timer_period;
    std::string server_name;                  // pulseaudio
    std::optional<SdlAudioDriver> driver;     // sdl
    std::string path;                         // file
    std::optional<YesNo> try_mmap, exclusive; // oss
    std::optional<std::int32_t> dsp_policy;   // oss
    AudioDirection input, output;
};
void describe(Doc&, AudioSettings&);
void describe(Doc&, AudioDirection&);
void describe(Doc&, Audio&);

} // namespace lodge::xml
