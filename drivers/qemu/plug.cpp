// Plugging a device into a running QEMU: what it needs on the host, its back ends, the device itself. Every step knows how it is
// undone, and a failure undoes them all, the last one first.
#include "drivers/qemu/plug.hpp"
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/helpers/helpers.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/lent_fds.hpp"
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/master_key.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

using namespace xml;
using rpc::fail;

// ---- steps ----

Task<json> PlugSteps::ask(std::string command, json arguments) { return qmp_->ask(std::move(command), std::move(arguments)); }

Task<> PlugSteps::step(std::string command, json arguments, std::string undo, json undo_arguments) {
    co_await qmp_->ask(std::move(command), std::move(arguments));
    undo_with(std::move(undo), std::move(undo_arguments));
}

void PlugSteps::undo_with(std::string command, json arguments) { undo_.emplace_back(std::move(command), std::move(arguments)); }

Task<> PlugSteps::undo() {
    for (auto step = undo_.rbegin(); step != undo_.rend(); ++step) {
        if (qmp_->closed()) break;
        const json reply = co_await qmp_->send(step->first, step->second).reply();
        if (reply.contains("error")) log::debug("undoing with {} failed: {}", step->first, reply["error"].dump());
    }
    undo_.clear();
}

Task<> PlugSteps::lend(FdSet set) {
    const json number = {{"fdset-id", set.number}};
    for (const int fd : set.fds) {
        json arguments = number;
        arguments["opaque"] = set.opaque;
        auto sent = qmp_->send("add-fd", std::move(arguments), Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)));
        co_await sent.result();
    }
    undo_with("remove-fd", number);
}

Task<> add_block_nodes(PlugSteps& steps, BlockNodes nodes) {
    for (const auto& set : nodes.fd_sets) co_await steps.lend(set);
    for (const auto& object : nodes.objects)
        co_await steps.step("object-add", json(object), "object-del", {{"id", object.at("id").get<std::string>()}});
    for (const auto& node : nodes.nodes)
        co_await steps.step("blockdev-add", json(node), "blockdev-del", {{"node-name", node.at("node-name").get<std::string>()}});
}

Task<BuildContext> running_context(std::shared_ptr<const World> world, std::shared_ptr<const Domain> domain, int id,
                                   std::string key_path) {
    BuildContext context = co_await guest_context(std::move(world), std::move(domain), id);
    const MasterKey key = co_await rpc::blocking_result([&] { return read_master_key(key_path); });
    context.seal = [key](std::string_view plain) { return seal(key, plain); };
    co_return context;
}

// ---- one device ----

class Plug {
  public:
    Plug(std::shared_ptr<QemuMachine> machine, Attachment attachment)
        : machine_(std::move(machine))
        , plan_(attachment.plan)
        , at_(attachment.device)
        , nic_(std::move(attachment.nic))
        , fd_groups_(std::move(attachment.fd_groups))
        , keep_(std::move(attachment.keep))
        , steps_(machine_->qmp_)
        , made_(machine_->parts_.runtime) {
        made_.made.clear();
        made_.assigned.clear();
        made_.helpers.clear();
    }

    Task<> run();

  private:
    template<class T> Task<> plug(T& device);
    Task<> plug(Disk& disk);
    Task<> plug(Controller& controller);
    Task<> plug(Nic& nic);
    Task<> plug(Hostdev& hostdev);
    Task<> plug_scsi(Hostdev& hostdev);
    Task<> plug_scsi_host(Hostdev& hostdev);
    Task<> plug(Redirdev& redirdev);
    Task<> plug(Serial& serial);
    Task<> plug(Console& console);
    Task<> plug(Channel& channel);
    Task<> plug(Rng& rng);
    Task<> plug(Shmem& shmem);
    Task<> plug(Watchdog& watchdog);
    Task<> plug(Input& input);
    Task<> plug(Vsock& vsock);
    Task<> plug(Filesystem& filesystem);
    Task<> plug(MemoryDevice& memory);

    Task<> add_device(Json device);
    Task<> add_chardev(CharSource& source, std::string alias, std::string kind);
    Task<std::string> pass(int fd, std::string name);
    Task<std::string> pass_file(int fd, std::string opaque);
    Task<json> pass_taps(Nic& nic);
    Task<> own(std::vector<OwnedPath> paths);
    Task<> announce(const Device& device);
    Task<> undo();

    std::shared_ptr<QemuMachine> machine_;
    std::shared_ptr<Domain> plan_;
    DeviceAt at_;
    NicBackend nic_;
    std::vector<NicBackend> taps_; // open until QEMU has them
    FdGroups fd_groups_;
    std::function<Task<>()> keep_;
    PlugSteps steps_;
    Runtime made_; // what this device adds to the guest's
    std::vector<FormerOwner> owners_;
    BuildContext context_;
    HostSide host_;
    std::optional<Helpers> helpers_;
};

Task<> Plug::run() {
    if (const Device device = device_at(plan_->devices, at_); std::holds_alternative<Disk>(device)) {
        auto& disk = plan_->devices.disks[at_.place];
        disk.source.index = machine_->take_block_number();
        co_await rpc::blocking([&] {
            require_image(disk);
            find_chain(disk);
        });
        for (auto* link : links_below(disk)) link->source.index = machine_->take_block_number();
    }
    assign_aliases(*plan_);
    const auto& parts = machine_->parts_;
    context_ = co_await running_context(parts.world, plan_, parts.id, parts.runtime.master_key_path());
    Device device = device_at(plan_->devices, at_);
    std::exception_ptr failure;
    try {
        co_await announce(device);
        co_await std::visit([this](auto& one) { return plug(one); }, device);
    } catch (...) {
        failure = std::current_exception();
    }
    host_.close();
    if (helpers_) helpers_->close();
    taps_.clear();
    machine_->plugging_.clear();
    if (failure) {
        co_await undo();
        std::rethrow_exception(failure);
    }
    auto& runtime = machine_->parts_.runtime;
    runtime.made.insert(runtime.made.end(), made_.made.begin(), made_.made.end());
    runtime.helpers.insert(runtime.helpers.end(), made_.helpers.begin(), made_.helpers.end());
    runtime.assigned.insert(runtime.assigned.end(), made_.assigned.begin(), made_.assigned.end());
    if (!made_.helpers.empty())
        co_await rpc::blocking([&] {
            for (const auto& helper : made_.helpers) runtime.cgroup.enter(helper.pid);
        });
    replace_device(plan_->devices, at_, std::move(device));
}

// From here on a later daemon looks whether QEMU has it.
Task<> Plug::announce(const Device& device) {
    machine_->plugging_ = std::visit(
        [&](const auto& one) { return format(one, element_of(device).data(), {.live = true, .secret = true, .private_ = true}); },
        device);
    if (keep_) co_await keep_();
}

Task<> Plug::undo() {
    co_await steps_.undo();
    std::erase_if(machine_->parts_.runtime.owners, [this](const FormerOwner& owner) {
        return std::ranges::any_of(owners_, [&](const FormerOwner& mine) { return mine.path == owner.path; });
    });
    co_await rpc::blocking([this] {
        if (made_.identity) give_back(owners_, *made_.identity);
        end_helpers(made_.helpers);
        return_pci_devices(made_.assigned);
        for (const auto& socket : made_.made) ::unlink(socket.c_str());
    });
}

Task<> Plug::add_device(Json device) {
    override_device(*plan_, device);
    const std::string id = device.at("id");
    co_await steps_.step("device_add", json(device), "device_del", {{"id", id}});
}

Task<> Plug::own(std::vector<OwnedPath> paths) {
    co_await rpc::blocking([this, &paths] { owners_ = lend(machine_->parts_.runtime, paths); });
    if (owners_.empty()) co_return;
    auto& all = machine_->parts_.runtime.owners;
    all.insert(all.end(), owners_.begin(), owners_.end());
    if (keep_) co_await keep_();
}

// ---- descriptors ----

// Lends QEMU a descriptor under a name; what it is used for takes it over.
Task<std::string> Plug::pass(int fd, std::string name) {
    auto sent = machine_->qmp_->send("getfd", {{"fdname", name}}, Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)));
    co_await sent.result();
    co_return name;
}

Task<std::string> Plug::pass_file(int fd, std::string opaque) {
    auto sent = machine_->qmp_->send("add-fd", {{"opaque", opaque}}, Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)));
    const json set = co_await sent.result();
    steps_.undo_with("remove-fd", {{"fdset-id", set.at("fdset-id")}});
    co_return fmt::format("/dev/fdset/{}", set.at("fdset-id").get<std::int64_t>());
}

Task<> Plug::add_chardev(CharSource& source, std::string alias, std::string kind) {
    co_await own(paths_to_own(source));
    co_await rpc::blocking([&] { host_.open_chardev(source, alias, made_); });
    const std::string id = "char" + alias;
    const auto fds = host_.named_fds();
    ChardevFds passed;
    if (const auto fd = fds.find(id); fd != fds.end()) {
        if (source.type == CharType::unix_)
            passed.socket = co_await pass(fd->second, id);
        else
            passed.file = co_await pass_file(fd->second, id);
    }
    if (const auto log = fds.find(id + "-log"); log != fds.end()) passed.log = co_await pass_file(log->second, id + "-log");
    machine_->limit_log(source.type == CharType::file ? source.first().path : "");
    machine_->limit_log(source.log ? source.log->file : "");
    const json answer = co_await steps_.ask("chardev-add", json(chardev_backend(source, id, kind, passed)));
    steps_.undo_with("chardev-remove", {{"id", id}});
    if (source.type == CharType::pty && answer.is_object()) source.edit_first().path = answer.value("pty", "");
}

// ---- kinds ----

template<class T> Task<> Plug::plug(T& device) {
    fail(Code::operation_unsupported, "live attach of device '{}' is not supported", kind_word(Device(device)));
}

Task<> Plug::plug(Disk& disk) {
    const auto bus = disk.target.bus.value_or(DiskBus::none);
    if (disk.device == DiskDevice::floppy) fail(Code::operation_unsupported, "floppy device hotplug isn't supported");
    if (bus == DiskBus::virtio && disk.device == DiskDevice::cdrom)
        fail(Code::operation_unsupported, "cdrom device with virtio bus isn't supported");
    if (bus == DiskBus::usb && disk.device == DiskDevice::lun)
        fail(Code::config_unsupported, "disk device='lun' is not supported for usb bus");
    if (bus != DiskBus::virtio && bus != DiskBus::scsi && bus != DiskBus::usb)
        fail(Code::operation_unsupported, "disk bus '{}' cannot be hotplugged.", word(bus));
    std::vector<OwnedPath> paths;
    co_await rpc::blocking([&] { paths = paths_to_own(disk); });
    co_await own(std::move(paths));
    if (disk.source.type == SourceType::vhostuser) {
        CharSource source;
        source.type = CharType::unix_;
        source.edit_first().path = disk.source.path;
        source.edit_first().reconnect = disk.source.reconnect;
        const std::string id = "chr-vu-" + disk.info.alias;
        co_await steps_.step("chardev-add", json(chardev_backend(source, id, "disk", {})), "chardev-remove", {{"id", id}});
    } else {
        lend_fds(disk, fd_groups_, context_);
        co_await add_block_nodes(steps_, block_nodes(disk, context_));
    }
    co_await add_device(device_json(*plan_, disk, context_));
    if (disk.iotune) co_await steps_.ask("block_set_io_throttle", throttle_order(disk));
}

Task<> Plug::plug(Controller& controller) {
    if (controller.type != ControllerType::scsi)
        fail(Code::operation_unsupported, "'{}' controller cannot be hot plugged.", word(controller.type));
    co_await add_device(device_json(*plan_, controller, context_));
}

// The words for netdev_add, with descriptors by the names under which QEMU has them.
Task<json> Plug::pass_taps(Nic& nic) {
    Domain one;
    one.type = plan_->type;
    one.devices.interfaces.push_back(nic);
    taps_.push_back(std::move(nic_));
    host_.add_nics(one, taps_);
    context_.nics = host_.nics;
    json netdev(netdev_json(*plan_, nic, context_));
    const auto found = host_.nics.find(nic.info.alias);
    if (found == host_.nics.end()) co_return netdev;
    const auto name_all = [&](const std::vector<int>& fds, std::string one_key, std::string prefix) -> Task<> {
        std::string names;
        for (std::size_t i = 0; i < fds.size(); ++i)
            names += (i ? ":" : "") + co_await pass(fds[i], fmt::format("{}-{}{}", prefix, nic.info.alias, i));
        if (!fds.empty()) netdev[fds.size() == 1 ? one_key : one_key + "s"] = names;
    };
    co_await name_all(found->second.taps, "fd", "tap");
    co_await name_all(found->second.vhosts, "vhostfd", "vhost");
    co_return netdev;
}

Task<> Plug::plug(Nic& nic) {
    if (nic.type == NicType::hostdev) {
        Hostdev hostdev = hostdev_of(nic);
        co_return co_await plug(hostdev);
    }
    const std::string id = "host" + nic.info.alias;
    if (nic.type == NicType::vhostuser) {
        CharSource source;
        source.type = CharType::unix_;
        source.edit_first().path = nic.source.path;
        source.edit_first().mode = nic.source.socket_mode == "server" ? CharMode::bind : CharMode::connect;
        source.edit_first().reconnect = nic.source.reconnect;
        co_await add_chardev(source, nic.info.alias, "net");
    }
    json netdev = co_await pass_taps(nic);
    if (nic.type == NicType::user && nic.backend.type == NicBackendType::passt) {
        helpers_.emplace(machine_->parts_.world, *plan_, context_, made_);
        helpers_->start_passt(nic);
        netdev = json(netdev_json(*plan_, nic, context_));
        netdev["addr"]["str"] = co_await pass(context_.nics.at(nic.info.alias).passt, "passt-" + nic.info.alias);
    }
    co_await steps_.step("netdev_add", netdev, "netdev_del", {{"id", id}});
    co_await add_device(device_json(*plan_, nic, context_));
    if (nic.link == NicLinkState::down) co_await steps_.ask("set_link", {{"name", nic.info.alias}, {"up", false}});
}

Task<> Plug::plug(Hostdev& hostdev) {
    if (hostdev.mode != HostdevMode::subsystem)
        fail(Code::config_unsupported, "hotplug is not supported for hostdev mode '{}'", word(hostdev.mode));
    if (hostdev.info.is(AddressType::unassigned)) co_return;
    if (hostdev.type == HostdevType::scsi) co_return co_await plug_scsi(hostdev);
    if (hostdev.type == HostdevType::scsi_host) co_return co_await plug_scsi_host(hostdev);
    const bool vfio = ::access("/dev/vfio/vfio", F_OK) == 0;
    if (hostdev.type == HostdevType::pci && !vfio)
        fail(Code::config_unsupported, "host doesn't support passthrough of host PCI devices");
    if (hostdev.type == HostdevType::mdev && !vfio)
        fail(Code::config_unsupported, "Mediated host device assignment requires VFIO support");
    if (const auto device = assigned_pci(hostdev)) co_await rpc::blocking([&] { made_.assigned = take_pci_devices({*device}); });
    co_await own(paths_to_own(hostdev, {}));
    co_await add_device(device_json(*plan_, hostdev, context_));
}

Task<> Plug::plug_scsi(Hostdev& hostdev) {
    hostdev.source.node = machine_->take_block_number();
    if (hostdev.source.protocol != "iscsi") {
        std::string generic;
        co_await rpc::blocking([&] { generic = find_scsi_generic(hostdev); });
        context_.scsi_generics[hostdev.info.alias] = generic;
        co_await own(paths_to_own(hostdev, context_.scsi_generics));
    }
    co_await add_block_nodes(steps_, block_nodes(hostdev, context_));
    co_await add_device(device_json(*plan_, hostdev, context_));
}

Task<> Plug::plug_scsi_host(Hostdev& hostdev) {
    co_await rpc::blocking([&] { host_.open_scsi_host(hostdev); });
    Json device = device_json(*plan_, hostdev, context_);
    device["vhostfd"] = co_await pass(host_.named_fds().at(hostdev.info.alias), "vhost-" + hostdev.info.alias);
    co_await add_device(std::move(device));
}

Task<> Plug::plug(Redirdev& redirdev) {
    co_await add_chardev(redirdev.source, redirdev.info.alias, "redir");
    co_await add_device(device_json(*plan_, redirdev, context_));
}

Task<> Plug::plug(Serial& serial) {
    const auto type = serial.target.type.value_or(SerialTargetType::none);
    if (type != SerialTargetType::pci_serial && type != SerialTargetType::usb_serial && serial.info.is_pci())
        fail(Code::config_unsupported, "Unsupported address type for character device");
    co_await add_chardev(serial.source, serial.info.alias, "serial");
    co_await add_device(device_json(*plan_, serial, context_));
}

Task<> Plug::plug(Console& console) {
    co_await add_chardev(console.source, console.info.alias, "console");
    console.tty = console.source.type == CharType::pty ? console.source.first().path : "";
    co_await add_device(device_json(*plan_, console, context_));
}

Task<> Plug::plug(Channel& channel) {
    fill_channel_path(channel, *plan_, context_);
    co_await add_chardev(channel.source, channel.info.alias, "channel");
    if (channel.target.type == ChannelTargetType::guestfwd)
        co_await steps_.step("netdev_add", json(guest_forward_json(channel)), "netdev_del", {{"id", channel.info.alias}});
    else
        co_await add_device(device_json(*plan_, channel, context_));
}

Task<> Plug::plug(Rng& rng) {
    if (rng.backend == RngBackend::egd) co_await add_chardev(rng.source, rng.info.alias, "rng");
    co_await steps_.step("object-add", json(backend_json(rng)), "object-del", {{"id", "obj" + rng.info.alias}});
    co_await add_device(device_json(*plan_, rng, context_));
}

Task<> Plug::plug(Shmem& shmem) {
    if (shmem.model == ShmemModel::ivshmem)
        fail(Code::operation_unsupported, "live attach of shmem model '{}' is not supported", word(shmem.model));
    if (shmem.model == ShmemModel::ivshmem_plain) {
        co_await steps_.step("object-add", json(backend_json(shmem)), "object-del", {{"id", "shmmem-" + shmem.info.alias}});
    } else {
        CharSource source;
        source.type = CharType::unix_;
        source.edit_first().path = doorbell_socket(shmem, context_);
        co_await add_chardev(source, shmem.info.alias, "shmem");
    }
    co_await add_device(device_json(*plan_, shmem, context_));
}

Task<> Plug::plug(Watchdog& watchdog) {
    if (watchdog.model != WatchdogModel::i6300esb)
        fail(Code::operation_unsupported, "hotplug of watchdog of model {} is not supported", word(watchdog.model));
    // A dump is made by the driver while the guest is paused.
    const auto action = watchdog.action == WatchdogAction::dump ? WatchdogAction::pause : watchdog.action;
    co_await steps_.ask("set-action", {{"watchdog", word(action)}});
    co_await add_device(device_json(*plan_, watchdog, context_));
}

Task<> Plug::plug(Input& input) {
    const auto bus = input.bus.value_or(InputBus::none);
    if (bus != InputBus::usb && bus != InputBus::virtio)
        fail(Code::operation_unsupported, "input device on bus '{}' cannot be hot plugged.", word(bus));
    co_await add_device(device_json(*plan_, input, context_));
}

Task<> Plug::plug(Vsock& vsock) {
    co_await rpc::blocking([&] { host_.open_vsock(vsock); });
    Json device = device_json(*plan_, vsock, context_);
    device["vhostfd"] = co_await pass(host_.named_fds().at(vsock.info.alias), "vsock-" + vsock.info.alias);
    co_await add_device(std::move(device));
}

// What a helper needs of the host's side is as at a start; QEMU is told of its socket afterwards.
Task<> Plug::plug(Filesystem& filesystem) {
    if (filesystem.driver != FilesystemDriver::virtiofs)
        fail(Code::operation_unsupported, "only virtiofs filesystems can be hotplugged");
    helpers_.emplace(machine_->parts_.world, *plan_, context_, made_);
    if (filesystem.socket.empty()) co_await helpers_->start_virtiofs(filesystem);
    CharSource source;
    source.type = CharType::unix_;
    source.edit_first().path = virtiofs_socket(*plan_, filesystem, context_);
    const std::string id = "chr-vu-" + filesystem.info.alias;
    co_await steps_.step("chardev-add", json(chardev_backend(source, id, "fs", {})), "chardev-remove", {{"id", id}});
    co_await add_device(device_json(*plan_, filesystem, context_));
}

Task<> Plug::plug(MemoryDevice& memory) {
    co_await steps_.step("object-add", json(backend_json(*plan_, memory, context_)), "object-del",
                         {{"id", "mem" + memory.info.alias}});
    co_await add_device(device_json(*plan_, memory, context_));
    take_memory_devices(*plan_, co_await machine_->qmp().ask("query-memory-devices"));
    memory = plan_->devices.memories[at_.place];
}

static Task<> plug_in(std::shared_ptr<QemuMachine> machine, Attachment attachment) {
    Plug plug(std::move(machine), std::move(attachment));
    co_await plug.run();
}

Task<> QemuMachine::attach(Attachment attachment) { return plug_in(shared_from_this(), std::move(attachment)); }

} // namespace lodge::drivers::qemu
