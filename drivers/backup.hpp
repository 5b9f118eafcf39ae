// What a backup of a running guest's disks is to do (virDomainBackupBegin): all of them as they are at one point in time.
#pragma once
#include "drivers/saved_state.hpp"
#include <functional>
#include <optional>

namespace lodge::drivers {

struct BackupTarget {
    std::string disk; // target dev: "vda"
    // Push: the copy. Pull: what the guest overwrites meanwhile.
    std::string path, format;
    bool existing = false; // the file was made by the caller: do not create or truncate
    bool block_device = false;
    std::string since;                      // only what has changed since this checkpoint
    std::string export_name, export_bitmap; // pull: as the server offers them
};
// Where the disks of a pull backup are offered, as network block devices.
struct BackupServer {
    std::string socket;     // of UNIX; empty: TCP
    std::string host, port; // of TCP
    bool tls = false;
};
struct BackupPlan {
    bool pull = false;
    BackupServer server;
    std::vector<BackupTarget> targets;
    std::vector<Bitmap> bitmaps;  // that record changes from the same moment on: of a new checkpoint
    std::function<Task<>()> keep; // writes Machine::status() before the backup begins
};

} // namespace lodge::drivers
