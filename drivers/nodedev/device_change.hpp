// What is done to devices of the host: PCI devices change hands between their driver and vfio-pci, mediated devices are made and
// removed. All through files of /sys; for the worker pool.
#pragma once
#include "xml/node_device.hpp"

namespace lodge::drivers {

// Whether this host can give PCI devices to guests at all.
bool can_assign_devices();
bool is_given_to_vfio(const std::string& path);
void give_to_vfio(const std::string& path);
void give_back(const std::string& path);
void reset_device(const std::string& path);

// Returns where it is then.
std::string make_mediated_device(const std::string& parent_path, const std::string& type, const std::string& uuid);
void remove_mediated_device(const std::string& path);

} // namespace lodge::drivers
