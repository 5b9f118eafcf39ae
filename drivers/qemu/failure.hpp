// Why a guest's last start failed: kept as a file per guest until it starts, so that somebody who was not there can still learn
// it (virDomainGetMessages, `lodge why`). Touches the disk: call it on the worker pool.
#pragma once
#include <string>
#include <vector>

namespace lodge::drivers::qemu {

struct StartFailure {
    std::string when;          // "2026-01-31 12:00:00.000+0000"
    std::string phase;         // what was being done
    std::string error;         // what the caller was told
    std::string command;       // QEMU's, for a shell; empty: it did not come to that
    std::string words;         // QEMU's last lines
    std::string exit;          // "exit status 1"; empty: it did not end
    std::string cause, remedy; // likely ones; empty: not known
};

// Fills in cause and remedy from what QEMU said.
void explain(StartFailure& failure);

std::string failure_path(const std::string& lib, const std::string& domain);
// What cannot be written is only logged.
void keep_failure(const std::string& path, const StartFailure& failure);
void forget_failure(const std::string& path);
// Lines for a person; none when the last start succeeded.
std::vector<std::string> failure_messages(const std::string& path);

} // namespace lodge::drivers::qemu
