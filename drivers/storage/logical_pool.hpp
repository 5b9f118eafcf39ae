// Pools of type logical: a volume group of LVM, whose logical volumes are the pool's volumes.
#pragma once
#include "drivers/storage/local_pool.hpp"

namespace lodge::drivers {

class LogicalPool : public PoolDriver {
  public:
    Task<bool> is_active(xml::Pool pool) override;
    Task<> build(xml::Pool pool, PoolBuild how) override;
    Task<> start(xml::Pool pool) override;
    Task<> stop(xml::Pool pool) override;
    Task<> remove(xml::Pool pool) override;
    Task<PoolContents> refresh(xml::Pool pool) override;
    Task<std::string> find_sources(xml::PoolType type, std::optional<std::string> specification) override;
    Task<xml::Volume> place(xml::Pool pool, xml::Volume volume) override;
    Task<> create(VolumeRequest request) override;
    Task<xml::Volume> refresh_volume(xml::Pool pool, xml::Volume volume) override;
    Task<> delete_volume(xml::Pool pool, xml::Volume volume) override;
    Task<> wipe(xml::Volume volume, unsigned algorithm) override;
    Task<Fd> open_volume(xml::Volume volume, bool writing) override;
};

// What LVM's reports say, pure. `lvs` rows: name#origin#uuid#devices#segtype#stripes#segment size#extent size#size#attributes;
// a volume of several segments has several rows.
std::vector<xml::Volume> parse_logical_volumes(const std::string& folder, const std::string& report);
// "SIZE:FREE" of the group, in bytes.
struct GroupSize {
    std::uint64_t size = 0, free = 0;
};
GroupSize parse_group_size(const std::string& report);
// "DEVICE GROUP" rows, as sources: one for each group.
std::vector<xml::PoolSource> parse_physical_volumes(const std::string& report);
// lvcreate's arguments.
std::vector<std::string> lvcreate_arguments(const xml::Pool& pool, const xml::Volume& volume);

} // namespace lodge::drivers
