// What a backup of a guest takes along, read from its document before anything is written. Pure.
#pragma once
#include <pugixml.hpp>
#include <string>
#include <vector>

namespace lodge::cli {

struct PlannedDisk {
    std::string target;        // vda
    std::string type;          // file, block, network …
    std::string source;        // path, where it has one
    std::string source_format; // the driver's: raw, qcow2 …
    bool encrypted = false;
    std::string format; // of the copy: raw or qcow2
    std::string file;   // its name in the backup
};

struct LeftOut {
    std::string target;
    std::string reason;
};

struct BackupPlan {
    std::vector<PlannedDisk> disks;
    std::vector<LeftOut> left_out;
    std::string nvram;              // path, empty without
    std::vector<std::string> notes; // what a person should know: TPM state and the like
};

struct PlanWishes {
    std::string format = {}; // raw, qcow2 or empty: as the source
    std::vector<std::string> exclude = {};
    bool running = false;
};

// Throws Failure that names the disk which cannot be backed up.
BackupPlan plan_backup(const pugi::xml_document& domain, const PlanWishes& wishes);

// The document for virDomainBackupBegin: push mode, every disk named, all at one point in time.
std::string push_document(const BackupPlan& plan, const std::string& folder);

} // namespace lodge::cli
