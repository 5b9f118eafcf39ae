// Disks of guests that name a volume of a pool instead of a file.
#pragma once
#include "daemon/host.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

// Fills in what the volume is on this host, for a guest that is about to run or a disk that is about to be plugged in. Throws
// with libvirt's words when the pool is not active or has no such volume.
void resolve_volume(Host& host, xml::Disk& disk);
void resolve_volumes(Host& host, xml::Domain& domain);

} // namespace lodge::daemon
