#include "tests/catch.hpp"
#include "xml/domain/abi.hpp"

namespace lodge::xml {

namespace {

Domain domain_with(const std::string& devices) {
    return parse_domain("<domain type='qemu'><name>a</name><memory>65536</memory><vcpu>2</vcpu>"
                        "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>" +
                            devices + "</devices></domain>",
                        {});
}

std::string refusal(const std::string& before, const std::string& now) {
    try {
        check_abi(domain_with(before), domain_with(now));
    } catch (const rpc::Error& error) {
        CHECK(error.code() == Code::config_unsupported);
        return error.detail();
    }
    return {};
}

constexpr const char* disk = "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>";

} // namespace

TEST_CASE("the guest's view of a machine must not change") {
    CHECK(refusal(disk, disk).empty());
    CHECK(refusal(disk, "<disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>") ==
          "Target domain/devices/disk[1]/target/@dev 'vdb' does not match source 'vda'");
    CHECK(refusal(disk, "") == "Target domain/devices/disk[1] 'none' does not match source 'present'");
    CHECK(refusal("<watchdog model='i6300esb' action='reset'/>", "<watchdog model='ib700' action='reset'/>") ==
          "Target domain/devices/watchdog[1]/@model 'ib700' does not match source 'i6300esb'");
}

TEST_CASE("the host's side may change under the guest") {
    CHECK(refusal(disk, "<disk type='block'><driver cache='none'/><source dev='/b'/><target dev='vda' bus='virtio'/></disk>")
              .empty());
    CHECK(refusal("<watchdog model='i6300esb' action='reset'/>", "<watchdog model='i6300esb' action='pause'/>").empty());
    CHECK(refusal("<hostdev mode='subsystem' type='pci'><source><address bus='1' slot='2'/></source></hostdev>",
                  "<hostdev mode='subsystem' type='pci'><source><address bus='2' slot='2'/></source></hostdev>")
              .empty());
    CHECK(refusal("", "<graphics type='vnc'/>").empty());
}

TEST_CASE("a device is changed only where it may") {
    const auto before = domain_with(disk).devices.disks.front();
    auto now = before;
    now.source.path = "/b";
    CHECK_NOTHROW(check_update(before, now, "disk", {"source"}));
    now.target.dev = "vdb";
    CHECK_THROWS_AS(check_update(before, now, "disk", {"source"}), rpc::Error);
}

} // namespace lodge::xml
