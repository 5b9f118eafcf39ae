#include "drivers/qemu/bitmaps.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

NodeBitmaps bitmaps_in(const json& named_nodes) {
    NodeBitmaps all;
    for (const auto& node : named_nodes) {
        const auto bitmaps = node.find("dirty-bitmaps");
        if (bitmaps == node.end()) continue;
        for (const auto& one : *bitmaps)
            all[node.value("node-name", "")].push_back({one.value("name", ""), one.value("persistent", false),
                                                        one.value("recording", false), one.value("inconsistent", false),
                                                        one.value("granularity", std::uint64_t{0}),
                                                        one.value("count", std::uint64_t{0})});
    }
    return all;
}

const NodeBitmap* find_bitmap(const NodeBitmaps& all, const std::string& node, const std::string& name) {
    const auto bitmaps = all.find(node);
    if (bitmaps == all.end()) return nullptr;
    const auto found = std::ranges::find(bitmaps->second, name, &NodeBitmap::name);
    return found == bitmaps->second.end() ? nullptr : &*found;
}

json add_bitmap(const std::string& node, const std::string& name, std::uint64_t granularity, bool persistent, bool recording) {
    json data = {{"node", node}, {"name", name}, {"persistent", persistent}, {"disabled", !recording}};
    if (granularity) data["granularity"] = granularity;
    return {{"type", "block-dirty-bitmap-add"}, {"data", std::move(data)}};
}

json remove_bitmap(const std::string& node, const std::string& name) {
    return {{"type", "block-dirty-bitmap-remove"}, {"data", {{"node", node}, {"name", name}}}};
}

bool is_sound_chain(const NodeBitmaps& all, const std::vector<std::string>& chain, const std::string& name) {
    bool ended = false;
    for (std::size_t i = 0; i < chain.size(); ++i) {
        const auto* bitmap = find_bitmap(all, chain[i], name);
        if (!bitmap && i == 0) return false;
        if (bitmap && (ended || !bitmap->is_sound())) return false;
        ended = ended || !bitmap;
    }
    return !chain.empty();
}

namespace {

std::vector<std::string> names_to_merge(const NodeBitmaps& all, const Merge& merge) {
    std::vector<std::string> names;
    const auto top = merge.chain.empty() ? all.end() : all.find(merge.chain.front());
    if (top == all.end()) return names;
    for (const auto& bitmap : top->second)
        if ((merge.only.empty() || merge.only == bitmap.name) && is_sound_chain(all, merge.chain, bitmap.name))
            names.push_back(bitmap.name);
    return names;
}

} // namespace

json merge_actions(const NodeBitmaps& all, const Merge& merge) {
    json actions = json::array();
    for (const auto& name : names_to_merge(all, merge)) {
        json sources = json::array();
        std::uint64_t granularity = 0;
        for (const auto& node : merge.chain) {
            if (node == merge.base) break;
            const auto* bitmap = find_bitmap(all, node, name);
            if (!bitmap) continue;
            if (!granularity) granularity = bitmap->granularity;
            sources.push_back({{"node", node}, {"name", name}});
        }
        const bool temporary = !merge.result.empty();
        const std::string& result = temporary ? merge.result : name;
        if (temporary || !find_bitmap(all, merge.target, name))
            actions.push_back(add_bitmap(merge.target, result, granularity, !temporary, !temporary));
        if (!merge.writes.empty()) sources.push_back({{"node", merge.writes}, {"name", write_bitmap}});
        actions.push_back({{"type", "block-dirty-bitmap-merge"},
                           {"data", {{"node", merge.target}, {"target", result}, {"bitmaps", std::move(sources)}}}});
    }
    if (!merge.writes.empty()) actions.push_back(remove_bitmap(merge.writes, write_bitmap));
    return actions;
}

} // namespace lodge::drivers::qemu
