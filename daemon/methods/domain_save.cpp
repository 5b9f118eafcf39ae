// Calls that save a guest's state in a file and bring it back; core dumps.
#include "daemon/lookup.hpp"
#include "daemon/params.hpp"
#include "daemon/saved_state.hpp"

namespace lodge::daemon {

namespace {

// ---- save ----

Task<> save_to(ClientPtr client, remote::NonnullDomain named, std::string path, std::string document, unsigned flags) {
    auto domain = find_domain(*client, named);
    domain->require_active();
    auto job = co_await domain->acquire("virDomainSave");
    co_await save_domain(domain, std::move(path), std::move(document), flags);
}
Task<> save(ClientPtr client, remote::DomainSaveArgs args) { co_await save_to(client, args.dom, std::move(args.to), "", 0); }
Task<> save_flags(ClientPtr client, remote::DomainSaveFlagsArgs args) {
    co_await save_to(client, args.dom, std::move(args.to), args.dxml.value_or(""), args.flags);
}

Task<> managed(ClientPtr client, remote::NonnullDomain named, std::string document, unsigned flags) {
    auto domain = find_domain(*client, named);
    domain->require_active();
    auto job = co_await domain->acquire("virDomainManagedSave");
    co_await managed_save(domain, std::move(document), flags);
}
Task<> managed_save_call(ClientPtr client, remote::DomainManagedSaveArgs args) {
    co_await managed(client, args.dom, "", args.flags);
}

// The parameters of save and restore: where, and a document instead of the one that is there.
struct FileAndDocument {
    std::optional<std::string> file, document;
};
FileAndDocument read_params(const std::vector<rpc::TypedParam>& params) {
    check_params(params, {{"file", ParamType::string}, {"dxml", ParamType::string}});
    return {param<std::string>(params, "file"), param<std::string>(params, "dxml")};
}

Task<> save_params(ClientPtr client, remote::DomainSaveParamsArgs args) {
    auto wish = read_params(args.params);
    if (wish.file)
        co_await save_to(client, args.dom, *wish.file, wish.document.value_or(""), args.flags);
    else
        co_await managed(client, args.dom, wish.document.value_or(""), args.flags);
}

// ---- restore ----

Task<> restore(ClientPtr client, remote::DomainRestoreArgs args) {
    co_await restore_domain(client->hypervisor(), std::move(args.from), "", 0);
}
Task<> restore_flags(ClientPtr client, remote::DomainRestoreFlagsArgs args) {
    co_await restore_domain(client->hypervisor(), std::move(args.from), args.dxml.value_or(""), args.flags);
}
Task<> restore_params(ClientPtr client, remote::DomainRestoreParamsArgs args) {
    auto wish = read_params(args.params);
    if (!wish.file) rpc::fail(Code::invalid_arg, "missing path to restore from");
    co_await restore_domain(client->hypervisor(), *wish.file, wish.document.value_or(""), args.flags);
}

// ---- images ----

remote::DomainHasManagedSaveImageRet has_managed_save(Client& client, const remote::DomainHasManagedSaveImageArgs& args) {
    return {find_domain(client, args.dom)->has_managed_save};
}
Task<> managed_save_remove(ClientPtr client, remote::DomainManagedSaveRemoveArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainManagedSaveRemove");
    if (!domain->has_managed_save)
        rpc::fail_errno(ENOENT,
                        fmt::format("Failed to remove managed save file '{}'", domain->hypervisor().save_file(domain->name())));
    co_await remove_managed_save(domain);
}

std::string managed_image(const Domain& domain, Hypervisor& hypervisor) {
    if (!domain.has_managed_save) rpc::fail(Code::operation_invalid, "domain does not have managed save image");
    return hypervisor.save_file(domain.name());
}
Task<remote::DomainManagedSaveGetXmlDescRet> managed_save_xml(ClientPtr client, remote::DomainManagedSaveGetXmlDescArgs args) {
    auto domain = find_domain(*client, args.dom);
    const auto path = managed_image(*domain, client->hypervisor());
    const bool secret = args.flags & api::domain_save_image_xml_secure;
    co_return remote::DomainManagedSaveGetXmlDescRet{co_await image_document(client->hypervisor(), path, secret)};
}
Task<> managed_save_define(ClientPtr client, remote::DomainManagedSaveDefineXmlArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainManagedSaveDefineXML");
    const auto path = managed_image(*domain, client->hypervisor());
    co_await set_image_document(client->hypervisor(), path, args.dxml.value_or(""), args.flags);
}
Task<remote::DomainSaveImageGetXmlDescRet> image_xml(ClientPtr client, remote::DomainSaveImageGetXmlDescArgs args) {
    const bool secret = args.flags & api::domain_save_image_xml_secure;
    co_return remote::DomainSaveImageGetXmlDescRet{co_await image_document(client->hypervisor(), std::move(args.file), secret)};
}
Task<> image_define(ClientPtr client, remote::DomainSaveImageDefineXmlArgs args) {
    co_await set_image_document(client->hypervisor(), std::move(args.file), std::move(args.dxml), args.flags);
}

// ---- core dumps ----

Task<> dump(ClientPtr client, remote::NonnullDomain named, std::string path, unsigned format, unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainCoreDump");
    co_await dump_domain(domain, std::move(path), format, flags);
}
Task<> core_dump(ClientPtr client, remote::DomainCoreDumpArgs args) {
    co_await dump(client, args.dom, std::move(args.to), api::domain_core_dump_format_raw, args.flags);
}
Task<> core_dump_with_format(ClientPtr client, remote::DomainCoreDumpWithFormatArgs args) {
    co_await dump(client, args.dom, std::move(args.to), args.dumpformat, args.flags);
}

constexpr Method table[] = {
    on<remote::DomainSaveCall, save>(),
    on<remote::DomainSaveFlagsCall, save_flags>(),
    on<remote::DomainSaveParamsCall, save_params>(),
    on<remote::DomainManagedSaveCall, managed_save_call>(),
    on<remote::DomainRestoreCall, restore>(),
    on<remote::DomainRestoreFlagsCall, restore_flags>(),
    on<remote::DomainRestoreParamsCall, restore_params>(),
    on<remote::DomainHasManagedSaveImageCall, has_managed_save>(),
    on<remote::DomainManagedSaveRemoveCall, managed_save_remove>(),
    on<remote::DomainManagedSaveGetXmlDescCall, managed_save_xml>(),
    on<remote::DomainManagedSaveDefineXmlCall, managed_save_define>(),
    on<remote::DomainSaveImageGetXmlDescCall, image_xml>(),
    on<remote::DomainSaveImageDefineXmlCall, image_define>(),
    on<remote::DomainCoreDumpCall, core_dump>(),
    on<remote::DomainCoreDumpWithFormatCall, core_dump_with_format>(),
};

} // namespace

const MethodTable methods::domain_save = table;

} // namespace lodge::daemon
