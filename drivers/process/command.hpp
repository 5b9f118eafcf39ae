// What to run, as a value: tests compare it, the log prints it once. Used by every driver that has children (QEMU, dnsmasq,
// nft, qemu-img). Nothing here runs anything: see process.hpp.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace lodge::drivers {

// The child finds the caller's descriptor `fd` under the number `as`. The caller keeps and closes its own.
struct PassedFd {
    int fd = -1;
    int as = -1;
    bool operator==(const PassedFd&) const = default;
};

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    bool operator==(const Identity&) const = default;
};

struct ResourceLimit {
    int resource = 0; // RLIMIT_*
    std::uint64_t value = 0;
    bool operator==(const ResourceLimit&) const = default;
};

struct Command {
    std::string program;           // absolute, or looked up in PATH
    std::vector<std::string> args; // without argv[0]
    std::vector<std::pair<std::string, std::string>> env = default_environment();
    std::string cwd = "/";
    std::string input;    // what the child reads from its standard input; empty: /dev/null
    std::string log_file; // standard output and error are appended here; empty: /dev/null
    int output = -1;      // or go to this descriptor
    std::vector<PassedFd> fds;
    std::optional<Identity> identity;
    std::vector<ResourceLimit> limits;
    std::vector<int> cgroups; // descriptors of cgroup.procs files that the child enters before it gives up its rights
    mode_t umask = 022;
    bool new_session = true;
    bool dies_with_us = false; // never for guests: they outlive the daemon

    // C locale, and of our own surroundings where programs, libraries and temporary files are found; nothing else leaks into
    // children.
    static std::vector<std::pair<std::string, std::string>> default_environment();
    bool operator==(const Command&) const = default;
};

// One word as a shell would need it.
std::string shell_quoted(const std::string& word);
// One line to paste into a shell: program and arguments.
std::string quoted(const Command& command);
// As the log of a guest shows it: one environment variable or option per line, each but the last ending in " \".
std::string quoted_lines(const Command& command);
// The absolute path of `program`; empty when there is none that may be executed.
std::string find_program(const std::string& program);

} // namespace lodge::drivers
