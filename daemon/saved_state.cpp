#include "daemon/saved_state.hpp"
#include "daemon/block_jobs.hpp"
#include "daemon/hooks.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/domain/abi.hpp"
#include "xml/snapshot.hpp"
#include <filesystem>

namespace lodge::daemon {

using rpc::fail;

namespace {

drivers::StateFiles& files(Hypervisor& hypervisor) { return hypervisor.driver().state_files(); }
bool runs(const Domain& domain) { return domain.state() == static_cast<int>(api::domain_running); }

// A document that a client wants instead of the one in an image.
Task<xml::Domain> replacement(Hypervisor& hypervisor, xml::Domain now, std::string text) {
    auto wanted = xml::parse_domain(text, {.from = From::domain});
    co_await hypervisor.driver().complete(wanted);
    xml::check_abi(now, wanted);
    co_return wanted;
}

// A document that a client wants in the image of a running guest; the balloon is as large as it is.
Task<xml::Domain> replacement(DomainPtr domain, std::string text) {
    const auto now = co_await domain->portable_document();
    auto wanted = xml::parse_domain(text, {.from = From::domain});
    co_await domain->hypervisor().driver().complete(wanted, drivers::Completion::unchecked);
    wanted.current_memory = now.current_memory;
    xml::check_abi(now, wanted);
    co_return wanted;
}

// What the administrator's programs make of an image's document; empty: nothing else.
Task<std::string> filtered(Hypervisor& hypervisor, std::string name, std::string document) {
    const Hooks& hooks = hypervisor.host().hooks();
    if (!hooks.has(HookKind::qemu)) co_return std::string();
    co_return co_await hooks.call(HookKind::qemu, {std::move(name), "restore", "begin", "-", std::move(document)});
}

std::string format_for_image(Hypervisor& hypervisor, xml::Domain document) {
    hypervisor.driver().make_migratable(document);
    return xml::format_domain(document, {.live = false, .secret = true});
}

bool decide_running(bool now, unsigned flags) {
    if (flags & api::domain_save_running) return true;
    if (flags & api::domain_save_paused) return false;
    return now;
}

// Puts a guest that was paused for a failed call back to work.
Task<> go_on(DomainPtr domain, int reason) {
    if (!domain->is_active() || domain->state() != static_cast<int>(api::domain_paused)) co_return;
    try {
        co_await domain->resume(reason);
    } catch (const std::exception& error) {
        log::warn("{}: cannot go on: {}", domain->name(), error.what());
        domain->emit_lifecycle(api::domain_event_suspended, api::domain_event_suspended_api_error);
    }
}

} // namespace

Task<drivers::SaveHead> save_head(DomainPtr domain, bool running) {
    const auto document = co_await domain->portable_document();
    xml::SaveCookie cookie;
    // Where the guest's CPU is known by name it is remembered: another host may know that name by other features.
    if (const auto& cpu = domain->live().cpu; cpu && cpu->mode == xml::CpuMode::custom) cookie.cpu = cpu;
    co_return drivers::SaveHead{format_for_image(domain->hypervisor(), document),
                                cookie.cpu ? xml::format(cookie, xml::save_cookie_root) : "", running};
}

Task<> require_savable(DomainPtr domain) {
    const auto machine = domain->shared_machine();
    co_await machine->state_keeper().require_savable();
    domain->require_active();
}

Task<> save_domain(DomainPtr domain, std::string path, std::string document, unsigned flags) {
    domain->require_active();
    co_await require_savable(domain);
    require_no_block_jobs(*domain);
    const auto machine = domain->shared_machine();
    const bool was_running = runs(*domain);
    std::exception_ptr failure;
    try {
        if (was_running) co_await domain->suspend(drivers::PauseReason::save);
        auto head = co_await save_head(domain, decide_running(was_running, flags));
        if (!document.empty())
            head.domain = format_for_image(domain->hypervisor(), co_await replacement(domain, std::move(document)));
        domain->require_active();
        co_await machine->state_keeper().save(
            {path, std::move(head), drivers::ImageUse::save, (flags & api::domain_save_bypass_cache) != 0});
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (was_running) co_await go_on(domain, api::domain_running_save_canceled);
        std::rethrow_exception(failure);
    }
    co_await domain->stop(drivers::EndReason::saved);
}

Task<> managed_save(DomainPtr domain, std::string document, unsigned flags) {
    domain->require_active();
    if (!domain->is_persistent()) fail(Code::operation_invalid, "cannot do managed save for transient domain");
    const std::string path = domain->hypervisor().save_file(domain->name());
    store::make_folders(std::filesystem::path(path).parent_path().string(), 0711);
    co_await save_domain(domain, path, std::move(document), flags);
    domain->has_managed_save = true;
}

Task<> remove_managed_save(DomainPtr domain) {
    const std::string path = domain->hypervisor().save_file(domain->name());
    co_await store::remove(path);
    domain->has_managed_save = false;
}

namespace {

StartOptions restore_options(const std::string& path, bool running, unsigned flags) {
    StartOptions options;
    options.paused = !running;
    options.reset_nvram = flags & api::domain_save_reset_nvram;
    options.restore.path = path;
    options.restore.bypass_cache = flags & api::domain_save_bypass_cache;
    options.started_detail = api::domain_event_started_restored;
    options.running_reason = api::domain_running_restored;
    options.paused_reason = api::domain_paused_migration;
    options.paused_detail = api::domain_event_suspended_restored;
    return options;
}

// The document in an image, complete.
Task<xml::Domain> document_of(Hypervisor& hypervisor, drivers::SaveHead head) {
    auto document = xml::parse_domain(head.domain, {.from = From::domain});
    co_await hypervisor.driver().complete(document, drivers::Completion::unchecked);
    co_return document;
}

// The CPU that the guest really had, where the image remembers it; `options` keep the one that was asked for.
void take_cookie(xml::Domain& document, const std::string& text, StartOptions& options) {
    if (text.empty()) return;
    auto cookie = xml::parse<xml::SaveCookie>(text, xml::save_cookie_root, {.from = From::domain});
    if (!cookie.cpu || !document.cpu || document.cpu->mode == xml::CpuMode::host_passthrough) return;
    options.restore.asked_cpu = std::make_shared<const xml::Cpu>(std::move(*document.cpu));
    document.cpu = std::move(cookie.cpu);
}

} // namespace

Task<DomainPtr> restore_domain(Hypervisor& hypervisor, std::string path, std::string document, unsigned flags) {
    const auto head = co_await files(hypervisor).read_head(path);
    auto wanted = co_await document_of(hypervisor, head);
    if (auto other = co_await filtered(hypervisor, wanted.name, document.empty() ? head.domain : document); !other.empty())
        document = std::move(other);
    if (!document.empty()) wanted = co_await replacement(hypervisor, std::move(wanted), std::move(document));
    auto domain = claim_domain(hypervisor, wanted);
    auto job = co_await domain->acquire("virDomainRestore");
    if (domain->is_active() || domain->is_starting())
        fail(From::domain, Code::operation_invalid, "domain '{}' is already active", domain->name());
    const bool fresh = !domain->visible;
    auto options = restore_options(path, decide_running(head.running, flags), flags);
    take_cookie(wanted, head.cookie, options);
    std::exception_ptr failure;
    try {
        co_await domain->start_transient(std::move(wanted), std::move(options));
        domain->visible = true;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (fresh) hypervisor.domains.remove(*domain);
        std::rethrow_exception(failure);
    }
    co_return domain;
}

namespace {

Task<> start_from_save(DomainPtr domain, StartOptions asked, std::string path, unsigned flags) {
    Hypervisor& hypervisor = domain->hypervisor();
    const auto head = co_await files(hypervisor).read_head(path);
    auto document = co_await document_of(hypervisor, head);
    if (auto other = co_await filtered(hypervisor, document.name, head.domain); !other.empty())
        document = co_await replacement(hypervisor, std::move(document), std::move(other));
    if (document.name != domain->name() || document.uuid != domain->uuid())
        fail(Code::operation_failed, "cannot restore domain '{}' uuid {} from a file which belongs to domain '{}' uuid {}",
             domain->name(), domain->uuid().text(), document.name, document.uuid.text());
    auto options = restore_options(path, head.running, 0);
    take_cookie(document, head.cookie, options);
    if (asked.paused) {
        options.paused = true;
        options.paused_detail = api::domain_event_suspended_paused;
    }
    options.reset_nvram = asked.reset_nvram;
    options.autodestroy = asked.autodestroy;
    options.restore.bypass_cache = flags & api::domain_start_bypass_cache;
    co_await domain->start_transient(std::move(document), std::move(options));
}

} // namespace

Task<> start_domain(DomainPtr domain, StartOptions options, unsigned flags) {
    domain->require_inactive("domain is already running");
    if (domain->has_managed_save && (flags & api::domain_start_force_boot)) co_await remove_managed_save(domain);
    const std::string path = domain->hypervisor().save_file(domain->name());
    if (domain->has_managed_save && !co_await files(domain->hypervisor()).is_partial(path)) {
        co_await start_from_save(domain, std::move(options), path, flags);
        // The guest goes on from here; what it was then must not come back.
        co_await remove_managed_save(domain);
        co_return;
    }
    if (domain->has_managed_save) {
        log::warn("{}: ignoring incomplete managed state {}", domain->name(), path);
        co_await remove_managed_save(domain);
    }
    co_await domain->start(std::move(options));
}

Task<std::string> image_document(Hypervisor& hypervisor, std::string path, bool secret) {
    const auto document = co_await document_of(hypervisor, co_await files(hypervisor).read_head(path));
    co_return xml::format_domain(document, {.live = false, .secret = secret});
}

Task<> set_image_document(Hypervisor& hypervisor, std::string path, std::string document, unsigned flags) {
    auto head = co_await files(hypervisor).read_head(path);
    const bool running = decide_running(head.running, flags);
    if (head.domain == document && running == head.running) co_return;
    auto now = co_await document_of(hypervisor, head);
    head.domain = format_for_image(hypervisor, co_await replacement(hypervisor, std::move(now), std::move(document)));
    head.running = running;
    co_await files(hypervisor).replace_head(path, std::move(head));
}

namespace {

std::string dump_format(unsigned format, bool memory_only) {
    static constexpr const char* words[] = {"elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp"};
    if (format >= std::size(words)) fail(Code::invalid_arg, "unknown dumpformat '{}'", format);
    if (!memory_only && format != api::domain_core_dump_format_raw)
        fail(Code::operation_unsupported, "kdump-compressed format is only supported with memory-only dump");
    return words[format];
}

Task<> after_dump(DomainPtr domain, bool was_running, unsigned flags) {
    if (flags & api::dump_crash) {
        co_await domain->stop(drivers::EndReason::dumped);
        co_return;
    }
    if (flags & api::dump_reset) co_await domain->reset();
    if (was_running && domain->is_active() && !runs(*domain)) co_await domain->resume();
}

} // namespace

Task<> dump_domain(DomainPtr domain, std::string path, unsigned format, unsigned flags) {
    domain->require_active();
    const bool was_running = runs(*domain), memory_only = flags & api::dump_memory_only;
    if (!memory_only) co_await require_savable(domain);
    drivers::DumpTarget target{path, memory_only, dump_format(format, memory_only), (flags & api::dump_bypass_cache) != 0};
    std::exception_ptr failure;
    try {
        if (was_running && !(flags & api::dump_live)) co_await domain->suspend(drivers::PauseReason::dump);
        co_await domain->machine().state_keeper().dump(std::move(target));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (was_running) co_await go_on(domain, api::domain_running_unpaused);
        std::rethrow_exception(failure);
    }
    co_await after_dump(domain, was_running, flags);
}

} // namespace lodge::daemon
