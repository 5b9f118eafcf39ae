#include "daemon/domain.hpp"
#include "daemon/store.hpp"
#include "rpc/start_blocking.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

using rpc::fail;

Domain::Domain(Hypervisor& hypervisor, std::string name, rpc::Uuid uuid)
    : hypervisor_(hypervisor)
    , name_(std::move(name))
    , uuid_(uuid) {}
Domain::~Domain() = default;

std::optional<std::chrono::milliseconds> Domain::agent_limit() const {
    if (agent_timeout == api::domain_agent_response_timeout_block) return std::nullopt;
    return agent_timeout < 0 ? std::chrono::seconds(5) : std::chrono::seconds(agent_timeout);
}

std::shared_ptr<const xml::Domain> Domain::current() const {
    return live_ ? std::shared_ptr<const xml::Domain>(live_) : definition_.document();
}

DefinedSize Domain::size() const { return live_ ? DefinedSize(*live_) : definition_.outline().size; }

xml::Domain& Domain::live() {
    require_active();
    return *live_;
}

drivers::Machine& Domain::machine() {
    require_active();
    return *machine_;
}

void Domain::require_active() const {
    if (!machine_) fail(From::domain, Code::operation_invalid, "domain is not running");
}

void Domain::require_inactive(const char* what) const {
    if (machine_ || starting_) fail(Code::operation_invalid, "{}", what);
}

unsigned Domain::affect(unsigned flags) const {
    constexpr unsigned live = api::domain_affect_live, config = api::domain_affect_config;
    unsigned wanted = flags & (live | config);
    if (wanted == 0) wanted = is_active() ? live : config;
    if ((wanted & live) && !is_active()) fail(From::domain, Code::operation_invalid, "domain is not running");
    if ((wanted & config) && !persistent_)
        fail(From::domain, Code::operation_invalid, "transient domains do not have any persistent config");
    return wanted;
}

unsigned Domain::affect_one(unsigned flags) const {
    constexpr unsigned both = api::domain_affect_live | api::domain_affect_config;
    if ((flags & both) == both)
        fail(From::domain, Code::invalid_arg,
             "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive");
    return affect(flags & both);
}

void Domain::load_definition(Definition definition, bool autostart) {
    definition_ = std::move(definition);
    persistent_ = true;
    autostart_ = autostart;
}

// Makes what is kept of a definition while its file is written.
static Task<Definition> write_definition(Hypervisor& hypervisor, const xml::Domain& document) {
    if (!hypervisor.is_persistent()) co_return Definition(document);
    const auto text = std::make_shared<const std::string>(definition_text(document));
    rpc::StartedWork written(hypervisor.host().executor(), [path = hypervisor.definition_file(document.name), text] {
        store::replace_now(path, definition_file(*text), true);
    });
    Definition definition(document, *text);
    co_await written.end();
    co_return definition;
}

Task<> Domain::store_definition(xml::Domain document, bool autostart_kept) {
    auto definition = co_await write_definition(hypervisor_, document);
    if (!autostart_kept) autostart_ = false;
    definition_ = std::move(definition);
    persistent_ = true;
    updated_ = is_active();
    if (is_active()) keep_status();
}

Task<> Domain::forget_definition() {
    if (hypervisor_.is_persistent()) {
        // The link first: a link without its definition would start nothing and only confuse.
        co_await store::set_link(hypervisor_.autostart_link(name_), "", false);
        co_await store::remove(hypervisor_.definition_file(name_));
    }
    autostart_ = persistent_ = false;
    // A running guest goes on showing what it was defined as.
    if (is_active())
        keep_status();
    else
        definition_ = Definition();
}

Task<> Domain::set_autostart(bool on) {
    if (!persistent_) fail(Code::operation_invalid, "cannot set autostart for transient domain");
    if (on == autostart_) co_return;
    if (hypervisor_.is_persistent())
        co_await store::set_link(hypervisor_.autostart_link(name_), hypervisor_.definition_file(name_), on);
    autostart_ = on;
}

Task<> Domain::rename(std::string name) {
    const std::string old = name_;
    xml::Domain document = definition_.copy();
    document.name = name;
    auto definition = co_await write_definition(hypervisor_, document);
    if (hypervisor_.is_persistent()) {
        if (autostart_) {
            co_await store::set_link(hypervisor_.autostart_link(name), hypervisor_.definition_file(name), true);
            co_await store::set_link(hypervisor_.autostart_link(old), "", false);
        }
        co_await store::remove(hypervisor_.definition_file(old));
        rename_moment_files(hypervisor_, old, name);
    }
    // The old name's subscribers hear of it while it still has that name.
    emit_lifecycle(api::domain_event_undefined, api::domain_event_undefined_renamed);
    hypervisor_.domains.rename(*this, [&] { name_ = name; });
    definition_ = std::move(definition);
    emit_lifecycle(api::domain_event_defined, api::domain_event_defined_renamed);
}

void Domain::set_state(int state, int reason) {
    state_ = state;
    reason_ = reason;
}

void Domain::emit_lifecycle(int event, int detail) {
    emit<remote::DomainEventCallbackLifecycleCall, remote::DomainEventLifecycleCall>(api::domain_event_id_lifecycle,
                                                                                     {0, {wire(), event, detail}});
}

DomainPtr claim_domain(Hypervisor& hypervisor, const xml::Domain& document) {
    if (auto same_uuid = hypervisor.domains.by_uuid(document.uuid)) {
        if (same_uuid->name() != document.name)
            fail(From::domain, Code::operation_failed, "domain '{}' is already defined with uuid {}", same_uuid->name(),
                 document.uuid.text());
        return same_uuid;
    }
    if (auto same_name = hypervisor.domains.by_name(document.name))
        fail(From::domain, Code::operation_failed, "domain '{}' already exists with uuid {}", document.name,
             same_name->uuid().text());
    auto domain = std::make_shared<Domain>(hypervisor, document.name, document.uuid);
    domain->visible = false;
    hypervisor.domains.add(domain);
    return domain;
}

} // namespace lodge::daemon
