// A device of a running guest becomes another. What the guest sees of a network card stays; what it is plugged into is the
// daemon's to change, all else is the driver's.
#include "daemon/device_rules.hpp"
#include "daemon/devices.hpp"
#include "daemon/networks.hpp"
#include "daemon/nic_plug.hpp"
#include "daemon/nics.hpp"
#include "daemon/volume_disks.hpp"
#include "drivers/network/bandwidth.hpp"
#include "rpc/log.hpp"
#include "xml/domain/check.hpp"

namespace lodge::daemon {

using rpc::fail;
using xml::Nic;
using xml::NicType;

namespace {

template<class... Args> [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    fail(Code::operation_unsupported, format, std::forward<Args>(args)...);
}

template<class T> bool same(const T& a, const T& b) { return xml::compare(a, b, "device", xml::Mark::none).empty(); }
template<class T> bool same(const std::optional<T>& a, const std::optional<T>& b) {
    return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

// ---- what may not change ----

xml::NicDriver without_options(xml::NicDriver driver) { return driver.virtio = {}, driver; }

void check_driver(const Nic& wanted, const Nic& present) {
    if (!present.is_virtio()) return;
    if (!same(without_options(wanted.driver), without_options(present.driver)))
        refuse("cannot modify virtio network device driver attributes");
    if (!same(wanted.driver.virtio, present.driver.virtio)) refuse("cannot modify virtio network device driver options");
}

// What the request leaves out about the card's place is as it was.
void settle_place(Nic& wanted, const Nic& present) {
    auto& info = wanted.info;
    const auto& old = present.info;
    if (info.address && old.address && info.address->type != old.address->type)
        refuse("cannot modify network device address type");
    if (info.address && !xml::same_address(info, old)) refuse("cannot modify network device guest PCI address");
    info.address = old.address;
    info.alias = old.alias;
    if (!info.boot) info.boot = old.boot;
    if (!same(info.boot, old.boot)) refuse("cannot modify network device boot index setting");
    if (!info.rom) info.rom = old.rom;
    if (info.rom && info.rom->bar && !(old.rom && old.rom->bar && info.rom->bar->value == old.rom->bar->value))
        refuse("cannot modify network device rom bar setting");
    if (!same(info.rom, old.rom)) refuse("cannot modify network rom file");
}

void check_nic(Nic& wanted, const Nic& present) {
    if (present.type == NicType::hostdev || present.type == NicType::vdpa)
        refuse("cannot change config of '{}' network interface type", word(present.type));
    if (wanted.mac.address != present.mac.address)
        refuse("cannot change network interface mac address from {} to {}",
               present.mac.address ? present.mac.address->text() : "", wanted.mac.address ? wanted.mac.address->text() : "");
    if (wanted.model != present.model) refuse("cannot modify network device model from {} to {}", present.model, wanted.model);
    check_driver(wanted, present);
    if (wanted.script != present.script) refuse("cannot modify network device script attribute");
    if (wanted.target.dev.empty()) wanted.target.dev = present.target.dev;
    if (wanted.target.dev != present.target.dev) refuse("cannot modify network device tap name");
    settle_place(wanted, present);
    if (wanted.mtu != present.mtu) refuse("cannot modify MTU");
    if (wanted.type == NicType::hostdev || wanted.type == NicType::vdpa)
        refuse("cannot change network interface type to '{}'", word(wanted.type));
}

bool on_bridge(const Nic& nic) { return nic.actual_type() == NicType::network || nic.actual_type() == NicType::bridge; }

// Plugs that cannot be pulled while the guest looks.
void check_plug(const Nic& wanted, const Nic& present) {
    const auto stuck = [&] { refuse("unable to change config on '{}' network type", word(wanted.type)); };
    if (wanted.sndbuf != present.sndbuf) stuck();
    if (on_bridge(wanted) && on_bridge(present)) return;
    if (wanted.actual_type() != present.actual_type()) stuck();
    if (wanted.type == NicType::user) return;
    const auto &a = wanted.source, &b = present.source;
    if (a.address != b.address || a.port != b.port || a.name != b.name || a.dev != b.dev || a.mode != b.mode) stuck();
    if (wanted.type == NicType::vhostuser || wanted.type == NicType::null || wanted.type == NicType::vds) stuck();
}

// ---- what changes ----

bool on_same_network(const Nic& wanted, const Nic& present) {
    return wanted.type == NicType::network && present.type == NicType::network && present.source.network == wanted.source.network;
}

// The new plug: name of its bridge, and of the port on a network of ours.
void settle_bridge(Host& host, Nic& wanted, const Nic& present) {
    if (wanted.type != NicType::network) return;
    if (on_bridge(wanted)) place_on_network(host, wanted);
    const bool stays = on_same_network(wanted, present);
    wanted.source.port_id = stays ? present.source.port_id : rpc::Uuid::random().text();
}

// Only these are more than the guest's or the host's look at a card's document.
bool is_changed(const Nic& wanted, const Nic& present) {
    return wanted.type != present.type || wanted.source.network != present.source.network ||
           wanted.source.bridge != present.source.bridge || wanted.port_isolated != present.port_isolated ||
           wanted.coalesce_rx_max != present.coalesce_rx_max || !same(wanted.filterref, present.filterref) ||
           !same(wanted.actual_bandwidth(), present.actual_bandwidth()) || !same(wanted.actual_vlan(), present.actual_vlan());
}

Task<> change_bandwidth(std::string tap, std::optional<xml::Bandwidth> bandwidth) {
    co_await drivers::clear_bandwidth(tap);
    if (bandwidth) co_await drivers::set_bandwidth(tap, *bandwidth);
}

Task<> change_plug(DomainPtr domain, Nic wanted, Nic present) {
    Host& host = domain->hypervisor().host();
    const std::string tap = present.target.dev;
    if (tap.empty()) co_return;
    if (!same(wanted.actual_bandwidth(), present.actual_bandwidth()) || wanted.source.port_id != present.source.port_id) {
        co_await settle_promise(host, domain->live(), wanted);
        co_await change_bandwidth(tap, wanted.actual_bandwidth());
    }
    if (on_bridge(wanted) && wanted.source.bridge != present.source.bridge)
        move_plug(host, wanted, tap);
    else if (on_bridge(wanted) && wanted.port_isolated != present.port_isolated)
        isolate_plug(tap, wanted.port_isolated && *wanted.port_isolated);
}

// Why it had to be is what the caller is told.
Task<> put_plug_back(DomainPtr domain, Nic present, Nic tried) {
    if (!domain->is_active()) co_return;
    try {
        co_await change_plug(domain, present, tried);
    } catch (const std::exception& error) {
        log::warn("{}: cannot put back the plug of {}: {}", domain->name(), present.target.dev, error.what());
    }
}

} // namespace

static Task<> change_nic(DomainPtr domain, Plan plan, bool force) {
    Host& host = domain->hypervisor().host();
    auto& wanted = plan.document->devices.interfaces.at(plan.at.place);
    const Nic present = domain->live().devices.interfaces.at(plan.at.place);
    if (on_same_network(wanted, present)) { // it keeps what it was lent there
        wanted.actual = present.actual;
        if (wanted.actual && !same(wanted.bandwidth, present.bandwidth)) wanted.actual->bandwidth = wanted.bandwidth;
        if (wanted.actual && wanted.vlan) wanted.actual->vlan = wanted.vlan;
        wanted.source.dev = present.source.dev;
        wanted.source.mode = present.source.mode;
    }
    check_nic(wanted, present);
    check_plug(wanted, present);
    check_plug_options(host, wanted);
    settle_bridge(host, wanted, present);
    const bool has_other_port = wanted.source.port_id != present.source.port_id;
    std::exception_ptr failure;
    try {
        co_await change_plug(domain, wanted, present);
        const auto machine = domain->shared_machine();
        co_await machine->update({plan.document, plan.at, force, domain->fd_groups});
        domain->require_active();
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (has_other_port) host.networks().forget_port(wanted);
        co_await put_plug_back(domain, present, wanted);
        std::rethrow_exception(failure);
    }
    if (has_other_port) host.networks().forget_port(present);
    auto& live = domain->live().devices.interfaces.at(plan.at.place);
    if (is_changed(wanted, present))
        live = wanted;
    else
        live.link = wanted.link;
}

// Of a drive only the medium changes, and how libvirt treats it.
static void take_over(xml::Disk& live, const xml::Disk& fresh) {
    live.snapshot = fresh.snapshot;
    live.source.startup_policy = fresh.source.startup_policy;
    // The driver numbers what is new.
    if (!fresh.source.index) return;
    live.source = fresh.source;
    live.backing = fresh.backing;
    live.driver.type = fresh.driver.type;
}

static void take_over(xml::Graphics& live, const xml::Graphics& fresh) {
    live.passwd = fresh.passwd;
    live.passwd_valid_to = fresh.passwd_valid_to;
    live.connected = fresh.connected;
}

Task<> change_device(DomainPtr domain, xml::DeviceAt at, xml::Device device, bool force, bool anew) {
    auto document = std::make_shared<xml::Domain>(domain->live());
    const xml::Device old = xml::device_at(document->devices, at);
    if (auto* info = xml::info_of(device)) {
        info->alias = xml::info_of(old)->alias;
        if (!info->address && std::holds_alternative<xml::Disk>(device)) info->address = xml::info_of(old)->address;
    }
    // The address is the old one's; to say another is checked below, against what was asked for.
    const xml::Device asked = device;
    if (auto* info = xml::info_of(device)) info->address = xml::info_of(old)->address;
    xml::replace_device(document->devices, at, std::move(device));
    xml::check_domain(*document);
    Plan plan = co_await complete_plan(domain, document, at);
    xml::Device completed = xml::device_at(plan.document->devices, plan.at);
    if (auto* info = xml::info_of(completed)) info->address = xml::info_of(asked)->address;
    xml::replace_device(plan.document->devices, plan.at, completed);
    if (std::holds_alternative<Nic>(completed)) {
        co_await change_nic(domain, plan, force);
    } else {
        if (std::holds_alternative<xml::Disk>(completed))
            resolve_volume(domain->hypervisor().host(), plan.document->devices.disks.at(plan.at.place));
        const auto machine = domain->shared_machine();
        co_await machine->update({plan.document, plan.at, force, domain->fd_groups, anew});
        domain->require_active();
        auto& live = domain->live().devices;
        if (std::holds_alternative<xml::Disk>(completed))
            take_over(live.disks.at(plan.at.place), plan.document->devices.disks.at(plan.at.place));
        if (std::holds_alternative<xml::Graphics>(completed))
            take_over(live.graphics.at(plan.at.place), plan.document->devices.graphics.at(plan.at.place));
        if (std::holds_alternative<xml::MemoryDevice>(completed))
            live.memories.at(plan.at.place).target.requested = std::get<xml::MemoryDevice>(completed).target.requested;
    }
    domain->keep_status();
}

} // namespace lodge::daemon
