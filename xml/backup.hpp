// <domainbackup>: what virDomainBackupBegin is asked to copy, and where to.
#pragma once
#include "xml/describe.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::xml {

enum class BackupMode { push, pull };
inline std::span<const std::string_view> enum_words(BackupMode) {
    static constexpr std::string_view w[] = {"push", "pull"};
    return w;
}
enum class BackupKind { full, incremental };
inline std::span<const std::string_view> enum_words(BackupKind) {
    static constexpr std::string_view w[] = {"full", "incremental"};
    return w;
}

struct BackupDriver {
    std::optional<StorageFormat> type; // qcow2, raw
};
struct BackupDisk {
    std::string name;               // target of the disk: vda
    YesNo backup = true;            // no: left out
    std::optional<SourceType> type; // file or block
    std::optional<BackupKind> mode;
    std::string incremental;                // the checkpoint since which changes are copied
    std::string export_name, export_bitmap; // pull
    std::optional<unsigned> index;          // of the running job's node
    BackupDriver driver;
    StorageSource target;  // push: the copy
    StorageSource scratch; // pull: what the guest overwrites meanwhile
};
struct BackupServer { // pull
    HostTransport transport = HostTransport::tcp;
    std::optional<YesNo> tls;
    std::string name;
    std::optional<std::uint32_t> port;
    std::string socket;
};
struct Backup {
    BackupMode mode = BackupMode::push;
    std::string incremental;
    std::optional<BackupServer> server;
    std::vector<BackupDisk> disks;
};
void describe(Doc&, Backup&);

inline constexpr const char* backup_root = "domainbackup";

// The document is expected to follow the schema.
Backup parse_backup(std::string_view text);
std::string format_backup(const Backup& backup);

// Says of each disk of the domain what happens to it. Files that nobody named get `suffix` after the name of the disk's own.
void align_disks(Backup& backup, const Domain& domain, const std::string& suffix);

} // namespace lodge::xml
