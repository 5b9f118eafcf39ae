// The daemon's files: definitions in /etc, status in /run. A file is replaced as a whole or not at all.
#pragma once
#include "rpc/task.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace lodge::daemon {

struct StoredFile {
    std::string path, name; // name: without folder and ".xml"
    std::string text;
    std::string error; // why it could not be read; then text is empty
};

namespace store {

// Writes aside, syncs, renames, syncs the folder. Durable when it returns. Mode 0600: definitions hold passwords.
rpc::Task<> replace(std::string path, std::string text);
// For files in /run, which do not outlive a boot: replaced as a whole, but not synced.
rpc::Task<> replace_volatile(std::string path, std::string text);
// Gone when it returns; an absent file is fine.
rpc::Task<> remove(std::string path);
// A symbolic link at `link` that names `target` (autostart), or none.
rpc::Task<> set_link(std::string link, std::string target, bool present);

// Blocking; for start-up and the worker pool.
void make_folders(const std::string& path, unsigned mode = 0711);
// The files of a folder by name, not read yet; a folder that is not there has none. For start-up: what a daemon that was killed
// had written aside is removed.
std::vector<StoredFile> list_folder(const std::string& folder, std::string_view suffix = ".xml");
void read(StoredFile& file); // fills in text or error
std::vector<StoredFile> read_folder(const std::string& folder, std::string_view suffix = ".xml");
std::string read_file(const std::string& path);
void replace_now(const std::string& path, const std::string& text, bool durable);
void remove_now(const std::string& path);

// The comment that opens every definition: who writes it and that hand edits should go through the tools.
std::string definition_header(const std::string& edit_command);

} // namespace store
} // namespace lodge::daemon
