// Descriptors that a client lends to a domain for its disks. They go when the client does; a guest that was started with them
// keeps its own.
#include "daemon/lookup.hpp"

namespace lodge::daemon {

namespace {

void associate(Call& call, remote::DomainFdAssociateArgs args) {
    auto domain = find_domain(call.client, args.dom);
    if (!call.fds.empty()) {
        auto group = std::make_shared<drivers::FdGroup>();
        group->fds = std::move(call.fds);
        group->writable = (args.flags & api::domain_fd_associate_seclabel_writable) != 0;
        domain->fd_groups[args.name] = group;
        call.client.on_departure([weak = std::weak_ptr(domain), name = args.name, group] {
            const auto lent_to = weak.lock();
            if (!lent_to) return;
            const auto found = lent_to->fd_groups.find(name);
            if (found != lent_to->fd_groups.end() && found->second == group) lent_to->fd_groups.erase(found);
        });
    }
    call.client.reply(call.header, rpc::Nothing{});
}

constexpr Method table[] = {on<remote::DomainFdAssociateCall, associate>()};

} // namespace

const MethodTable methods::domain_fd = table;

} // namespace lodge::daemon
