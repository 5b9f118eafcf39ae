// <input>: mice, keyboards, tablets.
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class InputType { mouse, tablet, keyboard, passthrough, evdev };
inline std::span<const std::string_view> enum_words(InputType) {
    static constexpr std::string_view w[] = {"mouse", "tablet", "keyboard", "passthrough", "evdev"};
    return w;
}
enum class InputBus { ps2, usb, xen, parallels, virtio, none };
inline std::span<const std::string_view> enum_words(InputBus) {
    static constexpr std::string_view w[] = {"ps2", "usb", "xen", "parallels", "virtio", "none"};
    return w;
}
enum class InputGrab { default_, all };
inline std::span<const std::string_view> enum_words(InputGrab) {
    static constexpr std::string_view w[] = {"default", "all"};
    return w;
}
enum class InputGrabToggle { default_, ctrl_ctrl, alt_alt, shift_shift, meta_meta, scrolllock, ctrl_scrolllock };
inline std::span<const std::string_view> enum_words(InputGrabToggle) {
    static constexpr std::string_view w[] = {"default",   "ctrl-ctrl",  "alt-alt",        "shift-shift",
                                             "meta-meta", "scrolllock", "ctrl-scrolllock"};
    return w;
}

struct InputSource {
    std::string evdev; // passthrough: evdev=, evdev: dev=
    std::optional<InputGrab> grab;
    std::optional<InputGrabToggle> grab_toggle;
    std::optional<OnOff> repeat;
};
struct Input {
    InputType type = InputType::mouse;
    std::optional<InputBus> bus;
    std::optional<VirtioModel> model;
    VirtioOptions virtio;
    InputSource source;
    DeviceInfo info;
};
void describe(Doc&, Input&);

} // namespace lodge::xml
