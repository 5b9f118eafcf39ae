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
    for (const auto& cache : cell.caches)
        out.caches.push_back({cache.level, cache.associativity, cache.policy, {cache.size_kib}, cache.line});
    for (const auto& cpu : cell.cpus)
        out.cpus.push_back({cpu.id, static_cast<unsigned>(cpu.socket), static_cast<unsigned>(cpu.die),
                            static_cast<unsigned>(cpu.core), format_cpu_list(cpu.siblings)});
    return out;
}

xml::HostCacheBank describe_cache(const HostCache& bank) {
    const bool mib = bank.size_kib % 1024 == 0;
    return {bank.id, bank.level, bank.type, mib ? bank.size_kib / 1024 : bank.size_kib, mib ? "MiB" : "KiB", bank.cpus, {}};
}

// Sizes stand in the largest unit that divides both.
xml::CacheControl describe_control(const ResctrlCache& cache, std::uint64_t bank_bytes) {
    const std::uint64_t part = bank_bytes / cache.bits;
    const std::uint64_t least = cache.min_bits > 1 ? part * cache.min_bits : 0;
    std::uint64_t unit = 1;
    const char* name = "B";
    for (const char* larger : {"KiB", "MiB", "GiB"}) {
        if (part == 0 || part % (unit * 1024) != 0 || least % (unit * 1024) != 0) break;
        unit *= 1024;
        name = larger;
    }
    xml::CacheControl control{part / unit, std::nullopt, name, cache.type, cache.max_groups};
    if (least) control.min = least / unit;
    return control;
}

// The features of a monitor are told apart by their prefix; without any there is none.
std::optional<xml::ResourceMonitor> describe_monitor(const Resctrl& resctrl, std::string_view prefix) {
    if (!resctrl.monitor) return std::nullopt;
    xml::ResourceMonitor monitor;
    monitor.max_monitors = resctrl.monitor->max_groups;
    for (const auto& feature : resctrl.monitor->features)
        if (feature.starts_with(prefix)) monitor.features.push_back({feature});
    if (monitor.features.empty()) return std::nullopt;
    return monitor;
}

} // namespace

void describe_sharing(xml::HostCapabilities& host, const HostTopology& topology, const Resctrl& resctrl) {
    for (const auto& access : topology.accesses) {
        const auto way = [&](const char* type, std::uint64_t value, const char* unit) {
            return xml::Interconnect{access.initiator, access.target, std::nullopt, type, value, unit};
        };
        host.topology->latencies.push_back(way("read", access.read_latency, ""));
        host.topology->latencies.push_back(way("write", access.write_latency, ""));
        host.topology->bandwidths.push_back(way("read", access.read_kib, "KiB"));
        host.topology->bandwidths.push_back(way("write", access.write_kib, "KiB"));
    }
    for (std::size_t i = 0; i < topology.caches.size(); ++i) {
        const auto& bank = topology.caches[i];
        for (const auto& cache : resctrl.caches)
            if (cache.level == bank.level) host.cache_banks[i].controls.push_back(describe_control(cache, bank.size_kib * 1024));
        if (resctrl.bandwidth)
            host.bandwidth_nodes.push_back(
                {bank.id, bank.cpus, {resctrl.bandwidth->granularity, resctrl.bandwidth->min, resctrl.bandwidth->max_groups}});
    }
    host.cache_monitor = describe_monitor(resctrl, "llc_");
    if (host.cache_monitor) {
        host.cache_monitor->level = 3; // the only one that the kernel counts for
        host.cache_monitor->reuse_threshold = resctrl.monitor->reuse_threshold;
    }
    host.bandwidth_monitor = describe_monitor(resctrl, "mbm_");
}

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
    describe_sharing(host, topology, read_resctrl());
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
