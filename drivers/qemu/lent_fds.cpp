#include "drivers/qemu/lent_fds.hpp"

namespace lodge::drivers::qemu {

void lend_fds(const xml::Disk& disk, const FdGroups& groups, BuildContext& context) {
    const auto lend = [&](const xml::StorageSource& source) {
        const auto& name = source.fd_group;
        if (name.empty()) return;
        const auto group = groups.find(name);
        if (group == groups.end())
            rpc::fail(Code::invalid_arg, "file descriptor group '{}' was not associated with the domain", name);
        LentFds lent;
        for (const auto& fd : group->second->fds) lent.fds.push_back(fd.get());
        lent.writable = group->second->writable;
        context.lent[name] = std::move(lent);
    };
    lend(disk.source);
    for (const auto* link : xml::links_below(disk)) lend(link->source);
}

} // namespace lodge::drivers::qemu
