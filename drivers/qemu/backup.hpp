// The backup of a running guest: QEMU's blockdev-backup jobs, begun by one transaction, so that all disks are copied (push) or
// offered over NBD (pull) as they are at one moment. Each job is also a block job of its disk.
#pragma once
#include "drivers/backup.hpp"
#include <nlohmann/json.hpp>

namespace lodge::drivers::qemu {

enum class BackupState { running, complete, failed, canceled };
struct BackupDisk {
    std::string disk; // target dev
    std::string made; // the file that was made for it
    BackupState state = BackupState::running;
};
struct Backup {
    bool pull = false;
    std::vector<std::string> objects; // TLS credentials of the server, in the order of their removal
    std::vector<BackupDisk> disks;
    std::int64_t began_ms = 0;            // since the epoch: survives a restart of the daemon
    std::string error;                    // the first
    std::uint64_t total = 0, current = 0; // of those that have ended

    bool all(BackupState state) const;
    bool any(BackupState state) const;
};

nlohmann::json backup_status(const Backup& backup);
std::shared_ptr<Backup> backup_from_status(const nlohmann::json& kept);

} // namespace lodge::drivers::qemu
