#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

bool has_iothread(const Domain& d, unsigned id) {
    for (const auto& thread : d.iothread_ids)
        if (thread.id == id) return true;
    // Threads that are only counted get the lowest free numbers.
    const auto counted = std::max<std::size_t>(d.iothreads.value_or(0), d.iothread_ids.size());
    return counted > d.iothread_ids.size() && id > 0 && id <= counted;
}

void check_pins(const Domain& d, const CpuTune& tune) {
    std::set<unsigned> vcpus, threads;
    for (const auto& pin : tune.vcpu_pins) {
        if (!vcpus.insert(pin.vcpu).second) malformed("duplicate vcpupin for vcpu '{}'", pin.vcpu);
        numbers_of(pin.cpuset, "cpuset");
    }
    if (tune.emulator_pin) numbers_of(tune.emulator_pin->cpuset, "cpuset");
    for (const auto& pin : tune.iothread_pins) {
        if (!has_iothread(d, pin.iothread)) unsupported("Cannot find 'iothread' : {}", pin.iothread);
        if (!threads.insert(pin.iothread).second) malformed("duplicate iothreadpin for same iothread '{}'", pin.iothread);
        numbers_of(pin.cpuset, "cpuset");
    }
}

void check_scheduler(const char* element, const std::string& scheduler, const std::optional<int>& priority) {
    const bool real_time = scheduler == "fifo" || scheduler == "rr";
    check_enumerated("scheduler", element, scheduler, {"fifo", "rr", "batch", "idle"});
    if (real_time && !priority)
        rpc::fail(From::xml, Code::xml_error, "Missing required attribute 'priority' in element '{}'", element);
}

NumberSet scheduled(const std::string& text, const char* element, const char* attribute, NumberSet& seen) {
    auto numbers = numbers_of(text, nullptr);
    if (numbers.empty()) unsupported("'{}' scheduler bitmap '{}' is empty", attribute, text);
    for (const auto number : numbers)
        if (!seen.insert(number).second) inconsistent("'{}' attributes '{}' must not overlap", element, attribute);
    return numbers;
}

void check_schedulers(const Domain& d, const CpuTune& tune) {
    NumberSet vcpus, threads;
    for (const auto& sched : tune.vcpu_scheds) {
        scheduled(sched.vcpus, "vcpusched", "vcpus", vcpus);
        check_scheduler("vcpusched", sched.scheduler, sched.priority);
    }
    for (const auto& sched : tune.iothread_scheds) {
        for (const auto id : scheduled(sched.iothreads, "iothreadsched", "iothreads", threads))
            if (!has_iothread(d, id)) unsupported("Cannot find 'iothread' : {}", id);
        check_scheduler("iothreadsched", sched.scheduler, sched.priority);
    }
    if (tune.emulator_sched) check_scheduler("emulatorsched", tune.emulator_sched->scheduler, tune.emulator_sched->priority);
}

} // namespace

void check_cpu_tune(const Domain& d) {
    if (!d.cputune) return;
    check_pins(d, *d.cputune);
    check_schedulers(d, *d.cputune);
}

namespace {

void check_distances(const Cpu& cpu) {
    for (std::size_t i = 0; i < cpu.cells.size(); ++i) {
        const auto id = cpu.cells[i].id.value_or(static_cast<unsigned>(i));
        for (const auto& sibling : cpu.cells[i].distances) {
            if (sibling.id >= cpu.cells.size())
                broken("'sibling_id {}' does not refer to a valid cell within NUMA 'cell id {}'", sibling.id, id);
            if (sibling.value < 10 || sibling.value > 255 || (sibling.id == id && sibling.value != 10))
                broken("'value {}' is invalid for 'sibling id {}' under NUMA 'cell id {}'", sibling.value, sibling.id, id);
        }
    }
}

} // namespace

void check_cells(const Domain& d) {
    if (!d.cpu) return;
    const auto& cells = d.cpu->cells;
    std::set<unsigned> ids;
    std::map<unsigned, unsigned> owner; // of a vCPU
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto id = cells[i].id.value_or(static_cast<unsigned>(i));
        if (id >= cells.size())
            broken("Exactly one 'cell' element per guest NUMA cell allowed, non-contiguous ranges or ranges not starting from 0 "
                   "are not allowed");
        if (!ids.insert(id).second) broken("Duplicate NUMA cell info for cell id '{}'", id);
        if (cells[i].cpus.empty()) continue;
        for (const auto vcpu : numbers_of(cells[i].cpus, nullptr)) {
            const auto [place, fresh] = owner.emplace(vcpu, id);
            if (!fresh) unsupported("NUMA cells {} and {} have overlapping vCPU ids", id, place->second);
        }
    }
    if (owner.size() > d.max_vcpus()) malformed("Number of CPUs in <numa> exceeds the <vcpu> count");
    if (!owner.empty() && owner.rbegin()->first >= d.max_vcpus()) malformed("CPU IDs in <numa> exceed the <vcpu> count");
    check_distances(*d.cpu);
    check_hmat(*d.cpu);
}

namespace {

void check_memory_nodes(const Domain& d, const NumaTune& tune) {
    const auto cells = d.cpu ? d.cpu->cells.size() : 0;
    std::set<unsigned> seen;
    for (const auto& node : tune.nodes) {
        if (cells == 0) broken("Element 'memnode' is invalid without any guest NUMA cells");
        if (node.cell >= cells) broken("Argument 'cellid' in memnode element must correspond to existing guest's NUMA cell");
        if (!seen.insert(node.cell).second) broken("Multiple memnode elements with cellid {}", node.cell);
        if (tune.memory && tune.memory->mode == NumaMode::restrictive && node.mode != NumaMode::restrictive)
            broken("'restrictive' mode is required in memnode element when mode is 'restrictive' in memory element");
        if (node.nodeset.empty()) broken("Missing required nodeset attribute in memnode element");
        numbers_of(node.nodeset, "nodeset");
    }
}

} // namespace

void check_numa_tune(const Domain& d) {
    if (!d.numatune) return;
    const auto& memory = d.numatune->memory;
    if (memory && !memory->nodeset.empty()) numbers_of(memory->nodeset, "nodeset");
    check_memory_nodes(d, *d.numatune);
    if (!memory) return;
    // Where memory comes from follows where the vCPUs run, unless it is said.
    const bool automatic = memory->placement == Placement::auto_ ||
                           (!memory->placement && memory->nodeset.empty() && d.vcpu && d.vcpu->placement == Placement::auto_);
    if (!automatic && memory->nodeset.empty())
        unsupported("nodeset for NUMA memory tuning must be set if 'placement' is 'static'");
    if (automatic && !d.numatune->nodes.empty()) unsupported("Per-node binding is not compatible with automatic NUMA placement.");
}

void check_huge_pages(const Domain& d) {
    if (!d.memory_backing || !d.memory_backing->huge_pages) return;
    for (const auto& page : d.memory_backing->huge_pages->pages) {
        if (page.size_kib == 0) inconsistent("hugepage size can't be zero");
        if (!page.nodeset.empty()) numbers_of(page.nodeset, "nodeset");
    }
}

void check_blkio(const Domain& d) {
    if (!d.blkiotune) return;
    std::set<std::string> paths;
    for (const auto& device : d.blkiotune->devices) {
        if (device.path.empty()) unsupported("missing per-device path");
        if (!paths.insert(device.path).second) unsupported("duplicate blkio device path '{}'", device.path);
    }
}

void check_perf(const Domain& d) {
    std::set<std::string> names;
    for (const auto& event : d.perf)
        if (!names.insert(event.name).second) broken("perf event '{}' was already specified", event.name);
}

} // namespace lodge::xml
