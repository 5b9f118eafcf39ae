// undefine --storage and --remove-all-storage: the volumes of a guest's disks.
#pragma once
#include "cli/session.hpp"

namespace lodge::cli {

struct DoomedVolume {
    std::string target;
    std::string path;
    Volume volume;
};

// Found before the guest is undefined, so that a wrong name stops everything; warns about disks no pool holds.
std::vector<DoomedVolume> volumes_to_remove(Session& session, virDomainPtr domain, const Arguments& arguments);
// Each failure is told; the last one is thrown after all were tried.
void remove_volumes(Session& session, const std::vector<DoomedVolume>& volumes, const Arguments& arguments);

} // namespace lodge::cli
