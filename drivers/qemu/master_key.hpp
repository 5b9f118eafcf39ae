// The key that a guest's secrets are encrypted with before QEMU is told them, so that neither its command line nor its monitor
// has one in clear. QEMU reads the key from a file in the guest's folder; a later daemon finds it there.
#pragma once
#include "drivers/qemu/command_line/command_line.hpp"
#include <array>

namespace lodge::drivers::qemu {

using MasterKey = std::array<unsigned char, 32>;

MasterKey random_key();
// The key of a running guest. Throws Code::system_error. Reads a file: on the worker pool.
MasterKey read_master_key(const std::string& path);
// AES-256-CBC with a fresh initialisation vector; both in base64.
SealedSecret seal(const MasterKey& key, std::string_view plain);

} // namespace lodge::drivers::qemu
