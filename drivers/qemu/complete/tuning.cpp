// <cputune>, <numatune> and guest NUMA: sets of numbers in their normal form, one scheduler line per thread.
#include "drivers/qemu/complete/steps.hpp"
#include "xml/number_set.hpp"
#include <algorithm>
#include <map>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;

using xml::format_number_set;
using xml::NumberSet;
using xml::parse_number_set;

namespace {

void normalize(std::string& text, const char* what) {
    if (text.empty()) return;
    const auto set = parse_number_set(text);
    if (!set) rpc::fail(From::none, Code::invalid_arg, "Failed to parse bitmap '{}'", text);
    if (set->empty()) rpc::fail(From::domain, Code::config_unsupported, "Invalid value of '{}': {}", what, text);
    text = format_number_set(*set);
}

// <vcpusched vcpus='0-1'/> means one setting for each.
template<class Sched> void expand(std::vector<Sched>& scheds, std::string Sched::* numbers) {
    std::map<unsigned, Sched> each;
    for (const auto& sched : scheds) {
        const auto set = parse_number_set(sched.*numbers);
        if (!set) rpc::fail(From::none, Code::invalid_arg, "Failed to parse bitmap '{}'", sched.*numbers);
        for (const auto number : *set) {
            auto one = sched;
            one.*numbers = std::to_string(number);
            each.emplace(number, std::move(one));
        }
    }
    scheds.clear();
    for (auto& [number, sched] : each) scheds.push_back(std::move(sched));
}

// Cache is given to vCPUs that exist.
void limit_to_vcpus(std::vector<xml::CacheTune>& tunes, unsigned vcpus) {
    for (auto& tune : tunes) {
        auto set = parse_number_set(tune.vcpus).value_or(NumberSet{});
        set.erase(set.lower_bound(vcpus), set.end());
        tune.vcpus = format_number_set(set);
    }
    std::erase_if(tunes, [](const xml::CacheTune& tune) { return tune.vcpus.empty(); });
}

void complete_cputune(xml::CpuTune& tune, unsigned vcpus) {
    limit_to_vcpus(tune.cache_tunes, vcpus);
    std::erase_if(tune.vcpu_pins, [&](const xml::VcpuPin& pin) { return pin.vcpu >= vcpus; });
    for (auto& pin : tune.vcpu_pins) normalize(pin.cpuset, "cpuset");
    for (auto& pin : tune.iothread_pins) normalize(pin.cpuset, "cpuset");
    std::ranges::sort(tune.vcpu_pins, {}, &xml::VcpuPin::vcpu);
    std::ranges::sort(tune.iothread_pins, {}, &xml::IoThreadPin::iothread);
    if (tune.emulator_pin) normalize(tune.emulator_pin->cpuset, "cpuset");
    expand(tune.vcpu_scheds, &xml::SchedVcpus::vcpus);
    expand(tune.iothread_scheds, &xml::SchedIoThreads::iothreads);
}

void complete_numatune(xml::NumaTune& tune) {
    if (tune.memory && tune.memory->placement == xml::Placement::auto_) tune.memory->nodeset.clear();
    if (tune.memory && tune.memory->placement == xml::Placement::static_) tune.memory->placement.reset();
    if (tune.memory) normalize(tune.memory->nodeset, "nodeset");
    for (auto& node : tune.nodes) normalize(node.nodeset, "nodeset");
}

// vCPUs that the cells leave out belong to the first one.
void fill_first_cell(xml::Domain& domain) {
    auto& cells = domain.cpu->cells;
    NumberSet left;
    for (unsigned vcpu = 0; vcpu < domain.max_vcpus(); ++vcpu) left.insert(vcpu);
    for (const auto& cell : cells)
        for (const auto vcpu : parse_number_set(cell.cpus).value_or(NumberSet{})) left.erase(vcpu);
    if (left.empty()) return;
    left.merge(parse_number_set(cells.front().cpus).value_or(NumberSet{}));
    cells.front().cpus = format_number_set(left);
}

// Automatic placement of vCPUs and of memory go together.
void complete_placement(xml::Domain& domain) {
    const bool auto_memory =
        domain.numatune && domain.numatune->memory && domain.numatune->memory->placement == xml::Placement::auto_;
    const auto& tune = domain.cputune;
    const bool pinned = (domain.vcpu && !domain.vcpu->cpuset.empty()) ||
                        (tune && (!tune->vcpu_pins.empty() || tune->emulator_pin || !tune->iothread_pins.empty()));
    if (auto_memory && !pinned) {
        if (!domain.vcpu) domain.vcpu.emplace();
        domain.vcpu->placement = xml::Placement::auto_;
    }
    const bool auto_vcpus = domain.vcpu && domain.vcpu->placement == xml::Placement::auto_;
    if (auto_vcpus && !(domain.numatune && domain.numatune->memory)) {
        if (!domain.numatune) domain.numatune.emplace();
        domain.numatune->memory.emplace().placement = xml::Placement::auto_;
    }
    if (domain.numatune && domain.numatune->memory && !domain.numatune->memory->mode)
        domain.numatune->memory->mode = xml::NumaMode::strict;
}

// Which vCPUs are there at start, and in which order they were plugged in.
void check_vcpus(const xml::Domain& domain) {
    if (domain.vcpus.empty()) return;
    const auto refuse = [](const char* text) { rpc::fail(From::qemu, Code::config_unsupported, "{}", text); };
    struct State {
        bool online, pluggable;
        unsigned order;
    };
    std::vector<State> states(domain.max_vcpus(), {false, true, 0});
    for (const auto& vcpu : domain.vcpus) {
        const bool pluggable = vcpu.hotpluggable ? static_cast<bool>(*vcpu.hotpluggable) : !vcpu.enabled;
        if (!vcpu.enabled && !pluggable)
            rpc::fail(From::domain, Code::config_unsupported, "vcpu '{}' is both offline and not hotpluggable", vcpu.id);
        states.at(vcpu.id) = {vcpu.enabled, pluggable, vcpu.order.value_or(0)};
    }
    const auto& first = states.front();
    if (!first.online) refuse("vcpu 0 can't be offline");
    if (first.pluggable) refuse("vcpu0 can't be hotpluggable");
    if (first.order > 1) refuse("vcpu0 must be enabled first");
    for (std::size_t i = 1; i < states.size(); ++i) {
        const auto &before = states[i - 1], &now = states[i];
        if (now.online && (now.order != 0) != (first.order != 0)) refuse("all vcpus must have either set or unset order");
        if (now.pluggable) continue;
        if (before.pluggable) refuse("online non-hotpluggable vcpus need to be ordered prior to hotplugable vcpus");
        if (before.order > now.order) refuse("online non-hotpluggable vcpus must be ordered in ascending order");
    }
}

// Threads that are only counted get the lowest free numbers beside those that are named.
void complete_iothreads(xml::Domain& domain) {
    auto& ids = domain.iothread_ids;
    if (ids.empty()) return;
    const auto taken = [&](unsigned id) { return std::ranges::any_of(ids, [&](const xml::IoThread& t) { return t.id == id; }); };
    for (unsigned id = 1; ids.size() < domain.iothreads.value_or(0); ++id)
        if (!taken(id)) ids.emplace_back().id = id;
    domain.iothreads = static_cast<unsigned>(ids.size());
}

} // namespace

void complete_tuning(xml::Domain& domain) {
    check_vcpus(domain);
    complete_placement(domain);
    complete_iothreads(domain);
    if (domain.vcpu) normalize(domain.vcpu->cpuset, "cpuset");
    if (domain.cputune) complete_cputune(*domain.cputune, domain.max_vcpus());
    if (domain.numatune) complete_numatune(*domain.numatune);
    if (!domain.cpu || domain.cpu->cells.empty()) return;
    unsigned next = 0;
    for (auto& cell : domain.cpu->cells) {
        if (!cell.id) cell.id = next;
        next = *cell.id + 1;
    }
    std::ranges::sort(domain.cpu->cells, {}, [](const xml::NumaCell& cell) { return *cell.id; });
    fill_first_cell(domain);
}

} // namespace lodge::drivers::qemu
