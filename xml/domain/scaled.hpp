// Sizes with a unit: <size unit='KiB'>524288</size>. The struct keeps the amount in the unit that is written; documents may give
// any unit that libvirt knows.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class SizeUnit { bytes, kib, mib };

// Bytes of one unit ("KiB", "MB", "g", …; empty: `fallback`). Throws Code::invalid_arg "unknown suffix".
std::uint64_t unit_bytes(std::string_view unit, std::uint64_t fallback);

template<SizeUnit written, SizeUnit assumed> struct Scaled {
    std::uint64_t value = 0; // in the written unit
    operator std::uint64_t() const { return value; }
};
using Kibibytes = Scaled<SizeUnit::kib, SizeUnit::kib>;   // <memory>, <size> of memory devices
using Bytes = Scaled<SizeUnit::bytes, SizeUnit::bytes>;   // limits of file systems, metadata caches
using Mebibytes = Scaled<SizeUnit::mib, SizeUnit::bytes>; // <shmem><size unit='M'>

void describe(Doc&, Kibibytes&);
void describe(Doc&, Bytes&);
void describe(Doc&, Mebibytes&);

} // namespace lodge::xml
