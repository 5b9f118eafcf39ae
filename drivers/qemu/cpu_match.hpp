// What an emulator makes of this host's CPU, and a guest's CPU as it is started: mode='host-model' and everything else that
// depends on the host is settled there.
#pragma once
#include "drivers/host/cpu_model.hpp"
#include "drivers/qemu/emulator.hpp"
#include "drivers/qemu/qmp.hpp"
#include "xml/domain/domain.hpp"
#include <memory>

namespace lodge::drivers::qemu {

HypervisorCpu hypervisor_cpu(const EmulatorInfo& emulator);

// The same, worked out once for each emulator.
class HypervisorCpus {
  public:
    std::shared_ptr<const HypervisorCpu> of(std::shared_ptr<const EmulatorInfo> emulator);

  private:
    std::map<std::shared_ptr<const EmulatorInfo>, std::shared_ptr<const HypervisorCpu>> known_;
};

// Asks a QEMU which features the guest's CPU got, and writes down in the document what differs from it.
Task<> take_real_cpu(Qmp& qmp, std::string vcpu_path, xml::Domain& domain);

// The guest's CPU as QEMU is to make it. Refuses what the host cannot give (check='partial') and modes that do not go with the
// guest's type.
void settle_guest_cpu(xml::Domain& domain, const HypervisorCpu& hypervisor);

} // namespace lodge::drivers::qemu
