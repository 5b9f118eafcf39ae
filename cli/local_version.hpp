// The versions of a daemon on this host, asked over its own socket without libvirt's library: for the command that scripts and
// monitors run all the time. Whatever is unusual (another URI, authentication, an error) answers nothing, and libvirt does it.
#pragma once
#include <optional>
#include <string>

namespace lodge::cli {

struct VersionFacts {
    std::string type; // QEMU
    unsigned long library = 0, api = 0, hypervisor = 0, daemon = 0;
};

std::optional<VersionFacts> ask_local_version(const std::string& uri, bool readonly);

} // namespace lodge::cli
