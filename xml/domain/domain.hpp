// The domain document: what `virsh dumpxml` shows. Fields stand in the order of output.
#pragma once
#include "xml/domain/clock.hpp"
#include "xml/domain/cpu.hpp"
#include "xml/domain/devices.hpp"
#include "xml/domain/features.hpp"
#include "xml/domain/os.hpp"
#include "xml/domain/qemu_parts.hpp"
#include "xml/domain/security.hpp"
#include "xml/domain/tuning.hpp"

namespace lodge::xml {

enum class VirtType { none, qemu, kqemu, kvm, xen, lxc, uml, openvz, test, vmware, hyperv, vbox, phyp, parallels, bhyve, vz };
inline std::span<const std::string_view> enum_words(VirtType) {
    static constexpr std::string_view w[] = {"none", "qemu",   "kqemu",  "kvm",  "xen",  "lxc",       "uml",   "openvz",
                                             "test", "vmware", "hyperv", "vbox", "phyp", "parallels", "bhyve", "vz"};
    return w;
}
enum class LifecycleAction { destroy, restart, rename_restart, preserve, coredump_destroy, coredump_restart };
inline std::span<const std::string_view> enum_words(LifecycleAction) {
    static constexpr std::string_view w[] = {"destroy",  "restart",          "rename-restart",
                                             "preserve", "coredump-destroy", "coredump-restart"};
    return w;
}
enum class LockFailureAction { default_, poweroff, restart, pause, ignore };
inline std::span<const std::string_view> enum_words(LockFailureAction) {
    static constexpr std::string_view w[] = {"default", "poweroff", "restart", "pause", "ignore"};
    return w;
}

struct MaxMemory { // <maxMemory slots='16' unit='KiB'>
    std::optional<unsigned> slots;
    Kibibytes size;
};
struct Memory { // <memory unit='KiB' dumpCore='off'>
    std::optional<OnOff> dump_core;
    Kibibytes size;
};
struct Vcpu { // <vcpu placement='static' cpuset='0-3' current='1'>2</vcpu>
    std::optional<Placement> placement;
    std::string cpuset;
    std::optional<unsigned> current;
    unsigned maximum = 1;
};
struct VcpuEntry { // <vcpus><vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>
    unsigned id = 0;
    YesNo enabled;
    std::optional<YesNo> hotpluggable;
    std::optional<unsigned> order;
};
struct GenId { // empty: one is made at each start
    std::optional<rpc::Uuid> value;
};

struct Domain {
    // Made in domain.cpp: what it takes to copy and destroy all of this would cost every file that includes it seconds to
    // compile.
    Domain();
    Domain(const Domain&);
    Domain(Domain&&) noexcept;
    Domain& operator=(const Domain&);
    Domain& operator=(Domain&&) noexcept;
    ~Domain();

    VirtType type = VirtType::qemu;
    std::optional<int> id; // live
    std::string name;
    rpc::Uuid uuid;
    std::optional<GenId> genid;
    std::string title, description;
    std::string metadata; // raw
    std::optional<MaxMemory> max_memory;
    std::optional<Memory> memory;
    std::optional<Kibibytes> current_memory;
    std::optional<BlkioTune> blkiotune;
    std::optional<MemTune> memtune;
    std::optional<MemoryBacking> memory_backing;
    std::optional<Vcpu> vcpu;
    std::vector<VcpuEntry> vcpus;
    std::optional<unsigned> iothreads;
    std::vector<IoThread> iothread_ids;
    std::optional<DefaultIoThread> default_iothread;
    std::optional<CpuTune> cputune;
    std::optional<NumaTune> numatune;
    std::optional<Resource> resource;
    std::vector<Sysinfo> sysinfo;
    std::string bootloader, bootloader_args;
    Os os;
    std::optional<IdMap> idmap;
    std::optional<Features> features;
    std::optional<Cpu> cpu;
    std::optional<Clock> clock;
    std::optional<LifecycleAction> on_poweroff, on_reboot, on_crash;
    std::optional<LockFailureAction> on_lockfailure;
    std::optional<PowerManagement> pm;
    std::vector<PerfEvent> perf;
    Devices devices;
    std::vector<SecLabel> seclabels;
    std::optional<QemuCommandline> qemu_commandline;
    std::optional<QemuCapabilities> qemu_capabilities;
    std::optional<QemuOverride> qemu_override;
    std::optional<QemuDeprecation> qemu_deprecation;
    std::optional<KeyWrap> keywrap;
    std::optional<LaunchSecurity> launch_security;

    // Guest memory at start, in KiB: <memory>.
    std::uint64_t total_memory_kib() const { return memory ? memory->size.value : 0; }
    void set_total_memory_kib(std::uint64_t kib);
    // What the balloon leaves: <currentMemory>, else all of it.
    std::uint64_t current_memory_kib() const { return current_memory ? current_memory->value : total_memory_kib(); }
    unsigned max_vcpus() const { return vcpu ? vcpu->maximum : 1; }
    unsigned online_vcpus() const { return vcpu && vcpu->current ? *vcpu->current : max_vcpus(); }
    void set_max_vcpus(unsigned count);
    void set_online_vcpus(unsigned count);
    // The target name ("vda") of the disk that `path` means, by target or by its source's path; empty: none.
    std::string disk_target(const std::string& path) const;
    const Disk& disk_source(const std::string& target) const; // of a target that disk_target() gave
};
void describe(Doc&, Domain&);

inline constexpr const char* domain_root = "domain";

// Reads a definition. Checks what holds for every hypervisor; defaults and addresses are the driver's to complete.
Domain parse_domain(std::string_view text, const ReadOptions& options);
std::string format_domain(const Domain& domain, const WriteOptions& options);

// The element of <metadata> in namespace `uri`, as text; empty: none.
std::string metadata_element(const std::string& metadata, const std::string& uri);
// Replaces that element (empty `element`: removes it), bound to prefix `key`. Throws Code::invalid_arg for malformed text.
void set_metadata_element(std::string& metadata, const std::string& uri, const std::string& key, const std::string& element);

} // namespace lodge::xml
