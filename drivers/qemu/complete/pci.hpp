// Gives every PCI device of a document its address, adding the bridges and ports that this takes, as libvirt does.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

void assign_pci(xml::Domain& domain);

} // namespace lodge::drivers::qemu
