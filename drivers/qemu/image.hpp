// Size of a disk image, read from the file itself while no QEMU has it open. On the worker pool.
#pragma once
#include "drivers/driver.hpp"
#include "xml/domain/storage_source.hpp"

namespace lodge::drivers::qemu {

// Nothing (and errno) when it cannot be read.
std::optional<BlockInfo> look_at_image(const ImagePlace& image);
// Throws Code::system_error instead.
BlockInfo read_image_info(const ImagePlace& image);

// How QEMU gets at it: a volume whose path the daemon has filled in is a file, or a device where devices live.
xml::SourceType reached_as(const xml::StorageSource& source);

// Every file and block device that the document names as a disk is there. Throws Code::system_error naming the first that is not,
// before any process is made for it. What may be missing (startupPolicy) is left out: a medium of its drive, or the whole disk.
std::vector<event::DiskDropped> require_images(xml::Domain& domain);
void require_image(const xml::Disk& disk);
// The same for one that is put in now, whatever may be missing at a start.
void require_medium(const xml::Disk& disk);

// Finds the images below a disk as their headers name them, from the last link that the document has, and says where the chain
// ends. Only what is declared to have something below is looked into: a guest may write anything into a raw image, also a header
// that names a file of the host's. What is no local file ends the search, not the chain. Throws Code::system_error for an image
// that is not there, Code::operation_invalid for one whose format
// would have to be guessed and that has something below itself.
void find_chain(xml::Disk& disk);
void find_chains(xml::Domain& domain);

// The name by which the image `base` is to be known to the one above `top`: as their headers go from one to the next, when all of
// them are relative; else empty. `chain`: paths from the image above `top` down to the one above `base`.
std::string relative_name(const std::vector<std::string>& chain);

} // namespace lodge::drivers::qemu
