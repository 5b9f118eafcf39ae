#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/dac_label.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "drivers/qemu/image.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

Fd listen_on(const std::string& path, const std::optional<Identity>& identity) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) rpc::fail(Code::internal_error, "UNIX socket path '{}' too long", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    std::error_code ignored;
    fs::create_directories(fs::path(path).parent_path(), ignored);
    struct stat old{};
    if (::lstat(path.c_str(), &old) == 0 && S_ISSOCK(old.st_mode)) ::unlink(path.c_str());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) rpc::fail_errno(errno, "Unable to create UNIX socket");
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        rpc::fail_errno(errno, fmt::format("Unable to bind to UNIX socket path '{}'", path));
    if (::listen(fd.get(), 1) < 0) rpc::fail_errno(errno, "Unable to listen to UNIX socket");
    if (identity && ::lchown(path.c_str(), identity->uid, identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("Unable to change the owner of '{}'", path));
    return fd;
}

namespace {

// A file begins anew with the guest, unless the document says otherwise. Written at its end in any case: it may be cut meanwhile.
Fd open_log(const std::string& path, const std::optional<xml::OnOff>& append) {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | (append && *append ? 0 : O_TRUNC);
    Fd fd(::open(path.c_str(), flags, 0600));
    if (!fd) rpc::fail_errno(errno, fmt::format("Unable to open file: {}", path));
    return fd;
}

} // namespace

void HostSide::open_chardev(const xml::CharSource& source, const std::string& alias, Runtime& runtime) {
    const auto& end = source.first();
    const std::string id = "char" + alias;
    if (source.type == xml::CharType::unix_ && end.mode == xml::CharMode::bind && !end.path.empty()) {
        named_[id] = listen_on(end.path, runtime.identity);
        runtime.made.push_back(end.path);
    }
    if (source.type == xml::CharType::file && !end.path.empty()) named_[id] = open_log(end.path, end.append);
    if (source.log && !source.log->file.empty()) named_[id + "-log"] = open_log(source.log->file, source.log->append);
}

void HostSide::open_devices(xml::Domain& domain, Runtime& runtime) {
    const auto& devices = domain.devices;
    const auto open_all = [&](const auto& list) {
        for (const auto& device : list) open_chardev(device.source, device.info.alias, runtime);
    };
    open_all(devices.serials);
    open_all(devices.parallels);
    open_all(devices.channels);
    open_all(devices.redirdevs);
    for (const auto& smartcard : devices.smartcards)
        if (smartcard.mode == xml::SmartcardMode::passthrough) open_chardev(smartcard.source, smartcard.info.alias, runtime);
    for (const auto& rng : devices.rngs)
        if (rng.backend == xml::RngBackend::egd) open_chardev(rng.source, rng.info.alias, runtime);
    for (const auto& console : devices.consoles) // one that repeats a serial port is open already
        if (!console.target.type || console.target.type == xml::ConsoleTargetType::virtio)
            if (!named_.contains("char" + console.info.alias)) open_chardev(console.source, console.info.alias, runtime);
}

// linux/vhost.h is no C++.
constexpr unsigned long vhost_vsock_set_guest_cid = _IOW(0xaf, 0x60, __u64);

// The host's number space of vsocks is one for all: the kernel says whether a number is free.
static void number_vsock(xml::Vsock& vsock, int fd) {
    constexpr std::uint64_t first = 3, last = 0xfffffffe; // 0 to 2 are the hypervisor's, the loop's and the host's
    const bool automatic = vsock.cid.automatic && *vsock.cid.automatic;
    if (!automatic) {
        const std::uint64_t cid = vsock.cid.address.value_or(first);
        if (::ioctl(fd, vhost_vsock_set_guest_cid, &cid) < 0) rpc::fail_errno(errno, "failed to set guest cid");
        return;
    }
    for (std::uint64_t cid = first; cid <= last; ++cid) {
        if (::ioctl(fd, vhost_vsock_set_guest_cid, &cid) == 0) {
            vsock.cid.address = static_cast<std::uint32_t>(cid);
            return;
        }
        if (errno != EADDRINUSE) break;
    }
    rpc::fail_errno(errno, "failed to acquire guest cid");
}

static Fd open_vhost(const char* path, const char* refused) {
    Fd fd(::open(path, O_RDWR | O_CLOEXEC));
    if (!fd) rpc::fail(Code::config_unsupported, "{}", refused);
    return fd;
}

void HostSide::open_vsock(xml::Vsock& vsock) {
    Fd fd = open_vhost("/dev/vhost-vsock", "unable to open vhost-vsock device");
    number_vsock(vsock, fd.get());
    named_[vsock.info.alias] = std::move(fd);
}

void HostSide::open_scsi_host(const xml::Hostdev& hostdev) {
    named_[hostdev.info.alias] = open_vhost("/dev/vhost-scsi", "vhost-scsi device file '/dev/vhost-scsi' cannot be opened");
}

void HostSide::open_vhosts(xml::Domain& domain) {
    if (auto& vsock = domain.devices.vsock) open_vsock(*vsock);
    for (const auto& hostdev : domain.devices.hostdevs)
        if (hostdev.type == xml::HostdevType::scsi_host) open_scsi_host(hostdev);
}

void HostSide::add_nics(const xml::Domain& domain, const std::vector<NicBackend>& backends) {
    const auto& cards = domain.devices.interfaces;
    for (std::size_t i = 0; i < cards.size() && i < backends.size(); ++i) {
        if (backends[i].taps.empty()) continue;
        NicFds fds;
        for (const auto& tap : backends[i].taps) fds.taps.push_back(tap.get());
        const bool virtio = cards[i].is_virtio();
        const bool by_qemu = cards[i].driver.name == xml::NicDriverName::qemu;
        if (domain.type == xml::VirtType::kvm && virtio && !by_qemu)
            for (std::size_t queue = 0; queue < fds.taps.size(); ++queue) {
                const std::string& own = cards[i].backend.vhost;
                Fd vhost(::open(own.empty() ? "/dev/vhost-net" : own.c_str(), O_RDWR | O_CLOEXEC));
                if (!vhost) { // QEMU's own back end does as well, slower
                    if (cards[i].driver.name == xml::NicDriverName::vhost)
                        rpc::fail(Code::config_unsupported,
                                  "vhost-net was requested for an interface, but is unavailable: interface '{}', '{}': {}",
                                  cards[i].info.alias, own.empty() ? "/dev/vhost-net" : own, rpc::errno_text(errno));
                    fds.vhosts.clear();
                    break;
                }
                fds.vhosts.push_back(vhost.get());
                keep(std::move(vhost));
            }
        nics[cards[i].info.alias] = std::move(fds);
    }
}

std::map<std::string, int> HostSide::named_fds() const {
    std::map<std::string, int> numbers;
    for (const auto& [name, fd] : named_) numbers[name] = fd.get();
    return numbers;
}

void HostSide::close() {
    named_.clear();
    others_.clear();
}

std::map<std::string, std::string> scsi_generics(const xml::Domain& domain) {
    std::map<std::string, std::string> paths;
    for (const auto& hostdev : domain.devices.hostdevs)
        if (has_block_node(hostdev) && hostdev.source.protocol != "iscsi") paths[hostdev.info.alias] = find_scsi_generic(hostdev);
    return paths;
}

void fill_channel_path(xml::Channel& channel, const xml::Domain& domain, const BuildContext& context) {
    if (channel.source.type != xml::CharType::unix_ || !channel.source.first().path.empty()) return;
    auto& end = channel.source.edit_first();
    end.path = channel_target(domain, context, channel);
    if (!end.mode) end.mode = xml::CharMode::bind;
}

void fill_channel_paths(xml::Domain& domain, const BuildContext& context) {
    for (auto& channel : domain.devices.channels) fill_channel_path(channel, domain, context);
}

std::vector<OwnedPath> paths_to_own(const xml::Disk& disk) {
    std::vector<OwnedPath> paths;
    const auto add = [&](const xml::StorageSource& source, xml::SourceType reached, bool restore) {
        const bool local = reached == xml::SourceType::file || reached == xml::SourceType::block;
        OwnedPath path{source.path, restore};
        if (local && !path.path.empty() && source.fd_group.empty() && lends_source(source.labels, path.owner))
            paths.push_back(std::move(path));
    };
    add(disk.source, reached_as(disk.source), !disk.readonly && !disk.shareable);
    for (const auto* link : xml::links_below(disk)) add(link->source, link->source.type, false);
    return paths;
}

std::vector<OwnedPath> paths_to_own(const xml::CharSource& source) {
    const auto& end = source.first();
    std::optional<Identity> owner;
    if (end.path.empty() || !lends_source(end.labels, owner)) return {};
    switch (source.type) {
    case xml::CharType::dev: return {{end.path, true, owner}};
    case xml::CharType::pipe: return {{end.path, true, owner}, {end.path + ".in", true, owner}, {end.path + ".out", true, owner}};
    // Somebody listens there already; where QEMU is to listen it makes the socket itself.
    case xml::CharType::unix_:
        return end.mode == xml::CharMode::bind ? std::vector<OwnedPath>{} : std::vector<OwnedPath>{{end.path, true, owner}};
    default: return {};
    }
}

std::vector<OwnedPath> paths_to_own(const xml::Hostdev& hostdev, const std::map<std::string, std::string>& generics) {
    if (hostdev.mode != xml::HostdevMode::subsystem) return {};
    if (hostdev.type == xml::HostdevType::usb && hostdev.source.usb_bus)
        return {{fmt::format("/dev/bus/usb/{:03}/{:03}", *hostdev.source.usb_bus, hostdev.source.usb_device.value_or(0))}};
    if (auto group = vfio_group(hostdev); !group.empty()) return {{std::move(group)}};
    if (const auto generic = generics.find(hostdev.info.alias); generic != generics.end()) return {{generic->second}};
    return {};
}

std::vector<OwnedPath> paths_to_own(const xml::Domain& domain, const std::map<std::string, std::string>& generics) {
    std::vector<OwnedPath> paths;
    const auto add = [&](const std::string& path, bool restore = true) {
        if (!path.empty()) paths.push_back({path, restore});
    };
    for (const auto& disk : domain.devices.disks)
        for (auto& path : paths_to_own(disk)) paths.push_back(std::move(path));
    for (const auto& hostdev : domain.devices.hostdevs)
        for (auto& path : paths_to_own(hostdev, generics)) paths.push_back(std::move(path));
    add(domain.os.kernel);
    add(domain.os.initrd);
    add(domain.os.dtb);
    add(domain.os.nvram_path());
    const auto add_ends = [&](const auto& devices) {
        for (const auto& device : devices)
            for (auto& path : paths_to_own(device.source)) paths.push_back(std::move(path));
    };
    add_ends(domain.devices.serials);
    add_ends(domain.devices.parallels);
    add_ends(domain.devices.consoles);
    add_ends(domain.devices.channels);
    add_ends(domain.devices.redirdevs);
    add_ends(domain.devices.smartcards);
    add_ends(domain.devices.rngs);
    for (const auto& input : domain.devices.inputs) add(input.source.evdev);
    for (const auto& memory : domain.devices.memories) add(memory.path);
    for (const auto& tpm : domain.devices.tpms) add(tpm.device);
    return paths;
}

bool needs_memory_at_once(const xml::Domain& domain) {
    const auto& backing = domain.memory_backing;
    if (!backing) return false;
    return backing->huge_pages || backing->locked ||
           (backing->allocation && backing->allocation->mode == xml::BackingAllocation::immediate);
}

bool needs_locked_memory(const xml::Domain& domain) {
    const auto pins = [](const xml::Hostdev& hostdev) {
        return hostdev.type == xml::HostdevType::pci || hostdev.type == xml::HostdevType::mdev;
    };
    const auto card = [](const xml::Nic& nic) { return nic.type == xml::NicType::hostdev || nic.type == xml::NicType::vdpa; };
    return (domain.memory_backing && domain.memory_backing->locked) || std::ranges::any_of(domain.devices.hostdevs, pins) ||
           std::ranges::any_of(domain.devices.interfaces, card);
}

} // namespace lodge::drivers::qemu
