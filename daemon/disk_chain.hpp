// The chain of images below a disk as clients name its parts, and what a block job does to the definition's idea of it. Pure but
// for find_image(), which asks the file system whether two paths are one file: call it on the worker pool.
#pragma once
#include "drivers/block_jobs.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

// A disk's images, its own first; each knows only itself.
std::vector<xml::BackingStore> chain_of(const xml::Disk& disk);

// The place in a chain of what a client calls `name`: "vda[4]", a path, or nothing: the last. `below`: the image under which to
// look. `target`: the disk. Throws Code::invalid_arg in libvirt's words.
std::size_t find_image(const std::vector<xml::BackingStore>& chain, const std::string& target,
                       const std::optional<std::string>& name, std::optional<std::size_t> below = std::nullopt);

bool same_location(const xml::StorageSource& one, const xml::StorageSource& other);

// The definition after a block job of the running guest: where it says the same of the disk as the live document did before, it
// says the same afterwards. `after`: the live document's disk now. Returns whether anything changed.
bool follow_block_job(xml::Domain& definition, const drivers::BlockJobEnd& end, const xml::Disk& after);

} // namespace lodge::daemon
