// Pools whose volumes are the files of one folder: a folder of the host's, or one on which something is mounted.
#pragma once
#include "drivers/storage/pool_driver.hpp"

namespace lodge::drivers {

class LocalPool : public PoolDriver {
  public:
    Task<bool> is_active(xml::Pool pool) override;
    Task<> build(xml::Pool pool, PoolBuild how) override;
    Task<> remove(xml::Pool pool) override;
    Task<PoolContents> refresh(xml::Pool pool) override;
    Task<xml::Volume> place(xml::Pool pool, xml::Volume volume) override;
    Task<> create(VolumeRequest request) override;
    Task<xml::Volume> refresh_volume(xml::Pool pool, xml::Volume volume) override;
    Task<xml::Volume> probe_volume(xml::Pool pool, xml::Volume volume) override;
    Task<> delete_volume(xml::Pool pool, xml::Volume volume) override;
    Task<> resize(xml::Pool pool, xml::Volume volume, std::uint64_t capacity, bool allocate, Passphrase passphrase) override;
    Task<> wipe(xml::Volume volume, unsigned algorithm) override;
    Task<Fd> open_volume(xml::Volume volume, bool writing) override;
};

// What volumes that are files or devices have in common, whatever pool they stand in.
Task<> wipe_volume_at(std::string path, std::uint64_t length, unsigned algorithm);
Task<Fd> open_volume_at(std::string path, bool writing);

} // namespace lodge::drivers
