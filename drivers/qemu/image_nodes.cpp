#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/machine.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

std::string format_node(const xml::StorageSource& source) { return fmt::format("libvirt-{}-format", source.index.value_or(0)); }
std::string storage_node(const xml::StorageSource& source) { return fmt::format("libvirt-{}-storage", source.index.value_or(0)); }

std::vector<std::string> format_nodes(const xml::Disk& disk) {
    std::vector<std::string> nodes{format_node(disk.source)};
    for (const auto* link : xml::links_below(disk)) nodes.push_back(format_node(link->source));
    return nodes;
}

std::string device_node(const xml::Disk& disk) {
    const bool copies = disk.driver.copy_on_read && *disk.driver.copy_on_read;
    return copies ? "libvirt-CoR-" + disk.target.dev : format_node(disk.source);
}

xml::Disk* find_disk(xml::Domain& domain, const std::string& target) {
    for (auto& disk : domain.devices.disks)
        if (disk.target.dev == target && !disk.source.empty()) return &disk;
    return nullptr;
}

xml::Disk disk_of_link(const xml::Disk& like, xml::BackingStore link) {
    xml::Disk disk = like;
    disk.driver.copy_on_read.reset();
    disk.mirror.reset();
    set_top_link(disk, std::move(link));
    return disk;
}

namespace {

// Whether a node or secret belongs to the image of that number.
bool is_of(const Json& object, const char* key, const xml::StorageSource& source) {
    return object.at(key).get<std::string>().contains(fmt::format("libvirt-{}-", source.index.value_or(0)));
}

BlockNodes part(const xml::Disk& disk, const BuildContext& context, bool top) {
    BlockNodes all = block_nodes(disk, context);
    std::erase_if(all.objects, [&](const Json& object) { return is_of(object, "id", disk.source) != top; });
    std::erase_if(all.nodes, [&](const Json& node) { return is_of(node, "node-name", disk.source) != top; });
    return all;
}

} // namespace

BlockNodes top_nodes(const xml::Disk& disk, const BuildContext& context) { return part(disk, context, true); }
BlockNodes nodes_below(const xml::Disk& disk, const BuildContext& context) { return part(disk, context, false); }

std::vector<std::pair<std::string, json>> removal_of(const std::vector<xml::BackingStore>& links) {
    std::vector<std::pair<std::string, json>> orders;
    for (auto link : links) {
        link.backing.reset();
        for (auto& order : removal_of(disk_of_link(xml::Disk(), std::move(link)))) orders.push_back(std::move(order));
    }
    return orders;
}

std::uint64_t node_size(const json& named_nodes, const std::string& name) {
    for (const auto& node : named_nodes)
        if (node.value("node-name", "") == name) return node.at("image").value("virtual-size", std::uint64_t{0});
    rpc::fail(Code::operation_failed, "cannot find the block node '{}'", name);
}

bool make_image_file(const std::string& path, bool reuse, const std::optional<Identity>& identity) {
    const bool existed = ::access(path.c_str(), F_OK) == 0;
    const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | (reuse || existed ? 0 : O_CREAT | O_EXCL), 0600));
    if (!file) rpc::fail_errno(errno, fmt::format("failed to create image file '{}'", path));
    if (identity && ::fchown(file.get(), identity->uid, identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("unable to set user and group of '{}'", path));
    return !existed;
}

Task<> create_image(std::shared_ptr<QemuMachine> machine, std::shared_ptr<PlugSteps> steps, NewImage image,
                    BuildContext context) {
    const auto nodes = top_nodes(image.disk, context);
    const std::string storage = storage_node(image.disk.source);
    if (!nodes.objects.empty())
        rpc::fail(Code::config_unsupported, "cannot create the image '{}', which needs a secret; make it and ask to reuse it",
                  image.disk.source.path);
    for (const auto& node : nodes.nodes)
        if (node.at("node-name") == storage)
            co_await steps->step("blockdev-add", json(node), "blockdev-del", {{"node-name", storage}});
    const auto format = image.disk.driver.type.value_or(xml::StorageFormat::raw);
    if (format == xml::StorageFormat::raw) {
        if (reached_as(image.disk.source) == xml::SourceType::file)
            co_await steps->ask("block_resize", {{"node-name", storage}, {"size", image.size}});
        co_return;
    }
    json options = {{"driver", xml::word(format)}, {"file", storage}, {"size", image.size}};
    if (image.below) {
        options["backing-file"] = image.below->source.path;
        options["backing-fmt"] = xml::word(image.below->format);
    }
    co_await machine->state_keeper().run_job("blockdev-create", {{"options", std::move(options)}}, "create-" + storage);
}

} // namespace lodge::drivers::qemu
