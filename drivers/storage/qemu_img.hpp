// qemu-img's command lines: images that are more than bytes are made, converted and resized by it. Pure; see LocalPool for who
// runs them.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/volume.hpp"

namespace lodge::drivers::qemu_img {

// A file that holds the passphrase of an encrypted image; empty: the image is not encrypted.
using SecretFile = std::string;

struct NewImage {
    const xml::Pool& pool;
    const xml::Volume& volume;
    std::string path; // where it is made
    bool preallocate = false;
    SecretFile secret{};
};
struct SourceImage {
    const xml::Volume& volume;
    SecretFile secret;
};

// Refuses what qemu-img cannot make, in libvirt's words. With `source` the image gets room for it, but no backing file.
Command create(const NewImage& image, const SourceImage* source = nullptr);
// Copies `source` into an image that it makes, or, when one of them is encrypted, into one that create() has made.
Command convert(const NewImage& image, const SourceImage& source);
Command resize(const xml::Volume& volume, std::uint64_t capacity, const SecretFile& secret);

// Must the image have a passphrase? Refuses encryption that qemu-img does not do.
bool needs_secret(const xml::Volume& volume);

} // namespace lodge::drivers::qemu_img
