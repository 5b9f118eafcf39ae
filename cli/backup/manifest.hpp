// manifest.json: what a backup holds, with the size and SHA-256 of each file. Written last: without it there is no backup.
#pragma once
#include "cli/table.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace lodge::cli {

struct SavedFile {
    std::string name;
    unsigned long long size = 0;
    std::string sha256;
};

struct SavedDisk {
    std::string target;
    std::string file;
    std::string format;
    std::string source;      // where it lay
    std::string source_type; // file, block, network …
    std::string source_format;
};

struct Manifest {
    std::string name;
    std::string uuid;
    std::string time;  // UTC, ISO 8601: the point in time of the disks
    std::string state; // running, shut off …
    std::string xml;   // which document domain.xml is
    std::vector<SavedDisk> disks;
    std::string nvram_file; // empty without
    std::string nvram_path;
    std::vector<std::pair<std::string, std::string>> left_out; // target, reason
    std::vector<SavedFile> files;
};

inline constexpr std::string_view manifest_file = "manifest.json";

// The text holds its own SHA-256, so a manifest that was cut or changed is found out too.
std::string manifest_text(const Manifest& manifest);
Manifest parse_manifest(const std::string& text);
Manifest read_manifest(const std::filesystem::path& folder);

// Every file that is wrong, with what is wrong; empty when the backup is whole.
struct WrongFile {
    std::string name;
    std::string why;
};
std::vector<WrongFile> verify_files(const std::filesystem::path& folder, const Manifest& manifest);

} // namespace lodge::cli
