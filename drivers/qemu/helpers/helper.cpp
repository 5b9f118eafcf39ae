#include "drivers/qemu/helpers/helper.hpp"
#include "drivers/process/spawn.hpp"
#include "rpc/log.hpp"
#include <csignal>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

void to_json(nlohmann::json& json, const Helper& helper) { json = {helper.name, helper.pid, helper.start_time}; }

void from_json(const nlohmann::json& json, Helper& helper) {
    helper.name = json.at(0);
    helper.pid = json.at(1);
    helper.start_time = json.at(2);
}

namespace {

constexpr int patience_ms = 1000; // for each step of the ladder

bool has_ended(int pidfd, int limit_ms) {
    pollfd end{pidfd, POLLIN, 0};
    return ::poll(&end, 1, limit_ms) > 0;
}

void end_helper(const Helper& helper) {
    if (helper.pid <= 1) return;
    const rpc::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, helper.pid, 0)));
    if (!pidfd || start_time_of(helper.pid) != helper.start_time) return;
    if (has_ended(pidfd.get(), patience_ms)) return;
    log::debug("{} (pid {}) outlived its guest: SIGTERM", helper.name, helper.pid);
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGTERM, nullptr, 0);
    if (has_ended(pidfd.get(), patience_ms)) return;
    log::warn("{} (pid {}) does not end by itself: SIGKILL", helper.name, helper.pid);
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

} // namespace

void end_helpers(const std::vector<Helper>& helpers) {
    for (const auto& helper : helpers) end_helper(helper);
}

} // namespace lodge::drivers::qemu
