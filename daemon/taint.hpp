// What makes a running guest one that nobody else can vouch for, as virDomainGetMessages tells it.
#pragma once
#include <set>
#include <string>

namespace lodge::xml {
struct Domain;
}

namespace lodge::daemon {

// Named as in libvirt's status files.
enum class Taint {
    custom_argv,
    custom_monitor,
    high_privileges,
    shell_scripts,
    host_cpu,
    custom_dtb,
    custom_ga_command,
    custom_hypervisor_feature,
    custom_device
};
using Taints = std::set<Taint>;

// What the document alone brings with it. `restored`: the guest goes on from a state that another host may have made.
Taints taints_of(const xml::Domain& domain, bool restored);
// "tainted: …", for a person.
std::string taint_message(Taint taint);
// "custom-argv,custom-monitor" and back; names that are not known are passed over.
std::string taints_to_text(const Taints& taints);
Taints taints_from_text(const std::string& text);

} // namespace lodge::daemon
