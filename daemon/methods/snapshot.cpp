// Calls about snapshots: looking at the tree, making, going back, deleting.
#include "xml/snapshot.hpp"
#include "daemon/moment_list.hpp"
#include "daemon/snapshots.hpp"

namespace lodge::daemon {

namespace {

using xml::SnapshotState;
using SnapshotPtr = SnapshotTree::Pointer;

remote::NonnullDomainSnapshot wire(const std::string& name, const Domain& domain) { return {name, domain.wire()}; }

// ---- lists ----

bool matches_state(const xml::Snapshot& snapshot, unsigned flags) {
    constexpr unsigned inactive = api::domain_snapshot_list_inactive, active = api::domain_snapshot_list_active,
                       disk_only = api::domain_snapshot_list_disk_only;
    const unsigned wanted = flags & (inactive | active | disk_only);
    if (wanted == 0) return true;
    if (snapshot.state == SnapshotState::shutoff) return wanted & inactive;
    if (snapshot.state == SnapshotState::disk_snapshot) return wanted & disk_only;
    return wanted & active;
}

bool matches_place(const xml::Snapshot& snapshot, unsigned flags) {
    constexpr unsigned internal = api::domain_snapshot_list_internal, external = api::domain_snapshot_list_external;
    const unsigned wanted = flags & (internal | external);
    return wanted == 0 || (wanted & (snapshot.is_external() ? external : internal)) != 0;
}

std::vector<SnapshotPtr> select_snapshots(const Domain& domain, const std::string& from, unsigned flags) {
    constexpr unsigned leaves = api::domain_snapshot_list_leaves, no_leaves = api::domain_snapshot_list_no_leaves,
                       metadata = api::domain_snapshot_list_metadata, no_metadata = api::domain_snapshot_list_no_metadata;
    MomentWish wish;
    // One bit means the opposite with and without a moment to begin at.
    const bool bit = flags & api::domain_snapshot_list_descendants;
    wish.deep = from.empty() ? !bit : bit;
    wish.leaves = !asks_only(flags, no_leaves, leaves | no_leaves);
    wish.no_leaves = !asks_only(flags, leaves, leaves | no_leaves);
    wish.none = asks_only(flags, no_metadata, metadata | no_metadata); // all that are known have it
    auto found = select(domain.snapshots, from, wish);
    std::erase_if(found, [&](const auto& s) { return !matches_state(*s, flags) || !matches_place(*s, flags); });
    return found;
}

std::vector<std::string> names(const std::vector<SnapshotPtr>& snapshots, int limit) {
    std::vector<std::string> out;
    for (const auto& snapshot : snapshots)
        if (static_cast<int>(out.size()) < limit) out.push_back(snapshot->name);
    return out;
}

template<class Ret> Ret list(const Domain& domain, const std::string& from, unsigned flags, bool results) {
    Ret ret;
    const auto found = select_snapshots(domain, from, flags);
    ret.ret = static_cast<std::int32_t>(found.size());
    if (results)
        for (const auto& snapshot : found) ret.snapshots.push_back(wire(snapshot->name, domain));
    return ret;
}

// The domain of a snapshot that exists.
DomainPtr find_snapshot(Client& client, const remote::NonnullDomainSnapshot& named) {
    auto domain = find_domain(client, named.dom);
    domain->snapshots.get(named.name);
    return domain;
}

remote::DomainSnapshotNumRet count(Client& client, const remote::DomainSnapshotNumArgs& args) {
    return {static_cast<std::int32_t>(select_snapshots(*find_domain(client, args.dom), "", args.flags).size())};
}
remote::DomainSnapshotNumChildrenRet count_children(Client& client, const remote::DomainSnapshotNumChildrenArgs& args) {
    const auto domain = find_snapshot(client, args.snap);
    return {static_cast<std::int32_t>(select_snapshots(*domain, args.snap.name, args.flags).size())};
}
remote::DomainSnapshotListNamesRet list_names(Client& client, const remote::DomainSnapshotListNamesArgs& args) {
    return {names(select_snapshots(*find_domain(client, args.dom), "", args.flags), args.maxnames)};
}
remote::DomainSnapshotListChildrenNamesRet list_children_names(Client& client,
                                                               const remote::DomainSnapshotListChildrenNamesArgs& args) {
    return {names(select_snapshots(*find_snapshot(client, args.snap), args.snap.name, args.flags), args.maxnames)};
}
remote::DomainListAllSnapshotsRet list_all(Client& client, const remote::DomainListAllSnapshotsArgs& args) {
    return list<remote::DomainListAllSnapshotsRet>(*find_domain(client, args.dom), "", args.flags, args.need_results);
}
remote::DomainSnapshotListAllChildrenRet list_all_children(Client& client,
                                                           const remote::DomainSnapshotListAllChildrenArgs& args) {
    return list<remote::DomainSnapshotListAllChildrenRet>(*find_snapshot(client, args.snapshot), args.snapshot.name, args.flags,
                                                          args.need_results);
}

// ---- one of them ----

remote::DomainSnapshotLookupByNameRet look_up(Client& client, const remote::DomainSnapshotLookupByNameArgs& args) {
    auto domain = find_domain(client, args.dom);
    return {wire(domain->snapshots.get(args.name)->name, *domain)};
}
remote::DomainHasCurrentSnapshotRet has_current(Client& client, const remote::DomainHasCurrentSnapshotArgs& args) {
    return {!find_domain(client, args.dom)->snapshots.current().empty()};
}
remote::DomainSnapshotCurrentRet current(Client& client, const remote::DomainSnapshotCurrentArgs& args) {
    auto domain = find_domain(client, args.dom);
    const auto& name = domain->snapshots.current();
    if (name.empty()) rpc::fail(Code::no_domain_snapshot, "the domain does not have a current snapshot");
    return {wire(name, *domain)};
}
remote::DomainSnapshotGetParentRet parent(Client& client, const remote::DomainSnapshotGetParentArgs& args) {
    auto domain = find_domain(client, args.snap.dom);
    const auto& name = domain->snapshots.get(args.snap.name)->parent;
    if (name.empty()) rpc::fail(Code::no_domain_snapshot, "snapshot '{}' does not have a parent", args.snap.name);
    return {wire(name, *domain)};
}
remote::DomainSnapshotIsCurrentRet is_current(Client& client, const remote::DomainSnapshotIsCurrentArgs& args) {
    return {find_snapshot(client, args.snap)->snapshots.current() == args.snap.name};
}
remote::DomainSnapshotHasMetadataRet has_metadata(Client& client, const remote::DomainSnapshotHasMetadataArgs& args) {
    find_snapshot(client, args.snap);
    return {1};
}
remote::DomainSnapshotGetXmlDescRet get_xml(Client& client, const remote::DomainSnapshotGetXmlDescArgs& args) {
    const auto snapshot = find_domain(client, args.snap.dom)->snapshots.get(args.snap.name);
    const bool secret = args.flags & api::domain_snapshot_xml_secure;
    return {xml::format(*snapshot, xml::snapshot_root, {.live = false, .secret = secret})};
}

// ---- changes ----

Task<remote::DomainSnapshotCreateXmlRet> create(ClientPtr client, remote::DomainSnapshotCreateXmlArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSnapshotCreateXML");
    const auto name = co_await create_snapshot(domain, std::move(args.xml_desc), args.flags);
    co_return remote::DomainSnapshotCreateXmlRet{wire(name, *domain)};
}
Task<> revert(ClientPtr client, remote::DomainRevertToSnapshotArgs args) {
    auto domain = find_domain(*client, args.snap.dom);
    auto job = co_await domain->acquire("virDomainRevertToSnapshot");
    co_await revert_to_snapshot(domain, args.snap.name, args.flags);
}
Task<> remove(ClientPtr client, remote::DomainSnapshotDeleteArgs args) {
    auto domain = find_domain(*client, args.snap.dom);
    auto job = co_await domain->acquire("virDomainSnapshotDelete");
    co_await delete_snapshot(domain, args.snap.name, args.flags);
}

constexpr Method table[] = {
    on<remote::DomainSnapshotNumCall, count>(),
    on<remote::DomainSnapshotNumChildrenCall, count_children>(),
    on<remote::DomainSnapshotListNamesCall, list_names>(),
    on<remote::DomainSnapshotListChildrenNamesCall, list_children_names>(),
    on<remote::DomainListAllSnapshotsCall, list_all>(),
    on<remote::DomainSnapshotListAllChildrenCall, list_all_children>(),
    on<remote::DomainSnapshotLookupByNameCall, look_up>(),
    on<remote::DomainHasCurrentSnapshotCall, has_current>(),
    on<remote::DomainSnapshotCurrentCall, current>(),
    on<remote::DomainSnapshotGetParentCall, parent>(),
    on<remote::DomainSnapshotIsCurrentCall, is_current>(),
    on<remote::DomainSnapshotHasMetadataCall, has_metadata>(),
    on<remote::DomainSnapshotGetXmlDescCall, get_xml>(),
    on<remote::DomainSnapshotCreateXmlCall, create>(),
    on<remote::DomainRevertToSnapshotCall, revert>(),
    on<remote::DomainSnapshotDeleteCall, remove>(),
};

} // namespace

const MethodTable methods::snapshot = table;

} // namespace lodge::daemon
