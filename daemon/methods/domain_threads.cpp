// Calls about a domain's threads: on which CPUs they run, and which I/O threads there are.
#include "daemon/cpu_maps.hpp"
#include "daemon/lookup.hpp"
#include "daemon/retune.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;

// ---- which CPUs ----

// A pin to all CPUs of the host is one all the same: it holds when the document's own set changes.
template<class Pin> void set_pin(std::vector<Pin>& pins, unsigned Pin::* number, unsigned wanted, const std::string& cpus) {
    auto pin = std::ranges::find(pins, wanted, number);
    if (pin == pins.end()) {
        pin = std::ranges::find_if(pins, [&](const Pin& other) { return other.*number > wanted; });
        Pin fresh;
        fresh.*number = wanted;
        pin = pins.insert(pin, fresh);
    }
    pin->cpuset = cpus;
}

xml::CpuTune& cputune_of(xml::Domain& document) { return document.cputune ? *document.cputune : document.cputune.emplace(); }

xml::NumberSet usual_cpus(const xml::Domain& document) {
    if (document.vcpu && !document.vcpu->cpuset.empty())
        return xml::parse_number_set(document.vcpu->cpuset).value_or(xml::NumberSet{});
    return drivers::online_cpus();
}

Task<> pin_vcpu(ClientPtr client, remote::NonnullDomain named, unsigned vcpu, rpc::Opaque map, unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainPinVcpu");
    const unsigned affect = domain->affect(flags);
    if (wants_config(affect) && vcpu >= domain->definition().document()->max_vcpus())
        fail(Code::invalid_arg, "vcpu {} is out of range of persistent cpu count {}", vcpu,
             domain->definition().document()->online_vcpus());
    const auto cpus = read_cpu_map(map, "cpu");
    if (wants_live(affect) && vcpu >= domain->live().max_vcpus())
        fail(Code::invalid_arg, "vcpu {} is out of range of live cpu count {}", vcpu, domain->live().max_vcpus());
    const std::string text = xml::format_number_set(cpus);
    co_await retune(domain, affect,
                    [&](xml::Domain& document) { set_pin(cputune_of(document).vcpu_pins, &xml::VcpuPin::vcpu, vcpu, text); });
    tell_tunable(*domain, affect, {{fmt::format("cputune.vcpupin{}", vcpu), text}});
}
Task<> pin_vcpu_plain(ClientPtr client, remote::DomainPinVcpuArgs args) {
    co_await pin_vcpu(client, args.dom, args.vcpu, std::move(args.cpumap), api::domain_affect_live);
}
Task<> pin_vcpu_flags(ClientPtr client, remote::DomainPinVcpuFlagsArgs args) {
    co_await pin_vcpu(client, args.dom, args.vcpu, std::move(args.cpumap), args.flags);
}

remote::DomainGetVcpuPinInfoRet vcpu_pins(Client& client, const remote::DomainGetVcpuPinInfoArgs& args) {
    auto domain = find_domain(client, args.dom);
    const auto document = document_of(*domain, domain->affect(args.flags));
    const auto count = std::min<std::size_t>(document->max_vcpus(), static_cast<std::size_t>(std::max(args.ncpumaps, 0)));
    const auto length = static_cast<std::size_t>(std::max(args.maplen, 0));
    remote::DomainGetVcpuPinInfoRet ret;
    ret.cpumaps.resize(count * length);
    ret.num = static_cast<std::int32_t>(count);
    const auto usual = usual_cpus(*document);
    for (std::size_t vcpu = 0; vcpu < count; ++vcpu) {
        xml::NumberSet cpus = usual;
        if (document->cputune)
            for (const auto& pin : document->cputune->vcpu_pins)
                if (pin.vcpu == vcpu) cpus = xml::parse_number_set(pin.cpuset).value_or(usual);
        write_cpu_map(ret.cpumaps, vcpu * length, length, cpus);
    }
    return ret;
}

Task<> pin_emulator(ClientPtr client, remote::DomainPinEmulatorArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainPinEmulator");
    const unsigned affect = domain->affect(args.flags);
    const std::string text = xml::format_number_set(read_cpu_map(args.cpumap, "cpu"));
    co_await retune(domain, affect, [&](xml::Domain& document) { cputune_of(document).emulator_pin = xml::EmulatorPin{text}; });
    tell_tunable(*domain, affect, {{"cputune.emulatorpin", text}});
}

remote::DomainGetEmulatorPinInfoRet emulator_pin(Client& client, const remote::DomainGetEmulatorPinInfoArgs& args) {
    auto domain = find_domain(client, args.dom);
    const auto document = document_of(*domain, domain->affect(args.flags));
    auto cpus = usual_cpus(*document);
    if (document->cputune && document->cputune->emulator_pin)
        cpus = xml::parse_number_set(document->cputune->emulator_pin->cpuset).value_or(cpus);
    remote::DomainGetEmulatorPinInfoRet ret;
    ret.cpumaps.resize(static_cast<std::size_t>(std::max(args.maplen, 0)));
    write_cpu_map(ret.cpumaps, 0, ret.cpumaps.size(), cpus);
    ret.ret = 1;
    return ret;
}

// ---- I/O threads ----

bool has_iothread(const xml::Domain& document, unsigned id) {
    return std::ranges::any_of(document.iothread_ids, [&](const auto& thread) { return thread.id == id; });
}

// A plain count stands for the threads 1 to n.
void spell_out(xml::Domain& document) {
    for (unsigned id = 1; document.iothread_ids.size() < document.iothreads.value_or(0); ++id)
        if (!has_iothread(document, id)) document.iothread_ids.push_back({id, {}, {}});
}

void add_iothread(xml::Domain& document, unsigned id) {
    spell_out(document);
    if (has_iothread(document, id)) fail(From::domain, Code::invalid_arg, "an IOThread is already using iothread_id '{}'", id);
    document.iothread_ids.push_back({id, {}, {}});
    document.iothreads = static_cast<unsigned>(document.iothread_ids.size());
}

void delete_iothread(xml::Domain& document, unsigned id) {
    spell_out(document);
    if (!has_iothread(document, id)) fail(From::domain, Code::invalid_arg, "cannot find IOThread '{}' in iothreadids list", id);
    for (const auto& disk : document.devices.disks)
        if (disk.driver.iothread == id)
            fail(Code::invalid_arg, "cannot remove IOThread {} since it is being used by disk '{}'", id, disk.target.dev);
    for (const auto& controller : document.devices.controllers)
        if (controller.driver.iothread == id)
            fail(Code::invalid_arg, "cannot remove IOThread '{}' since it is being used by controller", id);
    std::erase_if(document.iothread_ids, [&](const auto& thread) { return thread.id == id; });
    document.iothreads = static_cast<unsigned>(document.iothread_ids.size());
    if (document.iothread_ids.empty()) document.iothreads.reset();
    if (document.cputune) {
        std::erase_if(document.cputune->iothread_pins, [&](const auto& pin) { return pin.iothread == id; });
        std::erase_if(document.cputune->iothread_scheds,
                      [&](const auto& sched) { return sched.iothreads == std::to_string(id); });
    }
}

Task<> add_iothread_call(ClientPtr client, remote::DomainAddIothreadArgs args) {
    if (args.iothread_id == 0) fail(Code::invalid_arg, "invalid value of 0 for iothread_id");
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainAddIOThread");
    const unsigned affect = domain->affect(args.flags);
    co_await change_both(
        domain, affect, [&](xml::Domain& document) { add_iothread(document, args.iothread_id); },
        [&](drivers::Machine& machine) { return machine.add_iothread(args.iothread_id); });
    if (wants_live(affect)) {
        const auto machine = domain->shared_machine();
        co_await machine->tune(domain->current());
    }
}

Task<> delete_iothread_call(ClientPtr client, remote::DomainDelIothreadArgs args) {
    if (args.iothread_id == 0) fail(Code::invalid_arg, "invalid value of 0 for iothread_id");
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainDelIOThread");
    co_await change_both(
        domain, domain->affect(args.flags), [&](xml::Domain& document) { delete_iothread(document, args.iothread_id); },
        [&](drivers::Machine& machine) { return machine.delete_iothread(args.iothread_id); });
}

constexpr std::pair<const char*, const char*> iothread_rows[] = {{"poll_max_ns", "poll-max-ns"},
                                                                 {"poll_grow", "poll-grow"},
                                                                 {"poll_shrink", "poll-shrink"},
                                                                 {"thread_pool_max", "thread-pool-max"},
                                                                 {"thread_pool_min", "thread-pool-min"}};

std::int64_t number_of(const rpc::TypedParam& one) {
    return std::visit(
        []<class T>(const T& value) -> std::int64_t {
            if constexpr (std::is_arithmetic_v<T>)
                return static_cast<std::int64_t>(value);
            else
                return 0;
        },
        one.value);
}

void check_iothread_params(const Params& params) {
    check_params(params, {{"poll_max_ns", ParamType::ullong},
                          {"poll_grow", ParamType::uint},
                          {"poll_shrink", ParamType::uint},
                          {"thread_pool_min", ParamType::int_},
                          {"thread_pool_max", ParamType::int_}});
    constexpr std::int64_t most = 2'147'483'647;
    for (const auto& one : params) {
        const std::int64_t value = number_of(one);
        if (one.field == "thread_pool_min" && value < -1)
            fail(Code::config_unsupported, "thread_pool_min ({}) must be equal to or greater than -1", value);
        if (one.field == "thread_pool_max" && (value < -1 || value == 0))
            fail(Code::config_unsupported, "thread_pool_max ({}) must be a positive number or -1", value);
        if (one.field == "poll_max_ns" && (value > most || value < 0))
            fail(Code::config_unsupported, "poll-max-ns ({}) must be less than or equal to {}", value, most);
        if (one.field == "poll_grow" && value > most)
            fail(Code::config_unsupported, "poll-grow ({}) must be less than or equal to {}", value, most);
        if (one.field == "poll_shrink" && value > most)
            fail(Code::config_unsupported, "poll-shrink ({}) must be less than or equal to {}", value, most);
    }
}

void change_iothread(xml::Domain& document, unsigned id, const Params& params) {
    spell_out(document);
    const auto thread = std::ranges::find(document.iothread_ids, id, &xml::IoThread::id);
    if (thread == document.iothread_ids.end()) fail(Code::invalid_arg, "cannot find IOThread '{}' in iothreadids", id);
    const auto value = [](std::int32_t given) { return given < 0 ? std::nullopt : std::optional<int>(given); };
    if (const auto least = param<std::int32_t>(params, "thread_pool_min")) thread->thread_pool_min = value(*least);
    if (const auto most = param<std::int32_t>(params, "thread_pool_max")) thread->thread_pool_max = value(*most);
    if (thread->thread_pool_min && thread->thread_pool_max && *thread->thread_pool_min > *thread->thread_pool_max)
        fail(Code::operation_invalid, "thread_pool_min ({}) can't be greater than thread_pool_max ({})", *thread->thread_pool_min,
             *thread->thread_pool_max);
}

Task<> set_iothread(ClientPtr client, remote::DomainSetIothreadParamsArgs args) {
    if (args.iothread_id == 0) fail(Code::invalid_arg, "invalid value of 0 for iothread_id");
    check_iothread_params(args.params);
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetIOThreadParams");
    const unsigned affect = domain->affect(args.flags);
    const bool polls = std::ranges::any_of(args.params, [](const auto& one) { return one.field.starts_with("poll_"); });
    if (wants_config(affect) && polls)
        fail(Code::operation_unsupported, "configuring persistent polling values is not supported");
    std::map<std::string, std::int64_t> values;
    for (const auto& one : args.params)
        for (const auto& [name, property] : iothread_rows)
            if (one.field == name && number_of(one) >= 0) values[property] = number_of(one);
    co_await change_both(
        domain, affect, [&](xml::Domain& document) { change_iothread(document, args.iothread_id, args.params); },
        [&](drivers::Machine& machine) { return machine.set_iothread(args.iothread_id, values); });
}

Task<> pin_iothread(ClientPtr client, remote::DomainPinIothreadArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainPinIOThread");
    const unsigned affect = domain->affect(args.flags);
    const std::string text = xml::format_number_set(read_cpu_map(args.cpumap, "iothread cpumap"));
    const auto check = [&](const xml::Domain& document, const char* what) {
        xml::Domain spelled = document;
        spell_out(spelled);
        if (!has_iothread(spelled, args.iothreads_id)) fail(Code::invalid_arg, "{} {} not found", what, args.iothreads_id);
    };
    if (wants_live(affect)) check(domain->live(), "iothread");
    if (wants_config(affect)) check(*domain->definition().document(), "iothreadid");
    co_await retune(domain, affect, [&](xml::Domain& document) {
        set_pin(cputune_of(document).iothread_pins, &xml::IoThreadPin::iothread, args.iothreads_id, text);
    });
    tell_tunable(*domain, affect, {{fmt::format("cputune.iothreadpin{}", args.iothreads_id), text}});
}

Task<remote::DomainGetIothreadInfoRet> iothread_info(ClientPtr client, remote::DomainGetIothreadInfoArgs args) {
    auto domain = find_domain(*client, args.dom);
    remote::DomainGetIothreadInfoRet ret;
    if (wants_live(domain->affect(args.flags))) {
        const auto machine = domain->shared_machine();
        for (const auto& thread : co_await machine->iothreads()) ret.info.push_back({thread.id, cpu_map_of(thread.cpus)});
    } else {
        xml::Domain document = domain->definition().copy();
        spell_out(document);
        const auto usual = usual_cpus(document);
        for (const auto& thread : document.iothread_ids) {
            auto cpus = usual;
            if (document.cputune)
                for (const auto& pin : document.cputune->iothread_pins)
                    if (pin.iothread == thread.id) cpus = xml::parse_number_set(pin.cpuset).value_or(usual);
            ret.info.push_back({thread.id, cpu_map_of(cpus)});
        }
    }
    ret.ret = static_cast<std::uint32_t>(ret.info.size());
    co_return ret;
}

constexpr Method table[] = {
    on<remote::DomainPinVcpuCall, pin_vcpu_plain>(),           on<remote::DomainPinVcpuFlagsCall, pin_vcpu_flags>(),
    on<remote::DomainGetVcpuPinInfoCall, vcpu_pins>(),         on<remote::DomainPinEmulatorCall, pin_emulator>(),
    on<remote::DomainGetEmulatorPinInfoCall, emulator_pin>(),  on<remote::DomainAddIothreadCall, add_iothread_call>(),
    on<remote::DomainDelIothreadCall, delete_iothread_call>(), on<remote::DomainSetIothreadParamsCall, set_iothread>(),
    on<remote::DomainPinIothreadCall, pin_iothread>(),         on<remote::DomainGetIothreadInfoCall, iothread_info>(),
};

} // namespace

const MethodTable methods::domain_threads = table;

} // namespace lodge::daemon
