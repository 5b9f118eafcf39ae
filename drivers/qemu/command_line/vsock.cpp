#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

Json device_json(const Domain& domain, const Vsock& vsock, const BuildContext& ctx) {
    const auto fd = ctx.fds.find(vsock.info.alias);
    Json json{{"driver", virtio_driver("vhost-vsock", vsock.info, vsock.model)}};
    put_virtio(json, vsock.virtio);
    json["id"] = vsock.info.alias;
    json["guest-cid"] = vsock.cid.address.value_or(0);
    json["vhostfd"] = std::to_string(fd == ctx.fds.end() ? -1 : fd->second);
    put_address(json, domain, vsock.info);
    return json;
}

void add_vsock(Builder& builder) {
    const auto& vsock = builder.domain.devices.vsock;
    if (!vsock) return;
    if (const auto fd = builder.ctx.fds.find(vsock->info.alias); fd != builder.ctx.fds.end()) builder.pass(fd->second);
    builder.device(device_json(builder.domain, *vsock, builder.ctx));
}

} // namespace lodge::drivers::qemu
