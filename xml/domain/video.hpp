// <video>: graphics cards.
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class VideoType { default_, vga, cirrus, vmvga, xen, vbox, qxl, parallels, virtio, gop, none, bochs, ramfb };
inline std::span<const std::string_view> enum_words(VideoType) {
    static constexpr std::string_view w[] = {"default",   "vga",    "cirrus", "vmvga", "xen",   "vbox", "qxl",
                                             "parallels", "virtio", "gop",    "none",  "bochs", "ramfb"};
    return w;
}
enum class VideoBackend { default_, qemu, vhostuser };
inline std::span<const std::string_view> enum_words(VideoBackend) {
    static constexpr std::string_view w[] = {"default", "qemu", "vhostuser"};
    return w;
}
enum class VgaConf { io, on, off };
inline std::span<const std::string_view> enum_words(VgaConf) {
    static constexpr std::string_view w[] = {"io", "on", "off"};
    return w;
}

struct Acceleration {
    std::optional<YesNo> accel2d, accel3d;
    std::string rendernode;
};
struct Resolution {
    std::uint32_t x = 0, y = 0;
};
struct VideoDriver {
    VirtioOptions virtio;
    std::optional<VideoBackend> name;
    std::optional<VgaConf> vgaconf;
};
struct VideoModel {
    VideoType type = VideoType::default_;
    std::optional<std::uint32_t> ram, vram, vram64, vgamem; // KiB
    std::optional<std::uint32_t> heads;
    std::optional<YesOrOther> primary;
    Acceleration acceleration;
    std::optional<Resolution> resolution;
};
struct Video {
    VideoDriver driver;
    VideoModel model;
    DeviceInfo info;
};
void describe(Doc&, Acceleration&);
void describe(Doc&, Resolution&);
void describe(Doc&, VideoDriver&);
void describe(Doc&, VideoModel&);
void describe(Doc&, Video&);

} // namespace lodge::xml
