#pragma once
#include "drivers/driver.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::test {

// A guest that does at once what it is asked.
class TestMachine final : public Machine, public std::enable_shared_from_this<TestMachine> {
  public:
    TestMachine(Executor executor, LaunchRequest request);

    std::int64_t pid() const override { return 0; }
    RunState state() const override { return state_; }
    std::string status() const override { return "{}"; }

    Task<> suspend(PauseReason reason) override;
    Task<> resume() override;
    Task<> shutdown(PowerButton button) override;
    Task<> reboot(PowerButton button) override;
    Task<> reset() override;
    Task<> destroy(bool graceful, EndReason reason) override;

    Task<std::uint64_t> balloon_kib() override { co_return domain_->current_memory_kib(); }
    Task<> set_balloon(std::uint64_t kib) override;
    Task<CpuTime> cpu_time() override;
    Task<std::vector<VcpuInfo>> vcpus() override;
    Task<std::map<std::string, std::uint64_t>> memory_stats() override;
    Task<std::map<std::string, BlockStats>> block_stats() override;

  private:
    void report(MachineEvent event);

    Executor executor_;
    std::shared_ptr<xml::Domain> domain_;
    MachineSink* sink_;
    RunState state_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

} // namespace lodge::drivers::test
