#include "daemon/node_devices.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/log.hpp"
#include <cstring>

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;
using Type = xml::NodeCapabilityType;

rpc::Uuid NodeDevices::event_key(const std::string& name) {
    rpc::Uuid key;
    const auto hash = std::hash<std::string>()(name);
    std::memcpy(key.bytes.data(), &hash, sizeof hash);
    return key;
}

NodeDevices::NodeDevices(Host& host)
    : host_(host)
    , found_(host.executor()) {}

NodeDevices::~NodeDevices() = default;

Task<> NodeDevices::ready() {
    if (watch_) {
        co_await found_.wait();
        co_return;
    }
    // Heard before looked: nothing that comes in between is missed.
    watch_ = std::make_unique<drivers::DeviceWatch>(host_.executor(),
                                                    [this](drivers::DeviceChange change) { on_change(std::move(change)); });
    following_ = true;
    std::vector<xml::NodeDevice> devices;
    try {
        devices = co_await rpc::blocking_result([] { return drivers::find_devices(); });
    } catch (const std::exception& error) {
        log::error("cannot look for the host's devices: {}", error.what());
    }
    for (const auto& device : devices) // parents are known by then, whatever the order
        if (!device.path.empty()) names_[device.path] = device.name;
    for (auto& device : devices) put(std::move(device));
    following_ = false;
    found_.set();
    on_change({});
}

// ---- look-ups ----

NodeDevicePtr NodeDevices::find(const std::string& name) const {
    const auto found = devices_.find(name);
    if (found == devices_.end()) rpc::fail(From::nodedev, Code::no_node_device, "no node device with matching name '{}'", name);
    return found->second;
}

Task<NodeDevicePtr> NodeDevices::look(std::string name) {
    const std::string path = find(name)->path;
    if (path.empty()) co_return find(name);
    auto device = co_await rpc::blocking_result([path] { return drivers::find_device(path); });
    if (device && device->name == name && devices_.contains(name)) put(std::move(*device));
    co_return find(name);
}

std::vector<NodeDevicePtr> NodeDevices::list(unsigned filter) const {
    constexpr unsigned states = api::connect_list_node_devices_active | api::connect_list_node_devices_inactive;
    static constexpr std::pair<unsigned, Type> kinds[] = {{api::connect_list_node_devices_cap_system, Type::system},
                                                          {api::connect_list_node_devices_cap_pci_dev, Type::pci},
                                                          {api::connect_list_node_devices_cap_usb_dev, Type::usb_device},
                                                          {api::connect_list_node_devices_cap_usb_interface, Type::usb},
                                                          {api::connect_list_node_devices_cap_net, Type::net},
                                                          {api::connect_list_node_devices_cap_scsi_host, Type::scsi_host},
                                                          {api::connect_list_node_devices_cap_scsi_target, Type::scsi_target},
                                                          {api::connect_list_node_devices_cap_scsi, Type::scsi},
                                                          {api::connect_list_node_devices_cap_storage, Type::storage},
                                                          {api::connect_list_node_devices_cap_fc_host, Type::fc_host},
                                                          {api::connect_list_node_devices_cap_vports, Type::vports},
                                                          {api::connect_list_node_devices_cap_scsi_generic, Type::scsi_generic},
                                                          {api::connect_list_node_devices_cap_drm, Type::drm},
                                                          {api::connect_list_node_devices_cap_mdev_types, Type::mdev_types},
                                                          {api::connect_list_node_devices_cap_mdev, Type::mdev},
                                                          {api::connect_list_node_devices_cap_ccw_dev, Type::ccw},
                                                          {api::connect_list_node_devices_cap_css_dev, Type::css},
                                                          {api::connect_list_node_devices_cap_vdpa, Type::vdpa},
                                                          {api::connect_list_node_devices_cap_ap_card, Type::ap_card},
                                                          {api::connect_list_node_devices_cap_ap_queue, Type::ap_queue},
                                                          {api::connect_list_node_devices_cap_ap_matrix, Type::ap_matrix},
                                                          {api::connect_list_node_devices_cap_vpd, Type::vpd}};
    std::vector<NodeDevicePtr> found;
    // All devices here are there: inactive ones alone are none.
    if ((filter & states) == api::connect_list_node_devices_inactive) return found;
    for (const auto& [name, device] : devices_)
        if ((filter & ~states) == 0 ||
            std::ranges::any_of(kinds, [&](const auto& kind) { return (filter & kind.first) && device->has(kind.second); }))
            found.push_back(device);
    return found;
}

std::vector<NodeDevicePtr> NodeDevices::with_capability(const std::string& word) const {
    if (word.empty()) return list(0);
    std::vector<NodeDevicePtr> found;
    Type type{};
    if (!xml::Traits<Type>::parse(type, word)) return found;
    for (const auto& [name, device] : devices_)
        if (device->has(type)) found.push_back(device);
    return found;
}

std::vector<std::string> capability_words(const xml::NodeDevice& device) {
    std::vector<std::string> words;
    for (const auto& capability : device.capabilities) words.emplace_back(xml::word(capability.type));
    for (const auto implied : {Type::fc_host, Type::vports, Type::mdev_types, Type::vpd}) {
        const auto word = xml::word(implied);
        if (device.has(implied) && std::ranges::find(words, word) == words.end()) words.emplace_back(word);
    }
    return words;
}

// ---- what comes and goes ----

// The nearest device above it, or else the computer.
std::string NodeDevices::parent_of(const std::string& path) const {
    for (auto at = path.rfind('/'); at != std::string::npos && at > 0; at = path.rfind('/', at - 1))
        if (const auto found = names_.find(path.substr(0, at)); found != names_.end()) return found->second;
    return "computer";
}

void NodeDevices::put(xml::NodeDevice device) {
    if (!device.path.empty()) {
        device.parent = parent_of(device.path);
        names_[device.path] = device.name;
    }
    const std::string name = device.name;
    devices_[name] = std::make_shared<const xml::NodeDevice>(std::move(device));
}

void NodeDevices::remove(const std::string& path) {
    const auto found = names_.find(path);
    if (found == names_.end()) return;
    const std::string name = found->second;
    names_.erase(found);
    if (devices_.erase(name) > 0) emit_lifecycle(name, api::node_device_event_deleted);
}

void NodeDevices::on_change(drivers::DeviceChange change) {
    if (!change.path.empty()) changes_.push_back(std::move(change));
    if (following_ || changes_.empty()) return;
    following_ = true;
    rpc::spawn(host_.executor(), "devices", follow());
}

Task<> NodeDevices::follow() {
    while (!changes_.empty()) {
        auto change = std::move(changes_.front());
        changes_.pop_front();
        co_await apply(std::move(change));
    }
    following_ = false;
}

Task<> NodeDevices::apply(drivers::DeviceChange change) {
    if (!change.old_path.empty()) remove(change.old_path);
    if (change.gone) {
        remove(change.path);
        co_return;
    }
    const std::string path = change.path;
    auto device = co_await rpc::blocking_result([path] { return drivers::find_device(path); });
    if (!device) co_return;
    // A network card that got another address has another name.
    if (const auto known = names_.find(path); known != names_.end() && known->second != device->name) remove(path);
    const std::string name = device->name;
    const bool is_new = !devices_.contains(name);
    put(std::move(*device));
    is_new ? emit_lifecycle(name, api::node_device_event_created) : emit_update(name);
}

void NodeDevices::emit_lifecycle(const std::string& name, int event) {
    host_.events().emit<remote::NodeDeviceEventLifecycleCall>(EventKind::node_device, api::node_device_event_id_lifecycle,
                                                              nullptr, event_key(name),
                                                              {.callbackID = 0, .dev = {name}, .event = event, .detail = 0});
}

void NodeDevices::emit_update(const std::string& name) {
    host_.events().emit<remote::NodeDeviceEventUpdateCall>(EventKind::node_device, api::node_device_event_id_update, nullptr,
                                                           event_key(name), {.callbackID = 0, .dev = {name}});
}

} // namespace lodge::daemon
