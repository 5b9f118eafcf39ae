#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

Json backend_json(const Shmem& shmem) {
    return {{"qom-type", "memory-backend-file"},
            {"id", "shmmem-" + shmem.info.alias},
            {"mem-path", "/dev/shm/" + shmem.name},
            {"size", shmem.size ? static_cast<std::uint64_t>(*shmem.size) << 20 : 0},
            {"share", true}};
}

std::string doorbell_socket(const Shmem& shmem, const BuildContext& ctx) {
    if (shmem.server && !shmem.server->path.empty()) return shmem.server->path;
    return fmt::format("{}/shmem-{}-sock", ctx.lib, shmem.name);
}

Json device_json(const Domain& domain, const Shmem& shmem, const BuildContext&) {
    if (shmem.model == ShmemModel::ivshmem)
        rpc::fail(Code::config_unsupported, "shmem model '{}' is not supported by this QEMU binary", word(shmem.model));
    Json json{{"driver", word(shmem.model)}, {"id", shmem.info.alias}};
    if (shmem.model == ShmemModel::ivshmem_plain) {
        json["memdev"] = "shmmem-" + shmem.info.alias;
        if (shmem.role && *shmem.role != ShmemRole::default_) json["master"] = on_off(*shmem.role == ShmemRole::master);
    } else {
        json["chardev"] = "char" + shmem.info.alias;
        if (shmem.msi) {
            put(json, "vectors", shmem.msi->vectors);
            put(json, "ioeventfd", shmem.msi->ioeventfd);
        }
    }
    put_address(json, domain, shmem.info);
    return json;
}

void add_shmems(Builder& builder) {
    for (const auto& shmem : builder.domain.devices.shmems) {
        if (shmem.model == ShmemModel::ivshmem_plain) builder.object(backend_json(shmem));
        builder.device(device_json(builder.domain, shmem, builder.ctx));
        if (shmem.model != ShmemModel::ivshmem_doorbell) continue;
        CharSource source;
        source.type = CharType::unix_;
        source.edit_first().path = doorbell_socket(shmem, builder.ctx);
        add_chardev(builder, source, shmem.info.alias, "shmem");
    }
}

} // namespace lodge::drivers::qemu
