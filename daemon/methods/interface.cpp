// The host's own interfaces: the calls of virsh iface-*.
#include "daemon/host.hpp"
#include "daemon/job_queue.hpp"
#include "daemon/method.hpp"
#include "daemon/schema.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using drivers::InterfaceInfo;
using rpc::Nothing;

drivers::InterfaceDriver& interfaces(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "interfaces of the test driver");
    return client.host().interfaces();
}

// The host has one network configuration: whatever changes it stands in one queue.
JobQueue& changes() {
    static JobQueue queue;
    return queue;
}
Task<JobQueue::Job> acquire(std::string api_name) { return changes().acquire(nullptr, std::move(api_name)); }

remote::NonnullInterface wire(const InterfaceInfo& info) { return {info.name, info.mac}; }

// ---- lists and look-ups ----

bool wanted(const InterfaceInfo& info, unsigned flags) {
    constexpr unsigned all = api::connect_list_interfaces_active | api::connect_list_interfaces_inactive;
    if ((flags & all) == 0) return true;
    return flags & (info.active ? api::connect_list_interfaces_active : api::connect_list_interfaces_inactive);
}

Task<std::vector<InterfaceInfo>> list(ClientPtr client, unsigned flags) {
    auto found = co_await interfaces(*client).list();
    std::erase_if(found, [&](const InterfaceInfo& info) { return !wanted(info, flags); });
    co_return found;
}

Task<std::vector<std::string>> names(ClientPtr client, unsigned flags, std::int32_t max) {
    if (max < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    std::vector<std::string> found;
    for (const auto& info : co_await list(client, flags))
        if (found.size() < static_cast<std::size_t>(max)) found.push_back(info.name);
    co_return found;
}

Task<std::int32_t> count(ClientPtr client, unsigned flags) {
    const auto found = co_await list(std::move(client), flags);
    co_return static_cast<std::int32_t>(found.size());
}

Task<remote::ConnectNumOfInterfacesRet> num_active(ClientPtr client, Nothing) {
    co_return remote::ConnectNumOfInterfacesRet{co_await count(std::move(client), api::connect_list_interfaces_active)};
}
Task<remote::ConnectNumOfDefinedInterfacesRet> num_inactive(ClientPtr client, Nothing) {
    co_return remote::ConnectNumOfDefinedInterfacesRet{co_await count(std::move(client), api::connect_list_interfaces_inactive)};
}
Task<remote::ConnectListInterfacesRet> list_active(ClientPtr client, remote::ConnectListInterfacesArgs args) {
    co_return remote::ConnectListInterfacesRet{
        co_await names(std::move(client), api::connect_list_interfaces_active, args.maxnames)};
}
Task<remote::ConnectListDefinedInterfacesRet> list_inactive(ClientPtr client, remote::ConnectListDefinedInterfacesArgs args) {
    co_return remote::ConnectListDefinedInterfacesRet{
        co_await names(std::move(client), api::connect_list_interfaces_inactive, args.maxnames)};
}

Task<remote::ConnectListAllInterfacesRet> list_all(ClientPtr client, remote::ConnectListAllInterfacesArgs args) {
    const auto found = co_await list(std::move(client), args.flags);
    remote::ConnectListAllInterfacesRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& info : found) ret.ifaces.push_back(wire(info));
    co_return ret;
}

Task<remote::InterfaceLookupByNameRet> lookup_by_name(ClientPtr client, remote::InterfaceLookupByNameArgs args) {
    const auto info = co_await interfaces(*client).by_name(args.name);
    co_return remote::InterfaceLookupByNameRet{wire(info)};
}
Task<remote::InterfaceLookupByMacStringRet> lookup_by_mac(ClientPtr client, remote::InterfaceLookupByMacStringArgs args) {
    const auto info = co_await interfaces(*client).by_mac(args.mac);
    co_return remote::InterfaceLookupByMacStringRet{wire(info)};
}

Task<remote::InterfaceIsActiveRet> is_active(ClientPtr client, remote::InterfaceIsActiveArgs args) {
    const auto info = co_await interfaces(*client).by_name(args.iface.name);
    co_return remote::InterfaceIsActiveRet{info.active};
}

Task<remote::InterfaceGetXmlDescRet> get_xml_desc(ClientPtr client, remote::InterfaceGetXmlDescArgs args) {
    const bool inactive = args.flags & api::interface_xml_inactive;
    const auto document = co_await interfaces(*client).document(args.iface.name, inactive);
    co_return remote::InterfaceGetXmlDescRet{xml::format_interface(document, {.live = !inactive})};
}

// ---- changes ----

Task<remote::InterfaceDefineXmlRet> define_xml(ClientPtr client, remote::InterfaceDefineXmlArgs args) {
    co_await validate_if(args.flags & api::interface_define_validate, args.xml, "interface.rng");
    auto document = xml::parse_interface(args.xml, {.from = From::interface, .where = {}});
    auto job = co_await acquire("virInterfaceDefineXML");
    const auto info = co_await interfaces(*client).define(std::move(document));
    co_return remote::InterfaceDefineXmlRet{wire(info)};
}
Task<> undefine(ClientPtr client, remote::InterfaceUndefineArgs args) {
    auto job = co_await acquire("virInterfaceUndefine");
    co_await interfaces(*client).undefine(args.iface.name);
}
Task<> create(ClientPtr client, remote::InterfaceCreateArgs args) {
    auto job = co_await acquire("virInterfaceCreate");
    co_await interfaces(*client).create(args.iface.name);
}
Task<> destroy(ClientPtr client, remote::InterfaceDestroyArgs args) {
    auto job = co_await acquire("virInterfaceDestroy");
    co_await interfaces(*client).destroy(args.iface.name);
}

Task<> change_begin(ClientPtr client, remote::InterfaceChangeBeginArgs) {
    auto job = co_await acquire("virInterfaceChangeBegin");
    co_await interfaces(*client).change_begin();
}
Task<> change_commit(ClientPtr client, remote::InterfaceChangeCommitArgs) {
    auto job = co_await acquire("virInterfaceChangeCommit");
    co_await interfaces(*client).change_commit();
}
Task<> change_rollback(ClientPtr client, remote::InterfaceChangeRollbackArgs) {
    auto job = co_await acquire("virInterfaceChangeRollback");
    co_await interfaces(*client).change_rollback();
}

constexpr Method table[] = {
    on<remote::ConnectNumOfInterfacesCall, num_active>(),
    on<remote::ConnectNumOfDefinedInterfacesCall, num_inactive>(),
    on<remote::ConnectListInterfacesCall, list_active>(),
    on<remote::ConnectListDefinedInterfacesCall, list_inactive>(),
    on<remote::ConnectListAllInterfacesCall, list_all>(),
    on<remote::InterfaceLookupByNameCall, lookup_by_name>(),
    on<remote::InterfaceLookupByMacStringCall, lookup_by_mac>(),
    on<remote::InterfaceIsActiveCall, is_active>(),
    on<remote::InterfaceGetXmlDescCall, get_xml_desc>(),
    on<remote::InterfaceDefineXmlCall, define_xml>(),
    on<remote::InterfaceUndefineCall, undefine>(),
    on<remote::InterfaceCreateCall, create>(),
    on<remote::InterfaceDestroyCall, destroy>(),
    on<remote::InterfaceChangeBeginCall, change_begin>(),
    on<remote::InterfaceChangeCommitCall, change_commit>(),
    on<remote::InterfaceChangeRollbackCall, change_rollback>(),
};

} // namespace

const MethodTable methods::interface = table;

} // namespace lodge::daemon
