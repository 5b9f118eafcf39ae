// Names of disks in the guest: "sda" is the first of its kind, "sdaa" the 27th. What a name says of the disk, and of its place.
#pragma once
#include "xml/domain/disk.hpp"

namespace lodge::xml {

// The number in "sdb" (1) or "hda3" (0); none when it is no such name.
std::optional<unsigned> disk_index(std::string_view name);

// The bus of a disk that names none: floppy drives have their own, unknown names mean IDE.
DiskBus bus_by_name(const Disk& disk);

// Puts the disk among the others: those of a bus stand together in order of their names, new buses come last.
void insert_disk(std::vector<Disk>& disks, Disk disk);

} // namespace lodge::xml
