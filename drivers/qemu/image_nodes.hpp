// Images of a running guest's disks as QEMU's block nodes: their names, making new images, and bringing nodes in and out one
// image at a time. Used by snapshots, block jobs and backups.
#pragma once
#include "drivers/qemu/plug.hpp"
#include "drivers/qemu/security.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

class QemuMachine;

// The node that understands an image's format; what may lie on top of it (copy-on-read) keeps no data.
std::string format_node(const xml::StorageSource& source);
std::string storage_node(const xml::StorageSource& source);
// The nodes of a disk's images from the top down.
std::vector<std::string> format_nodes(const xml::Disk& disk);
// The node that the guest's device stands on.
std::string device_node(const xml::Disk& disk);

// With a medium in it. Null: there is none.
xml::Disk* find_disk(xml::Domain& domain, const std::string& target);

// A disk made of `link`, with the settings (cache, discard, …) of `like`.
xml::Disk disk_of_link(const xml::Disk& like, xml::BackingStore link);
// Of block_nodes(): what belongs to the disk's own image, not to those below.
BlockNodes top_nodes(const xml::Disk& disk, const BuildContext& context);
BlockNodes nodes_below(const xml::Disk& disk, const BuildContext& context);
// The commands that take these links away, the first of which stands on the others.
std::vector<std::pair<std::string, json>> removal_of(const std::vector<xml::BackingStore>& links);

// Virtual size of a node, in bytes. `named_nodes`: the answer to query-named-block-nodes. Throws when there is no such node.
std::uint64_t node_size(const json& named_nodes, const std::string& node);

// Makes the file that QEMU is going to write, or sees to it that it is there, and gives it to QEMU's user. Returns whether it was
// made. For the worker pool.
bool make_image_file(const std::string& path, bool reuse, const std::optional<Identity>& identity);

// A new image on its storage node, which is added; the format node is not.
struct NewImage {
    xml::Disk disk;                           // what it becomes the top of
    std::uint64_t size = 0;                   // of the disk in it
    const xml::BackingStore* below = nullptr; // what its header names; null: nothing
};
Task<> create_image(std::shared_ptr<QemuMachine> machine, std::shared_ptr<PlugSteps> steps, NewImage image, BuildContext context);

} // namespace lodge::drivers::qemu
