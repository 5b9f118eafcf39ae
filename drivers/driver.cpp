#include "drivers/driver.hpp"
#include "drivers/backup.hpp"
#include "xml/domain/disk.hpp"
#include <nlohmann/json.hpp>

namespace lodge::drivers {

MachineEvent::MachineEvent(const MachineEvent&) = default;
MachineEvent::MachineEvent(MachineEvent&&) noexcept = default;
MachineEvent::~MachineEvent() = default;

[[noreturn]] static void absent(const char* what) { rpc::fail(rpc::From::domain, Code::no_support, "{}", what); }

StateKeeper& Machine::state_keeper() { absent("virDomainSave"); }
Task<Endpoint> Machine::open_console(std::string, bool) { absent("virDomainOpenConsole"); }
Task<Endpoint> Machine::open_channel(std::string, bool) { absent("virDomainOpenChannel"); }
Task<std::pair<Fd, std::string>> Machine::screenshot(unsigned, std::string) { absent("virDomainScreenshot"); }
Task<> Machine::send_keys(std::vector<unsigned>, unsigned) { absent("virDomainSendKey"); }
Task<> Machine::inject_nmi() { absent("virDomainInjectNMI"); }
Task<> Machine::open_graphics(unsigned, Fd, bool) { absent("virDomainOpenGraphics"); }
void Machine::count_events(const std::string&, bool) { absent("virDomainSetPerfEvents"); }
Task<std::uint64_t> Machine::balloon_kib() { absent("virDomainGetInfo"); }
Task<> Machine::set_balloon(std::uint64_t) { absent("virDomainSetMemory"); }
Task<CpuTime> Machine::cpu_time() { absent("virDomainGetInfo"); }
Task<GuestCpuTimes> Machine::cpu_times() { absent("virDomainGetCPUStats"); }
Task<std::vector<VcpuInfo>> Machine::vcpus() { absent("virDomainGetVcpus"); }
Task<std::map<std::string, std::uint64_t>> Machine::memory_stats() { absent("virDomainMemoryStats"); }
Task<std::map<std::string, BlockStats>> Machine::block_stats() { absent("virDomainBlockStats"); }
Task<BlockInfo> Machine::block_info(std::string) { absent("virDomainGetBlockInfo"); }
Task<Figures> Machine::figures(unsigned, std::chrono::milliseconds) { co_return Figures{}; }
Task<std::map<std::string, std::string>> Machine::disk_errors() { absent("virDomainGetDiskErrors"); }
Task<> Machine::start_dirty_rate(unsigned, std::string) { absent("virDomainStartDirtyRateCalc"); }
Task<std::string> Machine::monitor_command(std::string, bool, Fd) { absent("virDomainQemuMonitorCommand"); }
Task<> Machine::forget_missed_ticks() { co_return; }
Task<> Machine::wake_up() { absent("virDomainPMWakeup"); }
Task<> Machine::follow_lifecycle() { co_return; }
Task<std::map<std::string, std::int64_t>> Machine::migration_limits() {
    absent("virDomainMigrateGetMaxDowntime"), std::unreachable();
}
Task<> Machine::set_migration_limit(std::string, std::int64_t) { absent("virDomainMigrateSetMaxSpeed"); }
Task<std::string> Machine::agent_command(std::string, std::optional<std::chrono::milliseconds>) {
    absent("virDomainQemuAgentCommand"), std::unreachable();
}
Task<std::vector<std::uint32_t>> Machine::backup_begin(BackupPlan) { absent("virDomainBackupBegin"), std::unreachable(); }
Task<std::string> Machine::peek_memory(bool, std::uint64_t, std::uint64_t) { absent("virDomainMemoryPeek"), std::unreachable(); }
Task<JobFigures> Machine::job() { absent("virDomainGetJobInfo"); }
Task<> Machine::abort_job() { absent("virDomainAbortJob"); }
Task<> Machine::set_balloon_period(unsigned) { absent("virDomainSetMemoryStatsPeriod"); }
Task<std::vector<VcpuPlace>> Machine::vcpu_places() { absent("virDomainSetVcpusFlags"), std::unreachable(); }
Task<> Machine::set_vcpu(unsigned, bool) { absent("virDomainSetVcpusFlags"); }
Task<> Machine::tune(std::shared_ptr<const xml::Domain>) { co_return; }
Task<Tuning> Machine::tuning() { co_return Tuning{}; }
Task<std::vector<IoThreadInfo>> Machine::iothreads() { absent("virDomainGetIOThreadInfo"), std::unreachable(); }
Task<> Machine::add_iothread(unsigned) { absent("virDomainAddIOThread"); }
Task<> Machine::delete_iothread(unsigned) { absent("virDomainDelIOThread"); }
Task<> Machine::set_iothread(unsigned, std::map<std::string, std::int64_t>) { absent("virDomainSetIOThreadParams"); }
Task<> Machine::limit_disk(std::string, xml::IoTune) { absent("virDomainSetBlockIoTune"); }
Task<> Machine::resize_disk(std::string, std::uint64_t) { absent("virDomainBlockResize"); }
Task<> Machine::set_block_threshold(std::string, std::uint64_t) { absent("virDomainSetBlockThreshold"); }
Task<> Machine::attach(Attachment) { absent("virDomainAttachDevice"); }
Task<> Machine::detach(xml::DeviceAt, bool) { absent("virDomainDetachDevice"); }
Task<> Machine::update(DeviceUpdate) { absent("virDomainUpdateDeviceFlags"); }
Task<std::shared_ptr<const HypervisorCpu>> Driver::hypervisor_cpu(std::string, std::string, std::string, std::string) {
    absent("virConnectCompareHypervisorCPU");
}
Task<> Driver::settle_cpu(xml::Domain&) { co_return; }
Task<std::string> Driver::native_command_line(xml::Domain&) { absent("virConnectDomainXMLToNative"), std::unreachable(); }
Task<std::vector<std::string>> Driver::messages(std::string) { co_return std::vector<std::string>{}; }
Task<> Driver::forget(std::shared_ptr<const xml::Domain>, std::optional<bool>) { co_return; }
StateFiles& Driver::state_files() { absent("virDomainRestore"); }
Task<BlockInfo> Driver::image_info(const xml::Disk&) { absent("virDomainGetBlockInfo"); }
Task<std::vector<std::optional<BlockInfo>>> Driver::image_infos(std::vector<ImagePlace> images) {
    co_return std::vector<std::optional<BlockInfo>>(images.size());
}

} // namespace lodge::drivers
