// Devices leave a running QEMU: asked to, or because the guest ejected them. The guest decides; when it has let go, what stood
// behind the device is removed from QEMU and from the host, and then it is told.
#include "drivers/qemu/unplug.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/plug.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <unistd.h>

namespace lodge::drivers::qemu {

using namespace xml;
using rpc::fail;

namespace {

// ---- what can leave at all ----

template<class T> void check_unplug(const Domain&, const T&) {}

void check_unplug(const Domain&, const Disk& disk) {
    const auto bus = disk.target.bus.value_or(DiskBus::none);
    const bool movable = bus == DiskBus::usb || bus == DiskBus::scsi;
    if (disk.device == DiskDevice::floppy || (disk.device == DiskDevice::cdrom && !movable))
        fail(Code::operation_unsupported, "disk device type '{}' cannot be detached", word(disk.device));
    if (!movable && bus != DiskBus::virtio) fail(Code::operation_unsupported, "This type of disk cannot be hot unplugged");
    if (disk.mirror) fail(Code::block_copy_active, "disk '{}' already in active block job", disk.target.dev);
}

void check_unplug(const Domain& domain, const Controller& controller) {
    if (controller.type != ControllerType::scsi)
        fail(Code::operation_unsupported, "'{}' controller cannot be hot unplugged.", word(controller.type));
    const auto stands_on_it = [&](const DeviceInfo& info) {
        return info.is(AddressType::drive) && info.address->drive.controller == controller.index;
    };
    const bool disks = std::ranges::any_of(
        domain.devices.disks, [&](const Disk& disk) { return disk.target.bus == DiskBus::scsi && stands_on_it(disk.info); });
    const bool hostdevs = std::ranges::any_of(
        domain.devices.hostdevs, [&](const Hostdev& h) { return h.type == HostdevType::scsi && stands_on_it(h.info); });
    if (disks || hostdevs) fail(Code::operation_failed, "device cannot be detached: device is busy");
}

void check_unplug(const Domain&, const Shmem& shmem) {
    if (shmem.model == ShmemModel::ivshmem)
        fail(Code::operation_unsupported, "live detach of shmem model '{}' is not supported", word(shmem.model));
}

void check_unplug(const Domain&, const Watchdog& watchdog) {
    if (watchdog.model != WatchdogModel::i6300esb)
        fail(Code::operation_unsupported, "hot unplug of watchdog of model {} is not supported", word(watchdog.model));
}

void check_unplug(const Domain&, const Input& input) {
    if (input.bus != InputBus::usb && input.bus != InputBus::virtio)
        fail(Code::operation_unsupported, "input device on bus '{}' cannot be detached",
             word(input.bus.value_or(InputBus::none)));
}

void check_unplug(const Domain&, const Hostdev& hostdev) {
    if (hostdev.mode != HostdevMode::subsystem)
        fail(Code::config_unsupported, "hot unplug is not supported for hostdev mode '{}'", word(hostdev.mode));
}

void check_unplug(const Domain&, const Filesystem& fs) {
    if (fs.driver != FilesystemDriver::virtiofs) fail(Code::operation_unsupported, "only virtiofs filesystems can be hotplugged");
}

// Another device in the slot, or the multifunction flag, ties a device to its neighbours.
bool shares_slot(const Domain& domain, const DeviceInfo& info) {
    if (!info.is_pci()) return false;
    if (info.address->pci.multifunction && *info.address->pci.multifunction) return true;
    if (info.address->pci.function.value != 0) return true;
    const auto& mine = info.address->pci;
    for (std::size_t kind = 0; kind < device_kinds; ++kind)
        for (std::size_t place = 0; place < count_of(domain.devices, kind); ++place) {
            const Device other = device_at(domain.devices, {kind, place});
            const auto* there = info_of(other);
            if (!there || !there->is_pci() || there->alias == info.alias) continue;
            const auto& pci = there->address->pci;
            if (pci.domain == mine.domain && pci.bus == mine.bus && pci.slot == mine.slot) return true;
        }
    return false;
}

void check_slot(const Domain& domain, const Device& device, const DeviceInfo& info) {
    const auto refuse = [&](const char* why) {
        fail(Code::operation_failed, "cannot hot unplug {} device with {}PCI guest address: {}{}", kind_word(device),
             *why ? "" : "multifunction ", info.address->pci.text(), why);
    };
    if (shares_slot(domain, info)) refuse("");
    if (!info.is_pci()) return;
    const auto bus = std::ranges::find_if(domain.devices.controllers, [&](const Controller& controller) {
        return controller.type == ControllerType::pci && controller.index == info.address->pci.bus.value;
    });
    if (bus == domain.devices.controllers.end()) refuse(" - controller not found");
    if (bus->target.hotplug && !*bus->target.hotplug) refuse(" - not allowed by controller");
}

bool is_vcpu(const std::string& alias, unsigned& number) {
    std::uint64_t wide = 0;
    if (!alias.starts_with("vcpu") || !parse_unsigned(std::string_view(alias).substr(4), wide)) return false;
    number = static_cast<unsigned>(wide);
    return true;
}

bool is_guest_forward(const Device& device) {
    const auto* channel = std::get_if<Channel>(&device);
    return channel && channel->target.type == ChannelTargetType::guestfwd;
}

// ---- what stood behind it ----

using Orders = std::vector<std::pair<std::string, json>>;

void remove_chardev(Orders& orders, const std::string& id) { orders.emplace_back("chardev-remove", json{{"id", id}}); }
void remove_object(Orders& orders, const std::string& id) { orders.emplace_back("object-del", json{{"id", id}}); }

template<class T> void order_removal(Orders&, const T&) {}

void order_removal(Orders& orders, const Disk& disk) {
    if (disk.source.type == SourceType::vhostuser) return remove_chardev(orders, "chr-vu-" + disk.info.alias);
    for (auto& order : removal_of(disk)) orders.push_back(std::move(order));
}
void order_removal(Orders& orders, const Nic& nic) {
    if (nic.type == NicType::hostdev) return;
    orders.emplace_back("netdev_del", json{{"id", "host" + nic.info.alias}});
    if (nic.type == NicType::vhostuser) remove_chardev(orders, "char" + nic.info.alias);
}
void order_removal(Orders& orders, const Hostdev& hostdev) {
    if (!has_block_node(hostdev)) return;
    const std::string node = fmt::format("libvirt-{}-backend", hostdev.source.node.value_or(0));
    orders.emplace_back("blockdev-del", json{{"node-name", node}});
    if (hostdev.source.auth) remove_object(orders, node + "-secret0");
}
void order_removal(Orders& orders, const Redirdev& redirdev) { remove_chardev(orders, "char" + redirdev.info.alias); }
void order_removal(Orders& orders, const Serial& serial) { remove_chardev(orders, "char" + serial.info.alias); }
void order_removal(Orders& orders, const Console& console) { remove_chardev(orders, "char" + console.info.alias); }
void order_removal(Orders& orders, const Channel& channel) { remove_chardev(orders, "char" + channel.info.alias); }
void order_removal(Orders& orders, const Rng& rng) {
    remove_object(orders, "obj" + rng.info.alias);
    if (rng.backend == RngBackend::egd) remove_chardev(orders, "char" + rng.info.alias);
}
void order_removal(Orders& orders, const Shmem& shmem) {
    if (shmem.model == ShmemModel::ivshmem_plain)
        remove_object(orders, "shmmem-" + shmem.info.alias);
    else
        remove_chardev(orders, "char" + shmem.info.alias);
}
void order_removal(Orders& orders, const Filesystem& fs) { remove_chardev(orders, "chr-vu-" + fs.info.alias); }
void order_removal(Orders& orders, const MemoryDevice& memory) { remove_object(orders, "mem" + memory.info.alias); }

// The socket that a character device of ours listened on.
const CharSource* source_of(const Device& device) {
    return std::visit(
        []<class T>(const T& one) -> const CharSource* {
            if constexpr (requires { one.source.sources; })
                return &one.source;
            else
                return nullptr;
        },
        device);
}

// Files of the host that QEMU's user owned for this device, which is no disk.
std::set<std::string> owned_by(const Device& device) {
    std::vector<OwnedPath> paths;
    if (const auto* hostdev = std::get_if<Hostdev>(&device)) {
        std::map<std::string, std::string> generics;
        if (has_block_node(*hostdev) && hostdev->source.protocol != "iscsi")
            generics[hostdev->info.alias] = find_scsi_generic(*hostdev);
        paths = paths_to_own(*hostdev, generics);
    } else if (const auto* source = source_of(device)) {
        paths = paths_to_own(*source);
    }
    std::set<std::string> names;
    for (const auto& path : paths) names.insert(path.path);
    return names;
}

} // namespace

std::vector<std::pair<std::string, json>> removal_of(const Disk& disk) {
    BuildContext names;
    names.display = true; // secrets need no value to be removed
    const BlockNodes nodes = block_nodes(disk, names);
    Orders orders;
    for (auto node = nodes.nodes.rbegin(); node != nodes.nodes.rend(); ++node)
        orders.emplace_back("blockdev-del", json{{"node-name", node->at("node-name").get<std::string>()}});
    for (const auto& object : nodes.objects) remove_object(orders, object.at("id").get<std::string>());
    const auto forget_fds = [&](const StorageSource& source) {
        if (!source.fd_group.empty()) orders.emplace_back("remove-fd", json{{"fdset-id", fd_set_of(source)}});
    };
    forget_fds(disk.source);
    for (const auto* link : links_below(disk)) forget_fds(link->source);
    return orders;
}

Task<> QemuMachine::own_images(Disk disk) {
    const auto self = shared_from_this();
    std::vector<FormerOwner> owners;
    co_await rpc::blocking([&] { owners = lend(parts_.runtime, paths_to_own(disk)); });
    auto& kept = parts_.runtime.owners;
    kept.insert(kept.end(), owners.begin(), owners.end());
}

// Owners of the images come back, but for those that another disk of the guest still reads.
Task<> QemuMachine::give_back_images(Disk disk) {
    const auto self = shared_from_this();
    std::set<std::string> ours;
    std::vector<Disk> others;
    for (const auto& other : parts_.domain->devices.disks)
        if (other.target.dev != disk.target.dev) others.push_back(other);
    co_await rpc::blocking([&] {
        for (const auto& path : paths_to_own(disk)) ours.insert(path.path);
        for (const auto& other : others)
            for (const auto& path : paths_to_own(other)) ours.erase(path.path);
    });
    co_await give_back_paths(std::move(ours));
}

Task<> QemuMachine::give_back_paths(std::set<std::string> paths) {
    auto& runtime = parts_.runtime;
    if (!runtime.identity || paths.empty()) co_return;
    const auto self = shared_from_this();
    std::vector<FormerOwner> former;
    std::erase_if(runtime.owners, [&](const FormerOwner& owner) {
        if (!paths.contains(owner.path)) return false;
        former.push_back(owner);
        return true;
    });
    co_await rpc::blocking([&] { give_back(former, *self->parts_.runtime.identity); });
}

// To the host's driver that had it before.
Task<> QemuMachine::return_device(Hostdev hostdev) {
    const auto pci = assigned_pci(hostdev);
    if (!pci || std::erase(parts_.runtime.assigned, pci->path) == 0) co_return;
    co_await rpc::blocking([&] { return_pci_devices({pci->path}); });
}

Task<> QemuMachine::release(std::shared_ptr<QemuMachine> self, Device device) {
    Orders orders;
    std::visit([&](const auto& one) { order_removal(orders, one); }, device);
    std::vector<Qmp::Pending> pending;
    for (auto& [command, arguments] : orders) pending.push_back(self->qmp().send(command, std::move(arguments)));
    for (std::size_t i = 0; i < pending.size() && !self->qmp().closed(); ++i) {
        const json reply = co_await pending[i].reply();
        if (reply.contains("error"))
            log::warn("{}: {} failed after a device was unplugged: {}", self->name(), orders[i].first,
                      reply["error"].value("desc", ""));
    }
    if (const auto* disk = std::get_if<Disk>(&device))
        co_await self->give_back_images(*disk);
    else
        co_await self->give_back_paths(co_await rpc::blocking_result([&] { return owned_by(device); }));
    if (const auto* hostdev = std::get_if<Hostdev>(&device)) co_await self->return_device(*hostdev);
    if (const auto* nic = std::get_if<Nic>(&device); nic && nic->type == NicType::hostdev)
        co_await self->return_device(hostdev_of(*nic));
    if (const auto* source = source_of(device)) {
        auto& sockets = self->parts_.runtime.made;
        const auto mine = std::ranges::find(sockets, source->first().path);
        if (mine == sockets.end()) co_return;
        const std::string path = *mine;
        sockets.erase(mine);
        co_await rpc::blocking([&] { ::unlink(path.c_str()); });
    }
}

Task<> QemuMachine::finish_unplug(std::shared_ptr<QemuMachine> self, std::string alias) {
    const auto at = find_alias(self->parts_.domain->devices, alias);
    if (at) {
        const Device device = device_at(self->parts_.domain->devices, *at);
        std::exception_ptr failure;
        try {
            co_await release(self, device);
        } catch (const std::exception& error) {
            log::warn("{}: what device '{}' had on the host is not given back: {}", self->name(), alias, error.what());
        }
        self->tell(event::DeviceRemoved{alias});
    }
    if (unsigned vcpu = 0; is_vcpu(alias, vcpu)) {
        co_await learn_vcpus(self);
        self->tell(event::VcpuRemoved{vcpu});
    }
    if (const auto waiting = self->unplugs_.find(alias); waiting != self->unplugs_.end()) waiting->second->over.set();
}

void QemuMachine::on_device_deleted(const std::string& alias) {
    background("cannot finish the removal of a device", finish_unplug(shared_from_this(), alias));
}

void QemuMachine::on_unplug_refused(const std::string& alias) {
    if (alias.empty()) return;
    if (const auto waiting = unplugs_.find(alias); waiting != unplugs_.end()) {
        waiting->second->refused = true;
        waiting->second->over.set();
    }
    tell(event::DeviceRemovalFailed{alias});
}

// ---- after a restart of the daemon ----

// QEMU has a device for it as long as the guest has it.
static bool stands_in_qemu(const Device& device) {
    if (const auto* disk = std::get_if<Disk>(&device)) {
        const auto bus = disk->target.bus.value_or(DiskBus::none);
        return bus == DiskBus::virtio || bus == DiskBus::scsi || bus == DiskBus::usb;
    }
    if (const auto* controller = std::get_if<Controller>(&device)) return controller->type == ControllerType::scsi;
    if (const auto* channel = std::get_if<Channel>(&device)) return channel->target.type == ChannelTargetType::virtio;
    if (const auto* watchdog = std::get_if<Watchdog>(&device)) return watchdog->model == WatchdogModel::i6300esb;
    if (const auto* input = std::get_if<Input>(&device)) return input->bus == InputBus::usb || input->bus == InputBus::virtio;
    if (const auto* fs = std::get_if<Filesystem>(&device)) return fs->driver == FilesystemDriver::virtiofs;
    return std::holds_alternative<Nic>(device) || std::holds_alternative<Redirdev>(device) ||
           std::holds_alternative<Hostdev>(device) || std::holds_alternative<Vsock>(device) ||
           std::holds_alternative<Rng>(device) || std::holds_alternative<Shmem>(device) ||
           std::holds_alternative<MemoryDevice>(device);
}

Task<> QemuMachine::reconcile(std::shared_ptr<QemuMachine> self, json peripheral) {
    std::set<std::string> present;
    for (const auto& entry : peripheral) present.insert(entry.value("name", ""));
    auto& devices = self->parts_.domain->devices;
    if (!self->plugging_.empty()) {
        Device device = parse_device(std::exchange(self->plugging_, ""), {.live = true, .private_ = true, .where = {}});
        const std::string alias = info_of(device)->alias;
        const bool known = find_alias(devices, alias).has_value();
        if (!known && present.contains(alias))
            insert_device(devices, {device.index(), count_of(devices, device.index())}, std::move(device));
        else if (!known)
            co_await release(self, std::move(device));
    }
    for (std::size_t kind = 0; kind < device_kinds; ++kind)
        for (std::size_t place = 0; place < count_of(devices, kind); ++place) {
            const Device device = device_at(devices, {kind, place});
            const auto* info = info_of(device);
            if (info && !info->alias.empty() && stands_in_qemu(device) && !present.contains(info->alias))
                self->lost_.push_back(info->alias);
        }
}

Task<> QemuMachine::detach_from(std::shared_ptr<QemuMachine> self, DeviceAt at, bool wait) {
    const auto& domain = *self->parts_.domain;
    const Device device = device_at(domain.devices, at);
    std::visit([&](const auto& one) { check_unplug(domain, one); }, device);
    const DeviceInfo info = *info_of(device);
    if (info.alias.empty()) fail(Code::internal_error, "Cannot detach {} device with no alias", kind_word(device));
    if (is_guest_forward(device)) {
        co_await self->ask("netdev_del", {{"id", info.alias}});
        co_return co_await finish_unplug(self, info.alias);
    }
    check_slot(domain, device, info);
    if (info.is(AddressType::unassigned)) co_return co_await finish_unplug(self, info.alias);
    const auto unplug = std::make_shared<Unplug>(self->parts_.executor);
    if (wait) self->unplugs_[info.alias] = unplug;
    const json reply = co_await self->qmp().send("device_del", {{"id", info.alias}}).reply();
    if (const auto error = reply.find("error"); error != reply.end()) {
        self->unplugs_.erase(info.alias);
        if (error->value("class", "") != "DeviceNotFound")
            fail(Code::internal_error, "unable to execute QEMU command 'device_del': {}", error->value("desc", ""));
        co_return co_await finish_unplug(self, info.alias); // QEMU has lost it already
    }
    if (!wait) co_return;
    co_await unplug->over.wait(Unplug::patience);
    self->unplugs_.erase(info.alias);
    if (unplug->refused) fail(Code::operation_failed, "unplug of device was rejected by the guest");
}

} // namespace lodge::drivers::qemu
