// Pools that stand on devices found or partitioned by other programs (disk, iscsi, scsi, mpath). Their definitions are kept as
// libvirt keeps them; to be active they need what is not built yet, and say so.
#pragma once
#include "drivers/storage/pool_driver.hpp"

namespace lodge::drivers {

class DevicePool : public PoolDriver {
  public:
    // The program that pools of this kind need on the host; empty: none.
    explicit DevicePool(std::string program)
        : program_(std::move(program)) {}

    Task<> build(xml::Pool pool, PoolBuild how) override;
    Task<> start(xml::Pool pool) override;
    Task<PoolContents> refresh(xml::Pool pool) override;

  private:
    std::string program_;
};

} // namespace lodge::drivers
