// Whether a guest's state can leave its process at all.
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/state_keeper.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

namespace {

constexpr auto code = Code::operation_invalid;

// A counter that never changes its pace cannot go on at the pace of another host, unless the document fixes it.
void check_time_stamp_counter(const xml::Domain& domain) {
    const auto is_required = [](const xml::CpuFeature& feature) {
        const auto policy = feature.policy.value_or(xml::FeaturePolicy::require);
        return feature.name == "invtsc" && (policy == xml::FeaturePolicy::require || policy == xml::FeaturePolicy::force);
    };
    const auto is_fixed = [](const xml::Timer& timer) {
        return timer.name == xml::TimerName::tsc && timer.frequency.value_or(0) > 0;
    };
    if (!domain.cpu || std::ranges::none_of(domain.cpu->features, is_required)) return;
    if (!domain.clock || std::ranges::none_of(domain.clock->timers, is_fixed))
        rpc::fail(rpc::From::qemu, code, "domain has 'invtsc' CPU feature but TSC frequency is not specified");
}

void check_shared_memory(const xml::Domain& domain) {
    for (const auto& shmem : domain.devices.shmems) {
        if (shmem.model == xml::ShmemModel::ivshmem)
            rpc::fail(rpc::From::qemu, code, "migration with legacy shmem device is not supported");
        if (shmem.role != xml::ShmemRole::master)
            rpc::fail(rpc::From::qemu, code,
                      "shmem device '{}' cannot be migrated, only shmem with role='master' can be migrated", shmem.name);
    }
}

} // namespace

// Of devices QEMU knows itself which cannot be moved; the rest it would take and then fail to restore.
Task<> QemuStateKeeper::require_savable() {
    const auto machine = machine_.shared_from_this();
    const json status = co_await machine->qmp().ask("query-migrate");
    if (const auto blockers = status.find("blocked-reasons"); blockers != status.end() && !blockers->empty())
        rpc::fail(rpc::From::qemu, code, "cannot migrate domain: {}", fmt::join(blockers->get<std::vector<std::string>>(), "; "));
    check_time_stamp_counter(machine->domain());
    check_shared_memory(machine->domain());
}

} // namespace lodge::drivers::qemu
