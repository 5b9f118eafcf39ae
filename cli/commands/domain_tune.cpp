// How much of the host a domain gets, and which of its CPUs.
#include "cli/commands.hpp"
#include "cli/cpu_list.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"

#include <algorithm>

namespace lodge::cli {

namespace {

void vcpupin(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    const auto list = arguments.text("cpulist");
    const auto vcpu = arguments.number<unsigned>("vcpu");
    if (!list) arguments.exclusive("live", "config");
    if (list && !vcpu) fail("vcpupin: Missing vCPU number in pin mode.");
    const int cpus = host_cpus(session);
    auto domain = find_domain(session, arguments);
    if (list) {
        auto map = read_cpus(*list, cpus);
        const bool plain = affect.flags() == 0 && !affect.current;
        check(plain ? virDomainPinVcpu(domain.get(), *vcpu, map.data(), static_cast<int>(map.size()))
                    : virDomainPinVcpuFlags(domain.get(), *vcpu, map.data(), static_cast<int>(map.size()), affect.flags()));
        return;
    }
    virDomainInfo info{};
    check(virDomainGetInfo(domain.get(), &info));
    const int count = virDomainIsActive(domain.get()) == 1 && !affect.config
                          ? info.nrVirtCpu
                          : check(virDomainGetVcpusFlags(domain.get(), affect.flags() | VIR_DOMAIN_VCPU_MAXIMUM));
    if (vcpu && static_cast<int>(*vcpu) >= count) fail("vcpupin: vCPU index out of range.");
    const std::size_t length = cpu_map_length(cpus);
    std::vector<unsigned char> maps(static_cast<std::size_t>(count) * length);
    const int known = check(virDomainGetVcpuPinInfo(domain.get(), count, maps.data(), static_cast<int>(length), affect.flags()));
    Table table({{"vcpu", "VCPU"}, {"affinity", "CPU Affinity"}});
    for (int one = 0; one < known; ++one)
        if (!vcpu || static_cast<int>(*vcpu) == one)
            table.add({one, write_cpus(maps.data() + static_cast<std::size_t>(one) * length, length)});
    session.show(table);
}

void emulatorpin(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    const auto list = arguments.text("cpulist");
    if (!list) arguments.exclusive("live", "config");
    const int cpus = host_cpus(session);
    auto domain = find_domain(session, arguments);
    if (list) {
        auto map = read_cpus(*list, cpus);
        const unsigned flags = affect.flags() == 0 && !affect.current ? VIR_DOMAIN_AFFECT_LIVE : affect.flags();
        check(virDomainPinEmulator(domain.get(), map.data(), static_cast<int>(map.size()), flags));
        return;
    }
    std::vector<unsigned char> map(cpu_map_length(cpus));
    check(virDomainGetEmulatorPinInfo(domain.get(), map.data(), static_cast<int>(map.size()), affect.flags()));
    const std::string text = write_cpus(map.data(), map.size());
    if (session.json()) return session.show_value(text);
    session.extra("emulator: CPU Affinity\n----------------------------------\n       *: ");
    session.print("{}\n", text);
}

// ---- shares and limits ----

void schedinfo(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    const unsigned flags = affect.flags();
    const unsigned both = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG;
    auto domain = find_domain(session, arguments);
    int count = 0;
    Text type(virDomainGetSchedulerType(domain.get(), &count));
    if (!type) fail_with_cause();
    const auto ask = [&](Parameters& now) {
        int room = count;
        check(virDomainGetSchedulerParametersFlags(domain.get(), now.room_for(count), &room, flags == both ? 0 : flags));
        now.filled(room);
    };
    Parameters now, wanted, later;
    ask(now);
    std::vector<std::string> settings(arguments.rest("set").begin(), arguments.rest("set").end());
    for (const char* share : {"weight", "cap"})
        if (const auto value = arguments.text(share)) settings.push_back(fmt::format("{}={}", share, *value));
    for (const auto& setting : settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos) fail("Invalid syntax for --set, expecting name=value");
        const std::string name = setting.substr(0, equals);
        for (const auto& one : now)
            if (name == one.field) wanted.add_text(one.field, one.type, setting.substr(equals + 1));
    }
    if (wanted.count()) {
        check(virDomainSetSchedulerParametersFlags(domain.get(), wanted.list(), wanted.count(), flags));
        ask(later);
    } else if (flags == both) {
        fail("cannot query both live and config at once");
    }
    if (!session.json()) session.print("{:<15}: {}\n", "Scheduler", type.get());
    show_parameters(session, wanted.count() ? later : now);
}

// A size in KiB; -1: no limit.
std::optional<unsigned long long> limit_of(const Arguments& arguments, std::string_view name) {
    const auto text = arguments.text(name);
    if (!text) return std::nullopt;
    if (*text == "-1") return VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
    return arguments.scaled(name, 1024).value_or(0) / 1024;
}

void memtune(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    Parameters wanted;
    if (const auto kib = limit_of(arguments, "hard-limit")) wanted.add(VIR_DOMAIN_MEMORY_HARD_LIMIT, *kib);
    if (const auto kib = limit_of(arguments, "soft-limit")) wanted.add(VIR_DOMAIN_MEMORY_SOFT_LIMIT, *kib);
    if (const auto kib = limit_of(arguments, "swap-hard-limit")) wanted.add(VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, *kib);
    if (const auto kib = limit_of(arguments, "min-guarantee")) wanted.add(VIR_DOMAIN_MEMORY_MIN_GUARANTEE, *kib);
    if (wanted.count()) {
        check(virDomainSetMemoryParameters(domain.get(), wanted.list(), wanted.count(), affect.flags()),
              "Unable to change memory parameters");
        return;
    }
    int count = 0;
    check(virDomainGetMemoryParameters(domain.get(), nullptr, &count, affect.flags()),
          "Unable to get number of memory parameters");
    Parameters now;
    check(virDomainGetMemoryParameters(domain.get(), now.room_for(count), &count, affect.flags()),
          "Unable to get memory parameters");
    now.filled(count);
    show_parameters(session, now, true);
}

constexpr const char* disk_limits[] = {"total_bytes_sec",
                                       "read_bytes_sec",
                                       "write_bytes_sec",
                                       "total_iops_sec",
                                       "read_iops_sec",
                                       "write_iops_sec",
                                       "total_bytes_sec_max",
                                       "read_bytes_sec_max",
                                       "write_bytes_sec_max",
                                       "total_iops_sec_max",
                                       "read_iops_sec_max",
                                       "write_iops_sec_max",
                                       "size_iops_sec",
                                       "total_bytes_sec_max_length",
                                       "read_bytes_sec_max_length",
                                       "write_bytes_sec_max_length",
                                       "total_iops_sec_max_length",
                                       "read_iops_sec_max_length",
                                       "write_iops_sec_max_length"};

void blkdeviotune(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    const auto& device = arguments.required("device");
    Parameters wanted;
    for (const char* name : disk_limits) {
        std::string option = name;
        std::ranges::replace(option, '_', '-');
        if (const auto value = arguments.scaled(option, 1)) wanted.add(name, *value);
    }
    if (const auto group = arguments.text("group-name")) wanted.add("group_name", *group);
    if (wanted.count()) {
        check(virDomainSetBlockIoTune(domain.get(), device.c_str(), wanted.list(), wanted.count(), affect.flags()),
              "Unable to change block I/O throttle");
        return;
    }
    int count = 0;
    check(virDomainGetBlockIoTune(domain.get(), nullptr, nullptr, &count, affect.flags()),
          "Unable to get number of block I/O throttle parameters");
    Parameters now;
    check(virDomainGetBlockIoTune(domain.get(), device.c_str(), now.room_for(count), &count, affect.flags()),
          "Unable to get block I/O throttle parameters");
    now.filled(count);
    show_parameters(session, now);
}

void setvcpu(Session& session, const Arguments& arguments) {
    arguments.exclusive("enable", "disable");
    const auto affect = affect_of(arguments);
    if (!arguments.has("enable") && !arguments.has("disable")) fail("one of --enable, --disable is required");
    auto domain = find_domain(session, arguments);
    check(virDomainSetVcpu(domain.get(), arguments.required("vcpulist").c_str(), arguments.has("enable"), affect.flags()));
}

std::vector<Option> disk_limit_options() {
    static std::vector<std::string> names; // rows keep views of them
    std::vector<Option> options = {the_domain(), need("device", "block device")};
    if (names.empty())
        for (std::string name : disk_limits) {
            std::ranges::replace(name, '_', '-');
            names.push_back(std::move(name));
        }
    for (const auto& name : names) options.push_back(number(name, "limit of the block device, as scaled integer").named());
    options.push_back(text("group-name", "group name to share I/O quota between multiple drives").named());
    return with_affect(std::move(options));
}

} // namespace

const std::vector<Command>& domain_tune_commands() {
    static const std::vector<Command> rows = {
        {.name = "setvcpu",
         .group = Group::domain,
         .help = "attach/detach vcpu or groups of threads",
         .description = "Add or remove vcpus",
         .options = with_affect({the_domain(), need("vcpulist", "ids of vcpus to manipulate"),
                                 flag("enable", "enable cpus specified by cpumap"),
                                 flag("disable", "disable cpus specified by cpumap")}),
         .run = setvcpu},
        {.name = "vcpupin",
         .group = Group::domain,
         .help = "control or query domain vcpu affinity",
         .description = "Pin domain VCPUs to host physical CPUs.",
         .options = with_affect({the_domain(), number("vcpu", "vcpu number"),
                                 text("cpulist", "host cpu number(s) to set, or omit option to query")}),
         .run = vcpupin},
        {.name = "emulatorpin",
         .group = Group::domain,
         .help = "control or query domain emulator affinity",
         .description = "Pin domain emulator threads to host physical CPUs.",
         .options = with_affect({the_domain(), text("cpulist", "host cpu number(s) to set, or omit option to query")}),
         .run = emulatorpin},
        {.name = "schedinfo",
         .group = Group::domain,
         .help = "show/set scheduler parameters",
         .description = "Show/Set scheduler parameters.",
         .options = with_affect({the_domain(), number("weight", "weight for XEN_CREDIT").named(),
                                 number("cap", "cap for XEN_CREDIT").named(), rest("set", "parameter=value")}),
         .run = schedinfo},
        {.name = "memtune",
         .group = Group::domain,
         .help = "Get or set memory parameters",
         .description = "Get or set the current memory parameters for a guest domain.",
         .options = with_affect({the_domain(), text("hard-limit", "Max memory, as scaled integer (default KiB)"),
                                 text("soft-limit", "Memory during contention, as scaled integer (default KiB)"),
                                 text("swap-hard-limit", "Max memory plus swap, as scaled integer (default KiB)"),
                                 text("min-guarantee", "Min guaranteed memory, as scaled integer (default KiB)")}),
         .run = memtune},
        {.name = "blkdeviotune",
         .group = Group::domain,
         .help = "Set or query a block device I/O tuning parameters.",
         .description = "Set or query disk I/O parameters such as block throttling.",
         .options = disk_limit_options(),
         .run = blkdeviotune},
    };
    return rows;
}

} // namespace lodge::cli
