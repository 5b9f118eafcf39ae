#include "drivers/nodedev/device_watch.hpp"
#include "drivers/nodedev/device_facts.hpp"
#include "rpc/log.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <filesystem>

namespace asio = boost::asio;

namespace lodge::drivers {

std::vector<xml::NodeDevice> find_devices() {
    std::vector<xml::NodeDevice> found = {computer_facts()};
    const UdevContext context(udev_new());
    const UdevEnumeration enumeration(context ? udev_enumerate_new(context.get()) : nullptr);
    if (!enumeration) return found;
    for (const char* subsystem : {"acpi", "tty", "vc", "i2c"}) // many, and never shown
        udev_enumerate_add_nomatch_subsystem(enumeration.get(), subsystem);
    udev_enumerate_scan_devices(enumeration.get());
    for (auto* entry = udev_enumerate_get_list_entry(enumeration.get()); entry; entry = udev_list_entry_get_next(entry)) {
        const UdevDevice device(udev_device_new_from_syspath(context.get(), udev_list_entry_get_name(entry)));
        if (!device) continue;
        if (auto facts = device_facts(device)) found.push_back(std::move(*facts));
    }
    return found;
}

std::optional<xml::NodeDevice> find_device(const std::string& path) {
    const UdevContext context(udev_new());
    if (!context) return std::nullopt;
    const UdevDevice device(udev_device_new_from_syspath(context.get(), path.c_str()));
    return device ? device_facts(device) : std::nullopt;
}

// ---- announcements ----

struct DeviceWatch::Watch : std::enable_shared_from_this<Watch> {
    Watch(rpc::Executor executor, std::function<void(DeviceChange)> on_change)
        : changed(std::move(on_change))
        , descriptor(executor)
        , context(udev_new()) {}

    void start() {
        std::error_code ignored;
        const bool has_udev = std::filesystem::exists("/run/udev/control", ignored);
        if (context) monitor.reset(udev_monitor_new_from_netlink(context.get(), has_udev ? "udev" : "kernel"));
        if (!monitor || udev_monitor_enable_receiving(monitor.get()) < 0) {
            log::warn("cannot hear of devices that come and go: {}", rpc::errno_text(errno));
            return;
        }
        udev_monitor_set_receive_buffer_size(monitor.get(), 16 << 20);
        descriptor.assign(udev_monitor_get_fd(monitor.get()));
        wait();
    }

    void wait() {
        descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                              [self = shared_from_this()](boost::system::error_code error) {
                                  if (error) return;
                                  self->take();
                                  self->wait();
                              });
    }

    void take() {
        while (const UdevDevice device{udev_monitor_receive_device(monitor.get())}) {
            const char* action = udev_device_get_action(device.get());
            const auto old = device.property("DEVPATH_OLD");
            changed({.gone = action && std::string_view(action) == "remove",
                     .path = device.path(),
                     .old_path = old.empty() ? "" : "/sys" + old});
        }
    }

    std::function<void(DeviceChange)> changed;
    asio::posix::stream_descriptor descriptor; // of the monitor, which closes it
    UdevContext context;
    UdevMonitor monitor;
};

DeviceWatch::DeviceWatch(rpc::Executor executor, std::function<void(DeviceChange)> changed)
    : watch_(std::make_shared<Watch>(std::move(executor), std::move(changed))) {
    watch_->start();
}

DeviceWatch::~DeviceWatch() {
    watch_->changed = [](const DeviceChange&) {};
    if (watch_->descriptor.is_open()) watch_->descriptor.release();
}

} // namespace lodge::drivers
