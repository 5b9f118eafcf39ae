// A guest's state in a file: save, restore, managed save, images' documents, core dumps. The rules are libvirt's, the bytes the
// driver's. Callers hold the domain's job, where there is a domain.
#pragma once
#include "daemon/domain.hpp"

namespace lodge::daemon {

// What a save image of the domain says about it. `running`: whether it runs again when it is restored.
Task<drivers::SaveHead> save_head(DomainPtr domain, bool running);

// Flags are VIR_DOMAIN_SAVE_*; `document` replaces the domain's own, if not empty.
// Refuses, while the guest still runs, what could not be carried to a file.
Task<> require_savable(DomainPtr domain);
Task<> save_domain(DomainPtr domain, std::string path, std::string document, unsigned flags);
Task<> managed_save(DomainPtr domain, std::string document, unsigned flags);
Task<> remove_managed_save(DomainPtr domain);
// Returns what runs then: a domain that was there, or a new transient one.
Task<DomainPtr> restore_domain(Hypervisor& hypervisor, std::string path, std::string document, unsigned flags);
// Starts the domain, from its managed save where there is one. Flags are VIR_DOMAIN_START_*.
Task<> start_domain(DomainPtr domain, StartOptions options, unsigned flags);

Task<std::string> image_document(Hypervisor& hypervisor, std::string path, bool secret);
Task<> set_image_document(Hypervisor& hypervisor, std::string path, std::string document, unsigned flags);

// Flags are VIR_DUMP_*.
Task<> dump_domain(DomainPtr domain, std::string path, unsigned format, unsigned flags);

} // namespace lodge::daemon
