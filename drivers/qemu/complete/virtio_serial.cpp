// Ports of virtio-serial controllers, slots of smartcard controllers.
#include "drivers/qemu/complete/controllers.hpp"
#include "drivers/qemu/complete/devices.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include <map>
#include <set>

namespace lodge::drivers::qemu {

using xml::AddressType;
using xml::ControllerType;

namespace {

constexpr unsigned default_ports = 31;

// The ports of a controller that are taken; port 0 is left to the console that older guests expect there.
class PortMap {
  public:
    explicit PortMap(xml::Devices& devices)
        : devices_(devices) {
        for (const auto& controller : devices.controllers)
            if (controller.type == ControllerType::virtio_serial)
                used_[*controller.index].resize(controller.ports.value_or(default_ports));
    }

    void reserve(const xml::VirtioSerialAddress& address) {
        const auto ports = used_.find(address.controller);
        if (ports == used_.end())
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "virtio serial controller {} is missing", address.controller);
        if (address.port >= ports->second.size())
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "virtio serial controller {} does not have port {}",
                      address.controller, address.port);
        if (ports->second[address.port])
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "virtio serial port {} on controller {} is already occupied",
                      address.port, address.controller);
        ports->second[address.port] = true;
    }

    std::optional<unsigned> free_port(unsigned controller) const {
        const auto& ports = used_.at(controller);
        for (unsigned port = 1; port < ports.size(); ++port)
            if (!ports[port]) return port;
        return std::nullopt;
    }

    xml::VirtioSerialAddress any() {
        for (const auto& [controller, ports] : used_)
            if (const auto port = free_port(controller)) return {controller, 0, *port};
        const unsigned added = used_.empty() ? 0 : used_.rbegin()->first + 1;
        ensure_controller(devices_, ControllerType::virtio_serial, added);
        used_[added].resize(default_ports);
        return {added, 0, 1};
    }

    bool has(unsigned controller) const { return used_.contains(controller); }

  private:
    xml::Devices& devices_;
    std::map<unsigned, std::vector<bool>> used_;
};

void place(PortMap& map, xml::DeviceInfo& info) {
    if (info.is(AddressType::virtio_serial) && info.address->virtio_serial.port) return;
    auto address = info.is(AddressType::virtio_serial) ? info.address->virtio_serial : map.any();
    if (!address.port) {
        const auto port = map.has(address.controller) ? map.free_port(address.controller) : std::nullopt;
        if (!port)
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "Unable to find a free virtio-serial port on controller {}",
                      address.controller);
        address.port = *port;
    }
    map.reserve(address);
    info.address.emplace().type = AddressType::virtio_serial;
    info.address->virtio_serial = address;
}

} // namespace

void assign_virtio_serial(xml::Domain& domain) {
    PortMap map(domain.devices);
    for_each_info(domain.devices, [&](xml::DeviceInfo& info) {
        if (info.is(AddressType::virtio_serial) && info.address->virtio_serial.port) map.reserve(info.address->virtio_serial);
    });
    for (auto& channel : domain.devices.channels)
        if (channel.target.type == xml::ChannelTargetType::virtio) place(map, channel.info);
}

void assign_ccid(xml::Domain& domain) {
    std::set<std::pair<unsigned, unsigned>> used;
    for (const auto& smartcard : domain.devices.smartcards)
        if (smartcard.info.is(AddressType::ccid))
            used.emplace(smartcard.info.address->ccid.controller, smartcard.info.address->ccid.slot);
    for (auto& smartcard : domain.devices.smartcards) {
        if (smartcard.info.address) continue;
        auto& address = smartcard.info.address.emplace();
        address.type = AddressType::ccid;
        while (!used.emplace(address.ccid.controller, address.ccid.slot).second) ++address.ccid.slot;
    }
}

} // namespace lodge::drivers::qemu
