#include "drivers/nodedev/device_change.hpp"
#include "rpc/task.hpp"
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace lodge::drivers {

namespace fs = std::filesystem;

static void write_to(const std::string& path, std::string_view text) {
    const rpc::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        rpc::fail_errno(errno, fmt::format("cannot write '{}' to '{}'", xml::trim(text), path));
}

static std::string name_of(const std::string& path) { return fs::path(path).filename(); }

bool can_assign_devices() {
    std::error_code ignored;
    return fs::exists("/dev/vfio/vfio", ignored) &&
           fs::directory_iterator("/sys/kernel/iommu_groups", ignored) != fs::directory_iterator();
}

// The kernel looks for a driver anew, among all of them or for the one that is named.
static void change_driver(const std::string& path, std::string_view driver) {
    write_to(path + "/driver_override", fmt::format("{}\n", driver));
    std::error_code ignored;
    if (fs::exists(path + "/driver", ignored)) write_to(path + "/driver/unbind", name_of(path));
    write_to("/sys/bus/pci/drivers_probe", name_of(path));
}

static std::string driver_of(const std::string& path) {
    std::error_code ignored;
    return fs::read_symlink(path + "/driver", ignored).filename();
}

bool is_given_to_vfio(const std::string& path) { return driver_of(path) == "vfio-pci"; }

void give_to_vfio(const std::string& path) {
    if (is_given_to_vfio(path)) return;
    change_driver(path, "vfio-pci");
    if (!is_given_to_vfio(path))
        rpc::fail(rpc::Code::internal_error, "Failed to bind PCI device '{}' to vfio-pci: is its module loaded?", name_of(path));
}

void give_back(const std::string& path) {
    if (is_given_to_vfio(path)) change_driver(path, "");
}

void reset_device(const std::string& path) {
    if (!fs::exists(path + "/reset"))
        rpc::fail(rpc::Code::internal_error, "Unable to reset PCI device {}: no FLR, PM reset or bus reset available",
                  name_of(path));
    write_to(path + "/reset", "1");
}

std::string make_mediated_device(const std::string& parent_path, const std::string& type, const std::string& uuid) {
    const auto folder = parent_path + "/mdev_supported_types/" + type;
    if (!fs::exists(folder))
        rpc::fail(rpc::Code::internal_error, "device '{}' makes no mediated devices of type '{}'", name_of(parent_path), type);
    write_to(folder + "/create", uuid);
    return parent_path + "/" + uuid;
}

void remove_mediated_device(const std::string& path) { write_to(path + "/remove", "1"); }

} // namespace lodge::drivers
