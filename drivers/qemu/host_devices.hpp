// Finds the host's devices that a document names by what they are rather than where: USB by vendor and product, SCSI by its
// adapter. Reads sysfs: call it on the worker pool.
#pragma once
#include "xml/domain/domain.hpp"
#include <map>

namespace lodge::drivers::qemu {

// Writes bus and number of each USB device into the document; one that may be missing is marked so. Throws Code::internal_error,
// Code::operation_failed when there are several.
void find_usb_devices(xml::Domain& domain, const std::string& sysfs = "/sys");
// "/dev/sg3" of a SCSI device behind one of the host's adapters. Throws Code::system_error.
std::string find_scsi_generic(const xml::Hostdev& hostdev, const std::string& sysfs = "/sys");
// The host's PCI devices that guests get, those of network cards included.
struct AssignedPci {
    std::string path;     // in sysfs
    bool managed = false; // the host's driver lets go of it for as long as the guest runs
};
std::vector<AssignedPci> assigned_pci(const xml::Domain& domain, const std::string& sysfs = "/sys");
std::optional<AssignedPci> assigned_pci(const xml::Hostdev& hostdev, const std::string& sysfs = "/sys");
// Returns the paths of those that were taken from the host. Failing, it has given them back. Throws Code::internal_error for a
// device that is not there, Code::operation_invalid for one that the host uses.
std::vector<std::string> take_pci_devices(const std::vector<AssignedPci>& devices);
void return_pci_devices(const std::vector<std::string>& paths); // goes on whatever fails
// "/dev/vfio/12", which QEMU opens for this device; empty: none.
std::string vfio_group(const xml::Hostdev& hostdev, const std::string& sysfs = "/sys");
// The kernel offers vhost-scsi, where a guest is to have such a device. Throws Code::config_unsupported.
void require_vhost_scsi(const xml::Domain& domain, const std::string& device = "/dev/vhost-scsi");

} // namespace lodge::drivers::qemu
