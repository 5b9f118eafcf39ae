// What a running guest has on the host beside its process: folders, log, pid file, cgroup, owners of its images. A value that the
// status file keeps, so that a later daemon gives everything back too. The functions touch the disk: call them on the worker
// pool.
#pragma once
#include "drivers/host/cgroup.hpp"
#include "drivers/qemu/helpers/helper.hpp"
#include "drivers/qemu/master_key.hpp"
#include "drivers/qemu/security.hpp"
#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace lodge::drivers::qemu {

struct Runtime {
    std::string domain_dir; // LIB/qemu/domain-1-name: monitor socket, keys
    std::string log_file, pid_file;
    std::uint64_t log_start = 0;   // where this run's own words begin
    std::vector<std::string> made; // sockets and overlays outside the folders; removed afterwards
    GuestCgroup cgroup;
    std::vector<FormerOwner> owners;
    std::optional<Identity> identity; // as whom QEMU runs
    bool lends = true;                // gives QEMU's user what it is to open
    std::vector<unsigned> ports;      // of displays
    std::vector<Helper> helpers;
    std::vector<std::string> assigned;    // PCI devices that the host's drivers get back, by their place in sysfs
    std::vector<std::string> memory_dirs; // of memory that is files; removed with what is in them

    std::string master_key_path() const { return domain_dir + "/master-key.aes"; }
    std::string monitor_path() const { return domain_dir + "/monitor.sock"; }
    // There while a start has no status file yet. Not in the guest's folder: QEMU's user must not be able to write it.
    std::string starting_path() const { return pid_file + ".starting"; }
};
void to_json(nlohmann::json& json, const Runtime& runtime);
void from_json(const nlohmann::json& json, Runtime& runtime);

// Gives QEMU what it is to open, unless the configuration or the document leaves all that alone. As take_ownership().
std::vector<FormerOwner> lend(const Runtime& runtime, const std::vector<OwnedPath>& paths);
// Folders, which QEMU's user may enter, and the key of its secrets, for it to read.
void make_runtime(const Runtime& runtime, const MasterKey& key);
// Begins this run in the log: when, by whom, and the command line.
void begin_log(Runtime& runtime, const std::string& what, const std::string& command);
void write_pid_file(const Runtime& runtime, pid_t pid);
// From here until end_of_start() a daemon that is killed leaves something behind; the next one takes it back.
void mark_start(const Runtime& runtime);
void end_of_start(const Runtime& runtime);
// Before guests are adopted: ends what killed daemons had begun to start. None of these guests has run: that takes a status file.
void take_back_unfinished_starts(const std::string& run_folder);
// Everything back, in reverse; goes on whatever fails.
void remove_runtime(const Runtime& runtime);
// What QEMU said in this run: the end of its log, at most `limit` bytes, without empty lines at the end.
std::string log_tail(const Runtime& runtime, std::size_t limit = 4096);
// A line of ours in the guest's log: "2026-01-31 12:00:00.000+0000: shutting down, reason=shutdown".
void append_log(const Runtime& runtime, const std::string& line);
std::string log_stamp();

} // namespace lodge::drivers::qemu
