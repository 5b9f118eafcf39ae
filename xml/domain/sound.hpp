// <sound>: sound cards of the guest.
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class SoundModel { sb16, es1370, pcspk, ac97, ich6, ich9, usb, ich7 };
inline std::span<const std::string_view> enum_words(SoundModel) {
    static constexpr std::string_view w[] = {"sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "ich7"};
    return w;
}
enum class CodecType { duplex, micro, output };
inline std::span<const std::string_view> enum_words(CodecType) {
    static constexpr std::string_view w[] = {"duplex", "micro", "output"};
    return w;
}

struct Codec {
    CodecType type = CodecType::duplex;
};
struct Sound {
    SoundModel model = SoundModel::ich6;
    std::vector<Codec> codecs;
    std::optional<std::uint32_t> audio_id;
    DeviceInfo info;
};
void describe(Doc&, Codec&);
void describe(Doc&, Sound&);

} // namespace lodge::xml
