#include "drivers/qemu/complete/pci_slots.hpp"
#include "tests/catch.hpp"

using namespace lodge;
using namespace lodge::drivers::qemu;
using xml::ControllerModel;

namespace {

PciSlots machine(bool pcie) {
    PciSlots slots(pcie);
    slots.set_bus(0, pcie ? ControllerModel::pcie_root : ControllerModel::pci_root);
    slots.fill_gaps();
    return slots;
}

xml::PciAddress at(unsigned bus, unsigned slot, unsigned function = 0) {
    xml::PciAddress address;
    address.bus = bus, address.slot = slot, address.function = function;
    return address;
}

constexpr unsigned modern = plug::pcie | plug::hotplug, conventional = plug::pci | plug::hotplug;

} // namespace

TEST_CASE("a conventional bus is filled slot by slot, then gets a bridge") {
    auto slots = machine(false);
    for (unsigned slot = 1; slot < 32; ++slot) CHECK(slots.next(conventional).text() == at(0, slot).text());
    CHECK(slots.all_full());
    CHECK(slots.next(conventional).text() == at(1, 1).text());
    CHECK(slots.model(1) == ControllerModel::pci_bridge);
}

TEST_CASE("each device on pcie-root gets a root port, and ports share slots") {
    auto slots = machine(true);
    CHECK(slots.next(modern).text() == at(1, 0).text());
    CHECK(slots.next(modern).text() == at(2, 0).text());
    CHECK(slots.model(2) == ControllerModel::pcie_root_port);
    for (unsigned function = 0; function < 8; ++function)
        CHECK(slots.next(plug_of(ControllerModel::pcie_root_port)).text() == at(0, 1, function).text());
    CHECK(slots.next(plug_of(ControllerModel::pcie_root_port)).text() == at(0, 2).text());
}

TEST_CASE("an old card on pcie-root needs a bridge behind a root port") {
    auto slots = machine(true);
    CHECK(slots.next(conventional).text() == at(2, 1).text());
    CHECK(slots.model(1) == ControllerModel::pcie_root_port);
    CHECK(slots.model(2) == ControllerModel::pcie_to_pci_bridge);
    CHECK(slots.next(plug_of(ControllerModel::pcie_to_pci_bridge)).text() == at(1, 0).text());
}

TEST_CASE("given addresses are checked") {
    auto slots = machine(false);
    slots.reserve_given(at(0, 3), conventional);
    CHECK_THROWS_WITH(slots.reserve_given(at(0, 3), conventional), "XML error: Attempted double use of PCI Address 0000:00:03.0");
    CHECK_THROWS_WITH(slots.reserve_given(at(0, 0), conventional),
                      "XML error: Invalid PCI address 0000:00:00.0. slot must be >= 1");
    CHECK_THROWS_WITH(
        slots.reserve_given(at(0, 4), plug::pcie_expander),
        "XML error: The device at PCI address 0000:00:04.0 cannot be plugged into the PCI controller with index='0'. "
        "It requires a controller that accepts a pcie-expander-bus.");
    slots.reserve_given(at(2, 1), conventional); // makes the bridges up to bus 2
    CHECK(slots.size() == 3);
}
