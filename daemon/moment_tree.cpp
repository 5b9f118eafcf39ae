#include "daemon/moments.hpp"
#include "rpc/log.hpp"
#include "xml/checkpoint.hpp"
#include "xml/snapshot.hpp"
#include <algorithm>
#include <set>

namespace lodge::daemon {

using rpc::fail;

template<class Document> typename MomentTree<Document>::Pointer MomentTree<Document>::find(const std::string& name) const {
    const auto at = moments_.find(name);
    return at == moments_.end() ? nullptr : at->second;
}

template<> SnapshotTree::Pointer SnapshotTree::get(const std::string& name) const {
    auto snapshot = find(name);
    if (!snapshot) fail(Code::no_domain_snapshot, "no domain snapshot with matching name '{}'", name);
    return snapshot;
}

template<> CheckpointTree::Pointer CheckpointTree::get(const std::string& name) const {
    auto checkpoint = find(name);
    if (!checkpoint) fail(Code::no_domain_checkpoint, "no domain checkpoint with matching name '{}'", name);
    return checkpoint;
}

template<class Document> void MomentTree<Document>::put(Pointer moment) {
    const std::string name = moment->name;
    moments_[name] = std::move(moment);
}

template<class Document> void MomentTree<Document>::remove(const std::string& name) {
    if (current_ == name) current_.clear();
    moments_.erase(name);
}

template<class Document>
std::vector<typename MomentTree<Document>::Pointer> MomentTree<Document>::children(const std::string& name) const {
    std::vector<Pointer> out;
    for (const auto& [own, moment] : moments_)
        if (moment->parent == name) out.push_back(moment);
    return out;
}

template<class Document>
std::vector<typename MomentTree<Document>::Pointer> MomentTree<Document>::descendants(const std::string& name) const {
    std::multimap<std::string, Pointer> by_parent;
    for (const auto& [own, moment] : moments_) by_parent.emplace(moment->parent, moment);
    std::vector<Pointer> out;
    const auto add_children = [&](const std::string& parent) {
        const auto [first, last] = by_parent.equal_range(parent);
        for (auto child = first; child != last; ++child) out.push_back(child->second);
    };
    add_children(name);
    for (std::size_t i = 0; i < out.size(); ++i) add_children(out[i]->name);
    return out;
}

template<class Document> bool MomentTree<Document>::has_children(const std::string& name) const {
    return std::ranges::any_of(moments_, [&](const auto& entry) { return entry.second->parent == name; });
}

template<class Document> void MomentTree<Document>::check_parent(const Document& moment) const {
    if (moment.parent.empty()) return;
    if (moment.parent == moment.name)
        fail(From::domain, Code::invalid_arg, "cannot set moment {} as its own parent", moment.name);
    auto other = find(moment.parent);
    if (!other) fail(From::domain, Code::invalid_arg, "parent {} for moment {} not found", moment.parent, moment.name);
    for (; other && !other->parent.empty(); other = find(other->parent))
        if (other->parent == moment.name)
            fail(From::domain, Code::invalid_arg, "parent {} would create cycle to {}", other->name, moment.name);
}

template<class Document> typename MomentTree<Document>::Pointer MomentTree<Document>::only_leaf() const {
    Pointer leaf;
    for (const auto& [name, moment] : moments_) {
        if (has_children(name)) continue;
        if (leaf) return nullptr;
        leaf = moment;
    }
    return leaf && children("").size() == 1 ? leaf : nullptr;
}

template<class Document> void MomentTree<Document>::mend(const std::string& domain) {
    std::set<std::string> reached;
    for (const auto& moment : descendants("")) reached.insert(moment->name);
    bool broken = false;
    for (auto& [name, moment] : moments_) {
        if (reached.contains(name)) continue;
        const bool lost = !moments_.contains(moment->parent);
        if (!lost && reached.contains(moment->parent)) continue;
        log::warn("{}: moment {} {} {}", domain, name, lost ? "lacks parent" : "is in a circle with", moment->parent);
        auto root = std::make_shared<Document>(*moment);
        root->parent.clear();
        moment = std::move(root);
        broken = true;
        for (const auto& below : descendants(name)) reached.insert(below->name);
        reached.insert(name);
    }
    if (broken) current_.clear();
}

template class MomentTree<xml::Snapshot>;
template class MomentTree<xml::Checkpoint>;

} // namespace lodge::daemon
