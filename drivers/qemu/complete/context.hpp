// What completing a document needs to know of the emulator and of the host. Capabilities probing fills it; tests write it down.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lodge::drivers::qemu {

struct MachineProfile {
    std::string name;        // pc-i440fx-7.2
    std::string alias;       // pc
    std::string default_cpu; // qemu64, without "-x86_64-cpu"
    unsigned max_cpus = 255; // 0: unknown
    bool is_default = false;
};

// One emulator binary.
struct EmulatorProfile {
    std::string path; // /usr/bin/qemu-system-x86_64
    std::string arch; // x86_64, i686
    std::vector<MachineProfile> machines;
    std::vector<std::string> devices; // names of -device models, sorted
    bool kvm = true;                  // the host lets this emulator use KVM
    bool migratable_cpu = true;       // -cpu host,migratable=on is known

    bool has_device(std::string_view name) const;
    // By name or alias; null: no such machine.
    const MachineProfile* machine(std::string_view name) const;
    const MachineProfile* default_machine() const;
};

struct CompleteContext {
    std::string host_arch = "x86_64";
    std::vector<EmulatorProfile> emulators; // the default of an architecture first
    // Where libvirt keeps what it makes up paths for.
    std::string nvram_dir = "/var/lib/libvirt/qemu/nvram";
    std::string vnc_listen = "127.0.0.1", spice_listen = "127.0.0.1";
    bool vnc_allow_host_audio = false;
    bool spice_tls = false;
    std::string security_model = "none";   // the primary one: none, selinux, apparmor
    std::vector<std::string> tpm_versions; // what the host's swtpm can: "1.2", "2.0"
    std::vector<std::string> firmwares;    // descriptors found: "bios", "efi"

    const EmulatorProfile* emulator_for_arch(std::string_view arch) const;
    const EmulatorProfile* emulator_at(std::string_view path) const;
};

} // namespace lodge::drivers::qemu
