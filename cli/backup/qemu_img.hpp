// The small door to qemu-img.
#pragma once
#include "cli/backup/files.hpp"

namespace lodge::cli {

struct ImageInfo {
    std::string format;
    unsigned long long virtual_size = 0;
    bool has_backing = false;
};
ImageInfo image_info(const fs::path& path, const std::string& format);

// A copy without backing files; zeros stay holes. To an existing device when 'in_place' says so.
void convert_image(const fs::path& from, const std::string& from_format, const fs::path& to, const std::string& to_format,
                   bool in_place, const Progress& progress);

} // namespace lodge::cli
