#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using xml::AudioType;
using xml::GraphicsType;

namespace {

// Where a guest's sound goes that says nothing about it: to its screen, if that carries sound. None at all: the screen's
// program decides.
std::optional<AudioType> default_type(const xml::Domain& domain) {
    if (domain.devices.graphics.empty()) return AudioType::none;
    std::optional<AudioType> type;
    for (const auto& graphics : domain.devices.graphics) {
        if (graphics.is(GraphicsType::spice)) type = AudioType::spice;
        if (graphics.is(GraphicsType::vnc)) type = AudioType::none;
        if (graphics.is(GraphicsType::sdl)) type.reset();
    }
    return type;
}

unsigned free_id(const xml::Domain& domain) {
    for (unsigned id = 1;; ++id)
        if (std::ranges::none_of(domain.devices.audios, [&](const xml::Audio& audio) { return audio.id == id; })) return id;
}

} // namespace

void complete_audio(xml::Domain& domain, const CompleteContext&) {
    auto& audios = domain.devices.audios;
    for (auto& audio : audios)
        if (!audio.id) audio.id = free_id(domain);
    if (!audios.empty()) return;
    const auto type = default_type(domain);
    if (!type) return;
    auto& audio = audios.emplace_back();
    audio.id = 1;
    audio.type = *type;
}

} // namespace lodge::drivers::qemu
