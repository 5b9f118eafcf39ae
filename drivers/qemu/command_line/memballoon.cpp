#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

void add_memballoon(Builder& builder) {
    const auto& balloon = builder.domain.devices.memballoon;
    if (!balloon || balloon->model == BalloonModel::none) return;
    std::optional<VirtioModel> model;
    switch (balloon->model) {
    case BalloonModel::virtio_transitional: model = VirtioModel::transitional; break;
    case BalloonModel::virtio_non_transitional: model = VirtioModel::non_transitional; break;
    case BalloonModel::xen:
        rpc::fail(Code::config_unsupported, "Memory balloon device type '{}' is not supported by this version of qemu",
                  word(balloon->model));
    default: break;
    }
    Json json{{"driver", virtio_driver("virtio-balloon", balloon->info, model)}};
    put_virtio(json, balloon->virtio);
    json["id"] = balloon->info.alias;
    put(json, "deflate-on-oom", balloon->autodeflate);
    put(json, "free-page-reporting", balloon->free_page_reporting);
    put_address(json, builder.domain, balloon->info);
    builder.device(json);
}

} // namespace lodge::drivers::qemu
