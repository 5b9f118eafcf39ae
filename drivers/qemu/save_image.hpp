// The file of a saved guest, byte for byte as libvirt has it, so either daemon restores what the other saved: a header, the
// domain's document, what else is to be remembered, room for a longer document, then QEMU's own stream. Until the stream is whole
// the header says that it is not.
#pragma once
#include "drivers/saved_state.hpp"
#include "rpc/error.hpp"

namespace lodge::drivers::qemu {

// Numbers of the file format.
enum class StreamFormat : std::uint32_t { raw, gzip, bzip2, xz = 3, lzop };
// By the words of qemu.conf; throws Code::operation_failed.
StreamFormat stream_format(const std::string& word, const char* use);
const char* word(StreamFormat format);

struct SaveImage {
    SaveHead head;
    StreamFormat format = StreamFormat::raw;
    std::uint32_t room = 0; // bytes for documents; 0: for a new image
    bool complete = false;
    std::uint64_t stream_at() const; // where QEMU's stream begins
};

// What stands before the stream. Throws Code::operation_failed when the documents do not fit into `room`.
std::string encode(SaveImage& image);
// Offset and length of the part of it that says whether the image is complete.
constexpr std::size_t magic_size = 16;
std::string magic(bool complete);

// Reads the head from the file's beginning. Throws Code::operation_failed for what is no image; a partial one is the caller's to
// judge.
SaveImage read_image(int fd);

} // namespace lodge::drivers::qemu
