#include "drivers/qemu/transient.hpp"
#include "drivers/process/process.hpp"
#include "drivers/qemu/image.hpp"
#include <filesystem>

namespace lodge::drivers::qemu {

namespace {

bool is_local(const xml::StorageSource& source) {
    const auto type = reached_as(source);
    return type == xml::SourceType::file || type == xml::SourceType::block;
}

rpc::Task<> make_overlay(std::string base, xml::StorageFormat format, std::string overlay) {
    bool exists = false;
    co_await rpc::blocking([&] { exists = std::filesystem::exists(overlay); });
    if (exists)
        rpc::fail(rpc::Code::operation_unsupported, "Overlay file '{}' for transient disk '{}' already exists", overlay, base);
    Command command;
    command.program = "qemu-img";
    command.args = {"create", "-q", "-f", "qcow2", "-F", std::string(word(format)), "-b", base, overlay};
    co_await run_checked(command);
}

} // namespace

rpc::Task<> make_overlays(xml::Domain& domain, Runtime& runtime) {
    for (auto& disk : domain.devices.disks) {
        if (!disk.transient || disk.readonly || disk.source.empty()) continue;
        if (!is_local(disk.source))
            rpc::fail(rpc::Code::config_unsupported, "transient disk '{}' has no local source: '{}'", disk.target.dev,
                      word(disk.source.type));
        const std::string overlay = fmt::format("{}.TRANSIENT-{}", disk.source.path, domain.name);
        co_await make_overlay(disk.source.path, disk.driver.type.value_or(xml::StorageFormat::raw), overlay);
        runtime.made.push_back(overlay);
        xml::BackingStore base = top_link(disk);
        base.type = base.source.type = reached_as(disk.source);
        disk.backing.emplace() = std::move(base);
        disk.source = {};
        disk.source.type = xml::SourceType::file;
        disk.source.path = overlay;
        disk.driver.type = xml::StorageFormat::qcow2;
        disk.driver.metadata_cache.reset();
    }
}

} // namespace lodge::drivers::qemu
