// What a document says about the host's CPUs, memory and disks, made true for the threads and the group of a running guest: when
// it starts, and whenever one of these facts changes. One function, so that both do the same.
#include "drivers/host/limits.hpp"
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/machine.hpp"
#include "xml/number_set.hpp"
#include <algorithm>
#include <sched.h>

namespace lodge::drivers::qemu {

using namespace xml;
using rpc::fail;

namespace {

struct Threads {
    std::vector<int> vcpus; // by number; 0: none
    std::map<unsigned, int> iothreads;
    std::vector<int> others;

    std::vector<int> all_vcpus() const {
        std::vector<int> list;
        for (const int thread : vcpus)
            if (thread != 0) list.push_back(thread);
        return list;
    }
};

NumberSet cpus_of(const std::string& text) { return parse_number_set(text).value_or(NumberSet{}); }

// ---- which CPUs ----

NumberSet default_cpus(const Domain& domain) {
    if (domain.vcpu && !domain.vcpu->cpuset.empty()) return cpus_of(domain.vcpu->cpuset);
    return online_cpus();
}

void pin_all(const Domain& domain, const Threads& threads) {
    static const CpuTune none;
    const CpuTune& tune = domain.cputune ? *domain.cputune : none;
    const NumberSet usual = default_cpus(domain);
    for (unsigned number = 0; number < threads.vcpus.size(); ++number) {
        if (threads.vcpus[number] == 0) continue;
        const auto pin = std::ranges::find(tune.vcpu_pins, number, &VcpuPin::vcpu);
        pin_thread(threads.vcpus[number], pin == tune.vcpu_pins.end() ? usual : cpus_of(pin->cpuset));
    }
    for (const auto& [number, thread] : threads.iothreads) {
        const auto pin = std::ranges::find(tune.iothread_pins, number, &IoThreadPin::iothread);
        pin_thread(thread, pin == tune.iothread_pins.end() ? usual : cpus_of(pin->cpuset));
    }
    const NumberSet emulator = tune.emulator_pin ? cpus_of(tune.emulator_pin->cpuset) : usual;
    for (const int thread : threads.others) pin_thread(thread, emulator);
}

// ---- in which turn ----

void schedule(int thread, const std::string& word, std::optional<int> priority) {
    static constexpr std::pair<std::string_view, int> words[] = {
        {"batch", SCHED_BATCH}, {"idle", SCHED_IDLE}, {"fifo", SCHED_FIFO}, {"rr", SCHED_RR}};
    for (const auto& [name, policy] : words) {
        if (name != word) continue;
        sched_param parameter{};
        if (policy == SCHED_FIFO || policy == SCHED_RR) parameter.sched_priority = priority.value_or(1);
        if (::sched_setscheduler(thread, policy, &parameter) < 0 && errno != ESRCH)
            rpc::fail_errno(errno, fmt::format("Cannot set scheduler parameters for pid {}", thread));
    }
}

void schedule_all(const CpuTune& tune, const Threads& threads) {
    for (const auto& sched : tune.vcpu_scheds)
        for (const unsigned number : cpus_of(sched.vcpus))
            if (number < threads.vcpus.size() && threads.vcpus[number] != 0)
                schedule(threads.vcpus[number], sched.scheduler, sched.priority);
    for (const auto& sched : tune.iothread_scheds)
        for (const unsigned number : cpus_of(sched.iothreads))
            if (const auto thread = threads.iothreads.find(number); thread != threads.iothreads.end())
                schedule(thread->second, sched.scheduler, sched.priority);
    if (tune.emulator_sched)
        for (const int thread : threads.others) schedule(thread, tune.emulator_sched->scheduler, tune.emulator_sched->priority);
}

// ---- how much ----

std::optional<CpuQuota> quota_of(const std::optional<std::uint64_t>& period, const std::optional<std::int64_t>& quota) {
    if (!period && !quota) return std::nullopt;
    CpuQuota all;
    if (period && *period) all.period = *period;
    if (quota && *quota) all.quota = *quota;
    return all;
}

void limit_part(const GuestLimits& limits, const std::optional<CpuQuota>& wanted, const std::string& part,
                const std::vector<int>& threads) {
    if (!wanted && limits.cpu_quota(part) == CpuQuota{}) return;
    limits.set_cpu_quota(wanted.value_or(CpuQuota{}), part, threads);
}

void limit_cpu(const GuestLimits& limits, const CpuTune& tune, const Threads& threads) {
    const auto global = quota_of(tune.global_period, tune.global_quota), vcpu = quota_of(tune.period, tune.quota),
               emulator = quota_of(tune.emulator_period, tune.emulator_quota),
               iothread = quota_of(tune.iothread_period, tune.iothread_quota);
    if (!limits.has("cpu")) {
        if (tune.shares) fail(Code::config_unsupported, "CPU tuning is not available on this host");
        if (global || vcpu || emulator || iothread) fail(Code::config_unsupported, "cgroup cpu is required for scheduler tuning");
        return;
    }
    if (tune.shares) limits.set_cpu_shares(*tune.shares);
    limit_part(limits, global, "", {});
    for (std::size_t number = 0; number < threads.vcpus.size(); ++number)
        if (threads.vcpus[number] != 0) limit_part(limits, vcpu, fmt::format("vcpu{}", number), {threads.vcpus[number]});
    limit_part(limits, emulator, "emulator", threads.others);
    for (const auto& [number, thread] : threads.iothreads)
        limit_part(limits, iothread, fmt::format("iothread{}", number), {thread});
}

void limit_memory(const GuestLimits& limits, const MemTune& tune) {
    const auto kib = [](const std::optional<Kibibytes>& size) { return size ? size->value : unlimited_kib; };
    const std::uint64_t hard = kib(tune.hard_limit), soft = kib(tune.soft_limit), swap = kib(tune.swap_hard_limit);
    const bool any = hard < unlimited_kib || soft < unlimited_kib || swap < unlimited_kib;
    if (!limits.has("memory")) {
        if (any) fail(Code::config_unsupported, "Memory cgroup is not available on this host");
        return;
    }
    const bool limited = limits.memory_hard_kib() < unlimited_kib || limits.memory_soft_kib() < unlimited_kib;
    if (any || limited) limits.set_memory(hard, soft, swap);
}

void limit_io(const GuestLimits& limits, const BlkioTune& tune) {
    if (!tune.weight && tune.devices.empty()) return;
    if (!limits.has("blkio")) fail(Code::config_unsupported, "Block I/O tuning is not available on this host");
    if (tune.weight && *tune.weight) limits.set_io_weight(*tune.weight);
    for (const auto& device : tune.devices)
        limits.set_io_device(
            {device.path, device.weight, device.read_iops, device.write_iops, device.read_bytes, device.write_bytes});
}

void apply(const Domain& domain, const GuestCgroup& group, const Threads& threads) {
    static const CpuTune no_cpu;
    static const MemTune no_memory;
    static const BlkioTune no_io;
    const GuestLimits limits(group);
    pin_all(domain, threads);
    const CpuTune& cpu = domain.cputune ? *domain.cputune : no_cpu;
    schedule_all(cpu, threads);
    limit_cpu(limits, cpu, threads);
    limit_memory(limits, domain.memtune ? *domain.memtune : no_memory);
    limit_io(limits, domain.blkiotune ? *domain.blkiotune : no_io);
    const bool nodes = domain.numatune && domain.numatune->memory && !domain.numatune->memory->nodeset.empty();
    if (nodes && limits.has("cpuset")) limits.set_memory_nodes(domain.numatune->memory->nodeset);
}

Threads sort_threads(int pid, const std::vector<int>& vcpus, const json& query_iothreads) {
    Threads threads;
    threads.vcpus = vcpus;
    std::set<int> known(vcpus.begin(), vcpus.end());
    for (const auto& entry : query_iothreads) {
        const std::string id = entry.value("id", "");
        std::uint64_t number = 0;
        if (!id.starts_with("iothread") || !parse_unsigned(std::string_view(id).substr(8), number)) continue;
        threads.iothreads[static_cast<unsigned>(number)] = entry.value("thread-id", 0);
        known.insert(entry.value("thread-id", 0));
    }
    for (const int thread : threads_of(pid))
        if (!known.contains(thread)) threads.others.push_back(thread);
    return threads;
}

} // namespace

Task<> QemuMachine::tune_to(std::shared_ptr<QemuMachine> self, std::shared_ptr<const Domain> document) {
    const json iothreads = co_await self->ask("query-iothreads");
    co_await rpc::blocking([&] {
        apply(*document, self->parts_.runtime.cgroup,
              sort_threads(static_cast<int>(self->pid()), self->vcpu_threads_, iothreads));
    });
}

Task<Tuning> QemuMachine::tuning() {
    const auto self = shared_from_this();
    Tuning now;
    std::optional<unsigned> first_iothread;
    const auto& document = *parts_.domain;
    if (!document.iothread_ids.empty())
        first_iothread = document.iothread_ids.front().id;
    else if (document.iothreads.value_or(0) > 0)
        first_iothread = 1;
    co_await rpc::blocking([&] {
        const GuestLimits limits(self->parts_.runtime.cgroup);
        now.cpu = limits.has("cpu");
        now.memory = limits.has("memory");
        now.io = limits.has("blkio");
        now.cpuset = limits.has("cpuset");
        if (now.cpu) {
            now.shares = limits.cpu_shares();
            now.global = limits.cpu_quota();
            now.vcpu = limits.cpu_quota("vcpu0");
            now.emulator = limits.cpu_quota("emulator");
            now.iothread = first_iothread ? limits.cpu_quota(fmt::format("iothread{}", *first_iothread)) : now.global;
        }
        if (now.memory) {
            now.hard_kib = limits.memory_hard_kib();
            now.soft_kib = limits.memory_soft_kib();
            now.swap_kib = limits.memory_swap_kib();
        }
        if (now.io) now.io_weight = limits.io_weight();
    });
    co_return now;
}

// ---- I/O threads ----

Task<std::vector<IoThreadInfo>> QemuMachine::iothreads() {
    const auto self = shared_from_this();
    std::vector<IoThreadInfo> list;
    for (const json all = co_await ask("query-iothreads"); const auto& entry : all) {
        IoThreadInfo info;
        const std::string id = entry.value("id", "");
        std::uint64_t number = 0;
        if (!id.starts_with("iothread") || !parse_unsigned(std::string_view(id).substr(8), number)) continue;
        info.id = static_cast<unsigned>(number);
        info.cpus = cpus_of_thread(entry.value("thread-id", 0));
        info.poll_max_ns = entry.value("poll-max-ns", std::uint64_t{0});
        info.poll_grow = entry.value("poll-grow", std::uint64_t{0});
        info.poll_shrink = entry.value("poll-shrink", std::uint64_t{0});
        list.push_back(std::move(info));
    }
    std::ranges::sort(list, {}, &IoThreadInfo::id);
    co_return list;
}

Task<> QemuMachine::add_iothread(unsigned id) {
    const auto self = shared_from_this();
    co_await ask("object-add", {{"qom-type", "iothread"}, {"id", fmt::format("iothread{}", id)}});
}

Task<> QemuMachine::delete_iothread(unsigned id) {
    const auto self = shared_from_this();
    co_await ask("object-del", {{"id", fmt::format("iothread{}", id)}});
}

Task<> QemuMachine::set_iothread(unsigned id, std::map<std::string, std::int64_t> values) {
    const auto self = shared_from_this();
    // The greater end of a range first, so that the range is never empty.
    for (const auto& [property, value] : values)
        co_await ask("qom-set", {{"path", fmt::format("/objects/iothread{}", id)}, {"property", property}, {"value", value}});
}

// ---- limits of one disk ----

json throttle_order(const Disk& disk) {
    const IoTune tune = disk.iotune.value_or(IoTune{});
    const auto value = [](const std::optional<std::uint64_t>& given) { return given.value_or(0); };
    json order = {{"id", block_device_id(disk)},          {"bps", value(tune.total_bytes_sec)},
                  {"bps_rd", value(tune.read_bytes_sec)}, {"bps_wr", value(tune.write_bytes_sec)},
                  {"iops", value(tune.total_iops_sec)},   {"iops_rd", value(tune.read_iops_sec)},
                  {"iops_wr", value(tune.write_iops_sec)}};
    const auto put = [&](const char* name, const std::optional<std::uint64_t>& given) {
        if (given && *given) order[name] = *given;
    };
    put("bps_max", tune.total_bytes_sec_max);
    put("bps_rd_max", tune.read_bytes_sec_max);
    put("bps_wr_max", tune.write_bytes_sec_max);
    put("iops_max", tune.total_iops_sec_max);
    put("iops_rd_max", tune.read_iops_sec_max);
    put("iops_wr_max", tune.write_iops_sec_max);
    put("iops_size", tune.size_iops_sec);
    put("bps_max_length", tune.total_bytes_sec_max_length);
    put("bps_rd_max_length", tune.read_bytes_sec_max_length);
    put("bps_wr_max_length", tune.write_bytes_sec_max_length);
    put("iops_max_length", tune.total_iops_sec_max_length);
    put("iops_rd_max_length", tune.read_iops_sec_max_length);
    put("iops_wr_max_length", tune.write_iops_sec_max_length);
    if (!tune.group_name.empty()) order["group"] = tune.group_name;
    return order;
}

Task<> QemuMachine::limit_disk(std::string target, IoTune limits) {
    const auto self = shared_from_this();
    Disk disk = parts_.domain->disk_source(target);
    // An empty drive gets its limits with its medium.
    if (disk.source.empty()) co_return;
    disk.iotune = std::move(limits);
    co_await ask("block_set_io_throttle", throttle_order(disk));
}

// ---- sizes ----

Task<> QemuMachine::resize_disk(std::string target, std::uint64_t bytes) {
    const auto self = shared_from_this();
    const Disk& disk = parts_.domain->disk_source(target);
    if (disk.source.type == SourceType::vhostuser)
        fail(Code::operation_unsupported, "block resize is not supported for vhostuser disk");
    if (disk.source.empty() || disk.readonly)
        fail(Code::operation_unsupported, "can't resize empty or readonly disk '{}'", target);
    // These formats count in sectors.
    if (disk.driver.type == StorageFormat::qcow2 || disk.driver.type == StorageFormat::qed) bytes = (bytes + 511) / 512 * 512;
    co_await ask("block_resize",
                 {{"node-name", fmt::format("libvirt-{}-format", disk.source.index.value_or(0))}, {"size", bytes}});
}

namespace {

// The images of a disk by their numbers, the top one first.
std::vector<std::pair<std::uint32_t, std::string>> images_of(const Disk& disk) {
    std::vector<std::pair<std::uint32_t, std::string>> images = {{disk.source.index.value_or(0), disk.source.path}};
    for (const Box<BackingStore>* link = &disk.backing; *link; link = &(*link)->backing)
        images.emplace_back((*link)->source.index.value_or(0), (*link)->source.path);
    return images;
}

} // namespace

Task<> QemuMachine::set_block_threshold(std::string device, std::uint64_t bytes) {
    const auto self = shared_from_this();
    const auto bracket = device.find('[');
    const std::string target = device.substr(0, bracket);
    std::optional<std::uint32_t> node;
    std::uint64_t wanted = 0;
    const bool numbered = bracket != std::string::npos && device.ends_with(']') &&
                          parse_unsigned(std::string_view(device).substr(bracket + 1, device.size() - bracket - 2), wanted);
    for (const auto& disk : parts_.domain->devices.disks)
        if (disk.target.dev == target && !disk.source.empty())
            for (const auto& [number, path] : images_of(disk))
                if (!node && (bracket == std::string::npos || (numbered && number == wanted))) node = number;
    if (!node) fail(Code::invalid_arg, "failed to find disk '{}'", device);
    thresholds_[*node] = device;
    co_await ask("block-set-write-threshold",
                 {{"node-name", fmt::format("libvirt-{}-storage", *node)}, {"write-threshold", bytes}});
}

void QemuMachine::on_write_threshold(const json& data) {
    const std::string node = data.value("node-name", "");
    for (const auto& disk : parts_.domain->devices.disks)
        for (const auto& [number, path] : images_of(disk)) {
            if (node != fmt::format("libvirt-{}-storage", number)) continue;
            const auto asked = thresholds_.find(number);
            const event::BlockThreshold news{disk.target.dev, path, data.value("write-threshold", std::uint64_t{0}),
                                             data.value("amount-exceeded", std::uint64_t{0})};
            // Who asked for a disk hears of it under both names.
            if (asked == thresholds_.end() || asked->second == disk.target.dev) tell(news);
            tell(event::BlockThreshold{fmt::format("{}[{}]", disk.target.dev, number), path, news.threshold, news.excess});
            return;
        }
}

} // namespace lodge::drivers::qemu
