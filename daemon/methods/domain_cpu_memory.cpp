// Calls that change how many CPUs and how much memory a domain has.
#include "daemon/change.hpp"
#include "daemon/lookup.hpp"
#include "xml/domain/vcpus.hpp"
#include <nlohmann/json.hpp>

namespace lodge::daemon {

namespace {

using nlohmann::json;
using rpc::fail;

constexpr unsigned affect_flags = api::domain_affect_live | api::domain_affect_config;

// ---- memory ----

// Memory that devices bring is theirs; the rest is what <memory> can say.
std::uint64_t plugged_kib(const xml::Domain& document) {
    std::uint64_t kib = 0;
    for (const auto& memory : document.devices.memories) kib += memory.target.size;
    return kib;
}

void set_maximum(xml::Domain& document, std::uint64_t kib) {
    if (document.cpu && !document.cpu->cells.empty())
        fail(Code::operation_invalid, "initial memory size of a domain with NUMA nodes cannot be modified with this API");
    if (document.max_memory && document.max_memory->size < kib)
        fail(Code::operation_invalid, "cannot set initial memory size greater than the maximum memory size");
    document.set_total_memory_kib(kib + plugged_kib(document));
    if (document.current_memory && document.current_memory->value > kib) document.current_memory = xml::Kibibytes{kib};
}

void check_current(const std::shared_ptr<const xml::Domain>& document, std::uint64_t kib) {
    if (document && kib > document->total_memory_kib()) fail(Code::invalid_arg, "cannot set memory higher than max memory");
}

Task<> set_memory(ClientPtr client, remote::NonnullDomain named, std::uint64_t kib, unsigned flags) {
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainSetMemory");
    const unsigned affect = domain->affect(flags & affect_flags);
    const bool maximum = flags & api::domain_mem_maximum;
    if (maximum && wants_live(affect)) fail(Code::operation_invalid, "cannot resize the maximum memory on an active domain");
    if (!maximum && wants_config(affect)) check_current(domain->definition().document(), kib);
    if (!maximum && wants_live(affect)) {
        check_current(domain->current(), kib);
        const auto& balloon = domain->live().devices.memballoon;
        if (!balloon || balloon->model == xml::BalloonModel::none)
            fail(Code::operation_invalid, "Unable to change memory of active domain without the balloon device and guest OS "
                                          "balloon driver");
        const auto machine = domain->shared_machine();
        co_await machine->set_balloon(kib);
    }
    // The live document follows when the guest has done its part.
    if (wants_config(affect))
        co_await change_documents(domain, api::domain_affect_config, [&](xml::Domain& document) {
            if (maximum)
                set_maximum(document, kib);
            else
                document.current_memory = xml::Kibibytes{kib};
        });
}
Task<> set_memory_plain(ClientPtr client, remote::DomainSetMemoryArgs args) {
    co_await set_memory(client, args.dom, args.memory, api::domain_affect_live);
}
Task<> set_memory_flags(ClientPtr client, remote::DomainSetMemoryFlagsArgs args) {
    co_await set_memory(client, args.dom, args.memory, args.flags);
}
Task<> set_max_memory(ClientPtr client, remote::DomainSetMaxMemoryArgs args) {
    auto domain = find_domain(*client, args.dom);
    const unsigned affect = domain->is_active() ? api::domain_affect_live : api::domain_affect_config;
    co_await set_memory(client, args.dom, args.memory, affect | api::domain_mem_maximum);
}

Task<> set_stats_period(ClientPtr client, remote::DomainSetMemoryStatsPeriodArgs args) {
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetMemoryStatsPeriod");
    if (args.period < 0) fail(Code::invalid_arg, "invalid value for collection period: {}", args.period);
    const unsigned affect = domain->affect(args.flags);
    const auto period = static_cast<unsigned>(args.period);
    const auto has_balloon = [](const xml::Domain& document) {
        const auto& balloon = document.devices.memballoon;
        return balloon &&
               (balloon->model == xml::BalloonModel::virtio || balloon->model == xml::BalloonModel::virtio_transitional ||
                balloon->model == xml::BalloonModel::virtio_non_transitional);
    };
    if (wants_live(affect) && !has_balloon(domain->live()))
        fail(Code::internal_error, "No memory balloon device configured, can not set the collection period");
    if (wants_config(affect) && !has_balloon(*domain->definition().document()))
        fail(Code::operation_invalid, "No memory balloon device configured, can not set the collection period");
    co_await change_both(
        domain, affect,
        [period](xml::Domain& document) {
            auto& stats = document.devices.memballoon->stats_period;
            stats = period ? std::optional(period) : std::nullopt;
        },
        [period](drivers::Machine& machine) { return machine.set_balloon_period(period); });
}

// ---- CPUs, as the guest's agent sees them ----

json agent_return(const std::string& answer) {
    const json reply = json::parse(answer, nullptr, false);
    if (!reply.is_object() || !reply.contains("return"))
        fail(Code::internal_error, "unable to execute QEMU agent command: {}",
             reply.is_object() && reply.contains("error") ? reply["error"].value("desc", "") : answer);
    return reply["return"];
}

Task<json> agent_vcpus(DomainPtr domain) {
    domain->require_active();
    const auto machine = domain->shared_machine();
    co_return agent_return(co_await machine->agent_command(R"({"execute":"guest-get-vcpus"})", std::chrono::seconds(5)));
}

Task<> tell_agent(DomainPtr domain, json vcpus) {
    if (vcpus.empty()) co_return;
    const auto machine = domain->shared_machine();
    const json order = {{"execute", "guest-set-vcpus"}, {"arguments", {{"vcpus", vcpus}}}};
    const json done = agent_return(co_await machine->agent_command(order.dump(), std::chrono::seconds(5)));
    if (done.is_number() && done.get<std::size_t>() < vcpus.size())
        fail(Code::internal_error, "failed to set state of cpu {} via guest agent",
             vcpus[done.get<std::size_t>()].value("logical-id", 0));
}

// Of a guest that is off, changes are refused in the driver's name.
void require_guest(const Domain& domain) {
    if (!domain.is_active()) fail(Code::operation_invalid, "domain is not running");
}

// Those with the highest numbers go first, those with the lowest come first.
Task<> set_guest_count(DomainPtr domain, unsigned count) {
    require_guest(*domain);
    const json all = co_await agent_vcpus(domain);
    unsigned online = 0;
    for (const auto& vcpu : all) online += vcpu.value("online", false);
    if (count > all.size())
        fail(Code::invalid_arg, "requested vcpu count is greater than the count of enabled vcpus in the domain: {} > {}", count,
             all.size());
    json changes = json::array();
    for (std::size_t i = 0; i < all.size() && online < count; ++i) {
        if (all[i].value("online", false)) continue;
        changes.push_back({{"logical-id", all[i].at("logical-id")}, {"online", true}});
        ++online;
    }
    for (std::size_t i = all.size(); i-- > 0 && online > count;) {
        if (!all[i].value("online", false) || !all[i].value("can-offline", false)) continue;
        changes.push_back({{"logical-id", all[i].at("logical-id")}, {"online", false}});
        --online;
    }
    if (online != count) fail(Code::internal_error, "Cannot offline enough CPUs");
    co_await tell_agent(domain, changes);
}

std::string set_text(const xml::NumberSet& numbers) { return xml::format_number_set(numbers); }

Task<remote::DomainGetGuestVcpusRet> get_guest_vcpus(ClientPtr client, remote::DomainGetGuestVcpusArgs args) {
    auto domain = find_domain(*client, args.dom);
    xml::NumberSet all, online, movable;
    for (const json vcpus = co_await agent_vcpus(domain); const auto& vcpu : vcpus) {
        const unsigned id = vcpu.value("logical-id", 0u);
        all.insert(id);
        if (vcpu.value("online", false)) online.insert(id);
        if (vcpu.value("can-offline", false)) movable.insert(id);
    }
    remote::DomainGetGuestVcpusRet ret;
    ret.params.push_back({"vcpus", set_text(all)});
    ret.params.push_back({"online", set_text(online)});
    ret.params.push_back({"offlinable", set_text(movable)});
    co_return ret;
}

Task<> set_guest_vcpus(ClientPtr client, remote::DomainSetGuestVcpusArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (args.state != 0 && args.state != 1) fail(Code::invalid_arg, "unsupported state value");
    const auto wanted = xml::parse_number_set(args.cpumap);
    if (!wanted) fail(rpc::from_nobody, Code::invalid_arg, "Failed to parse bitmap '{}'", args.cpumap);
    auto job = co_await domain->acquire("virDomainSetGuestVcpus");
    require_guest(*domain);
    xml::NumberSet left = *wanted;
    json changes = json::array();
    for (const json all = co_await agent_vcpus(domain); const auto& vcpu : all) {
        const unsigned id = vcpu.value("logical-id", 0u);
        if (!left.erase(id)) continue;
        if (args.state == 0 && !vcpu.value("can-offline", false))
            fail(Code::operation_unsupported, "vCPU '{}' is not offlinable", id);
        if (vcpu.value("online", false) != (args.state == 1))
            changes.push_back({{"logical-id", id}, {"online", args.state == 1}});
    }
    if (!left.empty()) fail(Code::invalid_arg, "guest is missing vCPUs '{}'", set_text(left));
    co_await tell_agent(domain, changes);
}

// ---- CPUs, as the machine has them ----

// The live document says of each CPU whether it is there, may go, and in which order they came.
Task<> learn_places(DomainPtr domain) {
    const auto machine = domain->shared_machine();
    const auto places = co_await machine->vcpu_places();
    domain->require_active();
    auto entries = xml::vcpu_entries(domain->live());
    unsigned last = 0;
    for (const auto& entry : entries) last = std::max(last, entry.order.value_or(0));
    for (std::size_t id = 0; id < entries.size() && id < places.size(); ++id) {
        auto& entry = entries[id];
        entry.enabled = places[id].there;
        entry.hotpluggable = xml::YesNo(places[id].movable);
        if (!places[id].there)
            entry.order.reset();
        else if (!entry.order)
            entry.order = ++last;
    }
    xml::set_vcpu_entries(domain->live(), std::move(entries), true);
    domain->keep_status();
}

Task<> move_vcpus(DomainPtr domain, std::vector<unsigned> ids, bool there) {
    std::exception_ptr failure;
    const auto machine = domain->shared_machine();
    try {
        for (const unsigned id : ids) co_await machine->set_vcpu(id, there);
    } catch (...) {
        failure = std::current_exception();
    }
    if (domain->is_active()) co_await learn_places(domain);
    if (failure) std::rethrow_exception(failure);
}

std::vector<unsigned> choose(const std::vector<drivers::VcpuPlace>& places, unsigned count) {
    unsigned now = 0;
    for (const auto& place : places) now += place.there;
    std::vector<unsigned> ids;
    for (unsigned id = 0; id < places.size() && now < count; ++id)
        if (!places[id].there) ids.push_back(id), ++now;
    for (unsigned id = static_cast<unsigned>(places.size()); id-- > 0 && now > count;)
        if (places[id].there && places[id].movable) ids.push_back(id), --now;
    if (now != count)
        fail(Code::config_unsupported, "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count");
    return ids;
}

void check_count(const xml::Domain& document, unsigned count, const char* which) {
    if (count > document.max_vcpus())
        fail(Code::invalid_arg, "requested vcpus is greater than max allowable vcpus for the {} domain: {} > {}", which, count,
             document.max_vcpus());
}

void set_maximum_vcpus(xml::Domain& document, unsigned count) {
    unsigned in_cells = 0;
    if (document.cpu)
        for (const auto& cell : document.cpu->cells)
            if (const auto cpus = xml::parse_number_set(cell.cpus)) in_cells += static_cast<unsigned>(cpus->size());
    if (in_cells > count) fail(Code::invalid_arg, "Number of CPUs in <numa> exceeds the desired maximum vcpu count");
    if (document.cpu && document.cpu->topology) {
        const auto& t = *document.cpu->topology;
        if (t.sockets * t.dies.value_or(1) * t.cores * t.threads != count)
            fail(Code::invalid_arg, "CPU topology doesn't match the desired vcpu count");
    }
    for (auto& vcpu : document.vcpus) vcpu.order.reset();
    std::erase_if(document.vcpus, [&](const auto& vcpu) { return vcpu.id >= count; });
    document.set_max_vcpus(count);
}

Task<> set_count(ClientPtr client, remote::NonnullDomain named, unsigned count, unsigned flags) {
    if ((flags & api::domain_vcpu_guest) && (flags & (api::domain_vcpu_maximum | api::domain_affect_config)))
        fail(Code::invalid_arg, "unsupported flags (0x{:x}) in function virDomainSetVcpusFlags", flags);
    auto domain = find_domain(*client, named);
    auto job = co_await domain->acquire("virDomainSetVcpus");
    if (count == 0) fail(From::domain, Code::invalid_arg, "nvcpus in virDomainSetVcpusFlags must not be zero");
    if (flags & api::domain_vcpu_guest) co_return co_await set_guest_count(domain, count);
    const unsigned affect = domain->affect(flags & affect_flags);
    if (flags & api::domain_vcpu_maximum) {
        if (wants_live(affect)) fail(Code::operation_unsupported, "maximum vcpu count of a live domain can't be modified");
        co_return co_await change_documents(domain, affect, [&](xml::Domain& document) { set_maximum_vcpus(document, count); });
    }
    if (wants_live(affect)) check_count(domain->live(), count, "live");
    if (wants_config(affect)) check_count(*domain->definition().document(), count, "persistent");
    if (wants_live(affect)) {
        const auto machine = domain->shared_machine();
        const bool more = count > domain->live().online_vcpus();
        auto ids = choose(co_await machine->vcpu_places(), count);
        if (!ids.empty()) co_await move_vcpus(domain, std::move(ids), more);
    }
    if (wants_config(affect))
        co_await change_documents(domain, api::domain_affect_config, [&](xml::Domain& document) {
            xml::set_vcpu_count(document, count, (flags & api::domain_vcpu_hotpluggable) != 0);
        });
}
Task<> set_vcpus_flags(ClientPtr client, remote::DomainSetVcpusFlagsArgs args) {
    co_await set_count(client, args.dom, args.nvcpus, args.flags);
}
Task<> set_vcpus(ClientPtr client, remote::DomainSetVcpusArgs args) {
    co_await set_count(client, args.dom, args.nvcpus, api::domain_affect_live);
}

// Exactly one CPU of the running guest at a time: what a second one's failure left would be hard to explain.
unsigned one_of(const xml::NumberSet& ids, const std::vector<drivers::VcpuPlace>& places, bool there) {
    for (const unsigned id : ids) {
        if (id >= places.size()) continue;
        if (places[id].there == there) fail(Code::invalid_arg, "vcpu '{}' is already in requested state", id);
        if (places[id].there && !places[id].movable) fail(Code::invalid_arg, "vcpu '{}' can't be hotunplugged", id);
    }
    if (ids.size() != 1) fail(Code::operation_unsupported, "only one hotpluggable entity can be selected");
    return *ids.begin();
}

void check_stored(const xml::Domain& document, const xml::NumberSet& ids) {
    if (ids.contains(0)) fail(Code::invalid_arg, "vCPU '0' can't be modified");
    const unsigned first = *ids.begin();
    const auto entries = xml::vcpu_entries(document);
    for (unsigned id = first + 1; id < entries.size(); ++id) {
        const bool stays = entries[id].hotpluggable ? !*entries[id].hotpluggable : document.vcpus.empty();
        if (!ids.contains(id) && entries[id].enabled && stays)
            fail(Code::invalid_arg, "vcpu '{}' can't be modified as it is followed by non-hotpluggable online vcpus", first);
    }
}

Task<> set_vcpu(ClientPtr client, remote::DomainSetVcpuArgs args) {
    if (args.state != 0 && args.state != 1) fail(Code::invalid_arg, "unsupported state value");
    const bool there = args.state == 1;
    const auto ids = xml::parse_number_set(args.cpumap);
    if (!ids) fail(rpc::from_nobody, Code::invalid_arg, "Failed to parse bitmap '{}'", args.cpumap);
    if (ids->empty()) fail(Code::invalid_arg, "no vcpus selected for modification");
    auto domain = find_domain(*client, args.dom);
    auto job = co_await domain->acquire("virDomainSetVcpu");
    const unsigned affect = domain->affect(args.flags);
    const unsigned last = *ids->rbegin();
    if (wants_config(affect) && last >= domain->definition().document()->max_vcpus())
        fail(Code::invalid_arg, "vcpu {} is not present in persistent config", last);
    if (wants_live(affect) && last >= domain->live().max_vcpus())
        fail(Code::invalid_arg, "vcpu {} is not present in live config", last);
    std::optional<unsigned> one;
    if (wants_live(affect)) {
        const auto machine = domain->shared_machine();
        one = one_of(*ids, co_await machine->vcpu_places(), there);
    }
    if (wants_config(affect)) check_stored(*domain->definition().document(), *ids);
    if (one) co_await move_vcpus(domain, {*one}, there);
    if (wants_config(affect))
        co_await change_documents(domain, api::domain_affect_config,
                                  [&](xml::Domain& document) { xml::set_vcpus_enabled(document, *ids, there); });
}

Task<remote::DomainGetVcpusFlagsRet> get_vcpus_flags(ClientPtr client, remote::DomainGetVcpusFlagsArgs args) {
    auto domain = find_domain(*client, args.dom);
    const unsigned affect = domain->affect(args.flags & affect_flags);
    const bool maximum = args.flags & api::domain_vcpu_maximum;
    if (args.flags & api::domain_vcpu_guest) {
        if (!domain->is_active())
            fail(Code::invalid_arg, "vCPU count provided by the guest agent can only be requested for live domains");
        std::int32_t online = 0;
        const json all = co_await agent_vcpus(domain);
        for (const auto& vcpu : all) online += vcpu.value("online", false);
        co_return remote::DomainGetVcpusFlagsRet{maximum ? static_cast<std::int32_t>(all.size()) : online};
    }
    const auto document = document_of(*domain, affect);
    co_return remote::DomainGetVcpusFlagsRet{
        static_cast<std::int32_t>(maximum ? document->max_vcpus() : document->online_vcpus())};
}

remote::DomainGetMaxVcpusRet get_max_vcpus(Client& client, const remote::DomainGetMaxVcpusArgs& args) {
    auto domain = find_domain(client, args.dom);
    domain->require_active();
    return {static_cast<std::int32_t>(domain->current()->max_vcpus())};
}

constexpr Method table[] = {
    on<remote::DomainSetMemoryCall, set_memory_plain>(),
    on<remote::DomainSetMemoryFlagsCall, set_memory_flags>(),
    on<remote::DomainSetMaxMemoryCall, set_max_memory>(),
    on<remote::DomainSetMemoryStatsPeriodCall, set_stats_period>(),
    on<remote::DomainGetVcpusFlagsCall, get_vcpus_flags>(),
    on<remote::DomainGetMaxVcpusCall, get_max_vcpus>(),
    on<remote::DomainSetVcpusCall, set_vcpus>(),
    on<remote::DomainSetVcpusFlagsCall, set_vcpus_flags>(),
    on<remote::DomainSetVcpuCall, set_vcpu>(),
    on<remote::DomainGetGuestVcpusCall, get_guest_vcpus>(),
    on<remote::DomainSetGuestVcpusCall, set_guest_vcpus>(),
};

} // namespace

const MethodTable methods::domain_cpu_memory = table;

} // namespace lodge::daemon
