// What a request means for a document, without a hypervisor.
#include "daemon/device_rules.hpp"
#include "tests/catch.hpp"
#include "xml/domain/vcpus.hpp"

using namespace lodge;
using namespace lodge::daemon;

namespace {

constexpr const char* base = R"(<domain type='qemu'>
  <name>base</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>3</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/a.img'/><target dev='vda' bus='virtio'/></disk>
    <controller type='usb' index='0' model='none'/>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>
    <interface type='network'><mac address='52:54:00:00:00:02'/><source network='default'/></interface>
    <serial type='pty'><target type='isa-serial' port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <rng model='virtio'><backend model='random'>/dev/random</backend></rng>
  </devices>
</domain>)";

xml::Domain document() { return xml::parse_domain(base, {.from = rpc::From::domain}); }
xml::Device device(const char* text) { return xml::parse_device(text, {.live = true, .from = rpc::From::domain}); }

template<class F> rpc::Code code_of(F action) {
    try {
        action();
    } catch (const rpc::Error& error) {
        return error.code();
    }
    return rpc::Code::ok;
}

} // namespace

TEST_CASE("a device is found by what libvirt goes by") {
    const auto domain = document();
    const auto found = [&](const char* text) { return xml::find_device(domain, device(text)); };
    CHECK(found("<disk><target dev='vda'/></disk>"));
    CHECK(found("<disk><target dev='/a.img'/></disk>"));
    CHECK_FALSE(found("<disk><target dev='vdb'/></disk>"));
    const auto second = found("<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>");
    REQUIRE(second);
    CHECK(second->place == 1);
    CHECK(found("<rng model='virtio'><backend model='random'/></rng>"));
    CHECK_FALSE(found("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"));
    // No MAC address could be either card.
    CHECK(code_of([&] { found("<interface type='user'/>"); }) == rpc::Code::operation_failed);
    CHECK(code_of([&] { device("<nothing/>"); }) == rpc::Code::config_unsupported);
}

TEST_CASE("what is there already is refused") {
    const auto domain = document();
    const auto attach = [&](const char* text) {
        return code_of([&] {
            check_new_device(domain, device(text));
            check_attach(domain, device(text), Reach::config);
            check_attachable(device(text), Reach::config);
        });
    };
    CHECK(attach("<disk><target dev='vda' bus='virtio'/></disk>") == rpc::Code::operation_invalid);
    CHECK(attach("<disk><target dev='vdb' bus='virtio'/></disk>") == rpc::Code::ok);
    CHECK(attach("<disk><target dev='sda' bus='usb'/></disk>") == rpc::Code::config_unsupported); // there is no USB
    CHECK(attach("<controller type='usb' index='0'/>") == rpc::Code::operation_invalid);
    CHECK(attach("<memory model='dimm'><target><size>1</size></target></memory>") == rpc::Code::xml_detail);
    CHECK(attach("<console type='pty'><target type='serial'/></console>") == rpc::Code::operation_unsupported);
    CHECK(attach("<video/>") == rpc::Code::operation_unsupported);
}

TEST_CASE("the console goes with the serial port whose twin it is") {
    auto domain = document();
    remove_device(domain, find_to_detach(domain, device("<serial type='pty'><target port='0'/></serial>"), Reach::config));
    CHECK(domain.devices.serials.empty());
    CHECK(domain.devices.consoles.empty());
    CHECK(code_of([&] { find_to_detach(domain, device("<serial type='pty'/>"), Reach::config); }) == rpc::Code::invalid_arg);
    CHECK(code_of([&] { find_to_detach(domain, device("<serial type='pty'/>"), Reach::live); }) == rpc::Code::device_missing);
}

TEST_CASE("CPUs of a stored document") {
    auto domain = document();
    xml::set_vcpu_count(domain, 2, false);
    CHECK(domain.vcpus.empty());
    CHECK(domain.online_vcpus() == 2);
    xml::set_vcpus_enabled(domain, {2}, true);
    REQUIRE(domain.vcpus.size() == 3);
    CHECK(domain.online_vcpus() == 3);
    CHECK(domain.vcpus[2].hotpluggable->value);
    CHECK_FALSE(domain.vcpus[1].hotpluggable->value);
    xml::set_vcpu_count(domain, 1, false);
    CHECK(domain.online_vcpus() == 1);
    CHECK_FALSE(domain.vcpus[1].enabled.value);
}
