// <domainsnapshot>: a domain's state at one moment, and where each part of it is kept.
#pragma once
#include "xml/moment.hpp"

namespace lodge::xml {

// Counts as VIR_DOMAIN_* does; the last one is of snapshots alone.
enum class SnapshotState { nostate, running, blocked, paused, shutdown, shutoff, crashed, pmsuspended, disk_snapshot };
inline std::span<const std::string_view> enum_words(SnapshotState) {
    static constexpr std::string_view w[] = {"nostate", "running", "blocked",     "paused",       "shutdown",
                                             "shutoff", "crashed", "pmsuspended", "disk-snapshot"};
    return w;
}

struct SnapshotDriver {
    std::optional<StorageFormat> type;
    std::optional<MetadataCache> metadata_cache;
};
struct SnapshotDisk {
    std::string name; // target of the disk: vda
    std::optional<SnapshotMode> snapshot;
    std::optional<SourceType> type; // of `source`; only where there is a source or a driver
    bool delete_in_progress = false;
    SnapshotDriver driver;
    StorageSource source; // external: what the guest writes to from then on

    bool is(SnapshotMode mode) const { return snapshot == mode; }
    bool is_external() const { return is(SnapshotMode::external); }
};
struct SnapshotMemory {
    std::optional<SnapshotMode> snapshot;
    std::string file;
};
// What a save image or a snapshot remembers beyond the domain: the CPU that the guest really saw.
struct SaveCookie {
    std::optional<Cpu> cpu;
    bool slirp_helper = false;
};
void describe(Doc&, SaveCookie&);
inline constexpr const char* save_cookie_root = "cookie";

struct Snapshot : Moment {
    std::optional<SnapshotState> state;
    SnapshotMemory memory;
    std::vector<SnapshotDisk> disks;
    rpc::Uuid bare_uuid;         // of snapshots that keep no domain
    Box<Domain> inactive_domain; // the definition beside a running domain; empty: the same
    std::optional<SaveCookie> cookie;
    std::optional<int> active; // in files: 1 for the current one

    bool is_external() const;
    bool is_online() const { return state == SnapshotState::running || state == SnapshotState::paused; }
};
void describe(Doc&, Snapshot&);

inline constexpr const char* snapshot_root = "domainsnapshot";

struct SnapshotReading {
    bool redefine = false; // of a snapshot that exists: with state, time, parent and domain
    bool offline = false;  // the request is for disks alone, so no state of memory goes with it
    bool file = false;     // one of the daemon's own files
};
Snapshot parse_snapshot(std::string_view text, SnapshotReading reading);

// Brings the disks into the order of the domain's, names them by target and gives those that the document does not name their
// mode: the domain's own, else `fallback`. Where that is internal, all disks must take part.
void align_disks(Snapshot& snapshot, const Domain& domain, SnapshotMode fallback);

} // namespace lodge::xml
