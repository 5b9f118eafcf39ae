// Finds the devices of the host, and tells when they come, change and go.
#pragma once
#include "rpc/task.hpp"
#include "xml/node_device.hpp"
#include <functional>

namespace lodge::drivers {

// Without parents. For the worker pool.
std::vector<xml::NodeDevice> find_devices();
// The device at a path of /sys; nothing when it is gone or is none to be shown. For the worker pool.
std::optional<xml::NodeDevice> find_device(const std::string& path);

struct DeviceChange {
    bool gone = false;
    std::string path;
    std::string old_path; // of a device that was renamed
};

// udev's announcements; where no udev runs, the kernel's own.
class DeviceWatch {
  public:
    DeviceWatch(rpc::Executor executor, std::function<void(DeviceChange)> changed);
    ~DeviceWatch();

  private:
    struct Watch;
    std::shared_ptr<Watch> watch_;
};

} // namespace lodge::drivers
