// Processes that serve one guest beside its QEMU: swtpm, virtiofsd, passt. Each ends by itself when QEMU closes its connection;
// the status file keeps who they are, so that a later daemon ends those that did not.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <sys/types.h>
#include <vector>

namespace lodge::drivers::qemu {

struct Helper {
    std::string name; // "swtpm"
    pid_t pid = 0;
    std::uint64_t start_time = 0;
};
void to_json(nlohmann::json& json, const Helper& helper);
void from_json(const nlohmann::json& json, Helper& helper);

// Waits a moment for them to end by themselves, then ends them. On the worker pool.
void end_helpers(const std::vector<Helper>& helpers);

} // namespace lodge::drivers::qemu
