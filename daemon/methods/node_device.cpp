// Devices of the host: the calls of virsh nodedev-*.
#include "daemon/domain.hpp"
#include "daemon/method.hpp"
#include "daemon/node_devices.hpp"
#include "daemon/schema.hpp"
#include "drivers/nodedev/device_change.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

namespace {

using Type = xml::NodeCapabilityType;

Task<NodeDevices*> devices(ClientPtr client) {
    if (client->uri().starts_with("test:")) rpc::fail(From::test, Code::no_support, "devices of the test driver");
    auto& all = client->host().node_devices();
    co_await all.ready();
    co_return &all;
}

Task<NodeDevicePtr> find(ClientPtr client, std::string name) {
    const auto* all = co_await devices(std::move(client));
    co_return all->find(name);
}

// ---- lists and look-ups ----

Task<remote::NodeNumOfDevicesRet> count(ClientPtr client, remote::NodeNumOfDevicesArgs args) {
    const auto* all = co_await devices(std::move(client));
    co_return remote::NodeNumOfDevicesRet{static_cast<std::int32_t>(all->with_capability(args.cap.value_or("")).size())};
}

Task<remote::NodeListDevicesRet> list(ClientPtr client, remote::NodeListDevicesArgs args) {
    if (args.maxnames < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    const auto* all = co_await devices(std::move(client));
    remote::NodeListDevicesRet ret;
    for (const auto& device : all->with_capability(args.cap.value_or("")))
        if (ret.names.size() < static_cast<std::size_t>(args.maxnames)) ret.names.push_back(device->name);
    co_return ret;
}

Task<remote::ConnectListAllNodeDevicesRet> list_all(ClientPtr client, remote::ConnectListAllNodeDevicesArgs args) {
    const auto* all = co_await devices(std::move(client));
    const auto found = all->list(args.flags);
    remote::ConnectListAllNodeDevicesRet ret{{}, static_cast<std::uint32_t>(found.size())};
    if (args.need_results)
        for (const auto& device : found) ret.devices.push_back({device->name});
    co_return ret;
}

Task<remote::NodeDeviceLookupByNameRet> lookup_by_name(ClientPtr client, remote::NodeDeviceLookupByNameArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    co_return remote::NodeDeviceLookupByNameRet{{device->name}};
}

Task<remote::NodeDeviceLookupScsiHostByWwnRet> lookup_scsi_host(ClientPtr client,
                                                                remote::NodeDeviceLookupScsiHostByWwnArgs args) {
    const auto* all = co_await devices(std::move(client));
    for (const auto& device : all->list(api::connect_list_node_devices_cap_scsi_host))
        for (const auto& capability : device->capabilities)
            if (const auto* fc = capability.detail("fc_host"); fc && fc->wwnn == args.wwnn && fc->wwpn == args.wwpn)
                co_return remote::NodeDeviceLookupScsiHostByWwnRet{{device->name}};
    rpc::fail(From::nodedev, Code::no_node_device, "no SCSI host with wwnn '{}' and wwpn '{}'", args.wwnn, args.wwpn);
}

// ---- facts of one ----

Task<remote::NodeDeviceGetXmlDescRet> get_xml_desc(ClientPtr client, remote::NodeDeviceGetXmlDescArgs args) {
    auto* all = co_await devices(std::move(client));
    const auto device = co_await all->look(args.name);
    co_return remote::NodeDeviceGetXmlDescRet{xml::format_node_device(*device)};
}

Task<remote::NodeDeviceGetParentRet> get_parent(ClientPtr client, remote::NodeDeviceGetParentArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    remote::NodeDeviceGetParentRet ret;
    if (!device->parent.empty()) ret.parentName = device->parent;
    co_return ret;
}

Task<remote::NodeDeviceNumOfCapsRet> num_of_caps(ClientPtr client, remote::NodeDeviceNumOfCapsArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    co_return remote::NodeDeviceNumOfCapsRet{static_cast<std::int32_t>(capability_words(*device).size())};
}

Task<remote::NodeDeviceListCapsRet> list_caps(ClientPtr client, remote::NodeDeviceListCapsArgs args) {
    if (args.maxnames < 0) rpc::fail(Code::invalid_arg, "maxnames must be zero or greater");
    const auto device = co_await find(std::move(client), args.name);
    auto words = capability_words(*device);
    words.resize(std::min(words.size(), static_cast<std::size_t>(args.maxnames)));
    co_return remote::NodeDeviceListCapsRet{std::move(words)};
}

bool is_mediated(const xml::NodeDevice& device) { return device.has(Type::mdev); }
// Hardware is there without a definition; only the computer as a whole counts as defined and started by itself.
bool counts_as_defined(const xml::NodeDevice& device) { return device.has(Type::system); }

Task<remote::NodeDeviceIsActiveRet> is_active(ClientPtr client, remote::NodeDeviceIsActiveArgs args) {
    co_await find(std::move(client), args.name);
    co_return remote::NodeDeviceIsActiveRet{1};
}
Task<remote::NodeDeviceIsPersistentRet> is_persistent(ClientPtr client, remote::NodeDeviceIsPersistentArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    co_return remote::NodeDeviceIsPersistentRet{counts_as_defined(*device) ? 1 : 0};
}
Task<remote::NodeDeviceGetAutostartRet> get_autostart(ClientPtr client, remote::NodeDeviceGetAutostartArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    co_return remote::NodeDeviceGetAutostartRet{counts_as_defined(*device) ? 1 : 0};
}
Task<> set_autostart(ClientPtr client, remote::NodeDeviceSetAutostartArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    if (is_mediated(*device))
        rpc::fail(From::nodedev, Code::operation_invalid, "cannot set autostart for transient device '{}'", args.name);
    rpc::fail(From::nodedev, Code::operation_unsupported, "Unsupported device type");
}

// ---- mediated devices ----

[[noreturn]] void refuse_kind() { rpc::fail(From::nodedev, Code::config_unsupported, "Unsupported device type"); }

bool is_there(const NodeDevices& all, const std::string& name) {
    return !name.empty() && std::ranges::any_of(all.list(0), [&](const NodeDevicePtr& each) { return each->name == name; });
}

// A virtual port of a Fibre Channel adapter; nothing here makes one.
[[noreturn]] void refuse_virtual_port(const NodeDevices& all, const xml::NodeDevice& wish) {
    if (!wish.capabilities.front().detail("fc_host"))
        rpc::fail(From::nodedev, Code::internal_error, "Device is not a fibre channel HBA");
    const bool named = !wish.parent.empty() || !wish.parent_wwnn.empty() || !wish.parent_fabric.empty();
    if (!named) rpc::fail(From::nodedev, Code::internal_error, "Could not find any vport capable device");
    if (!is_there(all, wish.parent))
        rpc::fail(From::nodedev, Code::internal_error, "Could not find parent device for '{}'", wish.name);
    refuse_kind();
}

// The device that is to bear the new one.
NodeDevicePtr bearer(const NodeDevices& all, const xml::NodeDevice& wish) {
    if (wish.parent.empty()) rpc::fail(From::nodedev, Code::config_unsupported, "missing parent device");
    if (!is_there(all, wish.parent))
        rpc::fail(From::nodedev, Code::config_unsupported, "invalid parent device '{}'", wish.parent);
    const auto known = all.list(0);
    const auto at = std::ranges::find_if(known, [&](const NodeDevicePtr& each) { return each->name == wish.parent; });
    if (!(*at)->has(Type::mdev_types))
        rpc::fail(From::nodedev, Code::parse_failed, "Unable to find address for parent device '{}'", wish.parent);
    return *at;
}

Task<remote::NodeDeviceCreateXmlRet> create_xml(ClientPtr client, remote::NodeDeviceCreateXmlArgs args) {
    co_await validate_if(args.flags & api::node_device_create_xml_validate, args.xml_desc, "nodedev.rng");
    const auto* all = co_await devices(std::move(client));
    const auto wish = xml::parse_node_device(args.xml_desc);
    const auto& capability = wish.capabilities.front();
    if (capability.type == Type::scsi_host) refuse_virtual_port(*all, wish);
    if (capability.type != Type::mdev) refuse_kind();
    const auto parent = bearer(*all, wish);
    const auto uuid = capability.uuid.empty() ? rpc::Uuid::random() : rpc::Uuid::parse(capability.uuid).value_or(rpc::Uuid{});
    if (uuid.is_nil()) rpc::fail(From::nodedev, Code::xml_error, "malformed uuid '{}'", capability.uuid);
    const auto made = co_await rpc::blocking_result([path = parent->path, type = capability.mdev_type->id, text = uuid.text()] {
        return drivers::find_device(drivers::make_mediated_device(path, type, text));
    });
    if (!made) rpc::fail(From::nodedev, Code::internal_error, "mediated device '{}' did not appear", uuid.text());
    co_return remote::NodeDeviceCreateXmlRet{{made->name}};
}

Task<remote::NodeDeviceDefineXmlRet> define_xml(ClientPtr client, remote::NodeDeviceDefineXmlArgs args) {
    co_await validate_if(args.flags & api::node_device_define_xml_validate, args.xml_desc, "nodedev.rng");
    const auto* all = co_await devices(std::move(client));
    const auto wish = xml::parse_node_device(args.xml_desc);
    if (wish.capabilities.front().type != Type::mdev) refuse_kind();
    bearer(*all, wish);
    rpc::fail(From::nodedev, Code::operation_unsupported, "definitions of mediated devices are not kept: create it instead");
}

Task<> undefine(ClientPtr client, remote::NodeDeviceUndefineArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    if (counts_as_defined(*device)) refuse_kind();
    rpc::fail(From::nodedev, Code::operation_invalid, "Node device '{}' is not defined", args.name);
}

Task<> create(ClientPtr client, remote::NodeDeviceCreateArgs args) {
    co_await find(std::move(client), args.name);
    rpc::fail(From::nodedev, Code::operation_invalid, "Device is already active");
}

Task<> destroy(ClientPtr client, remote::NodeDeviceDestroyArgs args) {
    const auto device = co_await find(std::move(client), args.name);
    if (!is_mediated(*device)) refuse_kind();
    co_await rpc::blocking([path = device->path] { drivers::remove_mediated_device(path); });
}

// ---- PCI devices for guests ----

bool is_same(const xml::Hostdev& hostdev, const xml::NodeCapability& pci) {
    const auto& address = hostdev.source.pci;
    return hostdev.type == xml::HostdevType::pci && address.domain.value == pci.domain && address.bus.value == pci.bus &&
           address.slot.value == pci.slot && address.function.value == pci.function;
}

// Refuses also what a running guest has.
Task<NodeDevicePtr> pci_device(ClientPtr client, std::string name) {
    const auto device = co_await find(client, name);
    if (!device->has(Type::pci)) rpc::fail(From::domain, Code::invalid_arg, "device {} is not a PCI device", name);
    const auto& pci = device->capabilities.front();
    for (const auto& hypervisor : client->host().hypervisors())
        for (const auto& domain : hypervisor->visible()) {
            if (!domain->is_active()) continue;
            for (const auto& hostdev : domain->current()->devices.hostdevs)
                if (is_same(hostdev, pci))
                    rpc::fail(From::none, Code::operation_invalid, "PCI device {} is still in use by domain {}", name,
                              domain->name());
        }
    co_return device;
}

Task<> detach(ClientPtr client, std::string name, std::optional<std::string> driver) {
    if (driver && *driver != "vfio")
        rpc::fail(From::qemu, *driver == "kvm" || *driver == "xen" ? Code::argument_unsupported : Code::invalid_arg,
                  "unknown or unsupported driver name '{}'", *driver);
    if (!drivers::can_assign_devices())
        rpc::fail(From::qemu, Code::argument_unsupported, "VFIO device assignment is currently not supported on this system");
    const auto device = co_await pci_device(std::move(client), std::move(name));
    co_await rpc::blocking([path = device->path] { drivers::give_to_vfio(path); });
}
Task<> dettach(ClientPtr client, remote::NodeDeviceDettachArgs args) {
    co_await detach(std::move(client), std::move(args.name), std::nullopt);
}
Task<> detach_flags(ClientPtr client, remote::NodeDeviceDetachFlagsArgs args) {
    co_await detach(std::move(client), std::move(args.name), std::move(args.driverName));
}
Task<> re_attach(ClientPtr client, remote::NodeDeviceReAttachArgs args) {
    const auto device = co_await pci_device(std::move(client), args.name);
    co_await rpc::blocking([path = device->path] { drivers::give_back(path); });
}
Task<> reset(ClientPtr client, remote::NodeDeviceResetArgs args) {
    const auto device = co_await pci_device(std::move(client), args.name);
    co_await rpc::blocking([path = device->path] { drivers::reset_device(path); });
}

// ---- events ----

Task<remote::ConnectNodeDeviceEventRegisterAnyRet> register_event(ClientPtr client,
                                                                  remote::ConnectNodeDeviceEventRegisterAnyArgs args) {
    const auto* all = co_await devices(client);
    if (args.eventID < 0 || args.eventID >= static_cast<int>(api::node_device_event_id_last))
        rpc::fail(From::rpc, Code::internal_error, "unsupported node device event ID {}", args.eventID);
    Subscription subscription{.client = client.get(),
                              .kind = EventKind::node_device,
                              .event = args.eventID,
                              .scope = nullptr,
                              .object = {},
                              .pattern = {}};
    if (args.dev) subscription.object = NodeDevices::event_key(all->find(args.dev->name)->name);
    co_return remote::ConnectNodeDeviceEventRegisterAnyRet{client->host().events().add(std::move(subscription))};
}

void deregister_event(Client& client, const remote::ConnectNodeDeviceEventDeregisterAnyArgs& args) {
    client.host().events().remove_known(client, EventKind::node_device, args.callbackID, "node device");
}

constexpr Method table[] = {
    on<remote::NodeNumOfDevicesCall, count>(),
    on<remote::NodeListDevicesCall, list>(),
    on<remote::ConnectListAllNodeDevicesCall, list_all>(),
    on<remote::NodeDeviceLookupByNameCall, lookup_by_name>(),
    on<remote::NodeDeviceLookupScsiHostByWwnCall, lookup_scsi_host>(),
    on<remote::NodeDeviceGetXmlDescCall, get_xml_desc>(),
    on<remote::NodeDeviceGetParentCall, get_parent>(),
    on<remote::NodeDeviceNumOfCapsCall, num_of_caps>(),
    on<remote::NodeDeviceListCapsCall, list_caps>(),
    on<remote::NodeDeviceIsActiveCall, is_active>(),
    on<remote::NodeDeviceIsPersistentCall, is_persistent>(),
    on<remote::NodeDeviceGetAutostartCall, get_autostart>(),
    on<remote::NodeDeviceSetAutostartCall, set_autostart>(),
    on<remote::NodeDeviceCreateXmlCall, create_xml>(),
    on<remote::NodeDeviceDefineXmlCall, define_xml>(),
    on<remote::NodeDeviceUndefineCall, undefine>(),
    on<remote::NodeDeviceCreateCall, create>(),
    on<remote::NodeDeviceDestroyCall, destroy>(),
    on<remote::NodeDeviceDettachCall, dettach>(),
    on<remote::NodeDeviceDetachFlagsCall, detach_flags>(),
    on<remote::NodeDeviceReAttachCall, re_attach>(),
    on<remote::NodeDeviceResetCall, reset>(),
    on<remote::ConnectNodeDeviceEventRegisterAnyCall, register_event>(),
    on<remote::ConnectNodeDeviceEventDeregisterAnyCall, deregister_event>(),
};

} // namespace

const MethodTable methods::node_device = table;

} // namespace lodge::daemon
