// Calls about checkpoints: looking at the tree, making, deleting.
#include "xml/checkpoint.hpp"
#include "daemon/checkpoints.hpp"
#include "daemon/moment_list.hpp"

namespace lodge::daemon {

namespace {

remote::NonnullDomainCheckpoint wire(const std::string& name, const Domain& domain) { return {name, domain.wire()}; }

template<class Ret> Ret list(const Domain& domain, const std::string& from, unsigned flags, bool results) {
    constexpr unsigned leaves = api::domain_checkpoint_list_leaves, no_leaves = api::domain_checkpoint_list_no_leaves;
    MomentWish wish;
    // One bit means the opposite with and without a moment to begin at.
    const bool bit = flags & api::domain_checkpoint_list_descendants;
    wish.deep = from.empty() ? !bit : bit;
    wish.leaves = !asks_only(flags, no_leaves, leaves | no_leaves);
    wish.no_leaves = !asks_only(flags, leaves, leaves | no_leaves);
    Ret ret;
    const auto found = select(domain.checkpoints, from, wish);
    ret.ret = static_cast<std::int32_t>(found.size());
    if (results)
        for (const auto& checkpoint : found) ret.checkpoints.push_back(wire(checkpoint->name, domain));
    return ret;
}

remote::DomainListAllCheckpointsRet list_all(Client& client, const remote::DomainListAllCheckpointsArgs& args) {
    return list<remote::DomainListAllCheckpointsRet>(*find_domain(client, args.dom), "", args.flags, args.need_results);
}
remote::DomainCheckpointListAllChildrenRet list_all_children(Client& client,
                                                             const remote::DomainCheckpointListAllChildrenArgs& args) {
    auto domain = find_domain(client, args.checkpoint.dom);
    domain->checkpoints.get(args.checkpoint.name);
    return list<remote::DomainCheckpointListAllChildrenRet>(*domain, args.checkpoint.name, args.flags, args.need_results);
}
remote::DomainCheckpointLookupByNameRet look_up(Client& client, const remote::DomainCheckpointLookupByNameArgs& args) {
    auto domain = find_domain(client, args.dom);
    return {wire(domain->checkpoints.get(args.name)->name, *domain)};
}
remote::DomainCheckpointGetParentRet parent(Client& client, const remote::DomainCheckpointGetParentArgs& args) {
    auto domain = find_domain(client, args.checkpoint.dom);
    const auto& name = domain->checkpoints.get(args.checkpoint.name)->parent;
    if (name.empty()) rpc::fail(Code::no_domain_checkpoint, "checkpoint '{}' does not have a parent", args.checkpoint.name);
    return {wire(name, *domain)};
}
Task<remote::DomainCheckpointGetXmlDescRet> get_xml(ClientPtr client, remote::DomainCheckpointGetXmlDescArgs args) {
    auto domain = find_domain(*client, args.checkpoint.dom);
    co_return remote::DomainCheckpointGetXmlDescRet{co_await checkpoint_document(domain, args.checkpoint.name, args.flags)};
}
Task<remote::DomainCheckpointCreateXmlRet> create(ClientPtr client, remote::DomainCheckpointCreateXmlArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainCheckpointCreateXML");
    const auto name = co_await create_checkpoint(domain, std::move(args.xml_desc), args.flags);
    co_return remote::DomainCheckpointCreateXmlRet{wire(name, *domain)};
}
Task<> remove(ClientPtr client, remote::DomainCheckpointDeleteArgs args) {
    auto domain = find_domain(*client, args.checkpoint.dom);
    auto job = co_await domain->acquire("virDomainCheckpointDelete");
    co_await delete_checkpoint(domain, args.checkpoint.name, args.flags);
}

constexpr Method table[] = {
    on<remote::DomainListAllCheckpointsCall, list_all>(),    on<remote::DomainCheckpointListAllChildrenCall, list_all_children>(),
    on<remote::DomainCheckpointLookupByNameCall, look_up>(), on<remote::DomainCheckpointGetParentCall, parent>(),
    on<remote::DomainCheckpointGetXmlDescCall, get_xml>(),   on<remote::DomainCheckpointCreateXmlCall, create>(),
    on<remote::DomainCheckpointDeleteCall, remove>(),
};

} // namespace

const MethodTable methods::checkpoint = table;

} // namespace lodge::daemon
