// What the guest starts with before its disks: a BIOS image, or UEFI code and variables as flash.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

bool is_flash(const Loader& loader) { return loader.type == LoaderType::pflash; }

StorageSource file_source(const std::string& path) {
    StorageSource source;
    source.type = SourceType::file;
    source.path = path;
    return source;
}

// The code's node.
std::optional<StorageSource> code_source(const Builder& builder) {
    const auto& loader = builder.domain.os.loader;
    if (loader && is_flash(*loader) && !loader->path.empty()) return file_source(loader->path);
    return std::nullopt;
}

bool code_is_readonly(const Builder& builder) {
    const auto& loader = builder.domain.os.loader;
    return !loader || !loader->readonly || *loader->readonly;
}

std::optional<StorageSource> variables_source(const Builder& builder) {
    const auto& os = builder.domain.os;
    if (os.loader && os.loader->stateless && *os.loader->stateless) return std::nullopt;
    if (os.nvram && os.nvram->type) return os.nvram->source;
    if (os.nvram && !os.nvram->path.empty()) return file_source(os.nvram->path);
    return std::nullopt;
}

void add_nodes(Builder& builder, const BlockNodes& nodes) {
    for (const auto& object : nodes.objects) builder.object(object);
    for (const auto& node : nodes.nodes) builder.blockdev(node);
}

bool needs_smm(const Builder& builder) {
    const auto& loader = builder.domain.os.loader;
    return loader && loader->secure && *loader->secure;
}

} // namespace

void add_firmware_nodes(Builder& builder) {
    if (const auto code = code_source(builder))
        add_nodes(builder, named_nodes(*code, "libvirt-pflash0", StorageFormat::raw, code_is_readonly(builder), builder.ctx));
    if (const auto variables = variables_source(builder))
        add_nodes(builder, named_nodes(*variables, "libvirt-pflash1", StorageFormat::raw, false, builder.ctx));
}

void add_pflash(Builder& builder, std::string& words) {
    if (code_source(builder)) words += ",pflash0=libvirt-pflash0-format";
    if (code_source(builder) && variables_source(builder)) words += ",pflash1=libvirt-pflash1-format";
}

bool firmware_needs_smm(const Builder& builder) { return needs_smm(builder); }

void add_firmware(Builder& builder) {
    const auto& loader = builder.domain.os.loader;
    if (loader && !is_flash(*loader) && !loader->path.empty()) builder.option("-bios", loader->path);
    if (needs_smm(builder)) builder.option("-global", "driver=cfi.pflash01,property=secure,value=on");
}

} // namespace lodge::drivers::qemu
