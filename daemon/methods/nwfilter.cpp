// Network filters and their bindings: the calls of virsh nwfilter-*.
#include "daemon/method.hpp"
#include "daemon/nwfilters.hpp"
#include "daemon/schema.hpp"
#include "rpc/generated/constants.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using rpc::Nothing;

// The filters are the host's; guests that exist only in memory have no host.
NwFilters& nwfilters(Client& client) {
    if (client.uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "network filters of the test driver");
    return client.host().nwfilters();
}

// ---- filters ----

remote::ConnectNumOfNwfiltersRet count(Client& client, const Nothing&) {
    return {static_cast<std::int32_t>(nwfilters(client).filters().size())};
}

remote::ConnectListNwfiltersRet list(Client& client, const remote::ConnectListNwfiltersArgs& args) {
    if (args.maxnames < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    remote::ConnectListNwfiltersRet ret;
    for (const auto& [name, filter] : nwfilters(client).filters())
        if (ret.names.size() < static_cast<std::size_t>(args.maxnames)) ret.names.push_back(name);
    return ret;
}

remote::ConnectListAllNwfiltersRet list_all(Client& client, const remote::ConnectListAllNwfiltersArgs& args) {
    const auto& found = nwfilters(client).filters();
    remote::ConnectListAllNwfiltersRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& [name, filter] : found) ret.filters.push_back(filter->wire());
    return ret;
}

remote::NwfilterLookupByNameRet lookup_by_name(Client& client, const remote::NwfilterLookupByNameArgs& args) {
    return {nwfilters(client).find_name(args.name)->wire()};
}
remote::NwfilterLookupByUuidRet lookup_by_uuid(Client& client, const remote::NwfilterLookupByUuidArgs& args) {
    return {nwfilters(client).find_uuid(args.uuid)->wire()};
}
remote::NwfilterGetXmlDescRet get_xml_desc(Client& client, const remote::NwfilterGetXmlDescArgs& args) {
    return {xml::format_filter(*nwfilters(client).find_uuid(args.nwfilter.uuid)->document)};
}

Task<remote::NwfilterDefineXmlRet> define_xml(ClientPtr client, remote::NwfilterDefineXmlArgs args) {
    const auto filter = co_await nwfilters(*client).define(xml::parse_filter(args.xml));
    co_return remote::NwfilterDefineXmlRet{filter->wire()};
}
Task<remote::NwfilterDefineXmlFlagsRet> define_xml_flags(ClientPtr client, remote::NwfilterDefineXmlFlagsArgs args) {
    co_await validate_if(args.flags & api::nwfilter_define_validate, args.xml, "nwfilter.rng");
    const auto filter = co_await nwfilters(*client).define(xml::parse_filter(args.xml));
    co_return remote::NwfilterDefineXmlFlagsRet{filter->wire()};
}
Task<> undefine(ClientPtr client, remote::NwfilterUndefineArgs args) { co_await nwfilters(*client).undefine(args.nwfilter.uuid); }

// ---- bindings ----

remote::ConnectListAllNwfilterBindingsRet list_all_bindings(Client& client,
                                                            const remote::ConnectListAllNwfilterBindingsArgs& args) {
    const auto& found = nwfilters(client).bindings();
    remote::ConnectListAllNwfilterBindingsRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& [port, binding] : found) ret.bindings.push_back(wire(binding));
    return ret;
}

remote::NwfilterBindingLookupByPortDevRet lookup_binding(Client& client, const remote::NwfilterBindingLookupByPortDevArgs& args) {
    return {wire(nwfilters(client).find_binding(args.name))};
}
remote::NwfilterBindingGetXmlDescRet get_binding_xml(Client& client, const remote::NwfilterBindingGetXmlDescArgs& args) {
    return {xml::format_filter_binding(nwfilters(client).find_binding(args.nwfilter.portdev))};
}

Task<remote::NwfilterBindingCreateXmlRet> create_binding(ClientPtr client, remote::NwfilterBindingCreateXmlArgs args) {
    co_await validate_if(args.flags & api::nwfilter_binding_create_validate, args.xml, "nwfilterbinding.rng");
    auto binding = xml::parse_filter_binding(args.xml);
    const auto ret = wire(binding);
    co_await nwfilters(*client).bind(std::move(binding));
    co_return remote::NwfilterBindingCreateXmlRet{ret};
}
Task<> delete_binding(ClientPtr client, remote::NwfilterBindingDeleteArgs args) {
    co_await nwfilters(*client).unbind(args.nwfilter.portdev);
}

constexpr Method table[] = {
    on<remote::ConnectNumOfNwfiltersCall, count>(),
    on<remote::ConnectListNwfiltersCall, list>(),
    on<remote::ConnectListAllNwfiltersCall, list_all>(),
    on<remote::NwfilterLookupByNameCall, lookup_by_name>(),
    on<remote::NwfilterLookupByUuidCall, lookup_by_uuid>(),
    on<remote::NwfilterGetXmlDescCall, get_xml_desc>(),
    on<remote::NwfilterDefineXmlCall, define_xml>(),
    on<remote::NwfilterDefineXmlFlagsCall, define_xml_flags>(),
    on<remote::NwfilterUndefineCall, undefine>(),
    on<remote::ConnectListAllNwfilterBindingsCall, list_all_bindings>(),
    on<remote::NwfilterBindingLookupByPortDevCall, lookup_binding>(),
    on<remote::NwfilterBindingGetXmlDescCall, get_binding_xml>(),
    on<remote::NwfilterBindingCreateXmlCall, create_binding>(),
    on<remote::NwfilterBindingDeleteCall, delete_binding>(),
};

} // namespace

const MethodTable methods::nwfilter = table;

} // namespace lodge::daemon
