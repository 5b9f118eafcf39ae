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
// The kernel offers vhost-scsi, where a guest is to have such a device. Throws Code::config_unsupported.
void require_vhost_scsi(const xml::Domain& domain, const std::string& device = "/dev/vhost-scsi");

} // namespace lodge::drivers::qemu
