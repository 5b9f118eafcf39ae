// Bitmaps of changes in a chain of images: each layer has its own part of the record, under the name of its checkpoint. What has
// changed since a checkpoint is the union of the layers' bitmaps of that name. Pure: from what QEMU knows to what QEMU is to do.
#pragma once
#include "xml/domain/disk.hpp"
#include <map>
#include <nlohmann/json.hpp>

namespace lodge::drivers::qemu {

using nlohmann::json;

struct NodeBitmap {
    std::string name;
    bool persistent = false, recording = false, inconsistent = false;
    std::uint64_t granularity = 0, count = 0;
    // Takes part in a checkpoint.
    bool is_sound() const { return persistent && recording && !inconsistent; }
};
using NodeBitmaps = std::map<std::string, std::vector<NodeBitmap>>; // by node
// From the answer to query-named-block-nodes.
NodeBitmaps bitmaps_in(const json& named_nodes);
const NodeBitmap* find_bitmap(const NodeBitmaps& all, const std::string& node, const std::string& name);

// Writes of the guest between the end of a copy or commit and the moment when its bitmaps are merged.
inline constexpr const char* write_bitmap = "libvirt-tmp-activewrite";

// Actions of a transaction.
json add_bitmap(const std::string& node, const std::string& name, std::uint64_t granularity, bool persistent, bool recording);
json remove_bitmap(const std::string& node, const std::string& name);

// `chain`: nodes from the top down. It is a record without gaps that begins at the top.
bool is_sound_chain(const NodeBitmaps& all, const std::vector<std::string>& chain, const std::string& name);

struct Merge {
    std::vector<std::string> chain; // from the top down: the layers whose records become one
    std::string base;               // the layer below them that is not merged; empty: all are
    std::string target;             // node that gets the result
    std::string only;               // name of the one bitmap; empty: all of the top layer's
    std::string result;             // its new name, for a temporary one that records nothing; empty: as it is called
    std::string writes;             // node whose write_bitmap belongs to each
};
// Actions; an empty list when there is nothing to merge.
json merge_actions(const NodeBitmaps& all, const Merge& merge);

} // namespace lodge::drivers::qemu
