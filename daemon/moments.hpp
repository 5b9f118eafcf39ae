// The snapshots or checkpoints of one domain: a tree, since each names the one before it. One mechanism for both kinds: the tree
// itself, its files in LIB/qemu/snapshot/DOMAIN and LIB/qemu/checkpoint/DOMAIN, and the rules of deleting from it.
#pragma once
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <map>
#include <memory>
#include <vector>

namespace lodge::xml {
struct Checkpoint;
struct Snapshot;
} // namespace lodge::xml

namespace lodge::daemon {

using rpc::Code;
using rpc::From;
using rpc::Task;
class Domain;
class Hypervisor;
using DomainPtr = std::shared_ptr<Domain>;

template<class Document> class MomentTree {
  public:
    using Pointer = std::shared_ptr<const Document>;

    Pointer find(const std::string& name) const;
    Pointer get(const std::string& name) const; // throws Code::no_domain_snapshot, Code::no_domain_checkpoint
    const std::map<std::string, Pointer>& all() const { return moments_; }
    // Name of the one that the domain's state grew out of; empty: none.
    const std::string& current() const { return current_; }
    void set_current(std::string name) { current_ = std::move(name); }

    void put(Pointer moment); // adds it, or takes the place of the one of that name
    void remove(const std::string& name);
    // Of `name`, or of none: the roots.
    std::vector<Pointer> children(const std::string& name) const;
    // Parents before their children; of no name: all there are.
    std::vector<Pointer> descendants(const std::string& name) const;
    bool has_children(const std::string& name) const;
    // Refuses a parent that does not exist or that descends from `moment` itself.
    void check_parent(const Document& moment) const;
    // The last of a tree that never branches; else null.
    Pointer only_leaf() const;
    // After loading: whoever names a parent that is not there, or its own descendant, becomes a root.
    void mend(const std::string& domain);

  private:
    std::map<std::string, Pointer> moments_;
    std::string current_;
};
using SnapshotTree = MomentTree<xml::Snapshot>;
using CheckpointTree = MomentTree<xml::Checkpoint>;

template<> SnapshotTree::Pointer SnapshotTree::get(const std::string& name) const;
template<> CheckpointTree::Pointer CheckpointTree::get(const std::string& name) const;

// The domain's tree of that kind.
template<class Document> MomentTree<Document>& moments_of(Domain& domain);
template<> SnapshotTree& moments_of<xml::Snapshot>(Domain& domain);
template<> CheckpointTree& moments_of<xml::Checkpoint>(Domain& domain);

// Writes the moment's file and takes it into the tree; `current`: it becomes the current one, of which the file speaks too.
template<class Document> Task<> keep_moment(DomainPtr domain, std::shared_ptr<const Document> moment, bool current);
// The current one is `name` from now on; files follow.
template<class Document> Task<> make_current(DomainPtr domain, std::string name);
// Removes the moment and its file. Its children, if any are left, become its parent's, and so does being current.
template<class Document> Task<> forget_moment(DomainPtr domain, std::string name);

// All moments of all domains, for start-up. Files that cannot be read are reported and left alone.
void load_moments(Hypervisor& hypervisor);
// Of a domain that is no more, or that took a new name; blocking, but only directory work.
void remove_moment_files(Domain& domain);
void rename_moment_files(Hypervisor& hypervisor, const std::string& from, const std::string& to);

} // namespace lodge::daemon
