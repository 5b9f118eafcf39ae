// Calls with a VALIDATE flag check their document against libvirt's schema first, on the worker pool:
//     co_await validate_if(args.flags & api::network_define_validate, args.xml, "network.rng");
#pragma once
#include "rpc/task.hpp"
#include "xml/schema.hpp"

namespace lodge::daemon {

inline rpc::Task<> validate_if(bool wanted, std::string text, const char* schema) {
    if (wanted) co_await rpc::blocking([&text, schema] { xml::validate_schema(text, schema); });
}

} // namespace lodge::daemon
