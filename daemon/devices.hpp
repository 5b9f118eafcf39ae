// Devices of a domain come, change and go: in the running guest, in the stored document, or in both, all or nothing. Every call
// expects its caller to hold the domain's job; `affect` is what Domain::affect() made of the flags.
#pragma once
#include "daemon/domain.hpp"
#include "xml/domain/device.hpp"

namespace lodge::daemon {

Task<> attach_device(DomainPtr domain, std::string text, unsigned affect);
Task<> detach_device(DomainPtr domain, std::string text, unsigned affect);
// Asks for the removal and does not wait for the guest.
Task<> detach_alias(DomainPtr domain, std::string alias, unsigned affect);
// `force`: a medium may be taken out of a drive that its guest has locked.
Task<> update_device(DomainPtr domain, std::string text, unsigned affect, bool force);

// ---- the running guest's side (device_plug.cpp, device_update.cpp) ----

Task<> plug_device(DomainPtr domain, xml::Device device);
Task<> unplug_device(DomainPtr domain, xml::DeviceAt at, bool wait);
// `anew`: a drive opens and closes even where nothing else changes.
Task<> change_device(DomainPtr domain, xml::DeviceAt at, xml::Device device, bool force, bool anew = false);
// A copy of the live document in which the driver has completed what stands at `at`; says where that stands now.
struct Plan {
    std::shared_ptr<xml::Domain> document;
    xml::DeviceAt at;
};
Task<Plan> complete_plan(DomainPtr domain, std::shared_ptr<xml::Domain> document, xml::DeviceAt at);

} // namespace lodge::daemon
