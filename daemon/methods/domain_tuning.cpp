// Calls that say how much of the host a domain gets: CPU shares, memory limits, disk weights, memory nodes. The document says it,
// and Machine::tune() makes it so.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"
#include "daemon/params.hpp"
#include "daemon/retune.hpp"
#include "drivers/host/sysfs.hpp"
#include "xml/number_set.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;

// ---- scheduler ----

struct QuotaRow {
    const char *period, *quota, *event_period, *event_quota;
    std::optional<std::uint64_t> xml::CpuTune::* period_field;
    std::optional<std::int64_t> xml::CpuTune::* quota_field;
    drivers::CpuQuota drivers::Tuning::* live;
};
constexpr QuotaRow quota_rows[] = {
    {"vcpu_period", "vcpu_quota", "cputune.vcpu_period", "cputune.vcpu_quota", &xml::CpuTune::period, &xml::CpuTune::quota,
     &drivers::Tuning::vcpu},
    {"emulator_period", "emulator_quota", "cputune.emulator_period", "cputune.emulator_quota", &xml::CpuTune::emulator_period,
     &xml::CpuTune::emulator_quota, &drivers::Tuning::emulator},
    {"global_period", "global_quota", "cputune.global_period", "cputune.global_quota", &xml::CpuTune::global_period,
     &xml::CpuTune::global_quota, &drivers::Tuning::global},
    {"iothread_period", "iothread_quota", "cputune.iothread_period", "cputune.iothread_quota", &xml::CpuTune::iothread_period,
     &xml::CpuTune::iothread_quota, &drivers::Tuning::iothread},
};

template<class T> void check_range(T value, const char* name, T low, T high) {
    if (value != 0 && (value < low || value > high))
        fail(Code::invalid_arg, "value of '{}' is out of range [{}, {}]", name, low, high);
}

void check_scheduler(const Params& params) {
    check_params(params, {{"cpu_shares", ParamType::ullong},
                          {"vcpu_period", ParamType::ullong},
                          {"vcpu_quota", ParamType::llong},
                          {"global_period", ParamType::ullong},
                          {"global_quota", ParamType::llong},
                          {"emulator_period", ParamType::ullong},
                          {"emulator_quota", ParamType::llong},
                          {"iothread_period", ParamType::ullong},
                          {"iothread_quota", ParamType::llong}});
    for (const auto& row : quota_rows) {
        if (const auto period = param<std::uint64_t>(params, row.period))
            check_range<std::uint64_t>(*period, row.period, 1'000, 1'000'000);
        if (const auto quota = param<std::int64_t>(params, row.quota))
            if (*quota >= 0) check_range<std::int64_t>(*quota, row.quota, 1'000, 17'592'186'044'415);
    }
}

void change_scheduler(xml::Domain& document, const Params& params) {
    if (!document.cputune) document.cputune.emplace();
    auto& tune = *document.cputune;
    if (const auto shares = param<std::uint64_t>(params, "cpu_shares")) tune.shares = *shares;
    for (const auto& row : quota_rows) {
        // Nought leaves it to the host.
        if (const auto period = param<std::uint64_t>(params, row.period))
            tune.*row.period_field = *period ? std::optional(*period) : std::nullopt;
        if (const auto quota = param<std::int64_t>(params, row.quota))
            tune.*row.quota_field = *quota ? std::optional(*quota) : std::nullopt;
    }
}

Params scheduler_news(const Params& params) {
    Params news;
    if (const auto shares = param<std::uint64_t>(params, "cpu_shares")) news.push_back({"cputune.cpu_shares", *shares});
    for (const auto& row : quota_rows) {
        if (const auto period = param<std::uint64_t>(params, row.period); period && *period)
            news.push_back({row.event_period, *period});
        if (const auto quota = param<std::int64_t>(params, row.quota); quota && *quota) news.push_back({row.event_quota, *quota});
    }
    return news;
}

Task<> set_scheduler(ClientPtr client, remote::NonnullDomain named, Params params, unsigned flags) {
    check_scheduler(params);
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainSetSchedulerParameters");
    const unsigned affect = domain->affect(flags);
    if (wants_live(affect) && !(co_await current_tuning(domain)).cpu)
        fail(Code::operation_invalid, "cgroup CPU controller is not mounted");
    co_await retune(domain, affect, [&](xml::Domain& document) { change_scheduler(document, params); });
    tell_tunable(*domain, affect, scheduler_news(params));
}
Task<> set_scheduler_flags(ClientPtr client, remote::DomainSetSchedulerParametersFlagsArgs args) {
    co_await set_scheduler(client, args.dom, std::move(args.params), args.flags);
}
Task<> set_scheduler_plain(ClientPtr client, remote::DomainSetSchedulerParametersArgs args) {
    co_await set_scheduler(client, args.dom, std::move(args.params), 0);
}

Task<Params> scheduler(ClientPtr client, remote::NonnullDomain named, unsigned flags) {
    auto domain = find_domain(*client, named);
    const unsigned affect = domain->affect(flags);
    drivers::Tuning now;
    if (wants_config(affect)) {
        const auto document = domain->definition().document();
        const xml::CpuTune tune = document->cputune.value_or(xml::CpuTune{});
        now.shares = tune.shares.value_or(0);
        for (const auto& row : quota_rows)
            now.*row.live = {(tune.*row.period_field).value_or(0), (tune.*row.quota_field).value_or(0)};
    } else {
        now = co_await current_tuning(domain);
        if (!now.cpu) fail(Code::operation_invalid, "cgroup CPU controller is not mounted");
    }
    Params params;
    params.push_back({"cpu_shares", now.shares});
    for (const auto& row : quota_rows) {
        params.push_back({row.period, (now.*row.live).period});
        params.push_back({row.quota, (now.*row.live).quota});
    }
    co_return params;
}
Task<remote::DomainGetSchedulerParametersFlagsRet> get_scheduler_flags(ClientPtr client,
                                                                       remote::DomainGetSchedulerParametersFlagsArgs args) {
    remote::DomainGetSchedulerParametersFlagsRet ret;
    ret.params = co_await scheduler(client, args.dom, args.flags & (api::domain_affect_live | api::domain_affect_config));
    if (static_cast<int>(ret.params.size()) > args.nparams)
        ret.params.resize(static_cast<std::size_t>(std::max(args.nparams, 0)));
    co_return ret;
}
Task<remote::DomainGetSchedulerParametersRet> get_scheduler(ClientPtr client, remote::DomainGetSchedulerParametersArgs args) {
    remote::DomainGetSchedulerParametersRet ret;
    ret.params = co_await scheduler(client, args.dom, 0);
    if (static_cast<int>(ret.params.size()) > args.nparams)
        ret.params.resize(static_cast<std::size_t>(std::max(args.nparams, 0)));
    co_return ret;
}

Task<remote::DomainGetSchedulerTypeRet> scheduler_type(ClientPtr client, remote::DomainGetSchedulerTypeArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (domain->is_active() && !(co_await current_tuning(domain)).cpu)
        fail(Code::operation_invalid, "cgroup CPU controller is not mounted");
    co_return remote::DomainGetSchedulerTypeRet{"posix", 9};
}

// ---- memory ----

std::optional<xml::Kibibytes> limit(std::uint64_t kib) {
    if (kib >= drivers::unlimited_kib) return std::nullopt;
    return xml::Kibibytes{kib};
}

void change_memory(xml::Domain& document, const Params& params) {
    if (!document.memtune) document.memtune.emplace();
    auto& tune = *document.memtune;
    if (const auto kib = param<std::uint64_t>(params, "hard_limit")) tune.hard_limit = limit(*kib);
    if (const auto kib = param<std::uint64_t>(params, "soft_limit")) tune.soft_limit = limit(*kib);
    if (const auto kib = param<std::uint64_t>(params, "swap_hard_limit")) tune.swap_hard_limit = limit(*kib);
    const auto kib = [](const std::optional<xml::Kibibytes>& size) { return size ? size->value : drivers::unlimited_kib; };
    if (kib(tune.hard_limit) > kib(tune.swap_hard_limit))
        fail(From::domain, Code::invalid_arg, "memory hard_limit tunable value must be lower than or equal to swap_hard_limit");
}

Task<> set_memory_parameters(ClientPtr client, remote::DomainSetMemoryParametersArgs args) {
    check_params(args.params,
                 {{"hard_limit", ParamType::ullong}, {"soft_limit", ParamType::ullong}, {"swap_hard_limit", ParamType::ullong}});
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetMemoryParameters");
    const unsigned affect = domain->affect(args.flags);
    if (wants_live(affect) && !(co_await current_tuning(domain)).memory)
        fail(Code::operation_invalid, "cgroup memory controller is not mounted");
    co_await retune(domain, affect, [&](xml::Domain& document) { change_memory(document, args.params); });
}

Task<remote::DomainGetMemoryParametersRet> get_memory_parameters(ClientPtr client, remote::DomainGetMemoryParametersArgs args) {
    auto domain = find_domain(*client, args.dom);
    const unsigned affect = domain->affect_one(args.flags);
    drivers::Tuning now;
    if (wants_config(affect)) {
        const auto document = domain->definition().document();
        const xml::MemTune tune = document->memtune.value_or(xml::MemTune{});
        const auto kib = [](const auto& size) { return size ? size->value : drivers::unlimited_kib; };
        now.hard_kib = kib(tune.hard_limit);
        now.soft_kib = kib(tune.soft_limit);
        now.swap_kib = kib(tune.swap_hard_limit);
    } else if (args.nparams != 0) {
        now = co_await current_tuning(domain);
        if (!now.memory) fail(Code::operation_invalid, "cgroup memory controller is not mounted");
    }
    remote::DomainGetMemoryParametersRet ret;
    ret.params = {{"hard_limit", now.hard_kib}, {"soft_limit", now.soft_kib}, {"swap_hard_limit", now.swap_kib}};
    cut_params(ret.params, args.nparams, ret.nparams);
    co_return ret;
}

// ---- disks of the host ----

struct IoRow {
    const char* name;
    bool wide; // bytes per second need 64 bits
    std::optional<unsigned> xml::BlkioDevice::* narrow_field;
    std::optional<std::uint64_t> xml::BlkioDevice::* wide_field;
};
constexpr IoRow io_rows[] = {
    {"device_weight", false, &xml::BlkioDevice::weight, nullptr},
    {"device_read_iops_sec", false, &xml::BlkioDevice::read_iops, nullptr},
    {"device_write_iops_sec", false, &xml::BlkioDevice::write_iops, nullptr},
    {"device_read_bytes_sec", true, nullptr, &xml::BlkioDevice::read_bytes},
    {"device_write_bytes_sec", true, nullptr, &xml::BlkioDevice::write_bytes},
};

// "/dev/sda,200,/dev/sdb,0"
std::vector<std::pair<std::string, std::uint64_t>> device_values(const std::string& text, const char* name) {
    std::vector<std::pair<std::string, std::uint64_t>> values;
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= text.size() && !text.empty();) {
        const auto comma = std::min(text.find(',', at), text.size());
        words.push_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    const auto broken = [&] { fail(From::domain, Code::invalid_arg, "unable to parse blkio device '{}' '{}'", name, text); };
    if (words.size() % 2) broken();
    for (std::size_t i = 0; i < words.size(); i += 2) {
        std::uint64_t value = 0;
        if (words[i].empty()) broken();
        if (!xml::parse_unsigned(words[i + 1], value))
            fail(From::domain, Code::invalid_arg, "invalid value '{}' for parameter '{}' of device '{}'", words[i + 1], name,
                 words[i]);
        values.emplace_back(words[i], value);
    }
    return values;
}

void change_io(xml::Domain& document, const Params& params) {
    if (!document.blkiotune) document.blkiotune.emplace();
    auto& tune = *document.blkiotune;
    if (const auto weight = param<std::uint32_t>(params, "weight"))
        tune.weight = *weight ? std::optional<unsigned>(*weight) : std::nullopt;
    for (const auto& row : io_rows) {
        const auto text = param<std::string>(params, row.name);
        if (!text) continue;
        for (const auto& [path, value] : device_values(*text, row.name)) {
            auto device = std::ranges::find(tune.devices, path, &xml::BlkioDevice::path);
            if (device == tune.devices.end()) {
                tune.devices.emplace_back().path = path;
                device = std::prev(tune.devices.end());
            }
            if (row.wide)
                (*device).*row.wide_field = value ? std::optional(value) : std::nullopt;
            else
                (*device).*row.narrow_field = value ? std::optional(static_cast<unsigned>(value)) : std::nullopt;
        }
    }
    std::erase_if(tune.devices, [](const xml::BlkioDevice& d) {
        return !d.weight && !d.read_iops && !d.write_iops && !d.read_bytes && !d.write_bytes;
    });
}

Task<> set_blkio(ClientPtr client, remote::DomainSetBlkioParametersArgs args) {
    check_params(args.params, {{"weight", ParamType::uint},
                               {"device_weight", ParamType::string},
                               {"device_read_iops_sec", ParamType::string},
                               {"device_write_iops_sec", ParamType::string},
                               {"device_read_bytes_sec", ParamType::string},
                               {"device_write_bytes_sec", ParamType::string}});
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetBlkioParameters");
    const unsigned affect = domain->affect(args.flags);
    if (wants_live(affect) && !(co_await current_tuning(domain)).io) fail(Code::operation_invalid, "blkio cgroup isn't mounted");
    co_await retune(domain, affect, [&](xml::Domain& document) { change_io(document, args.params); });
}

Task<remote::DomainGetBlkioParametersRet> get_blkio(ClientPtr client, remote::DomainGetBlkioParametersArgs args) {
    auto domain = find_domain(*client, args.dom);
    const unsigned affect = domain->affect_one(args.flags);
    const auto document = document_of(*domain, affect);
    const xml::BlkioTune tune = document->blkiotune.value_or(xml::BlkioTune{});
    std::uint32_t weight = tune.weight.value_or(0);
    if (wants_live(affect) && args.nparams != 0) {
        const auto now = co_await current_tuning(domain);
        if (!now.io) fail(Code::operation_invalid, "blkio cgroup isn't mounted");
        if (now.io_weight) weight = static_cast<std::uint32_t>(now.io_weight);
    }
    remote::DomainGetBlkioParametersRet ret;
    ret.params.push_back({"weight", weight});
    for (const auto& row : io_rows) {
        std::string text;
        for (const auto& device : tune.devices) {
            const std::uint64_t value = row.wide ? (device.*row.wide_field).value_or(0) : (device.*row.narrow_field).value_or(0);
            if (value) text += fmt::format("{}{},{}", text.empty() ? "" : ",", device.path, value);
        }
        ret.params.push_back({row.name, text});
    }
    cut_params(ret.params, args.nparams, ret.nparams);
    co_return ret;
}

// ---- memory nodes ----

void change_numa(xml::Domain& document, std::optional<xml::NumaMode> mode, const std::string& nodes) {
    if (!document.numatune) document.numatune.emplace();
    if (!document.numatune->memory) document.numatune->memory.emplace();
    auto& memory = *document.numatune->memory;
    if (mode) memory.mode = *mode;
    if (!memory.mode) memory.mode = xml::NumaMode::strict;
    if (!nodes.empty()) {
        memory.nodeset = nodes;
        memory.placement.reset();
    }
    if (memory.nodeset.empty() && memory.placement != xml::Placement::auto_)
        fail(From::domain, Code::config_unsupported, "nodeset for NUMA memory tuning must be set if 'placement' is 'static'");
}

// The host has all of them.
void require_nodes(const std::string& nodes) {
    const auto wanted = xml::parse_number_set(nodes);
    const auto online = xml::parse_number_set(drivers::read_small_file("/sys/devices/system/node/online"));
    if (!wanted || !online) return;
    for (const auto node : *wanted)
        if (!online->contains(node)) fail(rpc::from_nobody, Code::config_unsupported, "NUMA node {} is unavailable", node);
}

Task<> set_numa(ClientPtr client, remote::DomainSetNumaParametersArgs args) {
    check_params(args.params, {{"numa_mode", ParamType::int_}, {"numa_nodeset", ParamType::string}});
    std::optional<xml::NumaMode> mode;
    if (const auto number = param<std::int32_t>(args.params, "numa_mode")) {
        if (*number < 0 || *number > 3) fail(Code::invalid_arg, "unsupported numatune mode: '{}'", *number);
        mode = static_cast<xml::NumaMode>(*number);
    }
    std::string nodes;
    if (const auto text = param<std::string>(args.params, "numa_nodeset")) {
        const auto set = xml::parse_number_set(*text);
        if (!set || text->empty()) fail(rpc::from_nobody, Code::invalid_arg, "Failed to parse bitmap '{}'", *text);
        if (set->empty()) fail(Code::operation_invalid, "Invalid nodeset of 'numatune': {}", *text);
        nodes = xml::format_number_set(*set);
    }
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetNumaParameters");
    const unsigned affect = domain->affect(args.flags);
    if (wants_live(affect)) {
        if (!(co_await current_tuning(domain)).cpuset) fail(Code::operation_invalid, "cgroup cpuset controller is not mounted");
        const auto document = domain->current();
        const auto now = document->numatune && document->numatune->memory ? document->numatune->memory->mode : std::nullopt;
        if (mode && now && *now != *mode) fail(Code::operation_invalid, "can't change numatune mode for running domain");
        const std::string present = document->numatune && document->numatune->memory ? document->numatune->memory->nodeset : "";
        const bool same = nodes == present;
        if (mode == xml::NumaMode::strict && !same)
            fail(Code::operation_invalid, "can't change nodeset for strict mode for running domain");
        if (!nodes.empty() && !same && now && *now != xml::NumaMode::restrictive)
            fail(Code::operation_invalid, "change of nodeset for running domain requires restrictive numa mode");
        require_nodes(nodes);
    }
    // What a running guest is asked to have strictly, it has already.
    const unsigned changed = mode == xml::NumaMode::strict ? affect & ~api::domain_affect_live : affect;
    if (changed) co_await retune(domain, changed, [&](xml::Domain& document) { change_numa(document, mode, nodes); });
}

remote::DomainGetNumaParametersRet get_numa(Client& client, const remote::DomainGetNumaParametersArgs& args) {
    auto domain = find_domain(client, args.dom);
    const auto document = document_of(*domain, domain->affect_one(args.flags));
    std::int32_t mode = static_cast<std::int32_t>(xml::NumaMode::strict);
    std::string nodes;
    if (document->numatune && document->numatune->memory) {
        if (document->numatune->memory->mode) mode = static_cast<std::int32_t>(*document->numatune->memory->mode);
        nodes = document->numatune->memory->nodeset;
    }
    remote::DomainGetNumaParametersRet ret;
    ret.params = {{"numa_mode", mode}, {"numa_nodeset", nodes}};
    cut_params(ret.params, args.nparams, ret.nparams);
    return ret;
}

constexpr Method table[] = {
    on<remote::DomainGetSchedulerTypeCall, scheduler_type>(),
    on<remote::DomainGetSchedulerParametersCall, get_scheduler>(),
    on<remote::DomainGetSchedulerParametersFlagsCall, get_scheduler_flags>(),
    on<remote::DomainSetSchedulerParametersCall, set_scheduler_plain>(),
    on<remote::DomainSetSchedulerParametersFlagsCall, set_scheduler_flags>(),
    on<remote::DomainSetMemoryParametersCall, set_memory_parameters>(),
    on<remote::DomainGetMemoryParametersCall, get_memory_parameters>(),
    on<remote::DomainSetBlkioParametersCall, set_blkio>(),
    on<remote::DomainGetBlkioParametersCall, get_blkio>(),
    on<remote::DomainSetNumaParametersCall, set_numa>(),
    on<remote::DomainGetNumaParametersCall, get_numa>(),
};

} // namespace

const MethodTable methods::domain_tuning = table;

} // namespace lodge::daemon
