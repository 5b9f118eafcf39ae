// The programs behind pools that are more than a folder: mount, mkfs, LVM and their like. One that is not installed is named,
// with the package it comes in.
#pragma once
#include "drivers/process/process.hpp"

namespace lodge::drivers {

// Looked up in PATH and the folders of system programs. Throws Code::internal_error when it is missing.
Command tool(const std::string& program, std::vector<std::string> args);
bool has_tool(const std::string& program);
// Runs to its end, however long that takes; a status other than 0 throws with the program's own words.
Task<std::string> run_tool(Command command);

// What blkid sees on a device: a file system, a partition table or a signature; empty: nothing.
Task<std::string> probe_device(std::string device);
// Throws unless nothing is on the device that making a `format` on it would destroy.
Task<> require_empty_device(std::string device, std::string format);

} // namespace lodge::drivers
