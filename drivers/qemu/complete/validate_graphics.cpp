// <graphics>, <video> and <audio>.
#include "drivers/qemu/complete/validate.hpp"
#include <bit>
#include <limits>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::Graphics;
using xml::GraphicsType;
using xml::VideoType;

namespace {

void check_spice(const Graphics& graphics, const CompleteContext& ctx) {
    const auto first = graphics.listens.empty() ? xml::ListenType::none : graphics.listens.front().type;
    const bool listens = first == xml::ListenType::address || first == xml::ListenType::network;
    apply({{listens && graphics.tls_port.value_or(0) > 0 && !ctx.spice_tls,
            "spice TLS port set in XML configuration, but TLS is disabled in qemu.conf"}});
}

void check_dbus(const Graphics& graphics, const xml::Devices& devices) {
    for (const auto& audio : devices.audios)
        if (graphics.audio_id.value_or(0) && audio.id == *graphics.audio_id && audio.type != xml::AudioType::dbus)
            unsupported(From::qemu, "The associated audio is not of 'dbus' kind.");
}

} // namespace

void validate_device(const Graphics& graphics, const Guest& guest) {
    using enum GraphicsType;
    const auto& devices = guest.domain.devices;
    const bool headless = std::ranges::any_of(devices.graphics, [](const Graphics& g) { return g.is(egl_headless); });
    if (graphics.is(rdp) || graphics.is(desktop))
        unsupported(From::qemu, "{} graphics are not supported with this QEMU", xml::word(graphics.type));
    apply({{headless && !graphics.is(egl_headless) && !graphics.is(vnc) && !graphics.is(spice),
            "graphics type 'egl-headless' is only supported with one of: 'vnc', 'spice' graphics types"},
           {headless && graphics.is(spice) && xml::is_yes(graphics.gl.enable),
            "multiple OpenGL displays are not supported by QEMU"}});
    if (graphics.is(spice)) check_spice(graphics, guest.ctx);
    if (graphics.is(vnc) && graphics.passwd && graphics.passwd->size() > 8)
        unsupported(From::qemu, "VNC password is {} characters long, only 8 permitted", graphics.passwd->size());
    if (graphics.is(dbus)) check_dbus(graphics, devices);
}

// ---- graphics cards ----

namespace {

void check_sizes(const xml::VideoModel& model) {
    using enum VideoType;
    constexpr auto most = std::numeric_limits<std::uint32_t>::max() / 1024;
    const auto overflows = [&](const std::optional<std::uint32_t>& size, const char* name) {
        if (size.value_or(0) > most) rpc::fail(From::qemu, Code::overflow, "value for '{}' must be less than '{}'", name, most);
    };
    if (model.type == qxl) {
        overflows(model.vram, "vram");
        overflows(model.ram, "ram");
        const auto vgamem = model.vgamem.value_or(0);
        apply({{vgamem && vgamem < 1024, "value for 'vgamem' must be at least 1 MiB (1024 KiB)"},
               {vgamem && !std::has_single_bit(vgamem), "value for 'vgamem' must be power of two"}});
    }
    const bool resizes = model.type == vga || model.type == qxl || model.type == virtio || model.type == bochs;
    apply({{!resizes && model.resolution, "model resolution is not supported"}}, Code::xml_error);
    const auto vram = model.vram.value_or(0);
    apply({{(model.type == vga || model.type == vmvga) && vram && vram < 1024,
            "value for 'vram' must be at least 1 MiB (1024 KiB)"}});
}

} // namespace

void validate_device(const xml::Video& video, const Guest&) {
    using enum VideoType;
    const auto& model = video.model;
    if (model.type == none) return;
    if (model.type == xen || model.type == vbox || model.type == parallels || model.type == gop)
        unsupported(From::qemu, "domain configuration does not support video model '{}'", xml::word(model.type));
    if (model.type != qxl && model.type != virtio) {
        if (!xml::is_yes(model.primary))
            unsupported(From::qemu, "video type '{}' is only valid as primary video device", xml::word(model.type));
        if (model.heads.value_or(1) != 1)
            unsupported(From::qemu, "video type '{}' doesn't support multiple 'heads'", xml::word(model.type));
    }
    apply({{xml::is_yes(model.acceleration.accel2d), "qemu does not support the accel2d setting"}});
    check_sizes(model);
    const bool outside = video.driver.name == xml::VideoBackend::vhostuser;
    apply({{!outside && xml::is_yes(model.acceleration.accel3d) && model.type != virtio,
            "3d acceleration is supported only with 'virtio' video device"}});
}

bool has_spice(const xml::Devices& devices) {
    return std::ranges::any_of(devices.graphics, [](const Graphics& g) { return g.is(GraphicsType::spice); });
}

void validate_device(const xml::Audio& audio, const Guest& guest) {
    apply({{audio.type == xml::AudioType::spice && !has_spice(guest.domain.devices),
            "Spice audio is not supported without spice graphics"}});
}

} // namespace lodge::drivers::qemu
