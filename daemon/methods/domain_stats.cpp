// Figures of running guests. Each asks the machine and nothing else; a guest that does not answer delays nobody but its own
// caller.
#include "daemon/addresses.hpp"
#include "daemon/agent.hpp"
#include "daemon/cpu_maps.hpp"
#include "daemon/guest_info.hpp"
#include "daemon/lookup.hpp"
#include "daemon/params.hpp"
#include "drivers/host/net_counters.hpp"
#include "drivers/host/sysfs.hpp"
#include "xml/domain/domain.hpp"
#include <sstream>

namespace lodge::daemon {

namespace {

Task<remote::DomainGetInfoRet> get_info(ClientPtr client, remote::DomainGetInfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    const auto size = domain->size();
    remote::DomainGetInfoRet ret;
    ret.state = static_cast<std::uint8_t>(domain->state());
    ret.maxMem = size.memory_kib;
    ret.memory = size.current_memory_kib;
    ret.nrVirtCpu = static_cast<std::uint16_t>(size.online_vcpus);
    if (auto machine = domain->shared_machine()) ret.cpuTime = (co_await machine->cpu_time()).total_ns;
    co_return ret;
}

Task<remote::DomainGetVcpusRet> get_vcpus(ClientPtr client, remote::DomainGetVcpusArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (!domain->is_active()) rpc::fail(Code::operation_invalid, "cannot retrieve vcpu information for inactive domain");
    auto machine = domain->shared_machine();
    remote::DomainGetVcpusRet ret;
    for (const auto& vcpu : co_await machine->vcpus()) {
        if (static_cast<int>(ret.info.size()) >= args.maxinfo) break;
        ret.info.push_back({vcpu.number, vcpu.online ? 1 : 0, vcpu.cpu_time_ns, vcpu.cpu});
        const auto length = static_cast<std::size_t>(std::max(args.maplen, 0)), at = ret.cpumaps.size();
        ret.cpumaps.resize(at + length);
        write_cpu_map(ret.cpumaps, at, length, vcpu.cpus);
    }
    co_return ret;
}

Task<remote::DomainMemoryStatsRet> memory_stats(ClientPtr client, remote::DomainMemoryStatsArgs args) {
    // Who leaves room for a few only gets the first, so the order is part of the answer.
    static constexpr std::pair<const char*, unsigned> tags[] = {{"actual", api::domain_memory_stat_actual_balloon},
                                                                {"swap_in", api::domain_memory_stat_swap_in},
                                                                {"swap_out", api::domain_memory_stat_swap_out},
                                                                {"major_fault", api::domain_memory_stat_major_fault},
                                                                {"minor_fault", api::domain_memory_stat_minor_fault},
                                                                {"unused", api::domain_memory_stat_unused},
                                                                {"available", api::domain_memory_stat_available},
                                                                {"usable", api::domain_memory_stat_usable},
                                                                {"last_update", api::domain_memory_stat_last_update},
                                                                {"disk_caches", api::domain_memory_stat_disk_caches},
                                                                {"hugetlb_pgalloc", api::domain_memory_stat_hugetlb_pgalloc},
                                                                {"hugetlb_pgfail", api::domain_memory_stat_hugetlb_pgfail},
                                                                {"rss", api::domain_memory_stat_rss}};
    auto domain = find_domain(*client, args.dom);
    domain->require_active();
    const auto stats = co_await domain->shared_machine()->memory_stats();
    remote::DomainMemoryStatsRet ret;
    for (const auto& [name, tag] : tags)
        if (auto it = stats.find(name); it != stats.end() && ret.stats.size() < args.maxStats)
            ret.stats.push_back({static_cast<std::int32_t>(tag), it->second});
    co_return ret;
}

// ---- disks ----

Task<drivers::BlockStats> stats_of(DomainPtr domain, std::string path) {
    domain->require_active();
    const std::string disk = domain->live().disk_target(path);
    if (disk.empty() && !path.empty()) rpc::fail(Code::invalid_arg, "invalid path: {}", path);
    const auto all = co_await domain->shared_machine()->block_stats();
    if (!disk.empty()) {
        const auto it = all.find(disk);
        co_return it == all.end() ? drivers::BlockStats{} : it->second;
    }
    // No path: the sum of all disks.
    drivers::BlockStats sum{0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (const auto& [name, s] : all) {
        sum.read_requests += s.read_requests, sum.read_bytes += s.read_bytes, sum.write_requests += s.write_requests,
            sum.write_bytes += s.write_bytes;
        sum.flush_requests += s.flush_requests, sum.read_time_ns += s.read_time_ns, sum.write_time_ns += s.write_time_ns,
            sum.flush_time_ns += s.flush_time_ns;
    }
    co_return sum;
}

Task<remote::DomainBlockStatsRet> block_stats(ClientPtr client, remote::DomainBlockStatsArgs args) {
    const auto s = co_await stats_of(find_domain(*client, args.dom), args.path);
    co_return remote::DomainBlockStatsRet{s.read_requests, s.read_bytes, s.write_requests, s.write_bytes, -1};
}

Task<remote::DomainBlockStatsFlagsRet> block_stats_flags(ClientPtr client, remote::DomainBlockStatsFlagsArgs args) {
    const auto s = co_await stats_of(find_domain(*client, args.dom), args.path);
    const std::pair<const char*, std::int64_t> fields[] = {
        {api::domain_block_stats_write_bytes, s.write_bytes},       {api::domain_block_stats_write_req, s.write_requests},
        {api::domain_block_stats_read_bytes, s.read_bytes},         {api::domain_block_stats_read_req, s.read_requests},
        {api::domain_block_stats_flush_req, s.flush_requests},      {api::domain_block_stats_write_total_times, s.write_time_ns},
        {api::domain_block_stats_read_total_times, s.read_time_ns}, {api::domain_block_stats_flush_total_times, s.flush_time_ns}};
    remote::DomainBlockStatsFlagsRet ret;
    for (const auto& [name, value] : fields)
        if (value >= 0) {
            ++ret.nparams;
            if (static_cast<int>(ret.params.size()) < args.nparams) ret.params.push_back({name, value});
        }
    if (args.nparams != 0) ret.nparams = static_cast<std::int32_t>(ret.params.size());
    co_return ret;
}

Task<remote::DomainGetBlockInfoRet> block_info(ClientPtr client, remote::DomainGetBlockInfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    const auto document = domain->current();
    const std::string disk = document->disk_target(args.path);
    if (disk.empty()) rpc::fail(Code::invalid_arg, "invalid path {} not assigned to domain", args.path);
    if (document->disk_source(disk).source.empty())
        rpc::fail(Code::invalid_arg, "disk '{}' does not currently have a source assigned", disk);
    drivers::BlockInfo info;
    if (auto machine = domain->shared_machine())
        info = co_await machine->block_info(disk);
    else
        info = co_await domain->hypervisor().driver().image_info(document->disk_source(disk));
    co_return remote::DomainGetBlockInfoRet{info.allocation, info.capacity, info.physical};
}

// ---- interfaces ----

remote::DomainInterfaceStatsRet interface_stats(Client& client, const remote::DomainInterfaceStatsArgs& args) {
    auto domain = find_domain(client, args.dom);
    domain->require_active();
    for (const auto& nic : domain->live().devices.interfaces) {
        if (nic.target.dev != args.device && (!nic.mac.address || nic.mac.address->text() != args.device)) continue;
        if (nic.target.dev.empty()) rpc::fail(rpc::from_nobody, Code::internal_error, "Interface name not provided");
        const auto all = drivers::net_counters();
        const auto known = all.find(nic.target.dev);
        if (known == all.end()) break;
        const auto c = nic.actual_type() == xml::NicType::direct ? known->second : known->second.from_the_other_end();
        const auto plain = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
        return {plain(c.rx_bytes), plain(c.rx_packets), plain(c.rx_errors), plain(c.rx_dropped),
                plain(c.tx_bytes), plain(c.tx_packets), plain(c.tx_errors), plain(c.tx_dropped)};
    }
    rpc::fail(From::domain, Code::invalid_arg, "'{}' is not a known interface", args.device);
}

Task<remote::DomainInterfaceAddressesRet> interface_addresses(ClientPtr client, remote::DomainInterfaceAddressesArgs args) {
    auto domain = find_domain(*client, args.dom);
    domain->require_active();
    remote::DomainInterfaceAddressesRet ret;
    switch (args.source) {
    case api::domain_interface_addresses_src_lease:
        ret.ifaces = co_await leased_addresses(client->host(), domain->current());
        break;
    case api::domain_interface_addresses_src_agent:
        ret.ifaces =
            guest_info::interfaces(co_await ask_agent(domain, "virDomainInterfaceAddresses", "guest-network-get-interfaces"));
        break;
    case api::domain_interface_addresses_src_arp: ret.ifaces = co_await seen_addresses(domain->current()); break;
    default: rpc::fail(Code::argument_unsupported, "Unknown IP address data source {}", args.source);
    }
    co_return ret;
}

// ---- what else can be asked of a running guest ----

Task<remote::DomainGetDiskErrorsRet> disk_errors(ClientPtr client, remote::DomainGetDiskErrorsArgs args) {
    auto domain = find_domain(*client, args.dom);
    domain->require_active();
    remote::DomainGetDiskErrorsRet ret;
    const auto document = domain->current();
    if (args.maxerrors == 0) { // how many there could be
        ret.nerrors = static_cast<std::int32_t>(document->devices.disks.size());
        co_return ret;
    }
    const auto errors = co_await domain->shared_machine()->disk_errors();
    for (const auto& disk : document->devices.disks)
        if (const auto at = errors.find(disk.target.dev); at != errors.end() && ret.errors.size() < args.maxerrors) {
            const bool full = at->second == "nospace";
            ret.errors.push_back({disk.target.dev, static_cast<std::int32_t>(full ? api::domain_disk_error_no_space
                                                                                  : api::domain_disk_error_unspec)});
        }
    ret.nerrors = static_cast<std::int32_t>(ret.errors.size());
    co_return ret;
}

Task<> start_dirty_rate(ClientPtr client, remote::DomainStartDirtyRateCalcArgs args) {
    constexpr int least = 1, most = 60;
    if (args.seconds < least || args.seconds > most)
        rpc::fail(Code::config_unsupported, "seconds={} is invalid, please choose value within [{}, {}].", args.seconds, least,
                  most);
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainStartDirtyRateCalc");
    domain->require_active();
    const auto& features = domain->live().features;
    const bool ring = features && features->kvm && features->kvm->dirty_ring && features->kvm->dirty_ring->state.value_or(false);
    const char* mode = args.flags & api::domain_dirtyrate_mode_dirty_bitmap ? "dirty-bitmap"
                       : args.flags & api::domain_dirtyrate_mode_dirty_ring ? "dirty-ring"
                                                                            : "page-sampling";
    if ((args.flags & api::domain_dirtyrate_mode_dirty_ring) && !ring)
        rpc::fail(Code::operation_unsupported, "dirty-ring calculation mode requires dirty-ring feature enabled.");
    co_await domain->machine().start_dirty_rate(static_cast<unsigned>(args.seconds), mode);
}

Task<remote::DomainGetCpuStatsRet> cpu_stats(ClientPtr client, remote::DomainGetCpuStatsArgs args) {
    auto domain = find_domain(*client, args.dom);
    domain->require_active();
    remote::DomainGetCpuStatsRet ret;
    const auto machine = domain->shared_machine();
    if (args.start_cpu < 0) { // of all CPUs together
        const auto time = co_await machine->cpu_time();
        ret.nparams = 3;
        if (args.nparams == 0) co_return ret;
        ret.params = {{"cpu_time", time.total_ns}, {"user_time", time.user_ns}, {"system_time", time.system_ns}};
        if (ret.params.size() > args.nparams) ret.params.resize(args.nparams);
        ret.nparams = static_cast<std::int32_t>(ret.params.size());
        co_return ret;
    }
    const auto times = co_await machine->cpu_times();
    if (args.nparams == 0) {
        const std::int32_t figures = times.vcpus_ns.empty() ? 1 : 2;
        ret.nparams = args.ncpus == 0 ? static_cast<std::int32_t>(times.all_ns.size()) : figures;
        co_return ret;
    }
    const auto first = static_cast<std::size_t>(args.start_cpu);
    if (first >= times.all_ns.size())
        rpc::fail(Code::invalid_arg, "start_cpu {} larger than maximum of {}", args.start_cpu, times.all_ns.size() - 1);
    const bool vcpus = args.nparams > 1 && !times.vcpus_ns.empty();
    ret.nparams = vcpus ? 2 : 1;
    for (std::size_t cpu = first; cpu < times.all_ns.size() && cpu - first < args.ncpus; ++cpu) {
        ret.params.push_back({"cpu_time", times.all_ns[cpu]});
        if (vcpus) ret.params.push_back({"vcpu_time", cpu < times.vcpus_ns.size() ? times.vcpus_ns[cpu] : 0});
    }
    co_return ret;
}

remote::DomainGetLaunchSecurityInfoRet launch_security(Client& client, const remote::DomainGetLaunchSecurityInfoArgs& args) {
    find_domain(client, args.dom);
    return {}; // no guest here runs with any
}

void set_launch_security(Client& client, const remote::DomainSetLaunchSecurityStateArgs& args) {
    check_params(args.params, {{"sev-secret-header", ParamType::string},
                               {"sev-secret", ParamType::string},
                               {"sev-secret-set-address", ParamType::ullong}});
    const auto document = find_domain(client, args.dom)->current();
    if (!document->launch_security || document->launch_security->type != xml::LaunchSecurityType::sev)
        rpc::fail(Code::operation_unsupported, "setting a launch secret is only supported in SEV-enabled domains");
    rpc::fail(Code::operation_unsupported, "this host cannot give a guest a launch secret");
}

// ---- security ----

remote::DomainGetSecurityLabelRet security_label(Client& client, const remote::DomainGetSecurityLabelArgs& args) {
    find_domain(client, args.dom);
    return {std::string(), 0};
}
// "+64055:+64055": whom the guest's QEMU runs as, which is all that confines it here.
std::string owner_label(std::int64_t pid) {
    std::istringstream status(drivers::read_small_file(fmt::format("/proc/{}/status", pid)));
    std::string uid, gid;
    for (std::string word; status >> word;) {
        if (word == "Uid:") status >> uid;
        if (word == "Gid:") status >> gid;
    }
    return uid.empty() ? "" : fmt::format("+{}:+{}", uid, gid);
}

// The first is of the module that virDomainGetSecurityLabel speaks of: none.
remote::DomainGetSecurityLabelListRet security_label_list(Client& client, const remote::DomainGetSecurityLabelListArgs& args) {
    const auto domain = find_domain(client, args.dom);
    remote::DomainGetSecurityLabelListRet ret;
    if (!domain->has_machine() || domain->machine().pid() == 0) return ret;
    ret.labels = {{"", 0}, {owner_label(domain->machine().pid()), 0}};
    ret.ret = static_cast<std::int32_t>(ret.labels.size());
    return ret;
}

constexpr Method table[] = {
    on<remote::DomainGetInfoCall, get_info>(),
    on<remote::DomainGetVcpusCall, get_vcpus>(),
    on<remote::DomainMemoryStatsCall, memory_stats>(),
    on<remote::DomainBlockStatsCall, block_stats>(),
    on<remote::DomainBlockStatsFlagsCall, block_stats_flags>(),
    on<remote::DomainGetBlockInfoCall, block_info>(),
    on<remote::DomainInterfaceStatsCall, interface_stats>(),
    on<remote::DomainInterfaceAddressesCall, interface_addresses>(),
    on<remote::DomainGetDiskErrorsCall, disk_errors>(),
    on<remote::DomainStartDirtyRateCalcCall, start_dirty_rate>(),
    on<remote::DomainGetCpuStatsCall, cpu_stats>(),
    on<remote::DomainGetLaunchSecurityInfoCall, launch_security>(),
    on<remote::DomainSetLaunchSecurityStateCall, set_launch_security>(),
    on<remote::DomainGetSecurityLabelCall, security_label>(),
    on<remote::DomainGetSecurityLabelListCall, security_label_list>(),
};

} // namespace

const MethodTable methods::domain_stats = table;

} // namespace lodge::daemon
