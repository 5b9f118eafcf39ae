// A volume that is a file or device with a path on this host: what can be seen of it and done to it without qemu-img. All of it
// blocks; for the worker pool.
#pragma once
#include "drivers/driver.hpp"
#include "xml/volume.hpp"

namespace lodge::drivers {

// Brings sizes, owner and times of a known volume up to date, and those of the image below it as far as that can be reached.
// Throws Code::no_storage_vol when the volume is gone.
void refresh_volume_file(xml::Volume& volume);
// Finds out everything about the file at volume.target.path. False: nothing that could be a volume (sockets, dangling links).
bool probe_volume_file(xml::Volume& volume);

struct FolderFigures {
    std::uint64_t capacity = 0, allocation = 0, available = 0; // bytes of its file system
    xml::Permissions permissions;
};
FolderFigures folder_figures(const std::string& path);
// The names in it, without those of files that are still being made and of names no terminal could show.
std::vector<std::string> volume_names(const std::string& folder);

// Makes a folder with its parents, or settles owner and mode of one that is there.
void make_pool_folder(const xml::Pool& pool);

// A volume is made aside and gets its name when it is whole: a crash leaves nothing that looks like a volume.
std::string unfinished_path(const std::string& path);
// Throws Code::operation_invalid when somebody else has taken the name meanwhile.
void give_final_name(const std::string& path);

// A sparse or allocated file of zeros at unfinished_path(volume.target.path). Returns it, open for writing.
Fd create_raw_file(const xml::Volume& volume, bool allocate);
void create_folder(const xml::Volume& volume);
// Gives a file the owner and mode that the document asks for. By its descriptor: a name in a folder that others may write to can
// come to mean another file.
void settle_owner(int file, const std::string& path, const xml::Permissions& wanted);
// The same for what qemu-img made; a link is refused.
void settle_owner_of_new(const std::string& path, const xml::Permissions& wanted);
// Copies some of `from` behind `offset`, holes stay holes; returns the offset reached, or none at the end.
std::optional<std::uint64_t> copy_some(int from, int to, std::uint64_t offset);
// Makes `to` share the blocks of `from`; Code::system_error where the file system cannot.
void clone_blocks(int from, int to, const std::string& path);

void delete_volume_file(const xml::Volume& volume);
void resize_raw_file(const std::string& path, std::uint64_t capacity, bool allocate);
// Overwrites some of the file with zeros from `offset` on, up to `end`; returns the offset reached, or none when done.
std::optional<std::uint64_t> wipe_some(int file, const std::string& path, std::uint64_t offset, std::uint64_t end);
// Zeros a sparse file by cutting it off; false: the file is not sparse.
bool wipe_sparse(int file, const std::string& path);

} // namespace lodge::drivers
