#include "xml/domain/sound.hpp"

namespace lodge::xml {

void describe(Doc& doc, Codec& codec) { doc.required("type", codec.type); }

void describe(Doc& doc, Sound& sound) {
    doc.required("model", sound.model, Mark::guest);
    if (doc.when(sound.model == SoundModel::ich6 || sound.model == SoundModel::ich9)) doc.list("codec", sound.codecs);
    doc.group("audio", [&] { doc.required("id", sound.audio_id, Mark::positive); });
    describe_info(doc, sound.info);
}

} // namespace lodge::xml
