// What a device of the host is, as <device> says it: which kind, with which name and facts. Reads /sys and udev's database, so it
// may take a moment: for the worker pool.
#pragma once
#include "drivers/nodedev/udev.hpp"
#include "xml/node_device.hpp"

namespace lodge::drivers {

// Nothing when it is no device that anybody wants to see (ttys, inputs, …) or tells too little of itself. Without parent.
std::optional<xml::NodeDevice> device_facts(const UdevDevice& device);
// "computer": the host itself.
xml::NodeDevice computer_facts();

// Facts of one kind each; false: not to be shown. pci_facts.cpp, net_facts.cpp, storage_facts.cpp
bool pci_facts(const UdevDevice& device, xml::NodeCapability& pci);
bool net_facts(const UdevDevice& device, xml::NodeCapability& net);
bool storage_facts(const UdevDevice& device, xml::NodeCapability& storage);
// The kinds of mediated devices that can be made here; absent when none.
std::optional<xml::NodeDetail> mdev_types_of(const std::string& path);

} // namespace lodge::drivers
