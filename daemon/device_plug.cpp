// Devices into and out of a running guest. The driver completes a copy of the live document, plugs the device in from there, and
// only then does the live document itself change; what a guest lets go of is told by the driver's event.
#include "daemon/block_jobs.hpp"
#include "daemon/device_rules.hpp"
#include "daemon/devices.hpp"
#include "daemon/nics.hpp"
#include "daemon/volume_disks.hpp"

namespace lodge::daemon {

using rpc::fail;

namespace {

// Marks the one device of a document that is looked for again after the document was completed.
constexpr const char* marker = "\x01plan";

bool has_controller(const xml::Domain& domain, const xml::Controller& wanted) {
    return xml::find_device(domain, wanted).has_value();
}

// Buses that the new device needs and the guest does not have yet.
std::vector<xml::DeviceAt> missing_controllers(const xml::Domain& live, const Plan& plan) {
    std::vector<xml::DeviceAt> missing;
    const auto& all = plan.document->devices.controllers;
    const std::size_t kind = xml::Device(xml::Controller{}).index();
    for (std::size_t place = 0; place < all.size(); ++place) {
        if (has_controller(live, all[place]) || (plan.at.kind == kind && plan.at.place == place)) continue;
        const auto type = all[place].type;
        if (type == xml::ControllerType::pci) fail(From::domain, Code::internal_error, "No more available PCI slots");
        if (type == xml::ControllerType::virtio_serial)
            fail(From::domain, Code::internal_error, "no virtio-serial controllers are available");
        if (type != xml::ControllerType::scsi)
            fail(From::domain, Code::internal_error, "Could not find {} controller with index {} required for device", word(type),
                 all[place].index.value_or(0));
        missing.push_back({kind, place});
    }
    if (plan.document->devices.hubs.size() > live.devices.hubs.size()) fail(Code::internal_error, "No free USB ports");
    return missing;
}

// A controller stands behind those of its type with smaller numbers, wherever the plan had it.
xml::DeviceAt place_in(const xml::Domain& live, const xml::Device& device, xml::DeviceAt at) {
    const auto* controller = std::get_if<xml::Controller>(&device);
    if (!controller) return at;
    const auto& all = live.devices.controllers;
    at.place = all.size();
    for (std::size_t place = 0; place < all.size(); ++place)
        if (all[place].type == controller->type && all[place].index < controller->index) at.place = place + 1;
    return at;
}

void enter(xml::Domain& live, const xml::Domain& plan, xml::DeviceAt at) {
    const xml::Device device = xml::device_at(plan.devices, at);
    count_memory(live, device, true);
    const bool first_serial = std::holds_alternative<xml::Serial>(device) && live.devices.serials.empty();
    xml::insert_device(live.devices, place_in(live, device, at), device);
    if (!first_serial || plan.devices.consoles.size() == live.devices.consoles.size()) return;
    auto twin = plan.devices.consoles.front();
    twin.source = live.devices.serials.front().source;
    twin.info = live.devices.serials.front().info;
    live.devices.consoles.insert(live.devices.consoles.begin(), std::move(twin));
}

std::string alias_at(const xml::Domain& domain, xml::DeviceAt at) {
    const xml::Device device = xml::device_at(domain.devices, at);
    const auto* info = xml::info_of(device);
    return info ? info->alias : "";
}

// `told`: clients asked for this device and hear that it is there.
Task<> plug_one(DomainPtr domain, std::shared_ptr<xml::Domain> plan, xml::DeviceAt at, bool told) {
    Host& host = domain->hypervisor().host();
    const xml::Device device = xml::device_at(plan->devices, at);
    const bool is_nic = std::holds_alternative<xml::Nic>(device);
    if (std::holds_alternative<xml::Disk>(device)) resolve_volume(host, plan->devices.disks.at(at.place));
    drivers::Attachment attachment{plan, at, {}, domain->fd_groups, [domain] { return domain->write_status(); }};
    if (is_nic) attachment.nic = co_await plug_nic(host, plan, at.place);
    std::exception_ptr failure;
    try {
        co_await domain->machine().attach(std::move(attachment));
        domain->require_active(); // it may have ended meanwhile
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (is_nic) unplug_nic(host, *plan, at.place);
        std::rethrow_exception(failure);
    }
    enter(domain->live(), *plan, at);
    domain->keep_status();
    // libvirt calls memory by its back end here.
    const bool memory = std::holds_alternative<xml::MemoryDevice>(xml::device_at(plan->devices, at));
    if (const auto alias = alias_at(*plan, at); told && !alias.empty()) domain->emit_device_added(memory ? "mem" + alias : alias);
}

// A drive with a medium to change, where a new drive of that name was asked for.
std::optional<xml::DeviceAt> present_drive(const xml::Domain& live, const xml::Device& device) {
    const auto* disk = std::get_if<xml::Disk>(&device);
    if (!disk || (disk->device != xml::DiskDevice::cdrom && disk->device != xml::DiskDevice::floppy)) return std::nullopt;
    return xml::find_device(live, device);
}

} // namespace

Task<Plan> complete_plan(DomainPtr domain, std::shared_ptr<xml::Domain> document, xml::DeviceAt at) {
    xml::Device device = xml::device_at(document->devices, at);
    std::string alias;
    if (auto* info = xml::info_of(device)) {
        alias = std::exchange(info->alias, marker);
        xml::replace_device(document->devices, at, std::move(device));
    }
    co_await domain->hypervisor().driver().complete(*document);
    domain->require_active();
    const auto found = xml::find_alias(document->devices, marker).value_or(at);
    device = xml::device_at(document->devices, found);
    if (auto* info = xml::info_of(device)) info->alias = alias;
    xml::replace_device(document->devices, found, std::move(device));
    co_return Plan{document, found};
}

Task<> plug_device(DomainPtr domain, xml::Device device) {
    const auto& live = domain->live();
    check_new_device(live, device);
    if (const auto drive = present_drive(live, device))
        co_return co_await change_device(domain, *drive, std::move(device), false, true);
    check_attachable(device, Reach::live);
    check_attach(live, device, Reach::live);
    auto document = std::make_shared<xml::Domain>(live);
    const auto at = add_device(*document, device);
    if (std::holds_alternative<xml::Lease>(device)) {
        add_device(domain->live(), std::move(device));
        domain->keep_status();
        co_return;
    }
    const Plan plan = co_await complete_plan(domain, document, at);
    for (const auto controller : missing_controllers(domain->live(), plan))
        co_await plug_one(domain, plan.document, controller, false);
    co_await plug_one(domain, plan.document, plan.at, true);
}

Task<> unplug_device(DomainPtr domain, xml::DeviceAt at, bool wait) {
    if (std::holds_alternative<xml::Lease>(xml::device_at(domain->live().devices, at))) {
        remove_device(domain->live(), at);
        domain->keep_status();
        co_return;
    }
    const xml::Device device = xml::device_at(domain->live().devices, at);
    if (const auto* disk = std::get_if<xml::Disk>(&device)) require_no_block_job(*domain, *disk);
    const auto machine = domain->shared_machine();
    co_await machine->detach(at, wait);
}

} // namespace lodge::daemon
