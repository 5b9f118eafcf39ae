// Calls that define and undefine domains and read or change their documents.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/schema.hpp"
#include "xml/domain/domain.hpp"
#include <fstream>
#include <unistd.h>

namespace lodge::daemon {

namespace {

// ---- define ----

Task<DomainPtr> define(ClientPtr client, std::string text) {
    Hypervisor& hypervisor = client->hypervisor();
    xml::Domain document = xml::parse_domain(text, {.from = From::domain});
    if (document.uuid.is_nil()) document.uuid = rpc::Uuid::random();
    co_await hypervisor.driver().complete(document);
    auto domain = claim_domain(hypervisor, document);
    auto job = co_await domain->acquire("virDomainDefineXML");
    const bool fresh = !domain->visible, was_defined = !domain->definition().is_empty();
    std::exception_ptr failure;
    try {
        co_await domain->store_definition(std::move(document));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (fresh) hypervisor.domains.remove(*domain);
        std::rethrow_exception(failure);
    }
    domain->visible = true;
    domain->emit_lifecycle(api::domain_event_defined,
                           was_defined ? api::domain_event_defined_updated : api::domain_event_defined_added);
    co_return domain;
}

Task<remote::DomainDefineXmlRet> define_xml(ClientPtr client, remote::DomainDefineXmlArgs args) {
    auto domain = co_await define(client, std::move(args.xml));
    co_return remote::DomainDefineXmlRet{domain->wire()};
}

Task<remote::DomainDefineXmlFlagsRet> define_xml_flags(ClientPtr client, remote::DomainDefineXmlFlagsArgs args) {
    co_await validate_if(args.flags & api::domain_define_validate, args.xml, "domain.rng");
    auto domain = co_await define(client, std::move(args.xml));
    co_return remote::DomainDefineXmlFlagsRet{domain->wire()};
}

// ---- undefine ----

// NVRAM files hold a guest's boot settings: they go or stay because somebody said so, never by oversight.
std::string nvram_to_remove(const Domain& domain, unsigned flags) {
    const auto document = domain.definition().document();
    const std::string path = document->os.nvram_path();
    if (path.empty() || ::access(path.c_str(), F_OK) != 0) return {};
    if (flags & api::domain_undefine_keep_nvram) return {};
    if (!(flags & api::domain_undefine_nvram)) rpc::fail(Code::operation_invalid, "cannot undefine domain with nvram");
    return path;
}

// Neither are saved states and what is known of snapshots: each goes only because a flag says so.
void check_state_to_remove(const Domain& domain, unsigned flags) {
    const auto snapshots = domain.snapshots.all().size(), checkpoints = domain.checkpoints.all().size();
    if (!domain.is_active() && snapshots > 0 && !(flags & api::domain_undefine_snapshots_metadata))
        rpc::fail(Code::operation_invalid, "cannot delete inactive domain with {} snapshots", snapshots);
    if (!domain.is_active() && checkpoints > 0 && !(flags & api::domain_undefine_checkpoints_metadata))
        rpc::fail(Code::operation_invalid, "cannot delete inactive domain with {} checkpoints", checkpoints);
    if (domain.has_managed_save && !(flags & api::domain_undefine_managed_save))
        rpc::fail(Code::operation_invalid, "Refusing to undefine while domain managed save image exists");
}

Task<> undefine_domain(ClientPtr client, remote::NonnullDomain named, unsigned flags) {
    const auto refuse_both = [flags](unsigned remove, unsigned keep, const char* what) {
        if ((flags & remove) && (flags & keep)) rpc::fail(Code::operation_invalid, "cannot both keep and delete {}", what);
    };
    refuse_both(api::domain_undefine_nvram, api::domain_undefine_keep_nvram, "nvram");
    refuse_both(api::domain_undefine_tpm, api::domain_undefine_keep_tpm, "TPM");
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainUndefine");
    if (!domain->is_persistent()) rpc::fail(Code::operation_invalid, "cannot undefine transient domain");
    check_state_to_remove(*domain, flags);
    const std::string nvram = nvram_to_remove(*domain, flags);
    if (domain->has_managed_save) co_await remove_managed_save(domain);
    const auto document = domain->definition().document();
    co_await domain->forget_definition();
    if (!domain->is_active()) remove_moment_files(*domain);
    if (!nvram.empty() && ::unlink(nvram.c_str()) != 0 && errno != ENOENT)
        rpc::fail_errno(errno, fmt::format("failed to remove nvram: {}", nvram));
    domain->emit_lifecycle(api::domain_event_undefined, api::domain_event_undefined_removed);
    if (domain->is_active()) co_return;
    domain->visible = false;
    domain->hypervisor().domains.remove(*domain);
    std::optional<bool> keep_tpm;
    if (flags & (api::domain_undefine_tpm | api::domain_undefine_keep_tpm)) keep_tpm = flags & api::domain_undefine_keep_tpm;
    co_await domain->hypervisor().driver().forget(document, keep_tpm);
}
Task<> undefine(ClientPtr client, remote::DomainUndefineArgs args) { co_await undefine_domain(client, args.dom, 0); }
Task<> undefine_flags(ClientPtr client, remote::DomainUndefineFlagsArgs args) {
    co_await undefine_domain(client, args.dom, args.flags);
}

Task<> set_autostart(ClientPtr client, remote::DomainSetAutostartArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetAutostart");
    co_await domain->set_autostart(args.autostart != 0);
}

Task<remote::DomainRenameRet> rename(ClientPtr client, remote::DomainRenameArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainRename");
    const std::string name = args.new_name.value_or("");
    if (name.empty()) rpc::fail(Code::invalid_arg, "new_name in virDomainRename must not be NULL");
    if (domain->is_active()) rpc::fail(Code::operation_invalid, "cannot rename active domain");
    if (!domain->is_persistent()) rpc::fail(Code::operation_invalid, "cannot rename a transient domain");
    if (domain->has_managed_save) rpc::fail(Code::operation_invalid, "domain with a managed saved state can't be renamed");
    if (name.find('/') != std::string::npos) rpc::fail(Code::xml_error, "name {} cannot contain '/'", name);
    if (domain->name() == name) rpc::fail(From::domain, Code::operation_invalid, "Can't rename domain to itself");
    if (domain->hypervisor().domains.by_name(name))
        rpc::fail(From::domain, Code::operation_invalid, "domain with name '{}' already exists", name);
    co_await domain->rename(name);
    co_return remote::DomainRenameRet{0};
}

// ---- documents ----

Task<remote::DomainGetXmlDescRet> get_xml_desc(ClientPtr client, remote::DomainGetXmlDescArgs args) {
    auto domain = find_domain(*client, args.dom);
    const bool migratable = args.flags & api::domain_xml_migratable;
    const bool inactive = (args.flags & api::domain_xml_inactive) || !domain->is_active();
    // What goes to another host needs its passwords there.
    const xml::WriteOptions writing{.live = !inactive && !migratable,
                                    .secret = migratable || (args.flags & api::domain_xml_secure)};
    // Without a definition the live document serves for both, stripped of what only lives.
    const bool stored = inactive && !domain->definition().is_empty();
    const auto document = stored ? domain->definition().document() : domain->current();
    // Of a running guest the start has settled it.
    if ((args.flags & api::domain_xml_update_cpu) && (stored || !domain->is_active())) {
        xml::Domain settled = *document;
        co_await domain->hypervisor().driver().settle_cpu(settled);
        if (migratable) domain->hypervisor().driver().make_migratable(settled);
        co_return remote::DomainGetXmlDescRet{xml::format_domain(settled, writing)};
    }
    if (migratable && !stored) co_return remote::DomainGetXmlDescRet{xml::format_domain(domain->migratable_document(), writing)};
    if (migratable) {
        xml::Domain portable = *document;
        domain->hypervisor().driver().make_migratable(portable);
        co_return remote::DomainGetXmlDescRet{xml::format_domain(portable, writing)};
    }
    if (stored && writing.secret) co_return remote::DomainGetXmlDescRet{domain->definition().text()};
    co_return remote::DomainGetXmlDescRet{xml::format_domain(*document, writing)};
}

// ---- metadata ----

[[noreturn]] void refuse_metadata_type(int type) {
    rpc::fail(From::domain, Code::invalid_arg, "unknown metadata type '{}'", type);
}

remote::DomainGetMetadataRet get_metadata(Client& client, const remote::DomainGetMetadataArgs& args) {
    auto domain = find_domain(client, args.dom);
    if (args.type < 0 || args.type > static_cast<int>(api::domain_metadata_element)) refuse_metadata_type(args.type);
    const auto document =
        domain->affect(args.flags) & api::domain_affect_config ? domain->definition().document() : domain->current();
    std::string text;
    switch (static_cast<unsigned>(args.type)) {
    case api::domain_metadata_description: text = document->description; break;
    case api::domain_metadata_title: text = document->title; break;
    case api::domain_metadata_element: text = xml::metadata_element(document->metadata, args.uri.value_or("")); break;
    default: refuse_metadata_type(args.type);
    }
    if (text.empty()) rpc::fail(From::domain, Code::no_domain_metadata, "Requested metadata element is not present");
    return {text};
}

Task<> set_metadata(ClientPtr client, remote::DomainSetMetadataArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetMetadata");
    const unsigned affect = domain->affect(args.flags);
    const std::string text = args.metadata.value_or("");
    if (args.type == static_cast<int>(api::domain_metadata_title) && text.find('\n') != std::string::npos)
        rpc::fail(Code::invalid_arg, "metadata title can't contain newlines");
    co_await change_documents(domain, affect, [&](xml::Domain& document) {
        switch (static_cast<unsigned>(args.type)) {
        case api::domain_metadata_description: document.description = text; break;
        case api::domain_metadata_title: document.title = text; break;
        case api::domain_metadata_element:
            xml::set_metadata_element(document.metadata, args.uri.value_or(""), args.key.value_or(""), text);
            break;
        default: refuse_metadata_type(args.type);
        }
    });
    client->host().events().emit<remote::DomainEventCallbackMetadataChangeCall>(
        EventKind::domain, api::domain_event_id_metadata_change, &domain->hypervisor(), domain->uuid(),
        {0, domain->wire(), args.type, args.uri});
}

constexpr Method table[] = {
    on<remote::DomainDefineXmlCall, define_xml>(),       on<remote::DomainDefineXmlFlagsCall, define_xml_flags>(),
    on<remote::DomainUndefineCall, undefine>(),          on<remote::DomainUndefineFlagsCall, undefine_flags>(),
    on<remote::DomainSetAutostartCall, set_autostart>(), on<remote::DomainRenameCall, rename>(),
    on<remote::DomainGetXmlDescCall, get_xml_desc>(),    on<remote::DomainGetMetadataCall, get_metadata>(),
    on<remote::DomainSetMetadataCall, set_metadata>(),
};

} // namespace

const MethodTable methods::domain_config = table;

} // namespace lodge::daemon
