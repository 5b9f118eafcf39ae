#include "drivers/nodedev/device_watch.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <filesystem>

using namespace lodge;
using Type = xml::NodeCapabilityType;

// Whatever host the tests run on: it has itself, and its loopback interface.
TEST_CASE("the host's devices are found") {
    const auto devices = drivers::find_devices();
    const auto at = [&](const std::string& name) { return std::ranges::find(devices, name, &xml::NodeDevice::name); };
    REQUIRE(at("computer") != devices.end());
    CHECK(at("computer")->capabilities.front().hardware.uuid.size() == 36);
    for (const auto& device : devices) {
        INFO(device.name);
        CHECK(std::ranges::all_of(device.name, [](unsigned char c) { return std::isalnum(c) || c == '_'; }));
        CHECK(device.capabilities.size() == 1);
        CHECK(!xml::format_node_device(device).empty());
        if (device.name == "computer") continue;
        CHECK(device.path.starts_with("/sys/"));
        CHECK(drivers::find_device(device.path)->name == device.name);
    }
    if (std::filesystem::exists("/sys/class/net/lo")) {
        const auto lo = at("net_lo_00_00_00_00_00_00");
        REQUIRE(lo != devices.end());
        CHECK(lo->has(Type::net));
        CHECK(lo->capabilities.front().interface == "lo");
        CHECK(lo->capabilities.front().detail("80203"));
    }
    CHECK_FALSE(drivers::find_device("/sys/nowhere"));
}
