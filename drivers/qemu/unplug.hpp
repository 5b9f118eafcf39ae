// Somebody who waits for a guest to let go of a device.
#pragma once
#include "rpc/task.hpp"

namespace lodge::drivers::qemu {

struct Unplug {
    // With a guest that takes its time; it may still let go later.
    static constexpr std::chrono::seconds patience{5};

    explicit Unplug(const rpc::Executor& executor)
        : over(executor) {}
    rpc::Signal over;
    bool refused = false;
};

} // namespace lodge::drivers::qemu
