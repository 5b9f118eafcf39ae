// Calls that limit a domain's disks and cards, and watch how full a disk gets.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"
#include "daemon/nic_plug.hpp"
#include "daemon/params.hpp"
#include "drivers/network/bandwidth.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;
using xml::IoTune;

// ---- throughput of one disk ----

struct TuneRow {
    const char* name;
    std::optional<std::uint64_t> IoTune::* field;
    int family; // values of a family are given together: those that are left out become nought
    const char* event;
};
enum Family { bytes, iops, bytes_max, iops_max, size, bytes_length, iops_length };
constexpr TuneRow tune_rows[] = {
    {"total_bytes_sec", &IoTune::total_bytes_sec, bytes, "blkdeviotune.total_bytes_sec"},
    {"read_bytes_sec", &IoTune::read_bytes_sec, bytes, "blkdeviotune.read_bytes_sec"},
    {"write_bytes_sec", &IoTune::write_bytes_sec, bytes, "blkdeviotune.write_bytes_sec"},
    {"total_iops_sec", &IoTune::total_iops_sec, iops, "blkdeviotune.total_iops_sec"},
    {"read_iops_sec", &IoTune::read_iops_sec, iops, "blkdeviotune.read_iops_sec"},
    {"write_iops_sec", &IoTune::write_iops_sec, iops, "blkdeviotune.write_iops_sec"},
    {"total_bytes_sec_max", &IoTune::total_bytes_sec_max, bytes_max, "blkdeviotune.total_bytes_sec_max"},
    {"read_bytes_sec_max", &IoTune::read_bytes_sec_max, bytes_max, "blkdeviotune.read_bytes_sec_max"},
    {"write_bytes_sec_max", &IoTune::write_bytes_sec_max, bytes_max, "blkdeviotune.write_bytes_sec_max"},
    {"total_iops_sec_max", &IoTune::total_iops_sec_max, iops_max, "blkdeviotune.total_iops_sec_max"},
    {"read_iops_sec_max", &IoTune::read_iops_sec_max, iops_max, "blkdeviotune.read_iops_sec_max"},
    {"write_iops_sec_max", &IoTune::write_iops_sec_max, iops_max, "blkdeviotune.write_iops_sec_max"},
    {"size_iops_sec", &IoTune::size_iops_sec, size, "blkdeviotune.size_iops_sec"},
    {"total_bytes_sec_max_length", &IoTune::total_bytes_sec_max_length, bytes_length, "blkdeviotune.total_bytes_sec_max_length"},
    {"read_bytes_sec_max_length", &IoTune::read_bytes_sec_max_length, bytes_length, "blkdeviotune.read_bytes_sec_max_length"},
    {"write_bytes_sec_max_length", &IoTune::write_bytes_sec_max_length, bytes_length, "blkdeviotune.write_bytes_sec_max_length"},
    {"total_iops_sec_max_length", &IoTune::total_iops_sec_max_length, iops_length, "blkdeviotune.total_iops_sec_max_length"},
    {"read_iops_sec_max_length", &IoTune::read_iops_sec_max_length, iops_length, "blkdeviotune.read_iops_sec_max_length"},
    {"write_iops_sec_max_length", &IoTune::write_iops_sec_max_length, iops_length, "blkdeviotune.write_iops_sec_max_length"},
};
constexpr const char* group_name = "group_name";
constexpr std::uint64_t most = 1'000'000'000'000'000;

std::uint64_t value(const std::optional<std::uint64_t>& given) { return given.value_or(0); }

void check_types(const Params& params) {
    for (const auto& one : params) {
        const bool group = one.field == group_name;
        const bool known = group || std::ranges::any_of(tune_rows, [&](const auto& row) { return one.field == row.name; });
        if (!known) fail(From::none, Code::argument_unsupported, "parameter '{}' not supported", one.field);
        check_params({one}, {{one.field.c_str(), group ? ParamType::string : ParamType::ullong}});
        if (const auto* number = std::get_if<std::uint64_t>(&one.value); number && *number > most)
            fail(Code::argument_unsupported, "block I/O throttle limit value must be no more than {}", most);
    }
}

// A total leaves nothing to say about its parts.
void check_totals(const IoTune& t) {
    const auto check = [](const auto& total, const auto& read, const auto& write, const char* what) {
        if (value(total) && (value(read) || value(write)))
            fail(Code::invalid_arg, "total and read/write of {} cannot be set at the same time", what);
    };
    check(t.total_bytes_sec, t.read_bytes_sec, t.write_bytes_sec, "bytes_sec");
    check(t.total_iops_sec, t.read_iops_sec, t.write_iops_sec, "iops_sec");
    check(t.total_bytes_sec_max, t.read_bytes_sec_max, t.write_bytes_sec_max, "bytes_sec_max");
    check(t.total_iops_sec_max, t.read_iops_sec_max, t.write_iops_sec_max, "iops_sec_max");
}

void check_peaks(const IoTune& t) {
    const auto check = [](const auto& peak, const auto& usual, const char* name) {
        if (!value(peak)) return;
        if (!value(usual)) fail(Code::config_unsupported, "cannot reset '{}' when '{}_max' is set", name, name);
        if (value(peak) < value(usual)) fail(Code::config_unsupported, "value '{}_max' cannot be smaller than '{}'", name, name);
    };
    check(t.total_bytes_sec_max, t.total_bytes_sec, "total_bytes_sec");
    check(t.read_bytes_sec_max, t.read_bytes_sec, "read_bytes_sec");
    check(t.write_bytes_sec_max, t.write_bytes_sec, "write_bytes_sec");
    check(t.total_iops_sec_max, t.total_iops_sec, "total_iops_sec");
    check(t.read_iops_sec_max, t.read_iops_sec, "read_iops_sec");
    check(t.write_iops_sec_max, t.write_iops_sec, "write_iops_sec");
}

bool limits_anything(const IoTune& tune) {
    return std::ranges::any_of(tune_rows, [&](const auto& row) { return value(tune.*row.field) != 0; });
}

// A limit that was held for a time keeps at least a second when others of its family are set, as long as it is a limit at all.
struct LengthRow {
    std::optional<std::uint64_t> IoTune::*length, IoTune::*usual, IoTune::*peak;
};
constexpr LengthRow length_rows[] = {
    {&IoTune::total_bytes_sec_max_length, &IoTune::total_bytes_sec, &IoTune::total_bytes_sec_max},
    {&IoTune::read_bytes_sec_max_length, &IoTune::read_bytes_sec, &IoTune::read_bytes_sec_max},
    {&IoTune::write_bytes_sec_max_length, &IoTune::write_bytes_sec, &IoTune::write_bytes_sec_max},
    {&IoTune::total_iops_sec_max_length, &IoTune::total_iops_sec, &IoTune::total_iops_sec_max},
    {&IoTune::read_iops_sec_max_length, &IoTune::read_iops_sec, &IoTune::read_iops_sec_max},
    {&IoTune::write_iops_sec_max_length, &IoTune::write_iops_sec, &IoTune::write_iops_sec_max},
};

void keep_lengths(IoTune& fresh, const IoTune& old) {
    for (const auto& row : length_rows)
        if (value(old.*row.length) && !value(fresh.*row.length) && (value(fresh.*row.usual) || value(fresh.*row.peak)))
            fresh.*row.length = 1;
}

// What is given, over what was there; a disk that joins a group takes the group's limits.
IoTune merged(const IoTune& old, const Params& params) {
    IoTune fresh;
    std::set<int> given;
    for (const auto& row : tune_rows)
        if (param<std::uint64_t>(params, row.name)) given.insert(row.family);
    for (const auto& row : tune_rows) {
        const std::uint64_t now =
            given.contains(row.family) ? param<std::uint64_t>(params, row.name).value_or(0) : value(old.*row.field);
        if (now) fresh.*row.field = now;
    }
    keep_lengths(fresh, old);
    fresh.group_name = param<std::string>(params, group_name).value_or(old.group_name);
    return fresh;
}

const IoTune& present_tune(const xml::Domain& document, const xml::Disk& disk, const std::string& group) {
    static const IoTune none;
    if (!group.empty() && (!disk.iotune || disk.iotune->group_name != group))
        for (const auto& other : document.devices.disks)
            if (other.iotune && other.iotune->group_name == group) return *other.iotune;
    return disk.iotune ? *disk.iotune : none;
}

IoTune wanted_tune(const xml::Domain& document, const xml::Disk& disk, const Params& params) {
    const std::string group = param<std::string>(params, group_name).value_or("");
    IoTune tune = merged(present_tune(document, disk, group), params);
    if (limits_anything(tune)) return tune;
    if (!tune.group_name.empty() && (!disk.iotune || disk.iotune->group_name != tune.group_name))
        fail(Code::config_unsupported, "creating a new group/updating existing with all tune parameters zero is not supported");
    tune.group_name.clear();
    return tune;
}

// All disks of a group share its limits.
void put_tune(xml::Domain& document, const std::string& target, const IoTune& tune) {
    const auto set = [&](xml::Disk& disk) { disk.iotune = limits_anything(tune) ? std::optional(tune) : std::nullopt; };
    for (auto& disk : document.devices.disks) {
        const bool shares = !tune.group_name.empty() && disk.iotune && disk.iotune->group_name == tune.group_name;
        if (disk.target.dev == target || shares) set(disk);
    }
}

Task<> set_iotune(ClientPtr client, remote::DomainSetBlockIoTuneArgs args) {
    check_types(args.params);
    check_totals(merged({}, args.params));
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetBlockIoTune");
    const unsigned affect = domain->affect(args.flags);
    std::optional<xml::Domain> stored;
    if (wants_config(affect)) {
        stored = domain->definition().copy();
        const std::string target = stored->disk_target(args.disk);
        if (target.empty()) fail(Code::invalid_arg, "missing persistent configuration for disk '{}'", args.disk);
        put_tune(*stored, target, wanted_tune(*stored, stored->disk_source(target), args.params));
    }
    if (wants_live(affect)) {
        const std::string target = domain->live().disk_target(args.disk);
        if (target.empty()) fail(Code::invalid_arg, "disk '{}' not found in domain", args.disk);
        const IoTune tune = wanted_tune(domain->live(), domain->live().disk_source(target), args.params);
        check_peaks(tune);
        const auto machine = domain->shared_machine();
        co_await machine->limit_disk(target, tune);
        domain->require_active();
        put_tune(domain->live(), target, tune);
        domain->keep_status();
        Params news = {{"blkdeviotune.disk", args.disk}};
        for (const auto& row : tune_rows)
            if (const auto number = param<std::uint64_t>(args.params, row.name)) news.push_back({row.event, *number});
        if (const auto group = param<std::string>(args.params, group_name)) news.push_back({"blkdeviotune.group_name", *group});
        domain->emit_tunable(std::move(news));
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

remote::DomainGetBlockIoTuneRet get_iotune(Client& client, const remote::DomainGetBlockIoTuneArgs& args) {
    auto domain = find_domain(client, args.dom);
    const unsigned affect = domain->affect_one(args.flags);
    const auto document = document_of(*domain, affect);
    const std::string path = args.disk.value_or("");
    remote::DomainGetBlockIoTuneRet ret;
    if (args.nparams == 0) {
        ret.nparams = static_cast<std::int32_t>(std::size(tune_rows) + 1);
        return ret;
    }
    const std::string target = document->disk_target(path);
    const bool live = wants_live(affect);
    if (target.empty() && live) fail(Code::invalid_arg, "disk '{}' not found in domain", path);
    if (target.empty()) fail(Code::invalid_arg, "disk '{}' was not found in the domain config", path);
    const auto& disk = document->disk_source(target);
    if (live && disk.source.empty()) fail(Code::internal_error, "block_io_throttle inserted entry was not in expected format");
    const IoTune tune = disk.iotune.value_or(IoTune{});
    for (const auto& row : tune_rows) {
        ret.params.push_back({row.name, value(tune.*row.field)});
        if (row.field == &IoTune::size_iops_sec) ret.params.push_back({group_name, tune.group_name});
    }
    cut_params(ret.params, args.nparams, ret.nparams);
    return ret;
}

// ---- bandwidth of one card ----

struct RateRow {
    const char* name;
    std::optional<xml::BandwidthRate> xml::Bandwidth::* side;
    std::optional<xml::Rate> xml::BandwidthRate::* field;
};
constexpr RateRow rate_rows[] = {
    {"inbound.average", &xml::Bandwidth::inbound, &xml::BandwidthRate::average},
    {"inbound.peak", &xml::Bandwidth::inbound, &xml::BandwidthRate::peak},
    {"inbound.burst", &xml::Bandwidth::inbound, &xml::BandwidthRate::burst},
    {"inbound.floor", &xml::Bandwidth::inbound, &xml::BandwidthRate::floor},
    {"outbound.average", &xml::Bandwidth::outbound, &xml::BandwidthRate::average},
    {"outbound.peak", &xml::Bandwidth::outbound, &xml::BandwidthRate::peak},
    {"outbound.burst", &xml::Bandwidth::outbound, &xml::BandwidthRate::burst},
};

// By the name of its tap or by its MAC address.
template<class Document> auto* find_card(Document& document, const std::string& device) {
    const auto mac = xml::MacAddress::parse(device);
    for (auto& nic : document.devices.interfaces)
        if ((mac && nic.mac.address == mac) || (!device.empty() && nic.target.dev == device)) return &nic;
    fail(From::domain, Code::invalid_arg, "'{}' is not a known interface", device);
}

// Of a card that is a device of the host.
void check_bandwidth(const xml::Nic& nic) {
    using enum xml::NicType;
    if (nic.type == network || nic.type == bridge || nic.type == direct || nic.type == ethernet) return;
    fail(Code::config_unsupported, "bandwidth of interfaces of type '{}' cannot be set: they have no device on this host",
         word(nic.type));
}

void change_rates(std::optional<xml::Bandwidth>& bandwidth, const Params& params) {
    xml::Bandwidth wanted = bandwidth.value_or(xml::Bandwidth{});
    for (auto side : {&xml::Bandwidth::inbound, &xml::Bandwidth::outbound}) {
        const bool given = std::ranges::any_of(
            rate_rows, [&](const auto& row) { return row.side == side && param<std::uint32_t>(params, row.name); });
        if (given) wanted.*side = xml::BandwidthRate{};
    }
    for (const auto& row : rate_rows)
        if (const auto rate = param<std::uint32_t>(params, row.name); rate && *rate)
            (*(wanted.*row.side)).*row.field = xml::Rate{*rate};
    for (auto side : {&xml::Bandwidth::inbound, &xml::Bandwidth::outbound})
        if (wanted.*side && !(*(wanted.*side)).average && !(*(wanted.*side)).floor) (wanted.*side).reset();
    bandwidth = wanted.inbound || wanted.outbound ? std::optional(wanted) : std::nullopt;
}

// All of it, or what was before.
Task<> limit_card(DomainPtr domain, xml::Nic nic, std::optional<xml::Bandwidth> wanted) {
    Host& host = domain->hypervisor().host();
    const auto before = std::exchange(nic.actual_bandwidth(), wanted);
    const std::string tap = nic.target.dev;
    co_await settle_promise(host, domain->live(), nic);
    co_await drivers::clear_bandwidth(tap);
    std::exception_ptr failure;
    try {
        if (wanted) co_await drivers::set_bandwidth(tap, *wanted);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    nic.actual_bandwidth() = before;
    co_await settle_promise(host, domain->live(), nic);
    if (before) co_await drivers::set_bandwidth(tap, *before);
    std::rethrow_exception(failure);
}

Task<> set_interface(ClientPtr client, remote::DomainSetInterfaceParametersArgs args) {
    check_params(args.params, {{"inbound.average", ParamType::uint},
                               {"inbound.peak", ParamType::uint},
                               {"inbound.burst", ParamType::uint},
                               {"inbound.floor", ParamType::uint},
                               {"outbound.average", ParamType::uint},
                               {"outbound.peak", ParamType::uint},
                               {"outbound.burst", ParamType::uint}});
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetInterfaceParameters");
    const unsigned affect = domain->affect(args.flags);
    std::optional<xml::Domain> stored;
    if (wants_config(affect)) {
        stored = domain->definition().copy();
        xml::Nic& nic = *find_card(*stored, args.device);
        check_bandwidth(nic);
        change_rates(nic.bandwidth, args.params);
    }
    if (wants_live(affect)) {
        xml::Nic nic = *find_card(domain->live(), args.device);
        check_bandwidth(nic);
        auto wanted = nic.actual_bandwidth();
        change_rates(wanted, args.params);
        co_await limit_card(domain, std::move(nic), wanted);
        domain->require_active();
        find_card(domain->live(), args.device)->actual_bandwidth() = wanted;
        domain->keep_status();
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

remote::DomainGetInterfaceParametersRet get_interface(Client& client, const remote::DomainGetInterfaceParametersArgs& args) {
    auto domain = find_domain(client, args.dom);
    const auto document = document_of(*domain, domain->affect_one(args.flags));
    remote::DomainGetInterfaceParametersRet ret;
    if (args.nparams == 0) {
        ret.nparams = static_cast<std::int32_t>(std::size(rate_rows));
        return ret;
    }
    const auto& nic = *find_card(*document, args.device);
    for (const auto& row : rate_rows) {
        std::uint32_t rate = 0;
        const xml::Bandwidth bandwidth = nic.actual_bandwidth().value_or(xml::Bandwidth{});
        if (const auto& side = bandwidth.*row.side)
            if (const auto& given = (*side).*row.field) rate = static_cast<std::uint32_t>(given->value);
        ret.params.push_back({row.name, rate});
    }
    cut_params(ret.params, args.nparams, ret.nparams);
    return ret;
}

// ---- how full a disk may get before somebody is told ----

Task<> set_threshold(ClientPtr client, remote::DomainSetBlockThresholdArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetBlockThreshold");
    domain->require_active();
    const auto machine = domain->shared_machine();
    co_await machine->set_block_threshold(args.dev, args.threshold);
}

Task<> block_resize(ClientPtr client, remote::DomainBlockResizeArgs args) {
    std::uint64_t bytes = args.size;
    if (!(args.flags & api::domain_block_resize_bytes)) {
        if (bytes > ~std::uint64_t{0} / 1024)
            fail(From::none, Code::overflow, "size must be less than {}", ~std::uint64_t{0} / 1024);
        bytes *= 1024;
    }
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainBlockResize");
    domain->require_active();
    const std::string target = domain->live().disk_target(args.disk);
    if (target.empty()) fail(Code::invalid_arg, "disk '{}' was not found in the domain config", args.disk);
    const auto machine = domain->shared_machine();
    co_await machine->resize_disk(target, bytes);
}

constexpr Method table[] = {
    on<remote::DomainSetBlockIoTuneCall, set_iotune>(),
    on<remote::DomainGetBlockIoTuneCall, get_iotune>(),
    on<remote::DomainSetInterfaceParametersCall, set_interface>(),
    on<remote::DomainGetInterfaceParametersCall, get_interface>(),
    on<remote::DomainSetBlockThresholdCall, set_threshold>(),
    on<remote::DomainBlockResizeCall, block_resize>(),
};

} // namespace

const MethodTable methods::domain_disk_limits = table;

} // namespace lodge::daemon
