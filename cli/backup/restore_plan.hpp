// Where a restored guest goes: paths of its images and its document, possibly under a new name. Pure.
#pragma once
#include "cli/backup/manifest.hpp"

#include <optional>
#include <string>
#include <vector>

namespace lodge::cli {

struct RestoreWishes {
    std::optional<std::string> name = {};      // a new name: then also a new UUID and new MAC addresses
    std::optional<std::string> image_dir = {}; // all images go here
};

struct RestoredImage {
    std::string target;
    std::string from; // file of the backup
    std::string from_format;
    std::string to; // path on this host
    std::string to_format;
    bool device = false; // 'to' is a block device
};

struct RestorePlan {
    std::string name;
    std::string xml;
    std::vector<RestoredImage> images;
    std::string nvram_from, nvram_to; // empty without
};

RestorePlan plan_restore(const Manifest& manifest, const std::string& domain_xml, const RestoreWishes& wishes);

} // namespace lodge::cli
