// Pools of types fs and netfs: a file system that is mounted while the pool is active.
#pragma once
#include "drivers/storage/local_pool.hpp"

namespace lodge::drivers {

struct Command;

class MountedPool : public LocalPool {
  public:
    Task<bool> is_active(xml::Pool pool) override;
    Task<> build(xml::Pool pool, PoolBuild how) override;
    Task<> start(xml::Pool pool) override;
    Task<> stop(xml::Pool pool) override;
    Task<std::string> find_sources(xml::PoolType type, std::optional<std::string> specification) override;
};

// mount's arguments for a pool.
std::vector<std::string> mount_arguments(const xml::Pool& pool);
// What `showmount --no-headers --exports HOST` said, as sources.
std::vector<xml::PoolSource> parse_exports(const std::string& host, const std::string& text);

} // namespace lodge::drivers
