// Names of disks in the guest: "sda" is the first of its kind, "sdaa" the 27th.
#pragma once
#include <optional>
#include <string_view>

namespace lodge::drivers::qemu {

// The number in "sdb" (1) or "hda3" (0); none when it is no such name.
std::optional<unsigned> disk_index(std::string_view name);

} // namespace lodge::drivers::qemu
