// <domaincheckpoint>: a moment from which on changes of disks are kept track of, each in a bitmap of its image.
#pragma once
#include "xml/moment.hpp"

namespace lodge::xml {

enum class CheckpointMode { default_, no, bitmap };
inline std::span<const std::string_view> enum_words(CheckpointMode) {
    static constexpr std::string_view w[] = {"default", "no", "bitmap"};
    return w;
}

struct CheckpointDisk {
    std::string name; // target of the disk: vda
    std::optional<CheckpointMode> checkpoint;
    std::string bitmap;
    std::optional<std::uint64_t> size; // bytes changed since; only where it was asked for

    bool has_bitmap() const { return checkpoint == CheckpointMode::bitmap; }
};
struct Checkpoint : Moment {
    std::vector<CheckpointDisk> disks;
};
void describe(Doc&, Checkpoint&);

inline constexpr const char* checkpoint_root = "domaincheckpoint";

// `redefine`: of a checkpoint that exists, with time, parent and domain. The document is expected to follow the schema.
Checkpoint parse_checkpoint(std::string_view text, bool redefine);

// Brings the disks into the order of the domain's. A document that names none means all writable ones.
void align_disks(Checkpoint& checkpoint, const Domain& domain);
// Gives bitmaps without a name that of the checkpoint.
void name_bitmaps(Checkpoint& checkpoint);

} // namespace lodge::xml
