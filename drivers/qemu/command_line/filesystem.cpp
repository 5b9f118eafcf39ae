// Folders of the host in the guest: 9p, and virtiofs through a helper.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

void add_9p(Builder& builder, const Filesystem& fs) {
    std::string words = fmt::format("local,security_model={}", fs.accessmode == FilesystemAccess::mapped   ? "mapped"
                                                               : fs.accessmode == FilesystemAccess::squash ? "none"
                                                                                                           : "passthrough");
    if (fs.multidevs && *fs.multidevs != MultiDevs::default_) words += fmt::format(",multidevs={}", word(*fs.multidevs));
    if (fs.fmode.bits) words += fmt::format(",fmode={:04o}", fs.fmode.bits);
    if (fs.dmode.bits) words += fmt::format(",dmode={:04o}", fs.dmode.bits);
    if (fs.wrpolicy == WritePolicy::immediate) words += ",writeout=immediate";
    words += fmt::format(",id=fsdev-{},path={}", fs.info.alias, escape(fs.source));
    if (fs.readonly) words += ",readonly";
    builder.option("-fsdev", words);

    Json json{{"driver", virtio_driver("virtio-9p", fs.info, fs.model)}};
    put_virtio(json, fs.virtio);
    json["id"] = fs.info.alias;
    json["fsdev"] = "fsdev-" + fs.info.alias;
    json["mount_tag"] = fs.target;
    put_address(json, builder.domain, fs.info);
    builder.device(json);
}

void add_virtiofs(Builder& builder, const Filesystem& fs) {
    builder.option("-chardev", fmt::format("socket,id=chr-vu-{},path={}", fs.info.alias,
                                           escape(virtiofs_socket(builder.domain, fs, builder.ctx))));
    builder.device(device_json(builder.domain, fs, builder.ctx));
}

} // namespace

std::string virtiofs_socket(const Domain& domain, const Filesystem& fs, const BuildContext& ctx) {
    if (!fs.socket.empty()) return fs.socket;
    const auto helper = ctx.helper_sockets.find(fs.info.alias);
    if (helper != ctx.helper_sockets.end()) return helper->second;
    return fmt::format("{}/{}-fs.sock", domain_dir(domain, ctx), fs.info.alias);
}

Json device_json(const Domain& domain, const Filesystem& fs, const BuildContext&) {
    Json json{{"driver", virtio_driver("vhost-user-fs", fs.info)}};
    put_virtio(json, fs.virtio);
    json["id"] = fs.info.alias;
    json["chardev"] = "chr-vu-" + fs.info.alias;
    put(json, "queue-size", fs.queue);
    json["tag"] = fs.target;
    put_boot(json, domain, fs.info);
    put_address(json, domain, fs.info);
    return json;
}

void add_filesystems(Builder& builder) {
    for (const auto& fs : builder.domain.devices.filesystems) {
        if (fs.type != FilesystemType::mount) rpc::fail(Code::config_unsupported, "only supports mount filesystem type");
        if (fs.driver == FilesystemDriver::virtiofs)
            add_virtiofs(builder, fs);
        else
            add_9p(builder, fs);
    }
}

} // namespace lodge::drivers::qemu
