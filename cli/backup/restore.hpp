// lodge restore DIR: verified first, then images, NVRAM and document together or not at all.
#pragma once
#include "cli/backup/restore_plan.hpp"
#include "cli/session.hpp"

namespace lodge::cli {

struct RestoreRequest {
    std::string folder;
    RestoreWishes wishes;
    bool force = false;
};

// The name of the guest that is defined now.
std::string restore_backup(Session& session, const RestoreRequest& request);

} // namespace lodge::cli
