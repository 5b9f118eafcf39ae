#include "daemon/autostart.hpp"
#include "daemon/domain.hpp"
#include "daemon/saved_state.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include <filesystem>

namespace lodge::daemon {

void describe(xml::Doc& doc, AutostartWish& wish) {
    doc.attribute("order", wish.order);
    doc.attribute("delay", wish.delay);
}

AutostartWish autostart_wish(const xml::Domain& domain) {
    const std::string text = xml::metadata_element(domain.metadata, autostart_namespace);
    if (text.empty()) return {};
    return xml::parse<AutostartWish>(text, "autostart", {.from = From::domain, .where = domain.name + ": metadata"});
}

namespace {

struct Group {
    std::vector<DomainPtr> domains;
    unsigned delay = 0;
};

// A wish that cannot be read must not keep the guest down.
AutostartWish wish_of(const Domain& domain) {
    try {
        return autostart_wish(*domain.definition().document());
    } catch (const std::exception& error) {
        log::warn("{}: {}", domain.name(), error.what());
        return {};
    }
}

std::map<int, Group> groups_of(const Hypervisor& hypervisor) {
    std::map<int, Group> groups;
    for (const auto& domain : hypervisor.visible()) {
        if (!domain->autostart() || domain->is_active()) continue;
        const auto wish = wish_of(*domain);
        auto& group = groups[wish.order];
        group.domains.push_back(domain);
        group.delay = std::max(group.delay, wish.delay);
    }
    return groups;
}

Task<> start_one(DomainPtr domain, unsigned flags, std::shared_ptr<std::size_t> left, std::shared_ptr<rpc::Signal> done) {
    try {
        auto job = co_await domain->acquire("autostart");
        if (!domain->is_active()) co_await start_domain(domain, {}, flags);
    } catch (const std::exception& error) {
        log::error("{}: cannot autostart: {}", domain->name(), error.what());
    }
    if (--*left == 0) done->set();
}

} // namespace

// Once per boot of the host: a restart of the daemon must not start what an administrator has shut down since.
Task<> Hypervisor::autostart() {
    if (!persistent_) co_return;
    const std::string done = host_.paths().run + "/qemu/autostarted";
    if (std::filesystem::exists(done)) co_return;
    store::replace_now(done, "", false);
    const auto rules = driver_->autostart_rules();
    const unsigned flags = rules.bypass_cache ? api::domain_start_bypass_cache : 0u;
    auto groups = groups_of(*this);
    for (auto& [order, group] : groups) {
        auto left = std::make_shared<std::size_t>(group.domains.size());
        auto over = std::make_shared<rpc::Signal>(host_.executor());
        for (const auto& domain : group.domains) {
            rpc::spawn(host_.executor(), domain->name() + ": autostart", start_one(domain, flags, left, over));
            co_await rpc::sleep_for(rules.delay);
        }
        co_await over->wait();
        if (order != groups.rbegin()->first) co_await rpc::sleep_for(std::chrono::seconds(group.delay));
    }
}

} // namespace lodge::daemon
