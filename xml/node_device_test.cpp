#include "tests/catch.hpp"
#include "xml/node_device.hpp"
#include <algorithm>

using namespace lodge;

TEST_CASE("random node devices survive writing and reading") {
    xml::Random random(20261125);
    for (int i = 0; i < 300; ++i) {
        const auto text = xml::format(xml::random_value<xml::NodeDevice>(random), "device");
        INFO(text);
        CHECK(xml::format(xml::parse<xml::NodeDevice>(text, "device", {.recorded = true, .checked = true}), "device") == text);
    }
}

TEST_CASE("a PCI device is written as libvirt does") {
    xml::NodeCapability pci;
    pci.type = xml::NodeCapabilityType::pci;
    pci.pci_class = xml::Hex<6>(0x60400);
    pci.bus = 1;
    pci.slot = 31;
    pci.product = {0x10c9, "82576 Gigabit"};
    pci.vendor = {0x8086, ""};
    xml::NodeDetail functions;
    functions.type = "virt_functions";
    functions.max_count = 7;
    functions.addresses = {{0, 2, 0x10, 1}};
    pci.details.push_back(functions);
    pci.details.emplace_back().type = "pci-bridge";
    pci.iommu_group = xml::NodeIommuGroup{3, {{0, 1, 31, 0}}};
    pci.numa = xml::NodeNuma{0};
    pci.express.emplace();
    xml::NodeDevice device;
    device.name = "pci_0000_01_1f_0";
    device.path = "/sys/devices/pci0000:00/0000:01:1f.0";
    device.parent = "computer";
    device.driver = xml::NodeDriver{"igb"};
    device.capabilities.push_back(pci);
    CHECK(xml::format_node_device(device) == R"(<device>
  <name>pci_0000_01_1f_0</name>
  <path>/sys/devices/pci0000:00/0000:01:1f.0</path>
  <parent>computer</parent>
  <driver>
    <name>igb</name>
  </driver>
  <capability type='pci'>
    <class>0x060400</class>
    <domain>0</domain>
    <bus>1</bus>
    <slot>31</slot>
    <function>0</function>
    <product id='0x10c9'>82576 Gigabit</product>
    <vendor id='0x8086'/>
    <capability type='virt_functions' maxCount='7'>
      <address domain='0x0000' bus='0x02' slot='0x10' function='0x1'/>
    </capability>
    <capability type='pci-bridge'/>
    <iommuGroup number='3'>
      <address domain='0x0000' bus='0x01' slot='0x1f' function='0x0'/>
    </iommuGroup>
    <numa node='0'/>
    <pci-express/>
  </capability>
</device>
)");
    CHECK(device.has(xml::NodeCapabilityType::pci));
    CHECK_FALSE(device.has(xml::NodeCapabilityType::mdev_types));
}

TEST_CASE("the description knows every element of the schema") {
    const auto paths = xml::outline<xml::NodeDevice>("device");
    const auto knows = [&](const char* path) {
        INFO(path);
        CHECK(std::ranges::find(paths, std::string("device/") + path) != paths.end());
    };
    for (const char* path : {"name",
                             "path",
                             "devnode/@type",
                             "parent",
                             "driver/name",
                             "capability/@type",
                             "capability/product",
                             "capability/hardware/serial",
                             "capability/firmware/release_date",
                             "capability/class",
                             "capability/iommuGroup/address/@slot",
                             "capability/numa/@node",
                             "capability/pci-express/link/@validity",
                             "capability/subclass",
                             "capability/description",
                             "capability/interface",
                             "capability/link/@speed",
                             "capability/feature/@name",
                             "capability/host",
                             "capability/unique_id",
                             "capability/capability/wwnn",
                             "capability/capability/fabric_wwn",
                             "capability/capability/max_vports",
                             "capability/capability/rport",
                             "capability/lun",
                             "capability/block",
                             "capability/drive_type",
                             "capability/serial",
                             "capability/num_blocks",
                             "capability/capability/media_available",
                             "capability/capability/media_label",
                             "capability/char",
                             "capability/type",
                             "capability/uuid",
                             "capability/parent_addr",
                             "capability/attr/@value",
                             "capability/capability/type/deviceAPI",
                             "capability/capability/type/availableInstances",
                             "capability/devno",
                             "capability/channel_dev_addr/cssid",
                             "capability/chardev",
                             "capability/ap-adapter",
                             "capability/ap-domain",
                             "capability/capability/fields/@access",
                             "capability/capability/fields/vendor_field/@index",
                             "capability/capability/fields/asset_tag"})
        knows(path);
}

TEST_CASE("a device that is to be made needs a capability") {
    CHECK_THROWS_AS(xml::parse_node_device("<device/>"), rpc::Error);
    const auto wish = xml::parse_node_device("<device><name>x</name><parent>p</parent><capability type='mdev'><type id='t'/>"
                                             "<uuid>c2177883-f1bb-47f0-914d-32a22e3a8804</uuid></capability></device>");
    CHECK(wish.parent == "p");
    CHECK(wish.capabilities.front().mdev_type->id == "t");
}
