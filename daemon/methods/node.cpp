// Facts of the host: the calls of virsh nodeinfo, nodecpustats, nodememstats, freecell, freepages, sysinfo and their like.
#include "drivers/host/node.hpp"
#include "daemon/host.hpp"
#include "daemon/method.hpp"
#include "daemon/params.hpp"
#include "drivers/host/node_stats.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/generated/remote.hpp"
#include "xml/describe.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

namespace {

using rpc::Nothing;

template<class... Args> [[noreturn]] void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::qemu, code, format, std::forward<Args>(args)...);
}

// What libvirt's helpers for the host refuse belongs to no driver.
template<class... Args> [[noreturn]] void refuse_for_host(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(rpc::from_nobody, code, format, std::forward<Args>(args)...);
}

remote::NodeGetInfoRet get_info(Client&, const Nothing&) {
    const auto info = drivers::node_info();
    remote::NodeGetInfoRet ret;
    std::copy_n(info.model.begin(), std::min(info.model.size(), ret.model.size() - 1), ret.model.begin());
    ret.memory = info.memory_kib;
    ret.cpus = static_cast<std::int32_t>(info.cpus);
    ret.mhz = static_cast<std::int32_t>(info.mhz);
    ret.nodes = static_cast<std::int32_t>(info.nodes);
    ret.sockets = static_cast<std::int32_t>(info.sockets);
    ret.cores = static_cast<std::int32_t>(info.cores);
    ret.threads = static_cast<std::int32_t>(info.threads);
    return ret;
}

// ---- CPUs ----

remote::NodeGetCpuMapRet get_cpu_map(Client&, const remote::NodeGetCpuMapArgs& args) {
    const auto map = drivers::host_cpu_map();
    remote::NodeGetCpuMapRet ret;
    ret.ret = static_cast<std::int32_t>(map.online.size());
    if (args.need_online) ret.online = map.count();
    if (args.need_map) {
        ret.cpumap.resize((map.online.size() + 7) / 8);
        for (std::size_t cpu = 0; cpu < map.online.size(); ++cpu)
            if (map.online[cpu]) ret.cpumap[cpu / 8] |= static_cast<std::uint8_t>(1u << (cpu % 8));
    }
    return ret;
}

// Clients first ask how many figures there are (nparams 0), then for that many.
template<class Item>
void give(std::vector<Item> all, std::int32_t wanted, std::vector<Item>& params, std::int32_t& count, const char* function) {
    count = static_cast<std::int32_t>(all.size());
    if (wanted == 0) return;
    if (wanted != count) refuse_for_host(Code::invalid_arg, "nparams in {} must be equal to {}", function, count);
    params = std::move(all);
}

remote::NodeGetCpuStatsRet get_cpu_stats(Client&, const remote::NodeGetCpuStatsArgs& args) {
    const auto times = args.cpuNum >= api::node_cpu_stats_all_cpus ? drivers::host_cpu_times(args.cpuNum) : std::nullopt;
    remote::NodeGetCpuStatsRet ret;
    if (!times && args.nparams == 0) { // how many there are does not depend on the CPU
        ret.nparams = 4;
        return ret;
    }
    if (!times) refuse_for_host(Code::invalid_arg, "Invalid cpuNum in {}", "virHostCPUGetStatsLinux");
    give<remote::NodeGetCpuStats>({{api::node_cpu_stats_kernel, times->kernel},
                                   {api::node_cpu_stats_user, times->user},
                                   {api::node_cpu_stats_idle, times->idle},
                                   {api::node_cpu_stats_iowait, times->iowait}},
                                  args.nparams, ret.params, ret.nparams, "virHostCPUGetStatsLinux");
    return ret;
}

// The map is a folder of small files that does not change while we live.
Task<remote::ConnectGetCpuModelNamesRet> get_cpu_model_names(ClientPtr, remote::ConnectGetCpuModelNamesArgs args) {
    if (!drivers::is_architecture(args.arch)) refuse(Code::invalid_arg, "cannot find architecture {}", args.arch);
    static std::map<std::string, std::vector<std::string>> known;
    if (!known.contains(args.arch)) {
        auto models = co_await rpc::blocking_result([arch = args.arch] { return drivers::host_cpu_models(arch); });
        known[args.arch] = std::move(models);
    }
    const auto& models = known[args.arch];
    remote::ConnectGetCpuModelNamesRet ret;
    ret.ret = static_cast<std::int32_t>(models.size());
    if (args.need_results) ret.models = models;
    co_return ret;
}

// ---- memory ----

remote::NodeGetMemoryStatsRet get_memory_stats(Client&, const remote::NodeGetMemoryStatsArgs& args) {
    std::vector<remote::NodeGetMemoryStats> all;
    if (args.cellNum == api::node_memory_stats_all_cells) {
        const auto memory = drivers::host_memory();
        all = {{api::node_memory_stats_total, memory.total},
               {api::node_memory_stats_free, memory.free},
               {api::node_memory_stats_buffers, memory.buffers},
               {api::node_memory_stats_cached, memory.cached}};
    } else {
        const int last = static_cast<int>(drivers::host_cells()) - 1;
        if (args.cellNum > last || args.cellNum < 0)
            refuse_for_host(Code::invalid_arg, "cellNum in {} must be less than or equal to {}", "virHostMemGetStats", last);
        const auto memory = drivers::host_cell_memory(static_cast<unsigned>(args.cellNum)).value_or(drivers::MemoryFigures{});
        all = {{api::node_memory_stats_total, memory.total}, {api::node_memory_stats_free, memory.free}};
    }
    remote::NodeGetMemoryStatsRet ret;
    give(std::move(all), args.nparams, ret.params, ret.nparams, "virHostMemGetStatsLinux");
    return ret;
}

remote::NodeGetFreeMemoryRet get_free_memory(Client&, const Nothing&) { return {drivers::host_free_bytes()}; }

// The last cell that a call for `count` cells from `start` on means.
int last_cell(int start, std::int64_t count) {
    const int last = static_cast<int>(drivers::host_cells()) - 1;
    if (start > last) refuse_for_host(Code::internal_error, "start cell {} out of range (0-{})", start, last);
    return static_cast<int>(std::min<std::int64_t>(last, start + count - 1));
}

remote::NodeGetCellsFreeMemoryRet get_cells_free_memory(Client&, const remote::NodeGetCellsFreeMemoryArgs& args) {
    remote::NodeGetCellsFreeMemoryRet ret;
    if (args.startCell < 0 || args.maxcells < 0) rpc::fail(Code::invalid_arg, "startCell and maxcells must not be negative");
    const int last = last_cell(args.startCell, args.maxcells);
    for (int cell = args.startCell; cell <= last; ++cell) {
        const auto memory = drivers::host_cell_memory(static_cast<unsigned>(cell));
        ret.cells.push_back(memory ? memory->free * 1024 : 0);
    }
    return ret;
}

remote::NodeGetFreePagesRet get_free_pages(Client&, const remote::NodeGetFreePagesArgs& args) {
    remote::NodeGetFreePagesRet ret;
    const int last = last_cell(args.startCell, args.cellCount);
    for (int cell = std::max(args.startCell, -1); cell <= last; ++cell) {
        for (const std::uint32_t size : args.pages) {
            const auto count = drivers::host_free_pages(size, cell);
            if (!count) refuse_for_host(Code::operation_failed, "page size {} is not available on node {}", size, cell);
            ret.counts.push_back(*count);
        }
    }
    if (ret.counts.empty()) refuse_for_host(Code::internal_error, "no suitable info found");
    return ret;
}

// Making huge pages may have the kernel move memory about for a while.
Task<remote::NodeAllocPagesRet> alloc_pages(ClientPtr, remote::NodeAllocPagesArgs args) {
    if (args.pageSizes.size() != args.pageCounts.size()) rpc::fail(Code::invalid_arg, "as many sizes as counts are needed");
    const int last = last_cell(args.startCell, args.cellCount);
    const bool add = !(args.flags & api::node_alloc_pages_set);
    co_await rpc::blocking([&] {
        for (int cell = std::max(args.startCell, -1); cell <= last; ++cell)
            for (std::size_t i = 0; i < args.pageSizes.size(); ++i)
                drivers::host_allocate_pages(args.pageSizes[i], cell, args.pageCounts[i], add);
    });
    const int cells = last - std::max(args.startCell, -1) + 1;
    co_return remote::NodeAllocPagesRet{cells * static_cast<int>(args.pageSizes.size())};
}

// ---- merging of equal pages ----

struct KsmFigure {
    const char *parameter, *file;
    bool wide, writable;
};
constexpr KsmFigure ksm_figures[] = {
    {api::node_memory_shared_pages_to_scan, "pages_to_scan", false, true},
    {api::node_memory_shared_sleep_millisecs, "sleep_millisecs", false, true},
    {api::node_memory_shared_pages_shared, "pages_shared", true, false},
    {api::node_memory_shared_pages_sharing, "pages_sharing", true, false},
    {api::node_memory_shared_pages_unshared, "pages_unshared", true, false},
    {api::node_memory_shared_pages_volatile, "pages_volatile", true, false},
    {api::node_memory_shared_full_scans, "full_scans", true, false},
    {api::node_memory_shared_merge_across_nodes, "merge_across_nodes", false, true},
};

remote::NodeGetMemoryParametersRet get_memory_parameters(Client&, const remote::NodeGetMemoryParametersArgs& args) {
    remote::NodeGetMemoryParametersRet ret;
    ret.nparams = static_cast<std::int32_t>(std::size(ksm_figures));
    if (args.nparams == 0) return ret;
    for (const auto& figure : ksm_figures) {
        const auto value = drivers::host_ksm(figure.file);
        if (!value) continue; // older kernels have fewer
        rpc::TypedParam param{figure.parameter, *value};
        if (!figure.wide) param.value = static_cast<std::uint32_t>(*value);
        ret.params.push_back(std::move(param));
    }
    ret.nparams = static_cast<std::int32_t>(ret.params.size());
    return ret;
}

void set_memory_parameters(Client&, const remote::NodeSetMemoryParametersArgs& args) {
    std::vector<ParamRule> rules;
    for (const auto& figure : ksm_figures)
        if (figure.writable) rules.push_back({figure.parameter, ParamType::uint});
    check_params(args.params, rules);
    std::vector<std::pair<const char*, std::uint64_t>> changes;
    for (const auto& param : args.params) {
        const auto* figure = std::ranges::find(ksm_figures, param.field, &KsmFigure::parameter);
        if (!drivers::host_ksm(figure->file))
            refuse(Code::operation_unsupported, "parameter '{}' is not supported by kernel", param.field);
        changes.emplace_back(figure->file, std::get<std::uint32_t>(param.value));
    }
    for (const auto& [file, value] : changes) drivers::host_set_ksm(file, value);
}

// ---- firmware and security ----

remote::NodeGetSecurityModelRet get_security_model(Client&, const Nothing&) { return {"none", "0"}; }

struct SysinfoEntry {
    std::string name, value;
};
struct SysinfoGroup {
    std::vector<SysinfoEntry> entries;
};
struct Sysinfo {
    std::string type = "smbios";
    std::optional<SysinfoGroup> bios, system, board, chassis;
};
void describe(xml::Doc& doc, SysinfoEntry& entry) {
    doc.attribute("name", entry.name);
    doc.text(entry.value);
}
void describe(xml::Doc& doc, SysinfoGroup& group) { doc.list("entry", group.entries); }
void describe(xml::Doc& doc, Sysinfo& sysinfo) {
    doc.attribute("type", sysinfo.type);
    doc.child("bios", sysinfo.bios);
    doc.child("system", sysinfo.system);
    doc.child("baseBoard", sysinfo.board);
    doc.child("chassis", sysinfo.chassis);
}

remote::ConnectGetSysinfoRet get_sysinfo(Client&, const remote::ConnectGetSysinfoArgs&) {
    const auto smbios = drivers::host_smbios();
    if (smbios.empty()) refuse(Code::config_unsupported, "Host SMBIOS information is not available");
    const auto group = [&](const char* name) {
        std::optional<SysinfoGroup> found;
        if (const auto at = smbios.find(name); at != smbios.end())
            for (const auto& [key, value] : at->second) (found ? *found : found.emplace()).entries.push_back({key, value});
        return found;
    };
    const Sysinfo sysinfo{"smbios", group("bios"), group("system"), group("baseBoard"), group("chassis")};
    return {xml::format(sysinfo, "sysinfo")};
}

remote::NodeGetSevInfoRet get_sev_info(Client&, const remote::NodeGetSevInfoArgs&) {
    refuse(Code::operation_unsupported, "QEMU does not support SEV guest");
}

// No host of ours offers its sleep (see <power_management/> in the capabilities), so none is asked for.
void suspend(Client&, const remote::NodeSuspendForDurationArgs& args) {
    switch (args.target) {
    case api::node_suspend_target_mem: refuse_for_host(Code::argument_unsupported, "Suspend-to-RAM");
    case api::node_suspend_target_disk: refuse_for_host(Code::argument_unsupported, "Suspend-to-Disk");
    case api::node_suspend_target_hybrid: refuse_for_host(Code::argument_unsupported, "Hybrid-Suspend");
    default: refuse_for_host(Code::invalid_arg, "Invalid suspend target");
    }
}

constexpr Method table[] = {
    on<remote::NodeGetInfoCall, get_info>(),
    on<remote::NodeGetCpuMapCall, get_cpu_map>(),
    on<remote::NodeGetCpuStatsCall, get_cpu_stats>(),
    on<remote::NodeGetMemoryStatsCall, get_memory_stats>(),
    on<remote::NodeGetFreeMemoryCall, get_free_memory>(),
    on<remote::NodeGetCellsFreeMemoryCall, get_cells_free_memory>(),
    on<remote::NodeGetFreePagesCall, get_free_pages>(),
    on<remote::NodeAllocPagesCall, alloc_pages>(),
    on<remote::NodeGetMemoryParametersCall, get_memory_parameters>(),
    on<remote::NodeSetMemoryParametersCall, set_memory_parameters>(),
    on<remote::NodeGetSecurityModelCall, get_security_model>(),
    on<remote::NodeGetSevInfoCall, get_sev_info>(),
    on<remote::NodeSuspendForDurationCall, suspend>(),
    on<remote::ConnectGetSysinfoCall, get_sysinfo>(),
    on<remote::ConnectGetCpuModelNamesCall, get_cpu_model_names>(),
};

} // namespace

const MethodTable methods::node = table;

} // namespace lodge::daemon
