// Who owns the files that an unprivileged QEMU opens: they become its user's while the guest runs, and go back to whom they
// belonged. All of it touches the disk: call it on the worker pool.
#pragma once
#include "drivers/process/command.hpp"
#include <optional>
#include <string>
#include <vector>

namespace lodge::drivers::qemu {

struct OwnedPath {
    std::string path;
    bool restore = true;                          // false: shared with others, who may still need it
    std::optional<Identity> owner = std::nullopt; // when the document gives it to another than QEMU's user
};

// A path whose owner was changed, and whose it was. Kept in the status file.
struct FormerOwner {
    std::string path;
    unsigned uid = 0, gid = 0;
    std::optional<unsigned> lent_to = std::nullopt; // when not to QEMU's user
};

// Gives the paths to `identity`. Those that are its own already, and those that do not exist, are left alone. What fails half way
// is undone; throws Code::system_error.
std::vector<FormerOwner> take_ownership(const std::vector<OwnedPath>& paths, const Identity& identity);
// Gives back what still belongs to `identity`, or to whom else it was lent; what is gone or was given to another meanwhile stays
// so.
void give_back(const std::vector<FormerOwner>& former, const Identity& identity);

// Why `identity` may not open `path` (to write it, too): the first part of the path in its way, whose it is, and the bit that is
// missing: "'/root' (mode 0700, owner root:root) may not be searched by user 'libvirt-qemu': no x for others". Empty: it may, as
// far as owners and modes tell.
std::string why_refused(const std::string& path, const Identity& identity, bool to_write);

} // namespace lodge::drivers::qemu
