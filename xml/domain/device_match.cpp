// Which device of a document a client means when it shows one: each kind has facts that tell it apart.
#include "xml/domain/check.hpp"
#include "xml/domain/device.hpp"
#include <tuple>

namespace lodge::xml {

namespace {

// What a request leaves open matches anything.
bool address_fits(const DeviceInfo& wanted, const DeviceInfo& present) {
    return !wanted.address || same_address(wanted, present);
}
bool alias_fits(const DeviceInfo& wanted, const DeviceInfo& present) {
    return wanted.alias.empty() || wanted.alias == present.alias;
}

template<class T> bool text_equal(const T& a, const T& b) { return format(a, "x") == format(b, "x"); }

bool same(const Disk& wanted, const Disk& present) {
    return wanted.target.dev.starts_with('/') ? wanted.target.dev == present.source.path
                                              : wanted.target.dev == present.target.dev;
}
bool same(const Controller& wanted, const Controller& present) {
    return wanted.type == present.type && wanted.index == present.index;
}
bool same(const Lease& wanted, const Lease& present) {
    return wanted.key == present.key && wanted.lockspace == present.lockspace;
}
bool same(const Filesystem& wanted, const Filesystem& present) {
    return (wanted.target.empty() || wanted.target == present.target) && address_fits(wanted.info, present.info) &&
           alias_fits(wanted.info, present.info);
}
bool same(const Nic& wanted, const Nic& present) {
    if (wanted.mac.address && wanted.mac.address != present.mac.address) return false;
    if (wanted.info.is_pci() && !(present.info.is_pci() && same_address(wanted.info, present.info))) return false;
    return wanted.info.alias.empty() || present.info.alias.empty() || wanted.info.alias == present.info.alias;
}
bool same(const Serial& wanted, const Serial& present) {
    return same_source(wanted.source, present.source) &&
           wanted.target.type.value_or(SerialTargetType::isa_serial) == present.target.type &&
           wanted.target.port == present.target.port;
}
bool same(const Parallel& wanted, const Parallel& present) {
    return same_source(wanted.source, present.source) && wanted.target.port == present.target.port;
}
bool same(const Console& wanted, const Console& present) {
    return same_source(wanted.source, present.source) && wanted.target.port == present.target.port;
}
bool same(const Channel& wanted, const Channel& present) {
    return same_source(wanted.source, present.source) && wanted.target.type == present.target.type &&
           wanted.target.name == present.target.name && wanted.target.address == present.target.address &&
           wanted.target.port == present.target.port;
}
InputBus bus_of(const Input& input) {
    if (input.bus || input.type == InputType::evdev) return input.bus.value_or(InputBus::none);
    if (input.type == InputType::passthrough) return InputBus::virtio;
    return input.type == InputType::tablet ? InputBus::usb : InputBus::ps2;
}
bool same(const Input& wanted, const Input& present) {
    if (wanted.type != present.type || bus_of(wanted) != bus_of(present)) return false;
    if (wanted.type == InputType::passthrough && wanted.source.evdev != present.source.evdev) return false;
    return address_fits(wanted.info, present.info);
}
bool same(const Sound& wanted, const Sound& present) {
    if (wanted.model != present.model || wanted.codecs.size() != present.codecs.size()) return false;
    for (std::size_t i = 0; i < wanted.codecs.size(); ++i)
        if (wanted.codecs[i].type != present.codecs[i].type) return false;
    return address_fits(wanted.info, present.info);
}
bool same_usb(const HostdevSource& wanted, const HostdevSource& present) {
    if (wanted.usb_bus.value_or(0) && wanted.usb_device.value_or(0))
        return wanted.usb_bus == present.usb_bus && wanted.usb_device == present.usb_device;
    return wanted.vendor == present.vendor && wanted.product == present.product;
}
bool same_scsi(const HostdevSource& wanted, const HostdevSource& present) {
    if (wanted.protocol != present.protocol) return false;
    if (wanted.protocol == "iscsi")
        return wanted.name == present.name && !wanted.hosts.empty() && !present.hosts.empty() &&
               wanted.hosts.front().name == present.hosts.front().name && wanted.hosts.front().port == present.hosts.front().port;
    return wanted.adapter == present.adapter && wanted.scsi.bus == present.scsi.bus &&
           wanted.scsi.target == present.scsi.target && wanted.scsi.unit == present.scsi.unit;
}
bool same(const Hostdev& wanted, const Hostdev& present) {
    if (wanted.mode != present.mode || wanted.type != present.type) return false;
    const HostdevSource &a = wanted.source, &b = present.source;
    switch (wanted.type) {
    case HostdevType::usb: return same_usb(a, b);
    case HostdevType::pci: return a.pci.same_place(b.pci);
    case HostdevType::scsi: return same_scsi(a, b);
    case HostdevType::scsi_host: return a.wwpn == b.wwpn;
    case HostdevType::mdev: return a.mdev == b.mdev;
    case HostdevType::storage: return a.block == b.block;
    case HostdevType::misc: return a.character == b.character;
    case HostdevType::net: return a.interface == b.interface;
    }
    return false;
}
bool same(const Redirdev& wanted, const Redirdev& present) {
    return wanted.bus == present.bus && same_source(wanted.source, present.source) && address_fits(wanted.info, present.info) &&
           alias_fits(wanted.info, present.info);
}
bool same(const Watchdog& wanted, const Watchdog& present) {
    return wanted.model == present.model && wanted.action == present.action && same_address(wanted.info, present.info);
}
bool same(const Rng& wanted, const Rng& present) {
    const auto rate = [](const Rng& rng) {
        return rng.rate ? std::tuple(rng.rate->bytes, rng.rate->period.value_or(0)) : std::tuple(0u, 0u);
    };
    if (wanted.model != present.model || wanted.backend != present.backend || rate(wanted) != rate(present)) return false;
    if (wanted.backend == RngBackend::random && (wanted.file.empty() ? "/dev/random" : wanted.file) != present.file) return false;
    if (wanted.backend == RngBackend::egd && !same_source(wanted.source, present.source)) return false;
    return address_fits(wanted.info, present.info);
}
bool same(const Shmem& wanted, const Shmem& present) {
    const std::uint64_t assumed = wanted.server ? 0 : 4; // what a document without a size gets
    if (wanted.name != present.name || wanted.model != present.model) return false;
    if ((wanted.size ? wanted.size->value : assumed) != (present.size ? present.size->value : 0)) return false;
    if (wanted.role.value_or(ShmemRole::default_) != present.role.value_or(ShmemRole::default_)) return false;
    if (wanted.server.has_value() != present.server.has_value() || wanted.msi.has_value() != present.msi.has_value())
        return false;
    if (wanted.server && wanted.server->path != present.server->path) return false;
    if (wanted.msi) {
        auto msi = *wanted.msi;
        if (!msi.ioeventfd) msi.ioeventfd = present.msi->ioeventfd; // a complete document says it
        if (!text_equal(msi, *present.msi)) return false;
    }
    return address_fits(wanted.info, present.info);
}
std::uint64_t size_of(const std::optional<Kibibytes>& value) { return value ? value->value : 0; }
// A running guest's memory comes in pieces of 2 MiB.
std::uint64_t rounded(std::uint64_t kib) { return (kib + 2047) / 2048 * 2048; }
bool same(const MemoryDevice& wanted, const MemoryDevice& present) {
    if (!address_fits(wanted.info, present.info) || !alias_fits(wanted.info, present.info)) return false;
    if (wanted.model != present.model || wanted.target.node != present.target.node ||
        rounded(wanted.target.size) != rounded(present.target.size) ||
        size_of(wanted.target.block) != size_of(present.target.block) ||
        size_of(wanted.target.requested) != size_of(present.target.requested))
        return false;
    switch (wanted.model) {
    case MemoryModel::dimm:
    case MemoryModel::virtio_mem:
        return size_of(wanted.pagesize) == size_of(present.pagesize) && wanted.nodemask == present.nodemask;
    case MemoryModel::nvdimm:
    case MemoryModel::virtio_pmem: return wanted.path == present.path;
    default: return wanted.nodemask == present.nodemask;
    }
}
bool same(const Vsock& wanted, const Vsock& present) {
    if (wanted.model.value_or(VirtioModel::virtio) != present.model.value_or(VirtioModel::virtio)) return false;
    // Without a number the guest gets one of its own.
    const bool automatic = wanted.cid.automatic ? wanted.cid.automatic->value : !wanted.cid.address;
    return automatic == (present.cid.automatic && *present.cid.automatic) && address_fits(wanted.info, present.info);
}
bool same(const Graphics& wanted, const Graphics& present) { return wanted.type == present.type; }
template<class T> bool same(const T&, const T&) { return false; }

template<class T> bool fits(const Device& wanted, const Device& present) {
    return same(std::get<T>(wanted), std::get<T>(present));
}

[[noreturn]] void fail_several(const Nic& nic) {
    if (nic.mac.address)
        rpc::fail(From::domain, Code::operation_failed, "multiple devices matching MAC address {} found",
                  nic.mac.address->text());
    rpc::fail(From::domain, Code::operation_failed, "multiple matching devices found");
}

} // namespace

bool same_address(const DeviceInfo& a, const DeviceInfo& b) {
    if (!a.address || !b.address) return a.address.has_value() == b.address.has_value();
    if (a.address->type != b.address->type) return false;
    if (a.is_pci()) return a.address->pci.same_place(b.address->pci);
    return text_equal(*a.address, *b.address);
}

bool same_source(const CharSource& a, const CharSource& b) {
    if (a.type != b.type) return false;
    const CharEndpoint &x = a.first(), &y = b.first();
    switch (a.type) {
    case CharType::pty:
    case CharType::dev:
    case CharType::file:
    case CharType::pipe: return x.path == y.path;
    case CharType::unix_: return x.mode.value_or(CharMode::connect) == y.mode.value_or(CharMode::connect) && x.path == y.path;
    case CharType::tcp:
        return x.mode.value_or(CharMode::connect) == y.mode.value_or(CharMode::connect) && x.host == y.host &&
               x.service == y.service;
    case CharType::udp: {
        const auto end = [](const CharSource& source, CharMode mode) {
            const CharEndpoint* at = source.with_mode(mode);
            return at ? std::pair(at->host, at->service) : std::pair<std::string, std::string>();
        };
        return end(a, CharMode::connect) == end(b, CharMode::connect) && end(a, CharMode::bind) == end(b, CharMode::bind);
    }
    case CharType::spiceport:
    case CharType::dbus: return x.channel == y.channel;
    case CharType::nmdm: return x.master == y.master && x.slave == y.slave;
    default: return true;
    }
}

std::optional<DeviceAt> find_device(const Domain& domain, const Device& wanted) {
    std::optional<DeviceAt> found;
    const std::size_t kind = wanted.index(), count = count_of(domain.devices, kind);
    for (std::size_t place = 0; place < count; ++place) {
        const Device present = device_at(domain.devices, {kind, place});
        const bool fit = std::visit([&]<class T>(const T&) { return fits<T>(wanted, present); }, wanted);
        if (!fit) continue;
        if (found) fail_several(std::get<Nic>(wanted));
        found = DeviceAt{kind, place};
        if (!std::holds_alternative<Nic>(wanted)) break;
    }
    return found;
}

} // namespace lodge::xml
