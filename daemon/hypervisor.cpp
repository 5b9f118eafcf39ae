#include "daemon/domain.hpp"
#include "daemon/host.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/status.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include <filesystem>

namespace lodge::daemon {

namespace fs = std::filesystem;

Hypervisor::Hypervisor(Host& host, std::unique_ptr<drivers::Driver> driver, bool persistent)
    : host_(host)
    , driver_(std::move(driver))
    , persistent_(persistent) {}

std::string Hypervisor::definition_file(const std::string& name) const { return host_.paths().etc + "/qemu/" + name + ".xml"; }
std::string Hypervisor::autostart_link(const std::string& name) const {
    return host_.paths().etc + "/qemu/autostart/" + name + ".xml";
}
std::string Hypervisor::status_file(const std::string& name) const { return host_.paths().run + "/qemu/" + name + ".xml"; }

std::string Hypervisor::lib_folder() const { return host_.paths().lib; }
std::string Hypervisor::save_file(const std::string& name) const { return lib_folder() + "/qemu/save/" + name + ".save"; }

DomainPtr Hypervisor::find_uuid(const rpc::Uuid& uuid) {
    auto domain = domains.by_uuid(uuid);
    return domain && domain->visible ? domain : nullptr;
}

DomainPtr Hypervisor::find_name(const std::string& name) {
    auto domain = domains.by_name(name);
    return domain && domain->visible ? domain : nullptr;
}

DomainPtr Hypervisor::find(const rpc::Uuid& uuid, const std::string& name) {
    auto domain = find_uuid(uuid);
    if (!domain) rpc::fail(error_domain(), Code::no_domain, "no domain with matching uuid '{}' ({})", uuid.text(), name);
    return domain;
}

DomainPtr Hypervisor::find_id(int id) {
    for (const auto& [name, domain] : domains.all())
        if (domain->visible && domain->is_active() && domain->id() == id) return domain;
    return nullptr;
}

std::vector<DomainPtr> Hypervisor::visible() const {
    std::vector<DomainPtr> out;
    out.reserve(domains.all().size());
    for (const auto& [name, domain] : domains.all())
        if (domain->visible) out.push_back(domain);
    return out;
}

// A status file without a definition is that of a transient guest: it brings its document along.
static DomainPtr domain_of_status(Hypervisor& hypervisor, const StoredFile& file) {
    if (!file.error.empty()) rpc::fail(Code::internal_error, "{}", file.error);
    if (auto domain = hypervisor.domains.by_name(file.name)) return domain;
    const auto document = read_domain_status(file.text, file.path).domain;
    auto domain = std::make_shared<Domain>(hypervisor, document.name, document.uuid);
    hypervisor.domains.add(domain);
    return domain;
}

static Task<> adopt_one(Hypervisor& hypervisor, StoredFile file, std::shared_ptr<std::size_t> left,
                        std::shared_ptr<rpc::Signal> done) {
    DomainPtr domain;
    try {
        domain = domain_of_status(hypervisor, file);
        co_await domain->adopt(file.text);
    } catch (const std::exception& error) {
        log::warn("{}: {}", file.path, error.what());
        if (domain && !domain->is_persistent()) hypervisor.domains.remove(*domain);
    }
    if (--*left == 0) done->set();
}

// All at once: one guest that does not answer must not keep the others waiting.
Task<> Hypervisor::adopt_running() {
    auto files = store::read_folder(host_.paths().run + "/qemu");
    if (files.empty()) co_return;
    auto left = std::make_shared<std::size_t>(files.size());
    auto done = std::make_shared<rpc::Signal>(host_.executor());
    for (auto& file : files) {
        const std::string path = file.path;
        rpc::spawn(host_.executor(), path, adopt_one(*this, std::move(file), left, done));
    }
    co_await done->wait();
}

bool Hypervisor::has_active() const {
    return std::ranges::any_of(domains.all(), [](const auto& entry) { return entry.second->is_active(); });
}

// Guests that a driver brings along run from the start (the test driver's example).
Task<> Hypervisor::load_built_in() {
    for (const auto& text : driver_->built_in_domains()) {
        xml::Domain document = xml::parse_domain(text, {.from = From::domain});
        co_await driver_->complete(document);
        auto domain = std::make_shared<Domain>(*this, document.name, document.uuid);
        domain->load_definition(Definition(document), false);
        domains.add(domain);
        co_await domain->start({});
    }
}

Task<> Hypervisor::load() {
    if (!persistent_) {
        co_await load_built_in();
        co_return;
    }
    co_await load_definitions();
    load_managed_saves();
    co_await adopt_running();
    load_moments(*this); // of transient domains too
}

void Hypervisor::load_managed_saves() {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(fs::path(save_file("x")).parent_path(), none))
        if (entry.path().extension() == ".save")
            if (const auto domain = domains.by_name(entry.path().stem().string())) domain->has_managed_save = true;
}

} // namespace lodge::daemon
