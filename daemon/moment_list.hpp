// Which moments a list call means: the flags of snapshots and checkpoints count differently but say the same.
#pragma once
#include "daemon/lookup.hpp"
#include <algorithm>

namespace lodge::daemon {

struct MomentWish {
    bool deep = false; // whole subtrees; else children alone (of no moment: roots)
    bool leaves = true, no_leaves = true;
    bool none = false;
};

template<class Document> std::vector<typename MomentTree<Document>::Pointer>
select(const MomentTree<Document>& tree, const std::string& from, const MomentWish& wish) {
    std::vector<typename MomentTree<Document>::Pointer> out;
    if (wish.none) return out;
    out = wish.deep ? tree.descendants(from) : tree.children(from);
    if (!wish.leaves || !wish.no_leaves)
        std::erase_if(out, [&](const auto& moment) { return tree.has_children(moment->name) ? !wish.no_leaves : !wish.leaves; });
    return out;
}

// Both bits of a group, or none of it: no filter.
inline bool asks_only(unsigned flags, unsigned bit, unsigned group) { return (flags & group) == bit; }

} // namespace lodge::daemon
