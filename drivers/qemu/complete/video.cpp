#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using xml::Video;
using xml::VideoType;

namespace {

constexpr unsigned vga_kib = 16384, qxl_kib = 65536, qxl_vga_kib = 16384;

unsigned power_of_two(unsigned value) {
    unsigned power = 1;
    while (power < value) power *= 2;
    return power;
}

void round_up(std::optional<std::uint32_t>& size) {
    if (size) size = power_of_two(*size);
}

void complete_memory(xml::VideoModel& model) {
    using enum VideoType;
    switch (model.type) {
    case qxl:
        if (!model.ram) model.ram = qxl_kib;
        if (!model.vram) model.vram = qxl_kib;
        if (!model.vgamem) model.vgamem = qxl_vga_kib;
        for (auto* size : {&model.ram, &model.vram}) round_up(*size);
        break;
    case vga:
    case cirrus:
    case bochs:
    case vmvga:
        if (!model.vram) model.vram = vga_kib;
        round_up(model.vram);
        break;
    default: break;
    }
}

void complete_video(Video& video) {
    auto& model = video.model;
    if (model.type == VideoType::default_) model.type = VideoType::cirrus;
    if (model.type == VideoType::none) return;
    if (!model.heads) model.heads = 1;
    complete_memory(model);
    if (model.primary && !*model.primary) model.primary.reset();
}

} // namespace

void complete_videos(xml::Domain& domain, const CompleteContext&) {
    auto& videos = domain.devices.videos;
    if (videos.empty() && !domain.devices.graphics.empty()) videos.emplace_back();
    for (auto& video : videos) complete_video(video);
    const auto primary = std::ranges::find_if(videos, [](const Video& v) { return v.model.primary.has_value(); });
    if (primary != videos.end())
        std::rotate(videos.begin(), primary, std::next(primary));
    else if (!videos.empty() && videos.front().model.type != VideoType::none)
        videos.front().model.primary = true;
}

} // namespace lodge::drivers::qemu
