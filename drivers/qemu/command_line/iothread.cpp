#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

void put_pool(Json& json, const std::optional<int>& low, const std::optional<int>& high) {
    put(json, "thread-pool-min", low);
    put(json, "thread-pool-max", high);
}

} // namespace

void add_iothreads(Builder& builder) {
    const Domain& domain = builder.domain;
    std::set<std::uint32_t> seen;
    for (const auto& thread : domain.iothread_ids) {
        seen.insert(thread.id);
        Json json{{"qom-type", "iothread"}, {"id", fmt::format("iothread{}", thread.id)}};
        put_pool(json, thread.thread_pool_min, thread.thread_pool_max);
        builder.object(json);
    }
    // Those that the document only counts get the lowest free numbers.
    for (std::uint32_t id = 1; seen.size() < domain.iothreads.value_or(0); ++id)
        if (seen.insert(id).second) builder.object({{"qom-type", "iothread"}, {"id", fmt::format("iothread{}", id)}});
    const auto& pool = domain.default_iothread;
    if (!pool || (!pool->thread_pool_min && !pool->thread_pool_max)) return;
    Json json{{"qom-type", "main-loop"}, {"id", "main-loop"}};
    put_pool(json, pool->thread_pool_min, pool->thread_pool_max);
    builder.object(json);
}

} // namespace lodge::drivers::qemu
