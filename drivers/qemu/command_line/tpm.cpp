// TPMs: the host's, or swtpm beside QEMU.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

std::string emulator_socket(const Builder& builder, const Tpm& tpm) {
    if (tpm.backend == TpmBackendType::external) return tpm.source.first().path;
    const auto helper = builder.ctx.helper_sockets.find(tpm.info.alias);
    if (helper != builder.ctx.helper_sockets.end()) return helper->second;
    return fmt::format("{}/qemu/swtpm/{}-swtpm.sock", builder.ctx.run, short_name(builder.domain, builder.ctx.id));
}

void add_passthrough_backend(Builder& builder, const Tpm& tpm, const std::string& id) {
    const std::string path = tpm.device.empty() ? "/dev/tpm0" : tpm.device;
    const auto fd = builder.ctx.fds.find(tpm.info.alias);
    const auto cancel = builder.ctx.fds.find(tpm.info.alias + "-cancel");
    if (fd == builder.ctx.fds.end() || cancel == builder.ctx.fds.end())
        return builder.option("-tpmdev", fmt::format("passthrough,id={},path={}", id, escape(path)));
    const std::size_t set = builder.line.fds.size();
    builder.option("-add-fd", fmt::format("set={},fd={}", set, builder.pass(fd->second)));
    builder.option("-add-fd", fmt::format("set={},fd={}", set + 1, builder.pass(cancel->second)));
    builder.option("-tpmdev", fmt::format("passthrough,id={},path=/dev/fdset/{},cancel-path=/dev/fdset/{}", id, set, set + 1));
}

} // namespace

void add_tpms(Builder& builder) {
    for (const auto& tpm : builder.domain.devices.tpms) {
        const std::string id = "tpm-" + tpm.info.alias;
        if (tpm.backend == TpmBackendType::passthrough || !tpm.backend) {
            add_passthrough_backend(builder, tpm, id);
        } else {
            // swtpm's socket is there only once it runs.
            if (builder.ctx.display && tpm.backend == TpmBackendType::emulator)
                builder.option("-chardev", "null,id=chrtpm");
            else
                builder.option("-chardev", fmt::format("socket,id=chrtpm,path={}", escape(emulator_socket(builder, tpm))));
            builder.option("-tpmdev", fmt::format("emulator,id={},chardev=chrtpm", id));
        }
        Json json{{"driver", word(tpm.model.value_or(TpmModel::tpm_tis))}, {"tpmdev", id}, {"id", tpm.info.alias}};
        put_address(json, builder.domain, tpm.info);
        builder.device(json);
    }
}

} // namespace lodge::drivers::qemu
