#include "daemon/devices.hpp"
#include "daemon/device_rules.hpp"
#include "xml/domain/disk_names.hpp"

namespace lodge::daemon {

namespace {

constexpr unsigned live_flag = api::domain_affect_live, config_flag = api::domain_affect_config;

xml::Device read_device(const std::string& text, bool live) {
    return xml::parse_device(text, {.live = live, .from = From::domain});
}

// Names that QEMU's devices have belong to one run of the guest: a stored document knows only those that its user chose.
xml::Device without_run(xml::Device device) {
    if (auto* info = xml::info_of(device); info && !info->alias.starts_with("ua-")) info->alias.clear();
    return device;
}

// What does not depend on the document: both get a card with the same address, and a disk takes the place that its bus gives it.
void settle(xml::Device& device) {
    if (auto* nic = std::get_if<xml::Nic>(&device); nic && !nic->mac.address) nic->mac.address = xml::MacAddress::random();
    if (auto* disk = std::get_if<xml::Disk>(&device); disk && !disk->target.bus) disk->target.bus = xml::bus_by_name(*disk);
}

// What is wrong with the device alone comes before all that the document has against it.
Task<> check_alone(const DomainPtr& domain, xml::Domain document, xml::Device device) {
    const auto at = add_device(document, std::move(device));
    co_await domain->hypervisor().driver().check_device(std::move(document), at);
}

// The stored document as it will be: nothing is written yet.
Task<std::optional<xml::Domain>> with_added(DomainPtr domain, xml::Device device) {
    xml::Domain document = domain->definition().copy();
    co_await check_alone(domain, document, device);
    check_new_device(document, device);
    check_attachable(device, Reach::config);
    check_attach(document, device, Reach::config);
    add_device(document, device);
    co_await domain->hypervisor().driver().complete(document);
    co_return document;
}

Task<xml::Domain> with_removed(DomainPtr domain, xml::DeviceAt at) {
    xml::Domain document = domain->definition().copy();
    remove_device(document, at);
    co_await domain->hypervisor().driver().complete(document);
    co_return document;
}

Task<std::optional<xml::Domain>> with_changed(DomainPtr domain, xml::Device device) {
    xml::Domain document = domain->definition().copy();
    co_await check_alone(domain, document, device);
    check_update(device, Reach::config);
    const auto at = find_to_update(document, device, Reach::config);
    check_changed_device(document, device, xml::device_at(document.devices, at), Reach::config);
    xml::replace_device(document.devices, at, std::move(device));
    co_await domain->hypervisor().driver().complete(document);
    co_return document;
}

} // namespace

Task<> attach_device(DomainPtr domain, std::string text, unsigned affect) {
    xml::Device device = read_device(text, false);
    settle(device);
    std::optional<xml::Domain> stored;
    if (affect & config_flag) stored = co_await with_added(domain, device);
    if (affect & live_flag) {
        co_await check_alone(domain, domain->live(), device);
        domain->require_active();
        co_await plug_device(domain, std::move(device));
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

Task<> detach_device(DomainPtr domain, std::string text, unsigned affect) {
    const xml::Device wanted = read_device(text, true);
    std::optional<xml::Domain> stored;
    if (affect & config_flag) {
        const auto document = domain->definition().document();
        stored = co_await with_removed(domain, find_to_detach(*document, without_run(wanted), Reach::config));
    }
    if (affect & live_flag) co_await unplug_device(domain, find_to_detach(domain->live(), wanted, Reach::live), true);
    if (stored) co_await domain->store_definition(std::move(*stored));
}

Task<> detach_alias(DomainPtr domain, std::string alias, unsigned affect) {
    const auto find = [&](const xml::Domain& document) {
        const auto at = xml::find_alias(document.devices, alias);
        if (!at) rpc::fail(From::domain, Code::internal_error, "no device found with alias {}", alias);
        return *at;
    };
    std::optional<xml::Domain> stored;
    if (affect & config_flag) {
        const auto document = domain->definition().document();
        const auto at = find(*document);
        find_to_detach(*document, xml::device_at(document->devices, at), Reach::config); // refuses kinds that stay
        stored = co_await with_removed(domain, at);
    }
    if (affect & live_flag) {
        const auto at = find(domain->live());
        find_to_detach(domain->live(), xml::device_at(domain->live().devices, at), Reach::live);
        co_await unplug_device(domain, at, false);
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

Task<> update_device(DomainPtr domain, std::string text, unsigned affect, bool force) {
    const xml::Device device = read_device(text, (affect & live_flag) != 0);
    std::optional<xml::Domain> stored;
    if (affect & config_flag) stored = co_await with_changed(domain, without_run(device));
    if (affect & live_flag) {
        co_await check_alone(domain, domain->live(), device);
        domain->require_active();
        check_update(device, Reach::live);
        const auto at = find_to_update(domain->live(), device, Reach::live);
        check_changed_device(domain->live(), device, xml::device_at(domain->live().devices, at), Reach::live);
        co_await change_device(domain, at, device, force);
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

} // namespace lodge::daemon
