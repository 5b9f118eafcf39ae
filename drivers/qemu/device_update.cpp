// Changes of a device that stays: other media in a drive, the link of a network card, passwords of displays, the size that a
// memory device is asked for. Everything else about a running device is fixed, and refused by the name of what was to change.
#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/lent_fds.hpp"
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/plug.hpp"
#include "rpc/log.hpp"
#include <ctime>

namespace lodge::drivers::qemu {

using namespace xml;
using rpc::fail;

namespace {

// ---- disks ----

[[noreturn]] void fixed(const char* field) { fail(Code::operation_unsupported, "cannot modify field '{}' of the disk", field); }
// What the request leaves open stays as it is.
template<class T> void keep(const std::optional<T>& wanted, const std::optional<T>& present, const char* field) {
    if (wanted && (!present || !(*wanted == *present))) fixed(field);
}
void keep(const std::string& wanted, const std::string& present, const char* field) {
    if (!wanted.empty() && wanted != present) fixed(field);
}

void check_limits(const IoTune& wanted, const IoTune& present) {
    keep(wanted.total_bytes_sec, present.total_bytes_sec, "blkdeviotune total_bytes_sec");
    keep(wanted.read_bytes_sec, present.read_bytes_sec, "blkdeviotune read_bytes_sec");
    keep(wanted.write_bytes_sec, present.write_bytes_sec, "blkdeviotune write_bytes_sec");
    keep(wanted.total_iops_sec, present.total_iops_sec, "blkdeviotune total_iops_sec");
    keep(wanted.read_iops_sec, present.read_iops_sec, "blkdeviotune read_iops_sec");
    keep(wanted.write_iops_sec, present.write_iops_sec, "blkdeviotune write_iops_sec");
    keep(wanted.total_bytes_sec_max, present.total_bytes_sec_max, "blkdeviotune total_bytes_sec_max");
    keep(wanted.read_bytes_sec_max, present.read_bytes_sec_max, "blkdeviotune read_bytes_sec_max");
    keep(wanted.write_bytes_sec_max, present.write_bytes_sec_max, "blkdeviotune write_bytes_sec_max");
    keep(wanted.total_iops_sec_max, present.total_iops_sec_max, "blkdeviotune total_iops_sec_max");
    keep(wanted.read_iops_sec_max, present.read_iops_sec_max, "blkdeviotune read_iops_sec_max");
    keep(wanted.write_iops_sec_max, present.write_iops_sec_max, "blkdeviotune write_iops_sec_max");
    keep(wanted.size_iops_sec, present.size_iops_sec, "blkdeviotune size_iops_sec");
    keep(wanted.group_name, present.group_name, "blkdeviotune group name");
}

void check_geometry(const Geometry& wanted, const Geometry& present) {
    if (!wanted.cyls || !wanted.heads || !wanted.secs) return;
    if (wanted.cyls != present.cyls) fixed("geometry cylinders");
    if (wanted.heads != present.heads) fixed("geometry heads");
    if (wanted.secs != present.secs) fixed("geometry sectors");
    keep(wanted.trans, present.trans, "BIOS-translation-modus");
}

void check_driver(const DiskDriver& wanted, const DiskDriver& present) {
    keep(wanted.cache, present.cache, "cache");
    keep(wanted.error_policy, present.error_policy, "error_policy");
    keep(wanted.rerror_policy, present.rerror_policy, "rerror_policy");
    keep(wanted.io, present.io, "io");
    keep(wanted.ioeventfd, present.ioeventfd, "ioeventfd");
    keep(wanted.event_idx, present.event_idx, "event_idx");
    keep(wanted.copy_on_read, present.copy_on_read, "copy_on_read");
    keep(wanted.discard, present.discard, "discard");
    keep(wanted.iothread, present.iothread, "iothread");
}

void check_disk_change(const Disk& wanted, const Disk& present) {
    if (wanted.device != present.device) fixed("device");
    if (wanted.target.bus != present.target.bus) fixed("bus");
    if (wanted.target.dev != present.target.dev) fixed("target");
    if (wanted.target.tray == TrayState::open) keep(wanted.target.tray, present.target.tray, "tray");
    keep(wanted.target.removable, present.target.removable, "removable");
    if (wanted.geometry) check_geometry(*wanted.geometry, present.geometry.value_or(Geometry{}));
    const BlockIo io = wanted.blockio.value_or(BlockIo{}), present_io = present.blockio.value_or(BlockIo{});
    if (io.logical_block_size != present_io.logical_block_size) fixed("blockio logical_block_size");
    if (io.physical_block_size != present_io.physical_block_size) fixed("blockio physical_block_size");
    if (wanted.iotune) check_limits(*wanted.iotune, present.iotune.value_or(IoTune{}));
    keep(wanted.serial, present.serial, "serial");
    keep(wanted.wwn, present.wwn, "wwn");
    keep(wanted.vendor, present.vendor, "vendor");
    keep(wanted.product, present.product, "product");
    check_driver(wanted.driver, present.driver);
    if (wanted.transient && !present.transient) fixed("transient");
    if (wanted.info.address && !same_address(wanted.info, present.info)) fixed("address");
    if (wanted.info.boot && (!present.info.boot || wanted.info.boot->order != present.info.boot->order)) fixed("boot order");
    keep(wanted.rawio, present.rawio, "rawio");
    keep(wanted.sgio, present.sgio, "sgio");
    keep(wanted.backend_domain, present.backend_domain, "backenddomain");
    if (wanted.readonly && !present.readonly) fixed("readonly");
    if (wanted.shareable && !present.shareable) fixed("shared");
}

bool same_location(const StorageSource& a, const StorageSource& b) {
    if (a.empty() || b.empty()) return a.empty() == b.empty();
    if (a.type != b.type || a.path != b.path || a.protocol != b.protocol || a.name != b.name || a.pool != b.pool ||
        a.volume != b.volume || a.hosts.size() != b.hosts.size())
        return false;
    for (std::size_t i = 0; i < a.hosts.size(); ++i)
        if (a.hosts[i].name != b.hosts[i].name || a.hosts[i].port != b.hosts[i].port || a.hosts[i].socket != b.hosts[i].socket)
            return false;
    return true;
}

// ---- displays ----

void check_display_change(const Graphics& wanted, const Graphics& present) {
    const auto type = word(wanted.type);
    if (wanted.listens.size() != present.listens.size())
        fail(Code::operation_unsupported, "cannot change the number of listen addresses on '{}' graphics", type);
    for (std::size_t i = 0; i < wanted.listens.size(); ++i) {
        const auto &now = wanted.listens[i], &before = present.listens[i];
        if (now.type != before.type)
            fail(Code::operation_unsupported, "cannot change the type of listen address on '{}' graphics", type);
        if (now.type == ListenType::address && now.address != before.address)
            fail(Code::operation_unsupported, "cannot change listen address setting on '{}' graphics", type);
        if (now.type == ListenType::network && now.network != before.network)
            fail(Code::operation_unsupported, "cannot change listen address setting on '{}' graphics", type);
        if (now.type == ListenType::socket && now.socket != before.socket)
            fail(Code::operation_unsupported, "cannot change listen socket setting on '{}' graphics", type);
    }
    const auto automatic = [](const Graphics& g) {
        return g.autoport ? static_cast<bool>(*g.autoport) : g.port.value_or(-1) < 0;
    };
    const bool ports = automatic(wanted) != automatic(present) ||
                       (!automatic(wanted) && (wanted.port != present.port || wanted.tls_port != present.tls_port));
    if (ports) fail(Code::operation_unsupported, "cannot change port settings on {} graphics", type);
    if (wanted.keymap != present.keymap) fail(Code::operation_unsupported, "cannot change keymap setting on {} graphics", type);
}

bool wants_password(const Graphics& wanted, const Graphics& present) {
    return !wanted.passwd_valid_to.empty() || !present.passwd_valid_to.empty() || wanted.connected != present.connected ||
           wanted.passwd != present.passwd ||
           (wanted.is(GraphicsType::spice) && wanted.connected == PasswordConnected::disconnect);
}

// ---- memory ----

void check_memory_change(const MemoryDevice& wanted, const MemoryDevice& present) {
    const auto refuse = [](const std::string& what) { fail(Code::config_unsupported, "cannot modify memory {}", what); };
    const auto kib = [](const std::optional<Kibibytes>& size) { return size ? size->value : 0; };
    const auto node = [](const MemoryDevice& memory) { return static_cast<int>(memory.target.node.value_or(~0u)); };
    if (present.model != MemoryModel::virtio_mem) refuse(fmt::format("of model '{}'", word(present.model)));
    if (wanted.model != present.model) refuse(fmt::format("model from '{}' to '{}'", word(present.model), word(wanted.model)));
    if (wanted.access.value_or(MemoryAccess::default_) != present.access.value_or(MemoryAccess::default_))
        refuse(fmt::format("access from '{}' to '{}'", word(present.access.value_or(MemoryAccess::default_)),
                           word(wanted.access.value_or(MemoryAccess::default_))));
    const auto discard = [](const MemoryDevice& memory) {
        return !memory.discard ? "default" : static_cast<bool>(*memory.discard) ? "yes" : "no";
    };
    if (std::string_view(discard(wanted)) != discard(present))
        refuse(fmt::format("discard from '{}' to '{}'", discard(present), discard(wanted)));
    if (wanted.nodemask != present.nodemask) refuse("source nodes");
    if (kib(wanted.pagesize) != kib(present.pagesize))
        refuse(fmt::format("pagesize from '{}' to '{}'", kib(present.pagesize), kib(wanted.pagesize)));
    if (node(wanted) != node(present)) refuse(fmt::format("targetNode from '{}' to '{}'", node(present), node(wanted)));
    if (wanted.target.size.value != present.target.size.value)
        refuse(fmt::format("size from '{}' to '{}'", present.target.size.value, wanted.target.size.value));
    if (kib(wanted.target.label) != kib(present.target.label))
        refuse(fmt::format("label size from '{}' to '{}'", kib(present.target.label), kib(wanted.target.label)));
    if (kib(wanted.target.block) != kib(present.target.block))
        refuse(fmt::format("block size from '{}' to '{}'", kib(present.target.block), kib(wanted.target.block)));
}

} // namespace

void QemuMachine::on_tray_moved(const std::string& device, bool open) {
    // QEMU names the device by its id or by its path.
    const auto slash = device.rfind('/');
    if (open) tray_opened_.set();
    tell(event::TrayChange{slash == std::string::npos ? device : device.substr(slash + 1), open ? 0 : 1});
}

Task<QemuMachine::Tray> QemuMachine::tray_of(std::shared_ptr<QemuMachine> self, std::string device) {
    for (const auto& drive : co_await self->ask("query-block"))
        if (drive.value("qdev", "") == device) co_return Tray{drive.value("tray_open", false), drive.value("locked", false)};
    co_return Tray{};
}

// A guest that has locked its drive is only asked, and opens it when it likes. One that is closed and not locked was opened, and
// closed again by a reset of the bus, of which no event tells.
Task<> QemuMachine::open_tray(std::shared_ptr<QemuMachine> self, Disk drive, bool force) {
    static constexpr std::chrono::seconds patience{5};
    const std::string device = block_device_id(drive);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    bool asked = false;
    for (;;) {
        if (!asked) co_await self->ask("blockdev-open-tray", {{"id", device}, {"force", force}});
        if (force) co_return;
        self->tray_opened_.reset(); // before the question, so that what happens behind its answer counts
        const auto tray = co_await tray_of(self, device);
        if (tray.open) co_return;
        asked = tray.locked;
        const auto left = deadline - std::chrono::steady_clock::now();
        const bool late = tray.locked ? !co_await self->tray_opened_.wait(left) : left.count() <= 0;
        if (!late && !asked) co_await rpc::sleep_for(std::chrono::milliseconds(20));
        if (late)
            fail(Code::operation_failed, "timed out waiting to open tray of '{}': the guest keeps it locked; --force opens it",
                 drive.target.dev);
    }
}

// QEMU closes an IDE drive's tray without a word when the guest resets the bus, as firmware does several times while it starts.
Task<> QemuMachine::ask_with_open_tray(std::shared_ptr<QemuMachine> self, Disk drive, bool force, std::string command,
                                       json arguments) {
    constexpr int attempts = 5;
    for (int attempt = 1;; ++attempt) {
        if (drive.device == DiskDevice::cdrom) co_await open_tray(self, drive, force);
        const json reply = co_await self->qmp().send(command, arguments).reply();
        const auto error = reply.find("error");
        if (error == reply.end()) co_return;
        if (attempt == attempts || drive.device != DiskDevice::cdrom)
            fail(Code::internal_error, "unable to execute QEMU command '{}': {}", command, error->value("desc", ""));
    }
}

// The old medium goes first, and comes back when the new one cannot be put in.
Task<> QemuMachine::change_medium(std::shared_ptr<QemuMachine> self, DeviceUpdate change) {
    auto& plan = change.plan;
    const Disk old = self->parts_.domain->devices.disks.at(change.device.place);
    Disk& fresh = plan->devices.disks.at(change.device.place);
    fresh.info.alias = old.info.alias;
    fresh.source.index = self->take_block_number(); // an empty drive has one too
    co_await rpc::blocking([&] {
        require_medium(fresh);
        find_chain(fresh);
    });
    for (auto* link : links_below(fresh)) link->source.index = self->take_block_number();
    assign_aliases(*plan);
    BuildContext context =
        co_await running_context(self->parts_.world, plan, self->parts_.id, self->parts_.runtime.master_key_path());
    lend_fds(fresh, change.fd_groups, context);
    std::vector<FormerOwner> owners;
    co_await rpc::blocking([&] {
        if (!fresh.source.empty()) owners = lend(self->parts_.runtime, paths_to_own(fresh));
    });
    PlugSteps steps(self->qmp_);
    std::exception_ptr failure;
    bool taken_out = false;
    const std::string device = block_device_id(old);
    const json id = {{"id", device}};
    try {
        if (!fresh.source.empty()) co_await add_block_nodes(steps, block_nodes(fresh, context));
        co_await ask_with_open_tray(self, old, change.force, "blockdev-remove-medium", id);
        taken_out = true;
        if (!fresh.source.empty())
            co_await ask_with_open_tray(self, old, change.force, "blockdev-insert-medium",
                                        {{"id", device}, {"node-name", block_nodes(fresh, context).top}});
        if (fresh.iotune && !fresh.source.empty()) co_await steps.ask("block_set_io_throttle", throttle_order(fresh));
        co_await steps.ask("blockdev-close-tray", id);
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (taken_out) {
            if (!old.source.empty())
                self->qmp().send("blockdev-insert-medium", {{"id", device}, {"node-name", block_nodes(old, context).top}});
            self->qmp().send("blockdev-close-tray", id);
        }
        co_await steps.undo();
        co_await rpc::blocking([&] {
            if (const auto& identity = self->parts_.runtime.identity) give_back(owners, *identity);
        });
        std::rethrow_exception(failure);
    }
    auto& kept = self->parts_.runtime.owners;
    kept.insert(kept.end(), owners.begin(), owners.end());
    if (old.source.empty()) co_return;
    for (const auto& [command, arguments] : removal_of(old)) {
        const json reply = co_await self->qmp().send(command, arguments).reply();
        if (reply.contains("error")) log::warn("{}: {}: {}", self->name(), command, reply["error"].value("desc", ""));
    }
    if (old.source.path != fresh.source.path) co_await self->give_back_images(old);
}

Task<> QemuMachine::update_to(std::shared_ptr<QemuMachine> self, DeviceUpdate change) {
    const Device old = device_at(self->parts_.domain->devices, change.device),
                 fresh = device_at(change.plan->devices, change.device);
    if (const auto* disk = std::get_if<Disk>(&fresh)) {
        const auto& present = std::get<Disk>(old);
        check_disk_change(*disk, present);
        if (same_location(disk->source, present.source) && !change.anew) co_return;
        if (disk->device != DiskDevice::cdrom && disk->device != DiskDevice::floppy)
            fail(Code::config_unsupported, "disk source can be changed only in removable drives");
        co_await change_medium(self, std::move(change));
    } else if (const auto* nic = std::get_if<Nic>(&fresh)) {
        const auto up = [](const Nic& card) { return card.link != NicLinkState::down; };
        const auto& present = std::get<Nic>(old);
        if (up(*nic) != up(present)) co_await self->ask("set_link", {{"name", present.info.alias}, {"up", up(*nic)}});
    } else if (const auto* graphics = std::get_if<Graphics>(&fresh)) {
        const auto& present = std::get<Graphics>(old);
        if (!graphics->is(GraphicsType::vnc) && !graphics->is(GraphicsType::spice))
            fail(Code::internal_error, "unable to change config on '{}' graphics type", word(graphics->type));
        check_display_change(*graphics, present);
        if (wants_password(*graphics, present))
            for (auto& [command, arguments] : password_orders(*graphics, self->parts_.world->settings))
                co_await self->ask(command, std::move(arguments));
    } else if (const auto* memory = std::get_if<MemoryDevice>(&fresh)) {
        const auto& present = std::get<MemoryDevice>(old);
        check_memory_change(*memory, present);
        const std::uint64_t bytes = (memory->target.requested ? memory->target.requested->value : 0) * 1024;
        co_await self->ask(
            "qom-set", {{"path", "/machine/peripheral/" + present.info.alias}, {"property", "requested-size"}, {"value", bytes}});
    }
}

} // namespace lodge::drivers::qemu
