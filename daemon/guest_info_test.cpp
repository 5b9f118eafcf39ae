#include "daemon/guest_info.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <nlohmann/json.hpp>

using namespace lodge;
using namespace lodge::daemon;
using nlohmann::json;

namespace {

xml::Domain with_disks() {
    return xml::parse_domain(
        R"(<domain type='qemu'><name>a</name><memory>1024</memory><os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/>
  <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
<disk type='file' device='disk'><source file='/b'/><target dev='sda' bus='sata'/>
  <address type='drive' controller='0' bus='0' target='0' unit='1'/></disk>
<controller type='sata' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></controller>
</devices></domain>)",
        {});
}

json file_system(const char* mountpoint, json disk) {
    return {{"name", "x1"}, {"mountpoint", mountpoint}, {"type", "ext4"}, {"disk", json::array({std::move(disk)})}};
}

} // namespace

TEST_CASE("file systems are told with the disks that the document knows") {
    const json pci = {{"domain", 0}, {"bus", 4}, {"slot", 0}, {"function", 0}};
    const json controller = {{"domain", 0}, {"bus", 0}, {"slot", 31}, {"function", 2}};
    const json answer = json::array({
        file_system("/", {{"pci-controller", pci}, {"bus", 0}, {"target", 0}, {"unit", 0}}),
        file_system("/srv", {{"pci-controller", controller}, {"bus", 0}, {"target", 0}, {"unit", 1}}),
        file_system("/far", {{"pci-controller", {{"bus", 9}}}}),
    });
    const auto list = guest_info::filesystems(answer, with_disks());
    REQUIRE(list.size() == 3);
    CHECK(list[0].dev_aliases == std::vector<std::string>{"vda"});
    CHECK(list[1].dev_aliases == std::vector<std::string>{"sda"});
    CHECK(list[2].dev_aliases.empty());
}

TEST_CASE("names of one interface are one interface") {
    const json answer = json::array({
        {{"name", "eth0"},
         {"hardware-address", "52:54:00:00:00:01"},
         {"ip-addresses", json::array({{{"ip-address-type", "ipv4"}, {"ip-address", "10.0.0.1"}, {"prefix", 24}}})}},
        {{"name", "eth0:1"},
         {"ip-addresses", json::array({{{"ip-address-type", "ipv6"}, {"ip-address", "fe80::1"}, {"prefix", 64}}})}},
    });
    const auto list = guest_info::interfaces(answer);
    REQUIRE(list.size() == 1);
    CHECK(list[0].name == "eth0");
    REQUIRE(list[0].addrs.size() == 2);
    CHECK(list[0].addrs[1].type == 1);
}

TEST_CASE("an agent that talks nonsense is refused and breaks nothing") {
    guest_info::Params out;
    for (const char* text : {"null", "3", "\"x\"", "{}", "[1]", "[{}]", "[{\"user\": 7}]", "[[]]"}) {
        const json answer = json::parse(text);
        const auto refused = [&](auto call) {
            try {
                call();
            } catch (const rpc::Error& error) {
                CHECK(error.code() == rpc::Code::internal_error);
            }
        };
        refused([&] { guest_info::add_users(out, answer); });
        refused([&] { guest_info::add_os(out, answer); });
        refused([&] { guest_info::add_timezone(out, answer); });
        refused([&] { guest_info::add_filesystems(out, answer, with_disks()); });
        refused([&] { guest_info::add_disks(out, answer, with_disks()); });
        refused([&] { guest_info::add_interfaces(out, answer); });
        refused([&] { guest_info::filesystems(answer, with_disks()); });
    }
}
