// Calls that join a client to a guest's display without a port: by a descriptor of the client's, or by one of ours for it.
#include "daemon/lookup.hpp"
#include <sys/socket.h>

namespace lodge::daemon {

namespace {

using rpc::fail;

Task<> hand_over(DomainPtr domain, std::string api_name, unsigned display, Fd connection, unsigned flags) {
    auto job = co_await domain->acquire(std::move(api_name));
    domain->require_active();
    const auto machine = domain->shared_machine();
    co_await machine->open_graphics(display, std::move(connection), flags & api::domain_open_graphics_skipauth);
}

void open_graphics(Call& call, remote::DomainOpenGraphicsArgs args) {
    auto domain = find_domain(call.client, args.dom);
    if (call.fds.empty()) fail(From::rpc, Code::internal_error, "No FD available at slot 0");
    call.client.run(call.header, call.procedure.name,
                    hand_over(domain, "virDomainOpenGraphics", args.idx, std::move(call.fds.front()), args.flags));
}

Task<> serve_open_graphics_fd(ClientPtr client, rpc::Header call, DomainPtr domain, unsigned display, unsigned flags) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) rpc::fail_errno(errno, "unable to create socket pair");
    Fd for_client(ends[0]), for_guest(ends[1]);
    co_await hand_over(domain, "virDomainOpenGraphicsFD", display, std::move(for_guest), flags);
    std::vector<Fd> fds;
    fds.push_back(std::move(for_client));
    client->reply(call, rpc::Nothing{}, std::move(fds));
}

void open_graphics_fd(Call& call, remote::DomainOpenGraphicsFdArgs args) {
    auto domain = find_domain(call.client, args.dom);
    call.client.run_replying(call.header, call.procedure.name,
                             serve_open_graphics_fd(call.client.shared_from_this(), call.header, domain, args.idx, args.flags));
}

constexpr Method table[] = {
    on<remote::DomainOpenGraphicsCall, open_graphics>(),
    on<remote::DomainOpenGraphicsFdCall, open_graphics_fd>(),
};

} // namespace

const MethodTable methods::domain_graphics = table;

} // namespace lodge::daemon
