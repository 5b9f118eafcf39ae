#include "drivers/qemu/host_devices.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
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

void require_vhost_scsi(const xml::Domain& domain, const std::string& device) {
    const bool wanted = std::ranges::any_of(domain.devices.hostdevs, [](const xml::Hostdev& hostdev) {
        return hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::scsi_host;
    });
    if (wanted && !fs::exists(device))
        rpc::fail(rpc::from_nobody, rpc::Code::config_unsupported, "vhost-scsi device file '{}' cannot be found", device);
}

} // namespace lodge::drivers::qemu
