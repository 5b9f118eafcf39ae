#include "drivers/qemu/host_devices.hpp"
#include "drivers/host/sysfs.hpp"
#include "drivers/nodedev/device_change.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

using rpc::Code;

namespace {

struct UsbDevice {
    unsigned vendor = 0, product = 0, bus = 0, number = 0;
};

unsigned number_in(const fs::path& file, int base) {
    return static_cast<unsigned>(std::strtoul(read_small_file(file).c_str(), nullptr, base));
}

std::vector<UsbDevice> usb_devices(const std::string& sysfs) {
    std::vector<UsbDevice> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(sysfs + "/bus/usb/devices", ignored)) {
        const auto& path = entry.path();
        if (!fs::exists(path / "idVendor", ignored)) continue; // an interface, not a device
        found.push_back({number_in(path / "idVendor", 16), number_in(path / "idProduct", 16), number_in(path / "busnum", 10),
                         number_in(path / "devnum", 10)});
    }
    return found;
}

std::string name_of(const xml::HostdevSource& source) {
    if (source.vendor) return fmt::format("{:04x}:{:04x}", source.vendor->value, source.product ? source.product->value : 0);
    return fmt::format("bus:{} device:{}", source.usb_bus.value_or(0), source.usb_device.value_or(0));
}

bool fits(const UsbDevice& device, const xml::HostdevSource& source) {
    if (source.vendor && device.vendor != source.vendor->value) return false;
    if (source.product && device.product != source.product->value) return false;
    return !source.usb_bus || (device.bus == *source.usb_bus && device.number == source.usb_device.value_or(0));
}

void find_usb(xml::Hostdev& hostdev, const std::vector<UsbDevice>& all) {
    auto& source = hostdev.source;
    std::vector<UsbDevice> fitting;
    std::ranges::copy_if(all, std::back_inserter(fitting), [&](const auto& device) { return fits(device, source); });
    if (fitting.size() > 1)
        rpc::fail(Code::operation_failed, "Multiple USB devices for {}, use <address> to specify one", name_of(source));
    if (fitting.empty()) {
        const bool may_miss = source.startup_policy && *source.startup_policy != xml::StartupPolicy::mandatory;
        if (!may_miss) rpc::fail(Code::internal_error, "Did not find USB device {}", name_of(source));
        source.missing = true;
        return;
    }
    source.usb_bus = fitting.front().bus;
    source.usb_device = fitting.front().number;
}

} // namespace

void find_usb_devices(xml::Domain& domain, const std::string& sysfs) {
    std::vector<xml::Hostdev*> wanted;
    for (auto& hostdev : domain.devices.hostdevs)
        if (hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::usb) wanted.push_back(&hostdev);
    if (wanted.empty()) return;
    const auto all = usb_devices(sysfs);
    for (auto* hostdev : wanted) find_usb(*hostdev, all);
}

std::string find_scsi_generic(const xml::Hostdev& hostdev, const std::string& sysfs) {
    const auto& source = hostdev.source;
    std::string_view host = source.adapter;
    if (host.starts_with("scsi_host")) host.remove_prefix(std::string_view("scsi_host").size());
    const std::string folder = fmt::format("{}/bus/scsi/devices/{}:{}:{}:{}/scsi_generic", sysfs, host, source.scsi.bus,
                                           source.scsi.target, source.scsi.unit);
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) return "/dev/" + entry.path().filename().string();
    rpc::as_nobody([&] { rpc::fail_errno(error ? error.value() : ENOENT, fmt::format("cannot open directory '{}'", folder)); });
    std::unreachable();
}

// ---- PCI ----

std::optional<AssignedPci> assigned_pci(const xml::Hostdev& hostdev, const std::string& sysfs) {
    if (hostdev.mode != xml::HostdevMode::subsystem || hostdev.type != xml::HostdevType::pci) return std::nullopt;
    return AssignedPci{fmt::format("{}/bus/pci/devices/{}", sysfs, hostdev.source.pci.text()),
                       hostdev.managed && *hostdev.managed};
}

std::vector<AssignedPci> assigned_pci(const xml::Domain& domain, const std::string& sysfs) {
    std::vector<AssignedPci> devices;
    for (const auto& hostdev : domain.devices.hostdevs)
        if (auto device = assigned_pci(hostdev, sysfs)) devices.push_back(std::move(*device));
    for (const auto& nic : domain.devices.interfaces)
        if (nic.type == xml::NicType::hostdev)
            if (auto device = assigned_pci(xml::hostdev_of(nic), sysfs)) devices.push_back(std::move(*device));
    return devices;
}

std::vector<std::string> take_pci_devices(const std::vector<AssignedPci>& devices) {
    std::vector<std::string> taken;
    try {
        for (const auto& device : devices) {
            const std::string name = fs::path(device.path).filename();
            if (!fs::exists(device.path))
                rpc::fail(rpc::from_nobody, rpc::Code::internal_error, "Device {} not found: could not access {}/config", name,
                          device.path);
            if (is_given_to_vfio(device.path)) continue;
            if (!device.managed)
                rpc::fail(rpc::from_nobody, rpc::Code::operation_invalid,
                          "Unmanaged PCI device {} must be manually detached from the host", name);
            give_to_vfio(device.path);
            taken.push_back(device.path);
        }
    } catch (...) {
        return_pci_devices(taken);
        throw;
    }
    return taken;
}

void return_pci_devices(const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        try {
            give_back(path);
        } catch (const std::exception& error) {
            log::error("{} does not go back to its driver: {}", path, error.what());
        }
    }
}

std::string vfio_group(const xml::Hostdev& hostdev, const std::string& sysfs) {
    std::string path;
    if (const auto pci = assigned_pci(hostdev, sysfs)) path = pci->path;
    if (hostdev.type == xml::HostdevType::mdev) path = fmt::format("{}/bus/mdev/devices/{}", sysfs, hostdev.source.mdev.text());
    std::error_code none;
    const auto group = path.empty() ? fs::path() : fs::read_symlink(path + "/iommu_group", none).filename();
    return group.empty() ? "" : "/dev/vfio/" + group.string();
}

void require_vhost_scsi(const xml::Domain& domain, const std::string& device) {
    const bool wanted = std::ranges::any_of(domain.devices.hostdevs, [](const xml::Hostdev& hostdev) {
        return hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::scsi_host;
    });
    if (wanted && !fs::exists(device))
        rpc::fail(rpc::from_nobody, rpc::Code::config_unsupported, "vhost-scsi device file '{}' cannot be found", device);
}

} // namespace lodge::drivers::qemu
