// What holds for migrations of a guest: QEMU keeps it for a guest that runs; the speed is remembered for others, too.
#include "daemon/lookup.hpp"

namespace lodge::daemon {

namespace {

using rpc::fail;

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr const char *downtime = "downtime-limit", *speed = "max-bandwidth", *postcopy_speed = "max-postcopy-bandwidth",
                     *cache = "xbzrle-cache-size";

Task<> set_limit(DomainPtr domain, std::string api_name, std::string limit, std::uint64_t value) {
    auto job = co_await domain->acquire(std::move(api_name));
    domain->require_active();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail(Code::internal_error, "'{}' of {} is more than QEMU takes", limit, value);
    co_await domain->machine().set_migration_limit(std::move(limit), static_cast<std::int64_t>(value));
}

Task<std::uint64_t> limit_of(DomainPtr domain, std::string limit) {
    domain->require_active();
    const auto limits = co_await domain->shared_machine()->migration_limits();
    const auto found = limits.find(limit);
    if (found == limits.end()) fail(Code::operation_invalid, "'{}' is not supported by QEMU binary", limit);
    co_return static_cast<std::uint64_t>(found->second);
}

Task<> set_max_downtime(ClientPtr client, remote::DomainMigrateSetMaxDowntimeArgs args) {
    co_await set_limit(find_domain(*client, args.dom), "virDomainMigrateSetMaxDowntime", downtime, args.downtime);
}
Task<remote::DomainMigrateGetMaxDowntimeRet> get_max_downtime(ClientPtr client, remote::DomainMigrateGetMaxDowntimeArgs args) {
    co_return remote::DomainMigrateGetMaxDowntimeRet{co_await limit_of(find_domain(*client, args.dom), downtime)};
}

Task<> set_max_speed(ClientPtr client, remote::DomainMigrateSetMaxSpeedArgs args) {
    auto domain = find_domain(*client, args.dom);
    const bool postcopy = args.flags & api::domain_migrate_max_speed_postcopy;
    const std::uint64_t most = postcopy ? std::numeric_limits<std::uint64_t>::max() / mebibyte : Domain::unlimited_speed;
    if (args.bandwidth > most) fail(Code::overflow, "bandwidth must be less than {}", most + 1);
    if (postcopy || domain->is_active())
        co_await set_limit(domain, "virDomainMigrateSetMaxSpeed", postcopy ? postcopy_speed : speed, args.bandwidth * mebibyte);
    if (!postcopy) domain->migration_speed = args.bandwidth;
}
Task<remote::DomainMigrateGetMaxSpeedRet> get_max_speed(ClientPtr client, remote::DomainMigrateGetMaxSpeedArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (!(args.flags & api::domain_migrate_max_speed_postcopy))
        co_return remote::DomainMigrateGetMaxSpeedRet{domain->migration_speed};
    co_return remote::DomainMigrateGetMaxSpeedRet{co_await limit_of(domain, postcopy_speed) / mebibyte};
}

Task<> set_cache(ClientPtr client, remote::DomainMigrateSetCompressionCacheArgs args) {
    co_await set_limit(find_domain(*client, args.dom), "virDomainMigrateSetCompressionCache", cache, args.cacheSize);
}
Task<remote::DomainMigrateGetCompressionCacheRet> get_cache(ClientPtr client, remote::DomainMigrateGetCompressionCacheArgs args) {
    co_return remote::DomainMigrateGetCompressionCacheRet{co_await limit_of(find_domain(*client, args.dom), cache)};
}

void start_post_copy(Client& client, const remote::DomainMigrateStartPostCopyArgs& args) {
    find_domain(client, args.dom)->require_active();
    fail(Code::operation_invalid, "post-copy can only be started while outgoing migration is in progress");
}

constexpr Method table[] = {
    on<remote::DomainMigrateSetMaxDowntimeCall, set_max_downtime>(),
    on<remote::DomainMigrateGetMaxDowntimeCall, get_max_downtime>(),
    on<remote::DomainMigrateSetMaxSpeedCall, set_max_speed>(),
    on<remote::DomainMigrateGetMaxSpeedCall, get_max_speed>(),
    on<remote::DomainMigrateSetCompressionCacheCall, set_cache>(),
    on<remote::DomainMigrateGetCompressionCacheCall, get_cache>(),
    on<remote::DomainMigrateStartPostCopyCall, start_post_copy>(),
};

} // namespace

const MethodTable methods::domain_migration = table;

} // namespace lodge::daemon
