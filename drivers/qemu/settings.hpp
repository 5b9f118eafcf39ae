// The keys of qemu.conf that matter here. Unknown ones are warned about by name.
#pragma once
#include "drivers/process/command.hpp"
#include "drivers/qemu/tls.hpp"
#include <optional>
#include <string>

namespace lodge::drivers::qemu {

struct Settings {
    std::string user = "libvirt-qemu", group = "libvirt-qemu"; // Debian's
    bool dynamic_ownership = true;
    bool clear_emulator_capabilities = true; // read for compatibility: a user without rights has none to clear
    std::string vnc_listen = "127.0.0.1", spice_listen = "127.0.0.1";
    std::string vnc_password, spice_password;
    Tls vnc_tls, spice_tls, nbd_tls, backup_tls,
        chardev_tls = {.on = false, .dir = "/etc/pki/qemu", .verify_peer = true, .secret = ""};
    bool vnc_sasl = false, spice_sasl = false;
    std::string vnc_sasl_dir, spice_sasl_dir;
    bool vnc_auto_unix_socket = false;
    unsigned remote_display_port_min = 5900, remote_display_port_max = 65535;
    unsigned remote_websocket_port_min = 5700, remote_websocket_port_max = 65535;
    // Of a log that a guest can make grow: in bytes (0: no limit), and how many older ones are kept.
    std::uint64_t log_max_size = 2 << 20;
    unsigned log_max_backups = 3;
    bool seccomp_sandbox = true;
    bool dump_guest_core = false;
    unsigned max_files = 0, max_processes = 0;
    std::uint64_t max_core = 0;
    std::string auto_dump_path; // empty: LIB/qemu/dump
    bool auto_dump_bypass_cache = false;
    bool auto_start_bypass_cache = false;
    unsigned auto_start_delay = 0;                                   // ms between one start and the next
    std::string memory_backing_dir;                                  // empty: LIB/qemu/ram
    std::optional<std::vector<std::string>> hugetlbfs_mounts;        // absent: all that are mounted; none: no huge pages
    std::vector<std::pair<std::string, std::string>> firmware_pairs; // UEFI code and the template of its variables
    std::string swtpm_user = "tss", swtpm_group = "tss";
    std::string save_image_format, dump_image_format, snapshot_image_format; // empty: raw
    unsigned start_timeout_s = 30;                                           // until QEMU's greeting
    bool cgroups = true;                                                     // cgroup_controllers = [] turns them off
};

// From qemu.conf, and virtlogd.conf beside it. An absent file: the defaults. Throws Code::conf_syntax naming file and line.
Settings read_settings(const std::string& path);
// Who QEMU runs as; none when we are not root and run it as ourselves. Throws Code::system_error naming who is missing.
std::optional<Identity> identity_of(const Settings& settings);
// A user and a group, each a name or a number. Throws Code::invalid_arg naming who is missing.
Identity identity_named(const std::string& user, const std::string& group);
// Who swtpm runs as: the same rules.
std::optional<Identity> swtpm_identity_of(const Settings& settings);

} // namespace lodge::drivers::qemu
