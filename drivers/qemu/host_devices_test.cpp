// Devices of a host that is a folder of links.
#include "drivers/network/network_driver.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
using namespace lodge::drivers::qemu;
namespace fs = std::filesystem;

namespace {

struct Sysfs {
    fs::path path = fs::temp_directory_path() / fmt::format("lodge-sysfs-{}", ::getpid());
    Sysfs() { fs::create_directories(path); }
    ~Sysfs() { fs::remove_all(path); }

    fs::path device(const std::string& address, const std::string& driver, const std::string& group) const {
        const fs::path folder = path / "bus/pci/devices" / address;
        fs::create_directories(folder);
        if (!driver.empty()) fs::create_symlink("../../drivers/" + driver, folder / "driver");
        if (!group.empty()) fs::create_symlink("../../../../kernel/iommu_groups/" + group, folder / "iommu_group");
        return folder;
    }
};

xml::Domain guest(const std::string& devices) {
    return xml::parse_domain("<domain type='kvm'><name>g</name><memory>1</memory><os><type>hvm</type></os><devices>" + devices +
                                 "</devices></domain>",
                             {});
}

std::string pci(const std::string& managed, unsigned slot) {
    return fmt::format("<hostdev mode='subsystem' type='pci' managed='{}'><source><address domain='0' bus='6' slot='{}' "
                       "function='1'/></source></hostdev>",
                       managed, slot);
}

} // namespace

TEST_CASE("PCI devices of a document and of its cards are found in sysfs") {
    const Sysfs sysfs;
    const auto domain = guest(pci("yes", 2) + pci("no", 3) +
                              "<interface type='hostdev' managed='yes'><source><address type='pci' domain='0' bus='6' slot='4' "
                              "function='0'/></source></interface><hostdev mode='subsystem' type='usb'><source><vendor id='1'/>"
                              "<product id='2'/></source></hostdev>");
    const auto devices = assigned_pci(domain, sysfs.path);
    REQUIRE(devices.size() == 3);
    CHECK(devices[0].path == sysfs.path.string() + "/bus/pci/devices/0000:06:02.1");
    CHECK(devices[0].managed);
    CHECK_FALSE(devices[1].managed);
    CHECK(devices[2].path.ends_with("0000:06:04.0"));
    CHECK(devices[2].managed);
}

TEST_CASE("what the host uses is not given away unasked") {
    const Sysfs sysfs;
    const auto devices = [&](const char* managed) { return assigned_pci(guest(pci(managed, 2)), sysfs.path); };
    CHECK_THROWS_WITH(take_pci_devices(devices("yes")), Catch::Contains("Device 0000:06:02.1 not found"));
    sysfs.device("0000:06:02.1", "e1000e", "7");
    CHECK_THROWS_WITH(take_pci_devices(devices("no")),
                      Catch::Contains("Unmanaged PCI device 0000:06:02.1 must be manually detached"));
    fs::remove_all(sysfs.path / "bus");
    sysfs.device("0000:06:02.1", "vfio-pci", "7");
    CHECK(take_pci_devices(devices("no")).empty());
    CHECK(take_pci_devices(devices("yes")).empty());
}

TEST_CASE("QEMU opens the group of a device") {
    const Sysfs sysfs;
    sysfs.device("0000:06:02.1", "vfio-pci", "7");
    const auto domain = guest(pci("yes", 2) + pci("yes", 3));
    CHECK(vfio_group(domain.devices.hostdevs[0], sysfs.path) == "/dev/vfio/7");
    CHECK(vfio_group(domain.devices.hostdevs[1], sysfs.path).empty());
}

TEST_CASE("a physical function lends its virtual ones") {
    const Sysfs sysfs;
    const auto physical = sysfs.device("0000:06:00.0", "igb", "");
    fs::create_directories(sysfs.path / "class/net/eth9");
    fs::create_symlink(physical, sysfs.path / "class/net/eth9/device");
    const auto network = [](const char* mode) {
        return xml::parse_network(
            fmt::format("<network><name>n</name><forward mode='{}'><pf dev='eth9'/></forward></network>", mode));
    };
    auto links = network("passthrough");
    CHECK_THROWS_WITH(find_virtual_functions(links, sysfs.path), Catch::Contains("No usable Vf's present on SRIOV PF eth9"));
    for (unsigned number = 0; number < 2; ++number) {
        const auto function = sysfs.device(fmt::format("0000:06:10.{}", number), number ? "vfio-pci" : "igbvf", "");
        fs::create_symlink(function, physical / fmt::format("virtfn{}", number));
        if (!number) fs::create_directories(function / "net/eth10");
    }
    find_virtual_functions(links, sysfs.path);
    REQUIRE(links.forward->interfaces.size() == 1); // the other has no link on this host
    CHECK(links.forward->interfaces[0].dev == "eth10");
    auto hardware = network("hostdev");
    find_virtual_functions(hardware, sysfs.path);
    REQUIRE(hardware.forward->addresses.size() == 2);
    CHECK(hardware.forward->addresses[1].slot.value == 0x10);
    CHECK(hardware.forward->addresses[1].function.value == 1);
}

TEST_CASE("a port on a switch is one order") {
    SwitchPort port{"br", "vnet0", "52:54:00:00:00:01", "id", "", "vm", std::nullopt};
    CHECK(fmt::format("{}", fmt::join(switch_port_words(port), " ")) ==
          "--timeout=5 -- --if-exists del-port vnet0 -- add-port br vnet0"
          " -- set Interface vnet0 external-ids:attached-mac=\"52:54:00:00:00:01\""
          " -- set Interface vnet0 external-ids:iface-id=\"id\" -- set Interface vnet0 external-ids:vm-id=\"vm\""
          " -- set Interface vnet0 external-ids:ifname=\"vnet0\" -- set Interface vnet0 external-ids:iface-status=\"active\"");
    port.vlan = xml::Vlan{xml::YesNo(true), {{1, xml::NativeVlan::tagged}, {2, {}}}};
    const auto words = switch_port_words(port);
    const std::vector<std::string> vlan(words.begin() + 9, words.begin() + 12);
    CHECK(vlan == std::vector<std::string>{"vlan_mode=native-tagged", "tag=1", "trunk=1,2"});
}
