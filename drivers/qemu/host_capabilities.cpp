#include "drivers/qemu/host_capabilities.hpp"
#include "drivers/host/cpu_model.hpp"
#include "drivers/host/node.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/task.hpp"
#include <fcntl.h>
#include <filesystem>
#include <linux/kvm.h>
#include <sys/ioctl.h>

namespace lodge::drivers::qemu {

namespace {

using rpc::Fd;

// What KVM says of the time-stamp counter's rate; none without KVM.
std::optional<xml::HostCpuCounter> tsc_counter() {
    const Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm) return std::nullopt;
    const bool scaling = ::ioctl(kvm.get(), KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
    const Fd vm(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
    if (!vm) return std::nullopt;
    const Fd cpu(::ioctl(vm.get(), KVM_CREATE_VCPU, 0));
    if (!cpu) return std::nullopt;
    const int khz = ::ioctl(cpu.get(), KVM_GET_TSC_KHZ, 0);
    if (khz <= 0) return std::nullopt;
    return xml::HostCpuCounter{"tsc", static_cast<std::uint64_t>(khz) * 1000, xml::YesNo(scaling)};
}

// A line of /proc/cpuinfo: "microcode\t: 0x1".
std::optional<std::uint64_t> cpuinfo_number(const std::string& text, const std::string& key) {
    const auto at = text.find("\n" + key);
    const auto colon = at == std::string::npos ? at : text.find(':', at);
    if (colon == std::string::npos) return std::nullopt;
    return std::strtoull(text.c_str() + colon + 1, nullptr, 0);
}

xml::HostCpu describe_processor(const HostTopology& topology) {
    xml::HostCpu cpu;
    cpu.arch = host_architecture();
    cpu.topology = {topology.sockets, topology.dies, topology.cores, topology.threads};
    if (!topology.cells.empty())
        for (const auto& pages : topology.cells.front().pages) cpu.pages.push_back({pages.size_kib, std::nullopt});
    const xml::Cpu known = host_cpu();
    if (!known.model) return cpu;
    const std::string cpuinfo = read_small_file("/proc/cpuinfo");
    const auto& facts = this_cpu();
    cpu.model = known.model->name;
    cpu.vendor = known.vendor;
    cpu.microcode = cpuinfo_number(cpuinfo, "microcode");
    cpu.signature = {facts.family, facts.model, facts.stepping};
    if (has_feature(cpu_map(), known, "invtsc")) cpu.counter = tsc_counter();
    if (const auto bits = cpuinfo_number(cpuinfo, "address sizes")) cpu.addressing = {"emulate", static_cast<unsigned>(*bits)};
    for (const auto& feature : known.features) cpu.features.push_back({feature.name});
    return cpu;
}

xml::HostPower describe_power() {
    const std::string states = read_small_file("/sys/power/state");
    const bool mem = states.find("mem") != std::string::npos, disk = states.find("disk") != std::string::npos;
    return {mem, disk, mem && disk};
}

bool has_iommu() {
    std::error_code ignored;
    const std::filesystem::directory_iterator groups("/sys/kernel/iommu_groups", ignored);
    return groups != std::filesystem::directory_iterator();
}

xml::HostCell describe_cell(const HostCell& cell) {
    xml::HostCell out;
    out.id = cell.id;
    out.memory_kib = cell.memory_kib;
    for (const auto& pages : cell.pages) out.pages.push_back({pages.size_kib, pages.count});
    for (const auto& [id, value] : cell.distances) out.distances.push_back({id, value});
    for (const auto& cpu : cell.cpus)
        out.cpus.push_back({cpu.id, static_cast<unsigned>(cpu.socket), static_cast<unsigned>(cpu.die),
                            static_cast<unsigned>(cpu.core), format_cpu_list(cpu.siblings)});
    return out;
}

xml::HostCacheBank describe_cache(const HostCache& bank) {
    const bool mib = bank.size_kib % 1024 == 0;
    return {bank.id, bank.level, bank.type, mib ? bank.size_kib / 1024 : bank.size_kib, mib ? "MiB" : "KiB", bank.cpus};
}

} // namespace

xml::HostCapabilities host_capabilities(const std::optional<Identity>& identity) {
    const HostTopology topology = host_topology();
    xml::HostCapabilities host;
    host.uuid = host_uuid();
    host.cpu = describe_processor(topology);
    host.power = describe_power();
    host.iommu = has_iommu();
    host.migrates_live = true;
    host.uri_transports = {"tcp", "rdma"};
    host.topology.emplace();
    for (const auto& cell : topology.cells) host.topology->cells.push_back(describe_cell(cell));
    for (const auto& bank : topology.caches) host.cache_banks.push_back(describe_cache(bank));
    host.security_models.push_back({"none", "0", {}});
    if (identity) {
        const std::string label = fmt::format("+{}:+{}", identity->uid, identity->gid);
        host.security_models.push_back({"dac", "0", {{"kvm", label}, {"qemu", label}}});
    }
    return host;
}

unsigned kvm_max_vcpus() {
    const Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm) rpc::fail_errno(errno, "Unable to open /dev/kvm");
    constexpr int promised = 4; // by KVM's documentation, where it does not say
    for (const int capability : {KVM_CAP_MAX_VCPUS, KVM_CAP_NR_VCPUS})
        if (const int number = ::ioctl(kvm.get(), KVM_CHECK_EXTENSION, capability); number > 0)
            return static_cast<unsigned>(number);
    return promised;
}

} // namespace lodge::drivers::qemu
