// A row of the call table. Number, types, bounds and access rules come from the protocol's description; a row only joins a
// procedure with its handler. An absent row answers "not supported" by itself.
//
//     Nothing set_autostart(Client&, const remote::DomainSetAutostartArgs&);             answers at once
//     Task<> create(ClientPtr, remote::DomainCreateArgs);                                 may wait
//     on<remote::DomainCreateCall, create>()
#pragma once
#include "daemon/client.hpp"
#include <span>

namespace lodge::daemon {

// A call as it came in; handlers that need more than arguments (descriptors, streams) take it.
struct Call {
    Client& client;
    const rpc::Header& header;
    const rpc::Procedure& procedure;
    std::string_view payload;
    std::vector<Fd>& fds;
};

struct Method {
    std::uint32_t program;
    std::uint32_t number;
    void (*invoke)(Call& call);
};

void check_flags(const Call& call, std::uint32_t flags);

template<class Args> Args decode_args(const Call& call) {
    rpc::Decoder io(call.payload);
    Args args{};
    io(args);
    if constexpr (requires { args.flags; }) check_flags(call, static_cast<std::uint32_t>(args.flags));
    return args;
}

template<class P, auto handler> void invoke(Call& call) {
    using Args = typename P::Args;
    auto args = decode_args<Args>(call);
    if constexpr (std::is_invocable_v<decltype(handler), Client&, const Args&>) {
        // A plain function: the reply is encoded straight into the client's output.
        using Ret = std::invoke_result_t<decltype(handler), Client&, const Args&>;
        if constexpr (std::is_void_v<Ret>) {
            handler(call.client, args);
            call.client.reply(call.header, rpc::Nothing{});
        } else {
            call.client.reply(call.header, handler(call.client, args));
        }
    } else if constexpr (std::is_invocable_v<decltype(handler), Call&, Args>) {
        handler(call, std::move(args)); // replies by itself
    } else {
        call.client.run(call.header, call.procedure.name, handler(call.client.shared_from_this(), std::move(args)));
    }
}

template<class P, auto handler> constexpr Method on() { return {P::program, P::number, invoke<P, handler>}; }

using MethodTable = std::span<const Method>;

} // namespace lodge::daemon

#include "daemon/method_tables.hpp" // generated: what each file of methods/ offers

namespace lodge::daemon {

// Finds the row, checks access, calls the handler, and turns whatever goes wrong into the reply. The only catch-all.
void dispatch(Client& client, const rpc::Header& header, std::string_view payload, std::vector<Fd> fds);
// Every procedure of the protocol and whether it is served: `lodged --procedures`.
std::string list_procedures();

} // namespace lodge::daemon
