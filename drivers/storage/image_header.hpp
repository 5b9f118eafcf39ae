// What the first bytes of a disk image say: its format, how large the disk in it is, what lies below it. Reads files only, runs
// nothing; for the worker pool. A guest may write anything into a raw image, also the header of another format: whoever acts on a
// probed format must not give the guest more than its own image by that.
#pragma once
#include "xml/volume.hpp"
#include <string_view>

namespace lodge::drivers {

struct ImageHeader {
    std::string format = "raw";                 // as volumes spell it
    std::uint64_t capacity = 0;                 // bytes; 0: the header does not say
    std::uint64_t cluster_size = 0;             // 0: has none
    std::string backing;                        // as the header names it; empty: none
    std::string backing_format;                 // empty: the header does not say
    std::string compat;                         // "1.1" of a qcow2 that has features at all
    std::optional<xml::ImageFeatures> features; // of such a qcow2
    std::optional<xml::EncryptionFormat> encryption;
    std::uint64_t payload_offset = 0; // bytes before the data of an encrypted raw image
};

// Looks into the header of an image; `format` empty: finds it out. A header that is not of that format tells nothing.
ImageHeader parse_image_header(std::string_view bytes, std::string format = {});
ImageHeader read_image_header(int file, std::string format = {});

} // namespace lodge::drivers
