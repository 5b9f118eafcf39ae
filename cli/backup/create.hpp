// lodge backup: a guest's disks at one point in time, its document and NVRAM, as a folder that is whole or not there.
#pragma once
#include "cli/backup/manifest.hpp"
#include "cli/session.hpp"

namespace lodge::cli {

struct BackupRequest {
    std::string folder;
    std::string format; // raw, qcow2, empty: as the disks are
    std::vector<std::string> exclude;
};

// Says what it leaves out, and answers what it wrote.
Manifest create_backup(Session& session, virDomainPtr domain, const BackupRequest& request);

} // namespace lodge::cli
