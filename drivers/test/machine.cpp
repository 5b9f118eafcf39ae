#include "drivers/test/machine.hpp"

namespace lodge::drivers::test {

TestMachine::TestMachine(Executor executor, LaunchRequest request)
    : executor_(std::move(executor))
    , domain_(std::move(request.domain))
    , sink_(request.sink)
    , state_(request.paused ? RunState::paused : RunState::running) {}

void TestMachine::report(MachineEvent event) {
    if (state_ != RunState::stopped) sink_->on_machine_event(std::move(event));
}

Task<> TestMachine::suspend(PauseReason reason) {
    state_ = RunState::paused;
    report(event::Paused{reason});
    co_return;
}

Task<> TestMachine::resume() {
    state_ = RunState::running;
    report(event::Resumed{});
    co_return;
}

Task<> TestMachine::shutdown(PowerButton) {
    auto self = shared_from_this();
    report(event::ShuttingDown{true});
    sink_->on_machine_event(event::Ended{EndReason::shutdown, ""});
    state_ = RunState::stopped;
    co_return;
}

Task<> TestMachine::reboot(PowerButton) {
    report(event::Rebooted{});
    co_return;
}

Task<> TestMachine::reset() {
    report(event::Rebooted{});
    co_return;
}

Task<> TestMachine::destroy(bool, EndReason reason) {
    auto self = shared_from_this();
    sink_->on_machine_event(event::Ended{reason, ""});
    state_ = RunState::stopped;
    co_return;
}

Task<> TestMachine::set_balloon(std::uint64_t kib) {
    report(event::BalloonChange{kib});
    co_return;
}

// A guest that is never idle: its time is the wall's.
Task<CpuTime> TestMachine::cpu_time() {
    const auto ran = std::chrono::steady_clock::now() - started_;
    const auto ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(ran).count()) * domain_->online_vcpus();
    co_return CpuTime{ns, ns, 0};
}

Task<std::vector<VcpuInfo>> TestMachine::vcpus() {
    std::vector<VcpuInfo> out;
    for (unsigned i = 0; i < domain_->online_vcpus(); ++i) out.push_back({i, true, 0, 0, {}});
    co_return out;
}

Task<std::map<std::string, std::uint64_t>> TestMachine::memory_stats() {
    co_return std::map<std::string, std::uint64_t>{{"actual", domain_->current_memory_kib()}};
}

Task<std::map<std::string, BlockStats>> TestMachine::block_stats() { co_return std::map<std::string, BlockStats>{}; }

} // namespace lodge::drivers::test
