// libudev with owners: a device as the kernel's /sys and udev's database tell of it. One context belongs to one thread.
#pragma once
#include <libudev.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lodge::drivers {

template<class T, T* (*unref)(T*)> struct UdevUnref {
    void operator()(T* object) const { unref(object); }
};
using UdevContext = std::unique_ptr<udev, UdevUnref<udev, udev_unref>>;
using UdevHandle = std::unique_ptr<udev_device, UdevUnref<udev_device, udev_device_unref>>;
using UdevEnumeration = std::unique_ptr<udev_enumerate, UdevUnref<udev_enumerate, udev_enumerate_unref>>;
using UdevMonitor = std::unique_ptr<udev_monitor, UdevUnref<udev_monitor, udev_monitor_unref>>;

class UdevDevice {
  public:
    explicit UdevDevice(udev_device* device)
        : device_(device) {}
    explicit operator bool() const { return device_ != nullptr; }
    udev_device* get() const { return device_.get(); }

    std::string path() const { return text(udev_device_get_syspath(get())); }
    std::string name() const { return text(udev_device_get_sysname(get())); }
    std::string subsystem() const { return text(udev_device_get_subsystem(get())); }
    std::string type() const { return text(udev_device_get_devtype(get())); }
    std::string node() const { return text(udev_device_get_devnode(get())); }
    // Empty: there is none.
    std::string property(const char* key) const { return text(udev_device_get_property_value(get(), key)); }
    std::string attribute(const char* name) const { return text(udev_device_get_sysattr_value(get(), name)); }
    std::optional<std::uint64_t> number(const char* attribute_name, int base = 10) const {
        return parse(attribute(attribute_name), base);
    }
    std::optional<std::uint64_t> number_property(const char* key, int base = 10) const { return parse(property(key), base); }

    static std::optional<std::uint64_t> parse(const std::string& text, int base) {
        if (text.empty()) return std::nullopt;
        char* end = nullptr;
        const auto value = std::strtoull(text.c_str(), &end, base);
        return *end == '\0' || *end == '\n' ? std::optional<std::uint64_t>(value) : std::nullopt;
    }

  private:
    static std::string text(const char* found) { return found ? found : ""; }
    UdevHandle device_;
};

} // namespace lodge::drivers
