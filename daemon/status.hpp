// The status file of a running domain, in /run: state, what its driver needs to find the machine again, and the live document.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

struct DomainStatus {
    int state = 0, reason = 0; // VIR_DOMAIN_* and its reason
    int id = -1;
    std::int64_t pid = 0; // for people; the driver has its own word on it in `machine`
    bool persistent = false;
    bool autodestroy = false;         // ends with the client that started it
    std::string machine;              // Machine::status()
    std::string backup;               // the document of the backup that runs
    std::optional<int> agent_timeout; // as virDomainAgentSetResponseTimeout was told
    std::string taints;               // names, with commas between
    xml::Domain domain;
};
void describe(xml::Doc& doc, DomainStatus& status);

// Reads our own status files, and libvirtd's of a guest that it left running: of those the whole text is `machine`, from which
// the driver takes what it needs.
DomainStatus read_domain_status(const std::string& text, const std::string& path);

inline constexpr const char* domain_status_root = "domstatus";

} // namespace lodge::daemon
