// Graphics cards.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool is_primary(const Video& video) { return video.model.primary && *video.model.primary; }

std::string virtio_gpu(const Video& video) {
    const bool gl = video.model.acceleration.accel3d && *video.model.acceleration.accel3d;
    const bool vhostuser = video.driver.name == VideoBackend::vhostuser;
    if (is_primary(video)) return vhostuser ? "vhost-user-vga" : gl ? "virtio-vga-gl" : "virtio-vga";
    return virtio_driver(vhostuser ? "vhost-user-gpu" : gl ? "virtio-gpu-gl" : "virtio-gpu", video.info);
}

std::string video_driver(const Video& video) {
    switch (video.model.type) {
    case VideoType::vga: return is_primary(video) ? "VGA" : "secondary-vga";
    case VideoType::cirrus: return "cirrus-vga";
    case VideoType::vmvga: return "vmware-svga";
    case VideoType::qxl: return is_primary(video) ? "qxl-vga" : "qxl";
    case VideoType::virtio: return virtio_gpu(video);
    case VideoType::bochs: return "bochs-display";
    case VideoType::ramfb: return "ramfb";
    default: rpc::fail(Code::config_unsupported, "video type '{}' is not supported with QEMU", word(video.model.type));
    }
}

void put_memory(Json& json, const VideoModel& model) {
    switch (model.type) {
    case VideoType::qxl:
        if (model.ram) json["ram_size"] = std::uint64_t{*model.ram} * 1024;
        if (model.vram) json["vram_size"] = std::uint64_t{*model.vram} * 1024;
        json["vram64_size_mb"] = model.vram64.value_or(0) / 1024;
        if (model.vgamem) json["vgamem_mb"] = *model.vgamem / 1024;
        return;
    case VideoType::vga:
    case VideoType::vmvga:
        if (model.vram) json["vgamem_mb"] = *model.vram / 1024;
        return;
    case VideoType::bochs:
        if (model.vram) json["vgamem"] = std::uint64_t{*model.vram} * 1024;
        return;
    default: return;
    }
}

void add_video(Builder& builder, const Video& video) {
    Json json{{"driver", video_driver(video)}};
    if (video.model.type == VideoType::virtio) put_virtio(json, video.driver.virtio);
    json["id"] = video.info.alias;
    if (video.model.type == VideoType::virtio || video.model.type == VideoType::qxl) put(json, "max_outputs", video.model.heads);
    put_memory(json, video.model);
    if (video.driver.name == VideoBackend::vhostuser) {
        const std::string id = "chr-vu-" + video.info.alias;
        const auto socket = builder.ctx.helper_sockets.find(video.info.alias);
        if (socket == builder.ctx.helper_sockets.end())
            rpc::fail(Code::operation_failed, "Unable to find a satisfying vhost-user-gpu");
        builder.option("-chardev", fmt::format("socket,id={},path={}", id, escape(socket->second)));
        json["chardev"] = id;
    }
    if (video.model.resolution) {
        json["xres"] = video.model.resolution->x;
        json["yres"] = video.model.resolution->y;
    }
    put_address(json, builder.domain, video.info);
    builder.device(json);
}

} // namespace

void add_videos(Builder& builder) {
    for (const auto& video : builder.domain.devices.videos)
        if (video.model.type != VideoType::none) add_video(builder, video);
}

} // namespace lodge::drivers::qemu
