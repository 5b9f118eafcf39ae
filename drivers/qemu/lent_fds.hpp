// Descriptors that a client lends to a guest's disks by name, in place of a path (<source fdgroup=''>).
#pragma once
#include "drivers/driver.hpp"
#include "drivers/qemu/command_line/command_line.hpp"

namespace lodge::drivers::qemu {

// Gives the context what the images of a disk name. The numbers are those of `groups`, which must outlive their use. Throws
// Code::invalid_arg for a group that nobody has lent.
void lend_fds(const xml::Disk& disk, const FdGroups& groups, BuildContext& context);

} // namespace lodge::drivers::qemu
