// Ports of USB buses: controllers have root ports, hubs have eight more each.
#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>
#include <map>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::Controller;
using xml::ControllerModel;
using xml::ControllerType;
using xml::DeviceInfo;
using xml::UsbPort;

namespace {

constexpr unsigned hub_ports = 8;

unsigned root_ports(const Controller& controller) {
    using enum ControllerModel;
    switch (controller.model.value_or(piix3_uhci)) {
    case nec_xhci:
    case qemu_xhci: return controller.ports.value_or(4);
    case ich9_ehci1:
    case ehci: return 6;
    case pci_ohci: return 3;
    case ich9_uhci1:
    case ich9_uhci2:
    case ich9_uhci3: return 0; // they share the ports of their master
    case none: return 0;
    default: return 2;
    }
}

struct Node { // a controller's root or a hub
    std::vector<bool> used;
    std::map<unsigned, Node> hubs;
};

class Buses {
  public:
    explicit Buses(const xml::Devices& devices) {
        for (const auto& controller : devices.controllers) {
            if (controller.type != ControllerType::usb || !root_ports(controller)) continue;
            const auto [root, fresh] = roots_.try_emplace(*controller.index);
            if (!fresh) rpc::fail(From::domain, Code::xml_error, "Duplicate USB controllers with index {}", *controller.index);
            root->second.used.resize(root_ports(controller));
        }
    }

    bool empty() const { return roots_.empty(); }

    void reserve(const xml::UsbAddress& address, bool hub) {
        auto& [node, port] = walk(address);
        if (node->used[port - 1])
            rpc::fail(From::domain, Code::xml_error, "Duplicate USB address bus {} port {}", address.bus, text(address.port));
        node->used[port - 1] = true;
        if (hub) node->hubs[port].used.resize(hub_ports);
    }

    std::optional<xml::UsbAddress> free_place(std::optional<unsigned> bus) const {
        for (const auto& [index, root] : roots_) {
            if (bus && *bus != index) continue;
            xml::UsbAddress address;
            address.bus = index;
            if (find(root, address.port, 0)) return address;
        }
        return std::nullopt;
    }

    std::size_t free_ports() const {
        std::size_t count = 0;
        for (const auto& [index, root] : roots_) count += free_in(root);
        return count;
    }

  private:
    static std::string text(const UsbPort& port) {
        std::string result;
        xml::Traits<UsbPort>::format(port, result);
        return result;
    }

    std::pair<Node*, unsigned>& walk(const xml::UsbAddress& address) {
        const auto root = roots_.find(address.bus);
        if (root == roots_.end()) rpc::fail(From::domain, Code::xml_error, "Missing USB bus {}", address.bus);
        Node* node = &root->second;
        for (std::size_t depth = 0;; ++depth) {
            const unsigned port = address.port.path[depth];
            const bool last = depth + 1 == address.port.path.size() || !address.port.path[depth + 1];
            if (last && port > node->used.size())
                rpc::fail(From::domain, Code::xml_error, "requested USB port {} not present on USB bus {}", text(address.port),
                          address.bus);
            if (port > node->used.size())
                rpc::fail(From::domain, Code::xml_error, "port {} out of range in USB address bus: {} port: {}", port,
                          address.bus, text(address.port));
            if (last) return found_ = {node, port};
            if (!node->hubs.contains(port))
                rpc::fail(From::domain, Code::xml_error, "there is no hub at port {} in USB address bus: {} port: {}", port,
                          address.bus, text(address.port));
            node = &node->hubs.at(port);
        }
    }

    static bool find(const Node& node, UsbPort& port, std::size_t depth) {
        for (std::size_t i = 0; i < node.used.size(); ++i)
            if (!node.used[i]) return port.path[depth] = static_cast<std::uint8_t>(i + 1), true;
        if (depth + 1 >= port.path.size()) return false;
        for (const auto& [number, hub] : node.hubs) {
            port.path[depth] = static_cast<std::uint8_t>(number);
            if (find(hub, port, depth + 1)) return true;
            port.path[depth + 1] = 0;
        }
        return false;
    }

    static std::size_t free_in(const Node& node) {
        auto count = static_cast<std::size_t>(std::ranges::count(node.used, false));
        for (const auto& [number, hub] : node.hubs) count += free_in(hub);
        return count;
    }

    std::map<unsigned, Node> roots_;
    std::pair<Node*, unsigned> found_{};
};

// Devices on USB, in the order in which they choose their ports; hubs come before.
template<class F> void for_each_usb(xml::Devices& devices, F&& visit) {
    for (auto& nic : devices.interfaces)
        if (nic.type == xml::NicType::hostdev && nic.source.hostdev_type == xml::HostdevType::usb) visit(nic.info);
    for (auto& hostdev : devices.hostdevs)
        if (hostdev.mode == xml::HostdevMode::subsystem && hostdev.type == xml::HostdevType::usb) visit(hostdev.info);
    for (auto& disk : devices.disks)
        if (disk.target.bus == xml::DiskBus::usb) visit(disk.info);
    for (auto& controller : devices.controllers)
        if (controller.type == ControllerType::ccid) visit(controller.info);
    for (auto& input : devices.inputs)
        if (input.bus == xml::InputBus::usb) visit(input.info);
    for (auto& serial : devices.serials)
        if (serial.target.type == xml::SerialTargetType::usb_serial) visit(serial.info);
    for (auto& sound : devices.sounds)
        if (sound.model == xml::SoundModel::usb) visit(sound.info);
    for (auto& redirdev : devices.redirdevs) visit(redirdev.info);
}

bool has_port(const DeviceInfo& info) { return info.is(AddressType::usb) && info.address->usb.port.path[0]; }

void choose(Buses& buses, DeviceInfo& info, bool hub) {
    if (has_port(info)) return;
    if (!hub && info.address && !info.is(AddressType::usb)) return; // refused later; hubs are moved
    const auto bus = info.is(AddressType::usb) ? std::optional(info.address->usb.bus) : std::nullopt;
    const auto place = buses.free_place(bus);
    if (!place) rpc::fail(From::domain, Code::internal_error, "No free USB ports");
    buses.reserve(*place, hub);
    info.address.emplace().type = AddressType::usb;
    info.address->usb = *place;
}

void check_usb_off(xml::Devices& devices) {
    std::size_t wanted = 0;
    for_each_usb(devices, [&](DeviceInfo&) { ++wanted; });
    const auto off = [](const Controller& c) { return c.is(ControllerType::usb, ControllerModel::none); };
    if (wanted > 0 && std::ranges::any_of(devices.controllers, off))
        rpc::fail(From::qemu, Code::config_unsupported,
                  "USB is disabled for this domain, but USB devices are present in the domain XML");
}

} // namespace

void add_usb_hubs(xml::Domain& domain) {
    Buses buses(domain.devices);
    if (buses.empty()) return check_usb_off(domain.devices);
    auto ports = buses.free_ports() + domain.devices.hubs.size() * (hub_ports - 1);
    std::size_t wanted = 0;
    for_each_usb(domain.devices, [&](DeviceInfo& info) { wanted += !has_port(info) || info.is(AddressType::usb); });
    for (; wanted > ports; ports += hub_ports - 1) domain.devices.hubs.emplace_back();
}

void assign_usb(xml::Domain& domain) {
    auto& devices = domain.devices;
    Buses buses(devices);
    if (buses.empty()) return;
    for (auto& hub : devices.hubs)
        if (has_port(hub.info)) buses.reserve(hub.info.address->usb, true);
    for_each_usb(devices, [&](DeviceInfo& info) {
        if (has_port(info)) buses.reserve(info.address->usb, false);
    });
    for (auto& hub : devices.hubs) choose(buses, hub.info, true);
    for_each_usb(devices, [&](DeviceInfo& info) { choose(buses, info, false); });
}

} // namespace lodge::drivers::qemu
