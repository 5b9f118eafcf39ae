#include "xml/domain/check.hpp"
#include <algorithm>
#include <utility>

namespace lodge::xml {

void describe(Doc& doc, NicIp& ip) {
    doc.required("address", ip.address);
    doc.attribute("family", ip.family);
    doc.attribute("prefix", ip.prefix, Mark::wraps);
    doc.attribute("peer", ip.peer);
}

void describe(Doc& doc, NicRoute& route) {
    doc.attribute("family", route.family);
    doc.required("address", route.address);
    doc.attribute("netmask", route.netmask);
    doc.attribute("prefix", route.prefix);
    doc.required("gateway", route.gateway);
    doc.attribute("metric", route.metric);
}

void describe(Doc& doc, NicMac& mac) {
    doc.attribute("address", mac.address, Mark::guest);
    doc.attribute("type", mac.type);
    doc.attribute("check", mac.check);
}

void describe(Doc& doc, Offloads& offloads) {
    doc.attribute("csum", offloads.csum);
    doc.attribute("gso", offloads.gso);
    doc.attribute("tso4", offloads.tso4);
    doc.attribute("tso6", offloads.tso6);
    doc.attribute("ecn", offloads.ecn);
    doc.attribute("ufo", offloads.ufo);
    doc.attribute("mrg_rxbuf", offloads.mrg_rxbuf);
}

void describe(Doc& doc, NicDriver& driver) {
    doc.attribute("name", driver.name);
    doc.attribute("txmode", driver.txmode);
    doc.attribute("ioeventfd", driver.ioeventfd);
    doc.attribute("event_idx", driver.event_idx);
    doc.attribute("queues", driver.queues);
    doc.attribute("rx_queue_size", driver.rx_queue_size, Mark::unless_zero);
    doc.attribute("tx_queue_size", driver.tx_queue_size, Mark::unless_zero);
    doc.attribute("rss", driver.rss);
    doc.attribute("rss_hash_report", driver.rss_hash_report);
    describe_virtio(doc, driver.virtio);
    doc.child("host", driver.host);
    doc.child("guest", driver.guest);
    if (doc.reading() && driver.queues.value_or(0) <= 1) driver.queues.reset(); // one is what every card has
}

void describe(Doc& doc, NicBackend& backend) {
    doc.attribute("type", backend.type, Mark::positive);
    doc.attribute("tap", backend.tap);
    doc.attribute("vhost", backend.vhost);
    doc.attribute("logFile", backend.log_file);
}

void describe(Doc& doc, PortRange& range) {
    doc.required("start", range.start);
    doc.attribute("end", range.end);
    doc.attribute("to", range.to);
    doc.attribute("exclude", range.exclude);
}

void describe(Doc& doc, PortForward& forward) {
    doc.required("proto", forward.proto);
    doc.attribute("address", forward.address);
    doc.attribute("dev", forward.dev);
    doc.list("range", forward.ranges);
}

void describe(Doc& doc, NicTarget& target) {
    doc.attribute("dev", target.dev);
    doc.attribute("managed", target.managed);
}

namespace {

// The host's device behind <interface type='hostdev'>; unlike in <hostdev>, the address names its type.
void describe_assigned(Doc& doc, NicSource& source) {
    auto& hostdev = source.hostdev;
    doc.group(
        "source",
        [&] {
            doc.attribute("writeFiltering", hostdev.write_filtering);
            doc.attribute("missing", hostdev.missing, Mark::live);
            doc.group(
                "address",
                [&] {
                    doc.required("type", source.hostdev_type);
                    if (doc.when(source.hostdev_type == HostdevType::pci)) describe(doc, hostdev.pci);
                    if (doc.when(source.hostdev_type == HostdevType::usb)) {
                        doc.attribute("bus", hostdev.usb_bus, Mark::any_base);
                        doc.attribute("device", hostdev.usb_device, Mark::any_base);
                    }
                },
                Mark::required);
            if (doc.when(source.hostdev_type == HostdevType::usb)) {
                doc.group("vendor", [&] { doc.required("id", hostdev.vendor, Mark::positive); });
                doc.group("product", [&] { doc.required("id", hostdev.product); });
            }
        },
        Mark::host | Mark::required);
}

void describe_udp(Doc& doc, NicSource& source) {
    doc.group("local", [&] {
        doc.required("address", source.local_address);
        doc.required("port", source.local_port);
    });
}

void describe_vhostuser(Doc& doc, NicSource& source) {
    doc.required("type", source.type);
    doc.required("path", source.path);
    doc.required("mode", source.socket_mode);
    doc.child("reconnect", source.reconnect);
}

void describe_vds(Doc& doc, NicSource& source) {
    doc.required("switchid", source.switch_id);
    doc.required("portid", source.vds_port_id, Mark::any_base);
    doc.required("portgroupid", source.portgroup_id);
    doc.required("connectionid", source.connection_id, Mark::any_base);
}

void describe_network(Doc& doc, Nic& nic) {
    auto& source = nic.source;
    doc.required("network", source.network);
    doc.attribute("portgroup", source.portgroup);
    doc.attribute("portid", source.port_id, Mark::live);
    doc.attribute("bridge", source.bridge, Mark::live);
    if (doc.when(nic.actual_type() == NicType::direct)) {
        doc.attribute("dev", source.dev, Mark::live);
        doc.attribute("mode", source.mode, Mark::live);
    }
    doc.attribute("macTableManager", source.mac_table_manager, Mark::live);
}

// The same of a card that shows what its network made of it.
void describe_lender(Doc& doc, NicSource& source) {
    doc.attribute("network", source.network, Mark::live);
    doc.attribute("portgroup", source.portgroup, Mark::live);
    doc.attribute("portid", source.port_id, Mark::live);
}

bool one_of(NicType type, std::initializer_list<NicType> types) { return std::ranges::find(types, type) != types.end(); }

void describe_source(Doc& doc, Nic& nic) {
    const auto is = [&](std::initializer_list<NicType> types) { return doc.when(one_of(nic.type, types)); };
    auto& source = nic.source;
    if (is({NicType::network})) describe_network(doc, nic);
    if (is({NicType::bridge, NicType::direct})) describe_lender(doc, source);
    if (is({NicType::bridge})) {
        doc.required("bridge", source.bridge);
        doc.attribute("macTableManager", source.mac_table_manager);
    }
    if (is({NicType::direct, NicType::vdpa})) doc.required("dev", source.dev);
    if (is({NicType::user})) doc.attribute("dev", source.dev);
    if (is({NicType::direct})) doc.attribute("mode", source.mode);
    if (is({NicType::internal})) doc.required("name", source.name);
    if (is({NicType::server})) doc.attribute("address", source.address);
    if (is({NicType::client, NicType::mcast, NicType::udp})) doc.required("address", source.address);
    if (is({NicType::server, NicType::client, NicType::mcast, NicType::udp})) doc.required("port", source.port);
    if (is({NicType::udp})) describe_udp(doc, source);
    if (is({NicType::vhostuser})) describe_vhostuser(doc, source);
    if (is({NicType::vds})) describe_vds(doc, source);
    doc.list("ip", source.ips);
    doc.list("route", source.routes);
}

// Names that the daemon made up for a running guest do not belong into its definition.
bool is_generated_device(const std::string& dev) {
    return dev.starts_with("vnet") || dev.starts_with("macvtap") || dev.starts_with("macvlan") || dev.starts_with("vif") ||
           dev.find('%') != std::string::npos;
}

// A running guest's card shows what its network made of it.
NicActual* shown_actual(const Doc& doc, Nic& nic) { return !doc.reading() && doc.live() && nic.actual ? &*nic.actual : nullptr; }

void describe_plug(Doc& doc, Nic& nic) {
    auto* actual = shown_actual(doc, nic);
    doc.child("bandwidth", actual ? actual->bandwidth : nic.bandwidth);
    doc.child("vlan", actual ? actual->vlan : nic.vlan);
    doc.child("virtualport", actual ? actual->virtual_port : nic.virtual_port);
    doc.group("port", [&] { doc.attribute("isolated", nic.port_isolated); });
    doc.list("ip", nic.ips);
    doc.list("route", nic.routes);
    doc.list("portForward", nic.port_forwards);
    doc.group("script", [&] { doc.attribute("path", nic.script); });
    doc.group("downscript", [&] { doc.attribute("path", nic.downscript); });
    doc.group("backenddomain", [&] { doc.attribute("name", nic.backend_domain); });
    if (doc.when(doc.live() || doc.reading() || !is_generated_device(nic.target.dev))) doc.child("target", nic.target);
    doc.group("guest", [&] {
        doc.attribute("dev", nic.guest_dev);
        doc.attribute("actual", nic.guest_actual, Mark::live);
    });
}

} // namespace

Hostdev hostdev_of(const Nic& nic) {
    Hostdev hostdev;
    hostdev.type = nic.source.hostdev_type;
    hostdev.source = nic.source.hostdev;
    hostdev.managed = nic.managed;
    hostdev.info = nic.info;
    return hostdev;
}

// libvirt's order of reading.
static constexpr std::string_view nic_order[] = {"@type",       "@trustGuestRxFilters",
                                                 "model",       "source",
                                                 "virtualport", "target",
                                                 "filterref",   "bandwidth",
                                                 "vlan",        "mac",
                                                 "boot",        "rom",
                                                 "acpi",        "address",
                                                 "ip",          "route",
                                                 "portForward", "driver",
                                                 "backend",     "link",
                                                 "teaming",     "tune",
                                                 "mtu",         "coalesce",
                                                 "port"};

void describe(Doc& doc, Nic& nic) {
    doc.read_in_order(nic_order);
    auto* actual = shown_actual(doc, nic);
    doc.attribute("type", actual ? actual->type : nic.type);
    if (doc.when(nic.type == NicType::hostdev)) doc.attribute("managed", nic.managed);
    if (doc.reading() && nic.managed && !*nic.managed) nic.managed.reset();
    doc.attribute("trustGuestRxFilters", nic.trust_guest_rx_filters);
    doc.child("mac", nic.mac);
    const bool hostdev = nic.type == NicType::hostdev;
    if (doc.when(hostdev)) {
        doc.child("driver", nic.driver);
        describe_assigned(doc, nic.source);
    }
    if (doc.when(!hostdev)) doc.group("source", [&] { describe_source(doc, nic); }, Mark::host);
    describe_plug(doc, nic);
    doc.group("model", [&] { doc.attribute("type", nic.model, Mark::guest); });
    if (doc.when(!hostdev)) doc.child("driver", nic.driver);
    doc.child("backend", nic.backend);
    doc.child("filterref", nic.filterref);
    doc.group("tune", [&] { doc.text_child("sndbuf", nic.sndbuf); });
    describe_teaming(doc, nic.teaming);
    doc.group("link", [&] { doc.attribute("state", nic.link); });
    doc.group("mtu", [&] { doc.attribute("size", nic.mtu, Mark::guest | Mark::unless_zero | Mark::blank); });
    doc.group("coalesce", [&] {
        doc.group("rx", [&] { doc.group("frames", [&] { doc.attribute("max", nic.coalesce_rx_max, Mark::blank); }); });
    });
    describe_info(doc, nic.info, InfoParts::boot_and_rom);
    check_nic(doc, nic);
    if (!doc.reading()) return;
    const bool lent = nic.type == NicType::bridge || nic.type == NicType::direct;
    if (lent && !nic.source.network.empty())
        nic.actual = NicActual{std::exchange(nic.type, NicType::network), nic.bandwidth, nic.vlan, nic.virtual_port};
    if (!hostdev && !nic.is_virtio()) nic.driver = {};
    if (!doc.live() && is_generated_device(nic.target.dev)) nic.target = {};
}

} // namespace lodge::xml
