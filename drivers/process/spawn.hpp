// The one place where children are born. A plain fork would copy the page tables of a daemon that serves thousands of guests;
// clone(CLONE_VM | CLONE_VFORK) costs the same however big the daemon is. The calling thread waits until the child has
// executed its program or failed to: well below a millisecond.
#pragma once
#include "drivers/process/command.hpp"
#include "rpc/task.hpp"

namespace lodge::drivers {

struct Child {
    pid_t pid = 0;
    rpc::Fd pidfd;
};

// in, out, err: what the child gets as descriptors 0, 1, 2. Throws Code::system_error naming the step that failed.
Child spawn_child(const Command& command, int in, int out, int err);

// Ticks since boot when a process started (field 22 of /proc/PID/stat): pid and start time together name a process for good.
// 0: there is no such process.
std::uint64_t start_time_of(pid_t pid);

} // namespace lodge::drivers
