// CPUs that come and go in a running guest. QEMU knows the sockets, cores and threads where one may be plugged; a guest counts
// them in that order.
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/unplug.hpp"
#include "rpc/log.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::fail;

namespace {

struct Place {
    std::string type, path; // path: empty when nobody stands there
    json properties;
    std::array<std::int64_t, 5> order{};
};

std::vector<Place> places_of(const json& query_hotpluggable_cpus) {
    std::vector<Place> places;
    for (const auto& entry : query_hotpluggable_cpus) {
        Place place{entry.value("type", ""), entry.value("qom-path", ""), entry.value("props", json::object()), {}};
        static constexpr const char* keys[] = {"node-id", "socket-id", "die-id", "core-id", "thread-id"};
        for (std::size_t i = 0; i < std::size(keys); ++i) place.order[i] = place.properties.value(keys[i], std::int64_t{0});
        places.push_back(std::move(place));
    }
    std::ranges::sort(places, {}, &Place::order);
    return places;
}

std::string alias_of(unsigned vcpu) { return fmt::format("vcpu{}", vcpu); }

} // namespace

Task<> QemuMachine::learn_vcpus(std::shared_ptr<QemuMachine> self) { self->take_vcpus(co_await self->ask("query-cpus-fast")); }

Task<std::vector<VcpuPlace>> QemuMachine::places_on(std::shared_ptr<QemuMachine> self) {
    std::vector<VcpuPlace> out;
    for (const auto& place : places_of(co_await self->ask("query-hotpluggable-cpus")))
        out.push_back({!place.path.empty(), place.path.empty() || place.path.starts_with("/machine/peripheral/vcpu")});
    co_return out;
}

Task<> QemuMachine::plug_vcpu(std::shared_ptr<QemuMachine> self, unsigned vcpu) {
    const auto places = places_of(co_await self->ask("query-hotpluggable-cpus"));
    if (vcpu >= places.size()) fail(Code::operation_unsupported, "cpu hotplug is not supported");
    if (!places[vcpu].path.empty()) co_return;
    json order = places[vcpu].properties;
    order["driver"] = places[vcpu].type;
    order["id"] = alias_of(vcpu);
    co_await self->ask("device_add", std::move(order));
    co_await learn_vcpus(self);
    self->begin_counting_vcpus();
}

// The kernel takes its time to move a thread into a group: nobody waits for that but the guest's end.
void QemuMachine::begin_counting_vcpus() {
    vcpus_counted_.reset();
    background("counting of CPUs", count_vcpus(shared_from_this(), ++vcpu_counts_));
}

Task<> QemuMachine::count_vcpus(std::shared_ptr<QemuMachine> self, unsigned count) {
    try {
        co_await rpc::blocking([threads = self->vcpu_threads_, cgroup = self->parts_.runtime.cgroup] {
            for (unsigned number = 0; number < threads.size(); ++number)
                if (threads[number] != 0) cgroup.count_vcpu(number, threads[number]);
        });
    } catch (const std::exception& error) {
        log::warn("{}: its CPUs are not counted: {}", self->name(), error.what());
    }
    if (count == self->vcpu_counts_) self->vcpus_counted_.set();
}

Task<> QemuMachine::plug_late_vcpus(std::shared_ptr<QemuMachine> self) {
    std::vector<std::pair<unsigned, unsigned>> turns; // order and number
    for (const auto& vcpu : self->parts_.domain->vcpus)
        if (vcpu.enabled && vcpu.hotpluggable && *vcpu.hotpluggable) turns.emplace_back(vcpu.order.value_or(~0u), vcpu.id);
    std::ranges::sort(turns);
    for (const auto& [order, number] : turns) co_await plug_vcpu(self, number);
}

Task<> QemuMachine::unplug_vcpu(std::shared_ptr<QemuMachine> self, unsigned vcpu) {
    const auto places = places_of(co_await self->ask("query-hotpluggable-cpus"));
    const std::string alias = alias_of(vcpu);
    if (vcpu >= places.size() || places[vcpu].path != "/machine/peripheral/" + alias)
        fail(Code::operation_unsupported, "vcpu '{}' can't be unplugged", vcpu);
    const auto unplug = std::make_shared<Unplug>(self->parts_.executor);
    self->unplugs_[alias] = unplug;
    std::exception_ptr failure;
    bool gone = false;
    try {
        co_await self->ask("device_del", {{"id", alias}});
        gone = co_await unplug->over.wait(Unplug::patience);
    } catch (...) {
        failure = std::current_exception();
    }
    self->unplugs_.erase(alias);
    if (failure) std::rethrow_exception(failure);
    if (unplug->refused) fail(Code::operation_failed, "unplug of device was rejected by the guest");
    if (!gone)
        fail(Code::operation_timeout, "vcpu unplug request timed out. Unplug result must be manually inspected in the domain");
}

} // namespace lodge::drivers::qemu
